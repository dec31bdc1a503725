// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/engine_harness.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

namespace cleave::test {

void require_ok(const Status& status) {
  if (!status.is_ok()) throw std::runtime_error(status.message());
}

Values random_values(std::size_t count, std::uint64_t seed, float range) {
  std::mt19937_64 random(seed);
  Values values(count);
  for (float& value : values) {
    value = (static_cast<float>(random() >> 40) * 0x1p-23F - 1.0F) * range;
  }
  return values;
}

std::shared_ptr<const ModelFile> open_model(ModelBuilder& builder) {
  auto model = ModelFile::from_bytes(builder.build());
  require_ok(model.status());
  return *model;
}

const fbs::Variant& first_variant(const ModelFile& model) {
  return *model.header().variants()->Get(0);
}

OpIndex op_count(const ModelFile& model) { return first_variant(model).ops()->size(); }

std::shared_ptr<const ModelFile> branching_model() {
  ModelBuilder b({19, 17, 3}, 2024);
  const Tensor stem = b.conv2d(b.input(), 8, {{3, 3, 2, 2, 1, 1}, {0, 1, 1, 0}});
  b.clamp_last(0, 6);
  const Tensor normal = b.lrn(stem, 5, 0.1F, 0.75F, 1);
  const Tensor expanded = b.conv2d(normal, 24, WindowSpec{});
  b.clamp_last(0, 6);
  const Tensor spatial = b.depthwise_conv2d(expanded, WindowSpec{.window = 3, .pad = 1});
  const Tensor swished = b.hard_swish(spatial);
  const Tensor projected = b.conv2d(swished, 8, WindowSpec{});
  const Tensor block = b.add(stem, projected);
  b.clamp_last(0);
  const Tensor squeezed = b.global_average_pool(block);
  const Tensor excited = b.sigmoid(b.fully_connected(squeezed, 8));
  const Tensor scaled = b.multiply(block, excited);
  const Tensor left = b.max_pool2d(scaled, WindowSpec{.window = 3, .stride = 2, .pad = 1});
  const Tensor right =
      b.average_pool2d(b.leaky_relu(scaled, 0.1F), {{2, 2, 2, 2, 1, 1}, {1, 0, 1, 0}});
  const Tensor trimmed = b.conv2d(right, 6, WindowSpec{.window = 1}, 2);
  const Tensor joined = b.concat({trimmed, left});
  const Tensor grouped = b.conv2d(joined, 12, WindowSpec{.window = 3, .pad = 1}, 2);
  const Tensor padded = b.pad(grouped, {1, 0, 0, 1}, 0.25F);
  const Tensor cropped = b.max_pool2d(padded, WindowSpec{.window = 2});
  const Tensor early = b.max_pool2d(stem, WindowSpec{.window = 1, .stride = 2});
  const Tensor wide = b.concat({cropped, early});
  const Tensor bounded = b.clamp(wide, -1, 1);
  const Tensor logits = b.fully_connected(bounded, 10);
  b.softmax(logits);
  return open_model(b);
}

std::unique_ptr<Executor> make_executor(std::shared_ptr<const ModelFile> model, unsigned threads) {
  const OpRange all{0, op_count(*model)};
  auto weights = Weights::create(std::move(model), 0, all);
  require_ok(weights.status());
  return make_executor(*weights, threads);
}

std::unique_ptr<Executor> make_executor(std::shared_ptr<const Weights> weights, unsigned threads) {
  auto executor = Executor::create(std::move(weights), {.threads = threads});
  require_ok(executor.status());
  return std::move(*executor);
}

TensorMap run_range(Executor& executor, OpRange range, std::uint32_t batch,
                    const TensorMap& tensors) {
  require_ok(executor.prepare(range, batch));
  for (const BoundaryBuffer& input : executor.inputs()) {
    const Values& values = tensors.at(input.tensor);
    if (values.size() != input.elements) throw std::runtime_error("an input of another size");
    std::memcpy(input.data, values.data(), values.size() * sizeof(float));
  }
  require_ok(executor.run());
  TensorMap outputs;
  for (const BoundaryBuffer& output : executor.outputs()) {
    outputs[output.tensor] = Values(output.f32().begin(), output.f32().end());
  }
  return outputs;
}

double largest_error(const Values& a, const Values& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      return std::numeric_limits<double>::infinity();
    }
    const double difference = std::abs(double{a[i]} - double{b[i]});
    largest = std::max(largest, difference / std::max(1.0, std::abs(double{b[i]})));
  }
  return largest;
}

bool same_bytes(const Values& a, const Values& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool same_bytes(const TensorMap& a, const TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [tensor, values] : a) {
    const auto other = b.find(tensor);
    if (other == b.end() || !same_bytes(values, other->second)) return false;
  }
  return true;
}

}  // namespace cleave::test
