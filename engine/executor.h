// SPDX-License-Identifier: Apache-2.0
//
// Runs a range of ops of a model, from boundary tensors to boundary tensors.
//
//   auto executor = Executor::create(weights, {.threads = 2});
//   executor->prepare({cut, op_count}, /*batch=*/1);     // validates, plans, allocates
//   memcpy(executor->inputs()[0].data, ...);             // or bind_input() to one's own buffer
//   executor->run();                                     // allocates nothing
//   use(executor->outputs()[0].data);
//
// An executor is used by one thread at a time; many executors may share one Weights.
// A result depends on inputs, weights and the kernels of this CPU, never on threads, batch or cut
// (decision 8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/profiler.h"
#include "engine/tensor.h"
#include "engine/weights.h"
#include "schemas/status.h"

namespace cleave {

// Where the outputs of a prepared range are.
enum class OutputPlace : std::uint8_t {
  kArena,   // the executor's own buffers, unless bound
  kCaller,  // no place in the arena: each must be bound after prepare(), before run()
};

struct ExecutorOptions {
  unsigned threads = 1;  // 1..256; 1 runs on the caller's thread only
  OutputPlace outputs = OutputPlace::kArena;
};

// One tensor that enters or leaves the prepared range, as the engine holds it: f32, or in variants
// of precision QS8 also int8 (the variant's Tensor says its scale). The variant's own input and
// output are f32 always. Unbound buffers are the executor's own and
// share its arena with everything that run() computes: run() may overwrite own inputs, and writing
// to own inputs may overwrite own outputs. Copy the outputs, or bind, to keep them.
struct BoundaryBuffer {
  TensorId tensor = 0;
  fbs::DType dtype = fbs::DType::F32;
  void* data = nullptr;      // [batch][height][width][channels]
  std::size_t elements = 0;  // batch * height * width * channels
  [[nodiscard]] std::size_t bytes() const { return elements * dtype_bytes(dtype); }
  // REQUIRES: dtype F32.
  [[nodiscard]] std::span<float> f32() const { return {static_cast<float*>(data), elements}; }
  [[nodiscard]] std::span<std::byte> as_bytes() const {
    return {static_cast<std::byte*>(data), bytes()};
  }
};

// Bytes that a caller's own buffer must have beyond its elements (XNNPACK reads past the end).
inline constexpr std::size_t kBufferSlackBytes = 128;
inline constexpr std::size_t kBufferAlignment = 64;

class Executor {
 public:
  // Errors: kInvalidArgument (threads), kResourceExhausted, kUnsupported (CPU without the
  // instructions that the kernels need).
  static Result<std::unique_ptr<Executor>> create(std::shared_ptr<const Weights> weights,
                                                  const ExecutorOptions& options);
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Makes the executor ready to run `range` for `batch` pictures; may be called again with other
  // arguments (well under a millisecond, unless the arena must grow). An empty range is valid:
  // outputs are the inputs.
  // Errors: kOutOfRange (not inside the weights' range, batch 0 or > 1024), kResourceExhausted.
  // After an error the executor is unprepared.
  [[nodiscard]] virtual Status prepare(OpRange range, std::uint32_t batch) = 0;

  // The boundary tensors of the prepared range, ascending by tensor id: what ops >= first read that
  // came before them, and what lives after `last`. Buffers are the executor's own unless bound;
  // with OutputPlace::kCaller, data of an output is nullptr until it is bound.
  [[nodiscard]] virtual std::span<const BoundaryBuffer> inputs() const = 0;
  [[nodiscard]] virtual std::span<const BoundaryBuffer> outputs() const = 0;

  // Reads input (writes output) `index` in the caller's buffer from now on, until the next prepare.
  // A tensor that passes through the range untouched is copied from input to output by run().
  // REQUIRES: bytes() + kBufferSlackBytes bytes long, alive during run, overlapping no other
  // bound buffer. nullptr goes back to the executor's own buffer. Costs microseconds, allocates
  // nothing. Errors: kOutOfRange (index; every index while unprepared), kInvalidArgument (not
  // aligned to kBufferAlignment; nullptr for an output that has no place in the arena).
  [[nodiscard]] virtual Status bind_input(std::size_t index, void* data) = 0;
  [[nodiscard]] virtual Status bind_output(std::size_t index, void* data) = 0;

  // Runs the prepared range. Allocates nothing; does not fail on a prepared executor whose outputs
  // have their places (kInternal otherwise). `observer` may be null.
  [[nodiscard]] virtual Status run(OpObserver* observer = nullptr) = 0;

  // Bytes of the planned arena, boundary buffers that the executor owns included.
  [[nodiscard]] virtual std::uint64_t arena_bytes() const = 0;

 protected:
  Executor() = default;
};

// The arena that prepare(range, batch) of a single-threaded executor plans whose weights were made
// with `preference`, exactly, without packing or allocating it (for `inspect` and the planner).
// More threads add a few row buffers to the workspace of depthwise convolutions and average pools
// with large windows, and a few kilobytes to that of Winograd convolutions. Takes microseconds an
// op. Errors: as Weights::create and Executor::prepare. Thread-safe.
[[nodiscard]] Result<std::uint64_t> plan_arena_bytes(const fbs::Variant& variant, OpRange range,
                                                     std::uint32_t batch,
                                                     OutputPlace outputs = OutputPlace::kArena,
                                                     Preference preference = Preference::kSpeed);

// The arenas on both sides of a cut: of ops [0, boundary), whose outputs are the caller's (who
// sends them), and of [boundary, N).
struct CutArena {
  std::uint64_t head_bytes = 0;
  std::uint64_t tail_bytes = 0;
};

// One entry per boundary of `boundaries`, each number what plan_arena_bytes gives for that range,
// for the head with OutputPlace::kCaller.
// Every op's workspace is learnt once, however many boundaries there are. Errors: kOutOfRange (a
// boundary after the last op, batch), and those of plan_arena_bytes. Thread-safe.
[[nodiscard]] Result<std::vector<CutArena>> plan_cut_arenas(
    const fbs::Variant& variant, std::span<const OpIndex> boundaries, std::uint32_t batch,
    Preference preference = Preference::kSpeed);

// The kernel set that XNNPACK picks on this CPU: "avx512", "fma3", "avx", "sse", or for ARM the
// extensions and the core type, by which it picks as well: "neon+dotprod/cortex-a76". What
// CLEAVE_KERNELS picks instead of the best of our own is added. Thread-safe.
[[nodiscard]] const char* kernel_set_name();

}  // namespace cleave
