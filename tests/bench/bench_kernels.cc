// SPDX-License-Identifier: Apache-2.0
//
// Every kernel of our own that is there for its speed, beside what would run without it: XNNPACK's
// operator for the same layer, or, where a layer is nothing but a stream of weights, plain reading
// of as many bytes. Both take turns, on the same threads.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/executor.h"
#include "engine/image/resize.h"
#include "engine/memory/weight_cache.h"
#include "engine/ops/convolution.h"
#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/int8_im2col_conv2d.h"
#include "engine/ops/op_factories.h"
#include "engine/ops/thread_pool.h"
#include "engine/ops/winograd_conv2d.h"
#include "engine/ops/xnnpack_runtime.h"
#include "tests/bench/bench_report.h"
#include "tests/support/model_builder.h"

namespace {

using namespace cleave;
using test::ModelBuilder;
using test::Tensor;
using test::WindowSpec;

// Of distinct copies of weights that a stream goes through, so that none is left in a cache.
constexpr std::size_t kStreamMebibytes = 512;

[[noreturn]] void fail(const Status& status) {
  std::fprintf(stderr, "bench_kernels: %s\n", status.message().c_str());
  std::exit(1);
}

template <class T>
T value_of(Result<T> result) {
  if (!result.is_ok()) fail(result.status());
  return std::move(*result);
}

// One layer as an operator with buffers of its own.
class Layer {
 public:
  using Create = std::function<ops::OpResult(const ops::OpSpec&)>;

  Layer(std::shared_ptr<const ModelFile> model, OpIndex index, const Create& create,
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

  void run() const {
    if (const Status status = op_->run(pool_); !status.is_ok()) fail(status);
  }

 private:
  static std::size_t tensor_bytes(const fbs::Shape& shape, const TensorType& type) {
    return element_count(shape) * dtype_bytes(type.dtype);
  }

  std::shared_ptr<const ModelFile> model_;
  pthreadpool_t pool_;
  PackedWeights entry_;
  std::unique_ptr<ops::Op> op_;
  AlignedBuffer input_{0}, output_{0}, workspace_{0};
};

double time_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Pair {
  std::vector<double> ours, others;
};

Pair take_turns(int runs, const std::function<void()>& ours, const std::function<void()>& others) {
  constexpr int kWarmUp = 3;
  Pair pair;
  for (int run = -kWarmUp; run < runs; ++run) {
    const double mine = time_of(ours);
    const double theirs = time_of(others);
    if (run < 0) continue;
    pair.ours.push_back(mine);
    pair.others.push_back(theirs);
  }
  return pair;
}

void print_line(const std::string& kernel, const std::string& layer, unsigned threads,
                const Pair& pair, double work, const char* unit, const std::string& other) {
  const auto median = [](const std::vector<double>& s) { return bench::quantile(s, 0.5); };
  std::vector<double> ratios;
  for (std::size_t i = 0; i < pair.ours.size(); ++i) {
    ratios.push_back(pair.ours[i] / pair.others[i]);
  }
  std::printf("%-26s %-28s %u %9.3f %8.1f %-6s %-15s %9.3f   %.2f  (%.2f to %.2f)\n",
              kernel.c_str(), layer.c_str(), threads, median(pair.ours) * 1e3,
              work / median(pair.ours) * 1e-9, unit, other.c_str(), median(pair.others) * 1e3,
              median(ratios), bench::quantile(ratios, 0.1), bench::quantile(ratios, 0.9));
}

struct ConvCase {
  const char* kernel;
  fbs::Shape input;
  std::uint32_t outputs;
  WindowSpec window;
  bool on_int8 = false;
  bool depthwise = false;
  bool (*applies)(const ops::OpSpec&, const kernels::KernelTable&);
  ops::OpResult (*create)(const ops::OpSpec&, const kernels::KernelTable&);
};

std::shared_ptr<const ModelFile> model_of(const ConvCase& layer) {
  ModelBuilder builder(layer.input);
  Tensor x = builder.input();
  if (layer.on_int8) x = builder.to_int8(x, 0.02F, -5);
  x = layer.depthwise ? builder.depthwise_conv2d(x, layer.window)
                      : builder.conv2d(x, layer.outputs, layer.window);
  if (layer.on_int8) {
    builder.int8_last(0.05F, 3);
    builder.to_f32(x);
  }
  return value_of(ModelFile::from_bytes(builder.build()));
}

ops::OpResult create_xnnpack(const ops::OpSpec& spec) {
  if (const fbs::DepthwiseConv2D* conv = spec.op->options_as_DepthwiseConv2D()) {
    return ops::create_convolution(spec, {.window = conv->window(),
                                          .padding = conv->padding(),
                                          .groups = spec.inputs[0].channels(),
                                          .group_inputs = 1,
                                          .group_outputs = 1,
                                          .depthwise_kernel = true});
  }
  const fbs::Conv2D& conv = *spec.op->options_as_Conv2D();
  return ops::create_convolution(spec, {.window = conv.window(),
                                        .padding = conv.padding(),
                                        .group_inputs = spec.inputs[0].channels(),
                                        .group_outputs = spec.output.channels()});
}

void measure_convolution(const ConvCase& layer, int runs, unsigned threads, pthreadpool_t pool) {
  const auto model = model_of(layer);
  const OpIndex index = layer.on_int8 ? 1 : 0;
  const kernels::KernelTable& table = kernels::active_kernels();
  const ops::OpSpec spec =
      ops::make_op_spec(*model->header().variants()->Get(0), index, Preference::kSpeed);
  const std::string name =
      std::to_string(layer.input.height()) + "x" + std::to_string(layer.input.width()) + "x" +
      std::to_string(layer.input.channels()) + " to " + std::to_string(spec.output.channels());
  if (!layer.applies(spec, table)) {
    std::printf("%-26s %-28s no kernel of ours for %s\n", layer.kernel, name.c_str(), table.name);
    return;
  }
  const Layer ours(
      model, index, [&](const ops::OpSpec& s) { return layer.create(s, table); }, pool);
  const Layer theirs(model, index, create_xnnpack, pool);
  const double taps = layer.window.window * layer.window.window;
  const double multiply_adds = static_cast<double>(element_count(spec.output)) * taps *
                               (layer.depthwise ? 1.0 : layer.input.channels());
  print_line(layer.kernel, name, threads,
             take_turns(
                 runs, [&] { ours.run(); }, [&] { theirs.run(); }),
             2 * multiply_adds, "GOP/s", "XNNPACK");
}

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

// The layer over `copies` different sets of weights in memory, one after the other.
void measure_stream(const char* kernel, fbs::DType dtype, std::size_t mebibytes, int runs,
                    unsigned threads, pthreadpool_t pool) {
  ModelBuilder builder({1, 1, 9216});
  builder.fully_connected(builder.input(), 4096);
  if (dtype != fbs::DType::F32) builder.store_last_kernel(dtype);
  const auto model = value_of(ModelFile::from_bytes(builder.build()));
  const std::size_t bytes = model->header().variants()->Get(0)->ops()->Get(0)->kernel()->bytes();
  std::vector<std::shared_ptr<const ModelFile>> copies;
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<Reader> readers;
  const std::vector<std::byte> file = builder.build();
  for (std::size_t held = 0; held < mebibytes << 20; held += bytes) {
    const auto copy = value_of(ModelFile::from_bytes(file));
    layers.push_back(std::make_unique<Layer>(copy, 0, ops::create_fully_connected, pool));
    const fbs::Op& op = *copy->header().variants()->Get(0)->ops()->Get(0);
    readers.emplace_back(copy->weight_bytes(op, *op.kernel()), threads, pool);
  }
  std::size_t next_layer = 0;
  // Half the stream away from each other: neither finds what the other has just read.
  std::size_t next_reader = readers.size() / 2;
  const Pair pair = take_turns(
      runs, [&] { layers[next_layer++ % layers.size()]->run(); },
      [&] { readers[next_reader++ % readers.size()].run(); });
  print_line(kernel, "9216 to 4096", threads, pair, static_cast<double>(bytes), "GB/s",
             "plain reading");
}

// A picture of 640 x 480 to 224 x 224, beside the plain loops.
void measure_resize(int runs) {
  constexpr PictureSize kPhoto{640, 480};
  constexpr PictureSize kInput{224, 224};
  const kernels::KernelTable& plain = kernels::available_kernels().front();
  const kernels::KernelTable& ours = kernels::active_kernels();
  const TriangleFilter filter(kPhoto.width, kInput.width);
  const std::vector<std::uint8_t> row(kPhoto.width * 3, 100);
  std::vector<std::uint8_t> line(kInput.width * 3);
  const auto resize_rows = [&](const kernels::KernelTable& table) {
    for (unsigned y = 0; y < kPhoto.height; ++y) {
      table.resize_line(filter.axis(), row.data(), line.data());
    }
  };
  const double taps = static_cast<double>(filter.axis().offsets[kInput.width]) * kPhoto.height;
  print_line("resize along rows", "640x480 to 224x480", 1,
             take_turns(
                 runs, [&] { resize_rows(ours); }, [&] { resize_rows(plain); }),
             6 * taps, "GOP/s", "plain loops");
  std::vector<std::uint32_t> sums(line.size());
  // Each row lies in about two windows.
  const auto weigh_rows = [&](const kernels::KernelTable& table) {
    for (unsigned y = 0; y < 2 * kPhoto.height; ++y) {
      table.weigh_line(y, line.data(), line.size(), sums.data());
    }
  };
  print_line("resize from row to row", "224x480 to 224x224", 1,
             take_turns(
                 runs, [&] { weigh_rows(ours); }, [&] { weigh_rows(plain); }),
             4.0 * static_cast<double>(line.size()) * kPhoto.height, "GOP/s", "plain loops");
}

const ConvCase kConvolutions[] = {
    {"winograd 4x3 f32",
     {224, 224, 64},
     64,
     {.window = 3, .pad = 1},
     false,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 4x3 f32",
     {56, 56, 256},
     256,
     {.window = 3, .pad = 1},
     false,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 4x3 f32",
     {14, 14, 512},
     512,
     {.window = 3, .pad = 1},
     false,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 2x5 f32",
     {27, 27, 64},
     192,
     {.window = 5, .pad = 2},
     false,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 4x3 int8",
     {224, 224, 64},
     64,
     {.window = 3, .pad = 1},
     true,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 4x3 int8",
     {56, 56, 256},
     256,
     {.window = 3, .pad = 1},
     true,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 4x3 int8",
     {14, 14, 512},
     512,
     {.window = 3, .pad = 1},
     true,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"winograd 2x5 int8",
     {27, 27, 64},
     192,
     {.window = 5, .pad = 2},
     true,
     false,
     ops::winograd_pays,
     ops::create_winograd_conv2d},
    {"im2col 3x3 int8",
     {224, 224, 3},
     32,
     {.window = 3, .stride = 2, .pad = 1},
     true,
     false,
     ops::int8_im2col_pays,
     ops::create_int8_im2col_conv2d},
    {"im2col 11x11 int8",
     {224, 224, 3},
     64,
     {.window = 11, .stride = 4, .pad = 2},
     true,
     false,
     ops::int8_im2col_pays,
     ops::create_int8_im2col_conv2d},
    {"depthwise 3x3 int8",
     {112, 112, 96},
     96,
     {.window = 3, .stride = 2, .pad = 1},
     true,
     true,
     ops::int8_depthwise_pays,
     ops::create_int8_depthwise_conv2d},
    {"depthwise 3x3 int8",
     {28, 28, 192},
     192,
     {.window = 3, .pad = 1},
     true,
     true,
     ops::int8_depthwise_pays,
     ops::create_int8_depthwise_conv2d},
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compares each kernel of this engine with what would run without it."};
  int runs = 15;
  std::vector<unsigned> thread_counts{1, 2};
  app.add_option("--runs", runs, "Measured runs of each")->check(CLI::Range(1, 100000));
  app.add_option("--threads", thread_counts, "Numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  std::size_t mebibytes = kStreamMebibytes;
  app.add_option("--stream", mebibytes, "MiB of weights that fully connected layers go through")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.footer(
      "Ratios are ours by the other's, of runs side by side: median, and from the 10th to "
      "the 90th percentile.");
  CLI11_PARSE(app, argc, argv);
  if (const Status status = ops::initialize_xnnpack(); !status.is_ok()) fail(status);
  std::printf("own kernels %s; medians of %d runs in turn, milliseconds\n",
              kernels::active_kernels().name, runs);
  std::printf("%-26s %-28s t %9s %15s %-15s %9s   ratio\n", "kernel", "layer", "ms", "", "beside",
              "ms");
  measure_resize(runs);
  for (const unsigned threads : thread_counts) {
    const ops::ThreadPool pool = value_of(ops::ThreadPool::create(threads));
    for (const ConvCase& layer : kConvolutions) {
      measure_convolution(layer, runs, threads, pool.handle());
    }
    measure_stream("fully connected f32", fbs::DType::F32, mebibytes, runs, threads, pool.handle());
    measure_stream("fully connected f16", fbs::DType::F16, mebibytes, runs, threads, pool.handle());
    measure_stream("fully connected int8", fbs::DType::S8, mebibytes, runs, threads, pool.handle());
  }
  return 0;
}
