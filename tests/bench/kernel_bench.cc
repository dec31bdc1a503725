// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/kernel_bench.h"

#include <chrono>

#include "engine/executor.h"
#include "engine/ops/op_registry.h"
#include "tests/bench/bench_report.h"

namespace cleave::bench {
namespace {

std::size_t tensor_bytes(const fbs::Shape& shape, const TensorType& type) {
  return element_count(shape) * dtype_bytes(type.dtype);
}

double time_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

void compare(const Contest& contest, int runs, unsigned threads) {
  constexpr int kWarmUp = 3;
  std::vector<double> ours, others, ratios;
  for (int run = -kWarmUp; run < runs; ++run) {
    const double mine = time_of(contest.ours);
    const double theirs = time_of(contest.others);
    if (run < 0) continue;
    ours.push_back(mine);
    others.push_back(theirs);
    ratios.push_back(mine / theirs);
  }
  const double median = quantile(ours, 0.5);
  std::printf("%-26s %-28s %u %9.3f %8.1f %-6s %-15s %9.3f   %.2f  (%.2f to %.2f)\n",
              contest.kernel.c_str(), contest.layer.c_str(), threads, median * 1e3,
              contest.work / median * 1e-9, contest.unit, contest.other.c_str(),
              quantile(others, 0.5) * 1e3, quantile(ratios, 0.5), quantile(ratios, 0.1),
              quantile(ratios, 0.9));
}

Layer::Layer(std::shared_ptr<const ModelFile> model, OpIndex index, const Create& create,
             pthreadpool_t pool)
    : model_(std::move(model)), pool_(pool) {
  const fbs::Variant& variant = *model_->header().variants()->Get(0);
  ops::OpSpec spec = ops::make_op_spec(variant, index, Preference::kSpeed);
  spec.kernel = model_->weight_bytes(*spec.op, *spec.op->kernel()).data();
  spec.bias = model_->weight_bytes(*spec.op, *spec.op->bias()).data();
  spec.entry = &entry_;
  spec.packed = entry_.provider();
  op_ = value_of(create(spec));
  const std::size_t workspace = value_of(op_->reshape(1, pool_));
  input_ = AlignedBuffer(tensor_bytes(spec.inputs[0], spec.input_types[0]));
  output_ = AlignedBuffer(tensor_bytes(spec.output, spec.output_type));
  workspace_ = AlignedBuffer(workspace);
  std::uint32_t state = 1;
  const std::size_t bytes = tensor_bytes(spec.inputs[0], spec.input_types[0]);
  for (std::byte& byte : std::span(static_cast<std::byte*>(input_.data()), bytes)) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 28);  // small integers, or floats near zero
  }
  const void* inputs[] = {input_.data()};
  const Status status =
      op_->setup({.inputs = inputs, .output = output_.data(), .workspace = workspace_.data()});
  if (!status.is_ok()) fail(status);
}

void Layer::run() const {
  if (const Status status = op_->run(pool_); !status.is_ok()) fail(status);
}

}  // namespace cleave::bench
