// SPDX-License-Identifier: Apache-2.0
//
// Contender: this engine. Further arguments: the folder of a weight cache, or an empty one; the
// variant's name.
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "engine/aligned_buffer.h"
#include "engine/executor.h"
#include "engine/kernels/dispatch.h"
#include "engine/weights.h"
#include "tests/bench/runner_channel.h"

namespace {

using namespace cleave;

void require(const Status& status) {
  if (status.is_ok()) return;
  bench::fail(status.message(), status.code() == StatusCode::kUnsupported
                                    ? bench::kRunnerUnsupported
                                    : bench::kRunnerFailed);
}

template <typename T>
T value_of(Result<T> result) {
  require(result.status());
  return std::move(result).value();
}

struct Prepared {
  std::unique_ptr<Executor> executor;
  AlignedBuffer input, output;
  std::size_t scores = 0;
};

std::shared_ptr<WeightCacheFolder> open_cache(const std::string& path) {
  return path.empty() ? nullptr : value_of(WeightCacheFolder::open({.path = path}));
}

std::uint32_t find_variant(const fbs::Model& model, const std::string& name) {
  for (std::uint32_t i = 0; i < model.variants()->size(); ++i) {
    if (model.variants()->Get(i)->name()->string_view() == name) return i;
  }
  bench::fail("the model has no variant " + name);
}

Prepared prepare(const bench::RunnerArguments& arguments,
                 const std::shared_ptr<WeightCacheFolder>& cache) {
  const std::shared_ptr<const ModelFile> model = value_of(ModelFile::open(arguments.model));
  const std::uint32_t variant = find_variant(model->header(), arguments.more[1]);
  const OpRange all{0, model->header().variants()->Get(variant)->ops()->size()};
  Prepared prepared;
  prepared.executor =
      value_of(Executor::create(value_of(Weights::create(model, variant, all, {.cache = cache})),
                                {.threads = arguments.threads}));
  Executor& executor = *prepared.executor;
  require(executor.prepare(all, 1));
  const auto values = bench::read_floats(arguments.input, executor.inputs()[0].elements);
  prepared.scores = executor.outputs()[0].elements;
  prepared.input = AlignedBuffer(values.size() * sizeof(float));
  prepared.output = AlignedBuffer(prepared.scores * sizeof(float));
  if (prepared.input.data() == nullptr || prepared.output.data() == nullptr) {
    bench::fail("no memory for the input");
  }
  std::memcpy(prepared.input.data(), values.data(), values.size() * sizeof(float));
  require(executor.bind_input(0, prepared.input.data()));
  require(executor.bind_output(0, prepared.output.data()));
  return prepared;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::RunnerArguments arguments = bench::begin(argc, argv, 2);
  const std::shared_ptr<WeightCacheFolder> cache = open_cache(arguments.more[0]);
  Prepared prepared = prepare(arguments, cache);
  if (cache != nullptr) require(cache->status());
  std::string kernels =
      std::string("XNNPACK ") + kernel_set_name() + ", own " + kernels::active_kernels().name;
  if (cache != nullptr) {
    kernels += ", " + std::to_string(cache->stats().mapped) + " ops mapped and " +
               std::to_string(cache->stats().missing) + " packed";
  }
  return bench::serve(kernels, [&] {
    require(prepared.executor->run());
    return std::span<const float>(prepared.output.f32(), prepared.scores);
  });
}
