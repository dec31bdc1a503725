// SPDX-License-Identifier: Apache-2.0
//
// f32_gemm_8x8_neon for cores that issue two instructions a cycle and in order (Cortex-A53, A55).
//
// What costs such a core time is not the number of loads but what they stand beside. A load of 128
// bits holds up both issue slots for two cycles. 64 bits into a vector register take a cycle, in
// which an insertion can go along; 64 bits into a general register go along with a multiply-add;
// and three multiply-adds after a load of a vector the next one finds the pipeline open. (As
// ncnn's developers measured: docs/developer-guide/arm-a53-a55-dual-issue.md there.)
//
// So operands come in halves, a step of depth ahead of their use, and everything between two loads
// of a vector has a form:
//   ldr d(n)   ins v(n-1).d[1], x      (the first loads, the second completes the one before)
//   fmla       ldr x                   (upper half of n)
//   fmla
//   fmla
// The order is a table made at compile time, and each instruction a volatile asm statement of its
// own: the compiler keeps their order, and gives out the registers.
#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "engine/kernels/gemm.h"

namespace cleave::kernels {
namespace {

constexpr std::size_t kMostRows = 8;
constexpr std::size_t kColumns = 8;
constexpr std::size_t kLanes = 4;
// Vector registers: 16 sums, 12 of A (rows 0 to 3 twice, so that the next four steps of depth can
// be there before these are through), 4 of B (this step and the next).
constexpr std::size_t kFirstOfB = 12;
constexpr std::size_t kOperands = 16;
// Rows 6 and 7 are loaded in the first of four steps themselves.
constexpr std::size_t kRowsFirstLoaded = 6;
constexpr std::size_t kMultiplyAddsBetweenLoads = 3;

enum class Source : std::uint8_t { kA, kNextA, kB, kNextB };

struct Load {
  std::size_t target = 0;  // operand register
  Source source = Source::kA;
  std::size_t offset = 0;  // floats from the start of the block
};

enum class Kind : std::uint8_t { kMultiplyAdd, kLoadLow, kLoadHigh, kInsert, kPrefetch };

struct Instruction {
  Kind kind = Kind::kMultiplyAdd;
  Load load = {};        // kLoadLow, kLoadHigh, kInsert; kPrefetch: its offset
  std::size_t sum = 0;   // kMultiplyAdd: sum += b * a[lane]
  std::size_t a = 0;     // operand register
  std::size_t b = 0;     // operand register
  std::size_t lane = 0;  // of a
};

constexpr std::size_t register_of_a(std::size_t row, std::size_t depth) {
  return row < 4 && depth / kLanes % 2 == 1 ? 8 + row : row;
}

constexpr std::size_t register_of_b(std::size_t half, std::size_t depth) {
  return kFirstOfB + depth % 2 * 2 + half;
}

// The order of a block of depth.
template <std::size_t kRows>
class Schedule {
 public:
  static constexpr std::size_t kMost = kGemmDepthBlock * 2 * kRows +
                                       3 * kGemmDepthBlock * (2 + kRows / kLanes + 1) +
                                       kGemmDepthBlock / 2;
  std::array<Instruction, kMost> instructions;
  std::size_t count = 0;

  constexpr Schedule() {
    for (std::size_t depth = 0; depth < kGemmDepthBlock; ++depth) {
      want_loads(depth);
      for (std::size_t i = 0; i < kRows; ++i) {
        // Rows 4 and up first where the next values replace theirs in the same step.
        const std::size_t row = depth % kLanes == 3 && kRows > 4 ? (i + 4) % kRows : i;
        multiply_add(row, 0, depth);
        if (i == 0 && depth % 2 == 0) {
          add({.kind = Kind::kPrefetch, .load = {.offset = depth * kColumns}});
        }
        multiply_add(row, 1, depth);
      }
      finish_loads();
    }
    if (waiting_) insert();
  }

 private:
  constexpr void add(const Instruction& instruction) { instructions[count++] = instruction; }

  // What is loaded in the step `depth`: B of the next step, and values of A for which there is a
  // register by now.
  constexpr void want_loads(std::size_t depth) {
    const std::size_t lane = depth % kLanes;
    if (lane == 0) want_a(kRowsFirstLoaded, depth);
    want_b(depth + 1);
    if (lane > 0) want_a(2 * (lane - 1), depth - lane + kLanes);
  }

  constexpr void want_b(std::size_t depth) {
    const bool next = depth == kGemmDepthBlock;
    for (std::size_t half = 0; half < 2; ++half) {
      wanted_[wanted_end_++] = {.target = register_of_b(half, depth),
                                .source = next ? Source::kNextB : Source::kB,
                                .offset = (next ? 0 : depth * kColumns) + half * kLanes};
    }
  }

  // Two rows, four steps of depth.
  constexpr void want_a(std::size_t first_row, std::size_t depth) {
    const bool next = depth == kGemmDepthBlock;
    for (std::size_t row = first_row; row < first_row + 2 && row < kRows; ++row) {
      wanted_[wanted_end_++] = {.target = register_of_a(row, depth),
                                .source = next ? Source::kNextA : Source::kA,
                                .offset = row * kGemmDepthBlock + (next ? 0 : depth)};
    }
  }

  constexpr void multiply_add(std::size_t row, std::size_t half, std::size_t depth) {
    if (multiply_adds_ % kMultiplyAddsBetweenLoads == 0) load_low();
    add({.kind = Kind::kMultiplyAdd,
         .sum = 2 * row + half,
         .a = register_of_a(row, depth),
         .b = register_of_b(half, depth),
         .lane = depth % kLanes});
    if (multiply_adds_++ % kMultiplyAddsBetweenLoads == 0) load_high();
  }

  // In each place at least one of the two: a place left empty closes the pipeline to the next load.
  constexpr void load_low() {
    const std::size_t loads = wanted_end_ - wanted_begin_;
    const std::size_t multiply_adds = 2 * kRows - multiply_adds_ % (2 * kRows);
    const std::size_t places =
        (multiply_adds + kMultiplyAddsBetweenLoads - 1) / kMultiplyAddsBetweenLoads;
    const bool spare = waiting_ && loads == 1 && places >= 3;
    const bool load = loads > 0 && !spare;
    if (load) add({.kind = Kind::kLoadLow, .load = wanted_[wanted_begin_]});
    if (waiting_) insert();
    if (!load) return;
    half_loaded_ = wanted_[wanted_begin_++];
    high_missing_ = true;
  }

  constexpr void load_high() {
    if (!high_missing_) return;
    add({.kind = Kind::kLoadHigh, .load = half_loaded_});
    high_missing_ = false;
    waiting_ = true;
  }

  constexpr void insert() {
    add({.kind = Kind::kInsert, .load = half_loaded_});
    waiting_ = false;
  }

  // A few rows have fewer places than loads; and B is needed at once.
  constexpr void finish_loads() {
    load_high();
    while (wanted_begin_ < wanted_end_) {
      load_low();
      load_high();
    }
    wanted_begin_ = wanted_end_ = 0;
    if (waiting_ && half_loaded_.target >= kFirstOfB) insert();
  }

  std::array<Load, 4> wanted_;
  std::size_t wanted_begin_ = 0;
  std::size_t wanted_end_ = 0;
  std::size_t multiply_adds_ = 0;
  Load half_loaded_;
  bool high_missing_ = false;  // the upper half is not yet in the general register
  bool waiting_ = false;       // it is, but not yet in the vector register
};

template <std::size_t kRows>
inline constexpr Schedule<kRows> kSchedule;

struct Registers {
  float32x4_t sums[2 * kMostRows];
  float32x4_t operands[kOperands];
  std::uint64_t high;
};

// Blocks of depth, by Source; and the block of the panel that comes next.
struct Blocks {
  const float* by_source[4];
  const float* next_panel;
};

using Bits64 [[gnu::may_alias]] = std::uint64_t;

template <std::size_t kRows, std::size_t kIndex>
[[gnu::always_inline]] inline void run(Registers& registers, const Blocks& blocks) {
  constexpr Instruction kIt = kSchedule<kRows>.instructions[kIndex];
  if constexpr (kIt.kind == Kind::kMultiplyAdd) {
    asm volatile("fmla %0.4s, %1.4s, %2.s[%3]"
                 : "+w"(registers.sums[kIt.sum])
                 : "w"(registers.operands[kIt.b]), "w"(registers.operands[kIt.a]), "i"(kIt.lane));
  } else if constexpr (kIt.kind == Kind::kPrefetch) {
    asm volatile("prfm pldl1keep, %0" : : "m"(blocks.next_panel[kIt.load.offset]));
  } else if constexpr (kIt.kind == Kind::kInsert) {
    asm volatile("ins %0.d[1], %1"
                 : "+w"(registers.operands[kIt.load.target])
                 : "r"(registers.high));
  } else {
    const float* block = blocks.by_source[static_cast<std::size_t>(kIt.load.source)];
    const auto* halves = reinterpret_cast<const Bits64*>(block + kIt.load.offset);
    if constexpr (kIt.kind == Kind::kLoadLow) {
      // "+": that the register stays the same from block to block.
      asm volatile("ldr %d0, %1" : "+w"(registers.operands[kIt.load.target]) : "m"(halves[0]));
    } else {
      asm volatile("ldr %0, %1" : "=r"(registers.high) : "m"(halves[1]));
    }
  }
}

template <std::size_t kRows, std::size_t... kIndex>
[[gnu::always_inline]] inline void run_all(Registers& registers, const Blocks& blocks,
                                           std::index_sequence<kIndex...>) {
  (run<kRows, kIndex>(registers, blocks), ...);
}

// What the first step finds loaded. The other registers get no value, and the compiler does not
// miss it.
template <std::size_t kRows>
[[gnu::always_inline]] inline void begin(Registers& registers, const float* a, const float* b) {
#pragma GCC unroll 16
  for (std::size_t sum = 0; sum < 2 * kRows; ++sum) registers.sums[sum] = vdupq_n_f32(0);
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kOperands; ++i) asm volatile("" : "=w"(registers.operands[i]));
  constexpr std::size_t kLoaded = std::min(kRows, kRowsFirstLoaded);
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kLoaded; ++row) {
    registers.operands[row] = vld1q_f32(a + row * kGemmDepthBlock);
  }
  registers.operands[kFirstOfB] = vld1q_f32(b);
  registers.operands[kFirstOfB + 1] = vld1q_f32(b + kLanes);
}

template <std::size_t kRows>
void multiply(std::size_t depth_blocks, const float* a, const float* b, const float* next_b,
              float* c, std::size_t c_stride) {
  Registers registers;
  begin<kRows>(registers, a, b);
  do {
    // The last block loads its own first values again: nothing beyond A and B is read.
    const std::size_t step = --depth_blocks > 0 ? kGemmDepthBlock : 0;
    const float* next_a = a + kRows * step;
    const float* next_rows_of_b = b + kColumns * step;
    run_all<kRows>(registers, {{a, next_a, b, next_rows_of_b}, next_b},
                   std::make_index_sequence<kSchedule<kRows>.count>{});
    a = next_a;
    b = next_rows_of_b;
    next_b += kColumns * kGemmDepthBlock;
  } while (depth_blocks > 0);
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
    vst1q_f32(c + row * c_stride, registers.sums[2 * row]);
    vst1q_f32(c + row * c_stride + kLanes, registers.sums[2 * row + 1]);
  }
}

using Multiply = void(std::size_t, const float*, const float*, const float*, float*, std::size_t);

template <std::size_t... kRows>
constexpr std::array<Multiply*, sizeof...(kRows)> by_rows(std::index_sequence<kRows...>) {
  return {multiply<kRows + 1>...};
}

}  // namespace

void f32_gemm_8x8_a53_neon(std::size_t rows, std::size_t depth_blocks, const float* a,
                           const float* b, const float* next_b, float* c, std::size_t c_stride) {
  static constexpr auto kMultiply = by_rows(std::make_index_sequence<kMostRows>{});
  kMultiply[rows - 1](depth_blocks, a, b, next_b, c, c_stride);
}

}  // namespace cleave::kernels
