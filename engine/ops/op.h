// SPDX-License-Identifier: Apache-2.0
//
// What the executor sees of an operator, whoever computes it: XNNPACK or a kernel of our own.
//
//   create  once per executor; weights are taken from the cache, or packed into it
//   reshape for a batch; says how much workspace a run needs; may allocate
//   setup   where inputs, output and workspace are; allocates nothing
//   run     computes; allocates nothing
//
// Files: one operator each. A new one gets a file with a `create_...` function, a line in
// op_factories.h and a case in op_registry.cc.
#pragma once

#include <pthreadpool.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "engine/memory/op_memory.h"
#include "engine/memory/transient_floats.h"
#include "engine/preference.h"
#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

struct xnn_weights_cache_provider;

namespace cleave {
class PackedWeights;
}

namespace cleave::ops {

// The op's clamp; all of the line when it has none.
struct ClampRange {
  float minimum = -std::numeric_limits<float>::infinity();
  float maximum = std::numeric_limits<float>::infinity();
  [[nodiscard]] bool clamps() const {
    return minimum != -std::numeric_limits<float>::infinity() ||
           maximum != std::numeric_limits<float>::infinity();
  }
};

// All that an operator is made from. Pointers stay valid only while it is made; `kernel`, `bias`,
// `entry` and `packed`, which belong to the Weights, as long as the operator.
struct OpSpec {
  const fbs::Op* op = nullptr;
  std::vector<fbs::Shape> inputs;
  fbs::Shape output;
  std::vector<TensorType> input_types;
  TensorType output_type;
  ClampRange clamp;
  Preference preference = Preference::kSpeed;
  const void* kernel = nullptr;  // layouts: schemas/model.fbs
  fbs::DType kernel_dtype = fbs::DType::F32;
  std::vector<float> kernel_scales;              // int8 kernels: one per output channel
  const void* bias = nullptr;                    // f32, or int32 with int8 tensors; nullptr: zero
  PackedWeights* entry = nullptr;                // nullptr: made for planning, never run
  xnn_weights_cache_provider* packed = nullptr;  // the entry as XNNPACK sees it
  // What `kernel` points to when f16 was made f32: gone once the operator is made. A spec may be
  // moved, not copied, then.
  TransientFloats widened_kernel;

  [[nodiscard]] bool on_int8() const { return output_type.dtype == fbs::DType::S8; }
  [[nodiscard]] const float* f32_kernel() const { return static_cast<const float*>(kernel); }
  [[nodiscard]] const float* f32_bias() const { return static_cast<const float*>(bias); }
};

// Shapes, types, kernel scales and clamp of op `index`; weights are left out.
[[nodiscard]] OpSpec make_op_spec(const fbs::Variant& variant, OpIndex index,
                                  Preference preference);

// Tensors are [batch][height][width][channels]. REQUIRES: aligned to 64 bytes, with
// kBufferSlackBytes behind them that may be read.
struct OpBuffers {
  std::span<const void* const> inputs;
  void* output = nullptr;
  void* workspace = nullptr;  // nullptr when reshape asked for none
  [[nodiscard]] const float* f32_input(std::size_t i = 0) const {
    return static_cast<const float*>(inputs[i]);
  }
  [[nodiscard]] float* f32_output() const { return static_cast<float*>(output); }
};

class Op {
 public:
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  // Bytes of workspace, to be aligned to 64. `pool` is the one that run() gets; nullptr: no
  // threads.
  [[nodiscard]] virtual Result<std::size_t> reshape(std::uint32_t batch, pthreadpool_t pool) = 0;
  // OpMemory::output_lead_bytes, whatever the number of threads. REQUIRES: reshaped.
  [[nodiscard]] virtual std::size_t output_lead_bytes() const { return OpMemory::kApart; }
  // REQUIRES: reshaped. May be called again with other buffers.
  [[nodiscard]] virtual Status setup(const OpBuffers& buffers) = 0;
  // REQUIRES: set up; the workspace is the op's own while it runs.
  [[nodiscard]] virtual Status run(pthreadpool_t pool) = 0;

 protected:
  Op() = default;
};

using OpResult = Result<std::unique_ptr<Op>>;

}  // namespace cleave::ops
