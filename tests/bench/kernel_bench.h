// SPDX-License-Identifier: Apache-2.0
//
// What the parts of bench_kernels share: taking turns, the line that comes of it, and a layer that
// runs by itself. Errors end the program with a line.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/aligned_buffer.h"
#include "engine/memory/weight_cache.h"
#include "engine/ops/op.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::bench {

[[noreturn]] inline void fail(const Status& status) {
  std::fprintf(stderr, "bench_kernels: %s\n", status.message().c_str());
  std::exit(1);
}

template <class T>
T value_of(Result<T> result) {
  if (!result.is_ok()) fail(result.status());
  return std::move(*result);
}

// How often, and on what.
struct KernelRuns {
  int runs = 1;
  unsigned threads = 1;
  pthreadpool_t pool = nullptr;  // of so many threads
};

struct Contest {
  std::string kernel;            // ours
  std::string layer;             // on what
  std::function<void()> ours;    // one run of ours
  std::string other;             // what would run without it
  std::function<void()> others;  // one run of that
  double work = 0;               // of one run: operations, or bytes
  const char* unit = "";         // "GOP/s", "GB/s"
};

// Runs both in turn, after three rounds to warm up, and prints a line: medians, and the ratio with
// its spread.
void compare(const Contest& contest, int runs, unsigned threads);

// One layer as an operator with weights and buffers of its own, at one picture.
class Layer {
 public:
  using Create = std::function<ops::OpResult(const ops::OpSpec&)>;

  // REQUIRES: op `index` of the first variant has weights.
  Layer(std::shared_ptr<const ModelFile> model, OpIndex index, const Create& create,
        pthreadpool_t pool);
  void run() const;

 private:
  std::shared_ptr<const ModelFile> model_;
  pthreadpool_t pool_;
  PackedWeights entry_;
  std::unique_ptr<ops::Op> op_;
  AlignedBuffer input_{0}, output_{0}, workspace_{0};
};

// The parts of bench_kernels, each a file. A line for each kernel and layer.
void bench_resizing(int runs);  // one thread
void bench_convolutions(const KernelRuns& how);
// Over so many distinct weights that none is left in a cache: `mebibytes` of them.
void bench_fully_connected(const KernelRuns& how, std::size_t mebibytes);

}  // namespace cleave::bench
