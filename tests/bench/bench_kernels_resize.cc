// SPDX-License-Identifier: Apache-2.0
//
// The two steps of resizing a picture of 640 x 480 to 224 x 224, beside the plain loops.
#include "engine/image/resize.h"
#include "engine/kernels/dispatch.h"
#include "tests/bench/kernel_bench.h"

namespace cleave::bench {
namespace {

constexpr PictureSize kPhoto{640, 480};
constexpr PictureSize kInput{224, 224};

using Table = kernels::KernelTable;

// `step` with the kernels that this CPU gets, and with the scalar ones.
void compare_tables(const char* kernel, const char* layer,
                    const std::function<void(const Table&)>& step, double operations, int runs) {
  compare({.kernel = kernel,
           .layer = layer,
           .ours = [&] { step(kernels::active_kernels()); },
           .other = "plain loops",
           .others = [&] { step(kernels::available_kernels().front()); },
           .work = operations,
           .unit = "GOP/s"},
          runs, 1);
}

}  // namespace

void bench_resizing(int runs) {
  const TriangleFilter filter(kPhoto.width, kInput.width);
  const std::vector<std::uint8_t> row(kPhoto.width * 3, 100);
  std::vector<std::uint8_t> line(kInput.width * 3);
  const double taps = static_cast<double>(filter.axis().offsets[kInput.width]) * kPhoto.height;
  compare_tables(
      "resize along rows", "640x480 to 224x480",
      [&](const Table& table) {
        for (unsigned y = 0; y < kPhoto.height; ++y) {
          table.resize_line(filter.axis(), row.data(), line.data());
        }
      },
      6 * taps, runs);
  std::vector<std::uint32_t> sums(line.size());
  compare_tables(
      "resize from row to row", "224x480 to 224x224",
      [&](const Table& table) {
        // Each row lies in about two windows.
        for (unsigned y = 0; y < 2 * kPhoto.height; ++y) {
          table.weigh_line(y, line.data(), line.size(), sums.data());
        }
      },
      4.0 * static_cast<double>(line.size()) * kPhoto.height, runs);
}

}  // namespace cleave::bench
