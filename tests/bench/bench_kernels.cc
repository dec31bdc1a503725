// SPDX-License-Identifier: Apache-2.0
//
// Every kernel of our own that is there for its speed, beside what would run without it: XNNPACK's
// operator for the same layer, plain loops, or, where a layer is nothing but a stream of weights,
// plain reading of as many bytes. Both take turns, on the same threads.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "engine/kernels/dispatch.h"
#include "engine/ops/thread_pool.h"
#include "engine/ops/xnnpack_runtime.h"
#include "tests/bench/kernel_bench.h"

int main(int argc, char** argv) {
  using namespace cleave;
  CLI::App app{"Compares each kernel of this engine with what would run without it."};
  int runs = 15;
  std::vector<unsigned> thread_counts{1, 2};
  app.add_option("--runs", runs, "Measured runs of each")->check(CLI::Range(1, 100000));
  app.add_option("--threads", thread_counts, "Numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  std::size_t mebibytes = 512;
  app.add_option("--stream", mebibytes, "MiB of weights that fully connected layers go through")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.footer(
      "Ratios are ours by the other's, of runs side by side: median, and from the 10th to "
      "the 90th percentile.");
  CLI11_PARSE(app, argc, argv);
  if (const Status status = ops::initialize_xnnpack(); !status.is_ok()) bench::fail(status);
  std::printf("own kernels %s; medians of %d runs in turn, milliseconds\n",
              kernels::active_kernels().name, runs);
  std::printf("%-26s %-28s t %9s %15s %-15s %9s   ratio\n", "kernel", "layer", "ms", "", "beside",
              "ms");
  bench::bench_resizing(runs);
  for (const unsigned threads : thread_counts) {
    const ops::ThreadPool pool = bench::value_of(ops::ThreadPool::create(threads));
    const bench::KernelRuns how{runs, threads, pool.handle()};
    bench::bench_convolutions(how);
    bench::bench_fully_connected(how, mebibytes);
  }
  return 0;
}
