// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/fully_connected_rows.h"
#include "engine/kernels/half.h"

namespace cleave::kernels {
namespace {

struct F16Lanes {
  using Weight = std::uint16_t;
  using Vector = float;
  static constexpr std::size_t kLanes = 1;
  static Vector zero() { return 0; }
  static Vector load(const float* from) { return *from; }
  static Vector load_weights(const Weight* from) { return widen(*from); }
  static Vector fma(Vector a, Vector b, Vector c) { return a * b + c; }
  static void store(float* to, Vector value) { *to = value; }
  static float widen(Weight weight) { return half_to_float(weight); }
};

}  // namespace

void f16_fully_connected_scalar(const FullyConnectedRows& layer, std::size_t first,
                                std::size_t last) {
  fully_connected_rows<F16Lanes>(layer, first, last);
}

}  // namespace cleave::kernels
