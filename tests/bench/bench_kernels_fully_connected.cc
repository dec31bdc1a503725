// SPDX-License-Identifier: Apache-2.0
//
// Fully connected layers, which are nothing but a stream of weights, beside plain reading of as
// many bytes.
#include "engine/ops/op_factories.h"
#include "tests/bench/kernel_bench.h"
#include "tests/support/model_builder.h"

namespace cleave::bench {
namespace {

// Reads all of a block, in as many parts as there are threads.
class Reader {
 public:
  Reader(std::span<const std::byte> block, unsigned threads, pthreadpool_t pool)
      : words_(reinterpret_cast<const std::uint64_t*>(block.data())),
        count_(block.size() / sizeof(std::uint64_t) / kLane * kLane),
        threads_(threads),
        pool_(pool) {}

  void run() {
    const std::size_t part = (count_ / threads_ + kLane - 1) / kLane * kLane;
    pthreadpool_parallelize_1d_tile_1d(
        pool_,
        [](void* self, std::size_t first, std::size_t count) {
          static_cast<Reader*>(self)->read(first, count);
        },
        this, count_, part, 0);
  }

 private:
  static constexpr std::size_t kLane = 64;  // words: eight cache lines at a time

  void read(std::size_t first, std::size_t count) {
    std::uint64_t sums[kLane] = {};
    for (std::size_t i = first; i < first + count; i += kLane) {
      for (std::size_t lane = 0; lane < kLane; ++lane) sums[lane] |= words_[i + lane];
    }
    std::uint64_t all = 0;
    for (const std::uint64_t sum : sums) all |= sum;
    volatile std::uint64_t sink = all;
    static_cast<void>(sink);
  }

  const std::uint64_t* words_;
  std::size_t count_;
  unsigned threads_;
  pthreadpool_t pool_;
};

std::vector<std::byte> model_file(fbs::DType dtype) {
  test::ModelBuilder builder({1, 1, 9216});
  builder.fully_connected(builder.input(), 4096);
  if (dtype != fbs::DType::F32) builder.store_last_kernel(dtype);
  return builder.build();
}

// Copies of the layer in memory, one after the other.
void bench_stream(const char* kernel, fbs::DType dtype, const KernelRuns& how,
                  std::size_t mebibytes) {
  const std::vector<std::byte> file = model_file(dtype);
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<Reader> readers;
  std::size_t bytes = 0;
  for (std::size_t held = 0; held < mebibytes << 20; held += bytes) {
    const auto copy = value_of(ModelFile::from_bytes(file));
    layers.push_back(std::make_unique<Layer>(copy, 0, ops::create_fully_connected, how.pool));
    const fbs::Op& op = *copy->header().variants()->Get(0)->ops()->Get(0);
    const std::span<const std::byte> weights = copy->weight_bytes(op, *op.kernel());
    readers.emplace_back(weights, how.threads, how.pool);
    bytes = weights.size();
  }
  std::size_t next_layer = 0;
  // Half the stream away from each other: neither finds what the other has just read.
  std::size_t next_reader = readers.size() / 2;
  compare({.kernel = kernel,
           .layer = "9216 to 4096",
           .ours = [&] { layers[next_layer++ % layers.size()]->run(); },
           .other = "plain reading",
           .others = [&] { readers[next_reader++ % readers.size()].run(); },
           .work = static_cast<double>(bytes),
           .unit = "GB/s"},
          how.runs, how.threads);
}

}  // namespace

void bench_fully_connected(const KernelRuns& how, std::size_t mebibytes) {
  bench_stream("fully connected f32", fbs::DType::F32, how, mebibytes);
  bench_stream("fully connected f16", fbs::DType::F16, how, mebibytes);
  bench_stream("fully connected int8", fbs::DType::S8, how, mebibytes);
}

}  // namespace cleave::bench
