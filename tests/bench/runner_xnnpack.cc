// SPDX-License-Identifier: Apache-2.0
//
// Contender: XNNPACK's own subgraph runtime, f32, on the weights of a model file.
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"
#include "tests/bench/runner_channel.h"
#include "tests/bench/xnnpack_graph.h"

namespace {

using namespace cleave;

void require(const Status& status) {
  if (status.is_ok()) return;
  bench::fail(status.message(), status.code() == StatusCode::kUnsupported
                                    ? bench::kRunnerUnsupported
                                    : bench::kRunnerFailed);
}

void require(xnn_status status, const char* what) { require(bench::to_status(status, what)); }

// Kernels read past the end.
void add_slack(std::vector<float>& values) {
  values.resize(values.size() + XNN_EXTRA_BYTES / sizeof(float));
}

std::size_t elements(const fbs::Variant& variant, TensorId tensor) {
  return element_count(*variant.tensors()->Get(tensor)->shape());
}

xnn_runtime_t create_runtime(const ModelFile& model, unsigned threads) {
  require(xnn_initialize(nullptr), "initialize");
  pthreadpool_t pool = threads > 1 ? pthreadpool_create(threads) : nullptr;
  if (threads > 1 && pool == nullptr) bench::fail("cannot start the threads");
  Result<bench::XnnSubgraph> subgraph = bench::build_xnn_subgraph(model);
  require(subgraph.status());
  xnn_runtime_t runtime = nullptr;
  // Threads sleep between runs, so that the next contender has the CPUs.
  require(xnn_create_runtime_v2(subgraph->get(), pool, XNN_FLAG_YIELD_WORKERS, &runtime),
          "runtime");
  return runtime;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::RunnerArguments arguments = bench::begin(argc, argv, 0);
  Result<std::shared_ptr<const ModelFile>> model = ModelFile::open(arguments.model);
  require(model.status());
  const fbs::Variant& variant = *(*model)->header().variants()->Get(0);
  xnn_runtime_t runtime = create_runtime(**model, arguments.threads);
  std::vector<float> input =
      bench::read_floats(arguments.input, elements(variant, variant.input()));
  std::vector<float> output(elements(variant, variant.output()));
  const std::size_t scores = output.size();
  add_slack(input);
  add_slack(output);
  const std::array<xnn_external_value, 2> external{
      xnn_external_value{bench::kXnnInputId, input.data()},
      xnn_external_value{bench::kXnnOutputId, output.data()}};
  require(xnn_reshape_runtime(runtime), "reshape");
  require(xnn_setup_runtime_v2(runtime, external.size(), external.data()), "setup");
  return bench::serve("XNNPACK runtime", [&] {
    require(xnn_invoke_runtime(runtime), "invoke");
    return std::span<const float>(output.data(), scores);
  });
}
