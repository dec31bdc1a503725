// SPDX-License-Identifier: Apache-2.0
//
// The planner in a program without a C library or an operating system's start files:
// freestanding_test.sh links it for each target and runs it, under qemu where need be.
//
// Prints the digest of digest.h and the deepest stack that one plan() of the largest table took.
// Exit code 0 when the digest is the one expected, else 1.
#include <cstddef>
#include <cstdint>
#include <span>

#include "planner/planner.h"
#include "tests/planner/digest.h"

namespace {

using namespace cleave::planner;

// Linux system calls, the one way out of the program.
#if defined(__x86_64__)
constexpr long kWrite = 1, kExit = 60;
long system_call(long number, long a, long b, long c) {
  long result = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
constexpr long kWrite = 64, kExit = 93;
long system_call(long number, long a, long b, long c) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}
#elif defined(__arm__)
constexpr long kWrite = 4, kExit = 1;
// By hand: r7 is the frame pointer of Thumb code.
long system_call(long number, long a, long b, long c) {
  register long r0 asm("r0") = a;
  register long r1 asm("r1") = b;
  register long r2 asm("r2") = c;
  asm volatile("push {r7}\n mov r7, %1\n svc 0\n pop {r7}"
               : "+r"(r0)
               : "r"(number), "r"(r1), "r"(r2)
               : "memory");
  return r0;
}
#endif

void print(const char* label, std::uint64_t value) {
  char line[80];
  std::size_t length = 0;
  for (; *label != 0; ++label) line[length++] = *label;
  char digits[20];
  std::size_t count = 0;
  for (; value != 0 || count == 0; value /= 10)
    digits[count++] = static_cast<char>('0' + value % 10);
  while (count > 0) line[length++] = digits[--count];
  line[length++] = '\n';
  system_call(kWrite, 1, reinterpret_cast<long>(line), static_cast<long>(length));
}

Candidate candidates[kMaxCandidates];
Score scores[kMaxCandidates];
CandidateIndex front[kMaxCandidates];

constexpr std::uintptr_t kPaintedBytes = 16384;
constexpr std::uintptr_t kOwnBytes = 512;  // more than the frames of those that paint and look
constexpr unsigned char kPaint = 0xa5;

volatile unsigned char* byte_at(std::uintptr_t address) {
  return reinterpret_cast<volatile unsigned char*>(address);
}

// The stack below `top` but for the painter's own frame, which is below that, too.
[[gnu::noinline]] void paint_below(std::uintptr_t top) {
  for (std::uintptr_t depth = kOwnBytes; depth < kPaintedBytes; ++depth) {
    *byte_at(top - depth) = kPaint;
  }
}

// How far below `top` the paint is gone.
[[gnu::noinline]] std::uintptr_t used_below(std::uintptr_t top) {
  std::uintptr_t depth = kPaintedBytes - 1;
  while (depth > kOwnBytes && *byte_at(top - depth) == kPaint) --depth;
  return depth;
}

// The stack that one plan() took, its caller's frame included; kOwnBytes when it was less.
[[gnu::noinline]] std::uintptr_t stack_of_plan(const Conditions& conditions, PlanStatus& status) {
  const auto top = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  paint_below(top);
  status = plan(candidates, conditions, {}, {.scores = scores, .front = front}).status;
  return used_below(top);
}

// Of the largest table, with every formula at work.
std::uint64_t stack_of_largest() {
  testing::InstanceSource source(7);
  std::size_t filled = 0;
  while (filled < kMaxCandidates) {
    filled += source.next(std::span(candidates).subspan(filled)).candidates.size();
  }
  Conditions conditions;
  conditions.link = {.bandwidth_bps = 10'000'000, .rtt_ns = 5'000'000, .available = true};
  conditions.energy = {.compute_uw = 4'000'000, .radio_pj_per_byte = 600'000, .idle_uw = 1'500'000};
  conditions.prices.server_ueur_per_hour = 11'600;
  conditions.prices.energy_ueur_per_kwh = 200'000;
  PlanStatus status = PlanStatus::kNoCandidates;
  const std::uintptr_t used = stack_of_plan(conditions, status);
  return status == PlanStatus::kOk ? used : UINT64_MAX;
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void bare_run() {
  const std::uint64_t digest = testing::digest_of_random_plans();
  print("digest ", digest);
  print("stack ", stack_of_largest());
  system_call(kExit, digest == testing::kExpectedDigest ? 0 : 1, 0, 0);
  __builtin_unreachable();
}

// Linux hands over an aligned stack, which is what a function finds when it is called from here.
#if defined(__x86_64__)
asm(".globl _start\n_start: xor %ebp, %ebp\n call bare_run\n");
#elif defined(__aarch64__)
asm(".globl _start\n_start: bl bare_run\n");
#elif defined(__arm__)
asm(".syntax unified\n.thumb\n.globl _start\n.thumb_func\n_start: bl bare_run\n");
#endif
