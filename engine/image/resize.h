// SPDX-License-Identifier: Apache-2.0
//
// Resizes a picture that arrives by rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/image/triangle_filter.h"

namespace cleave {

namespace kernels {
struct KernelTable;
}

struct PictureSize {
  std::uint32_t width;
  std::uint32_t height;
};

// Triangle filter over both axes (engine/image/triangle_filter.h), horizontal first, rounded to u8
// after each: the pixels of Pillow's resize(..., BILINEAR).
//
// How: each input row is resized to the output width and added, weighted, to the sums of the output
// rows whose windows it lies in. A sum is written out and its place reused as soon as its window
// has passed. When shrinking, at most three output rows are open at once, whatever the size of the
// input; when enlarging, never more than the output has.
// Everything is allocated by the constructor. One thread at a time.
class StreamingResizer {
 public:
  // REQUIRES: all sides 1..2^20; channels is 1 or 3.
  StreamingResizer(PictureSize input, PictureSize output, std::uint32_t channels);

  // The next input row, top to bottom. Rows that become complete are written to `output`.
  // REQUIRES: called once per input row; row.size() == input width * channels and
  // output.size() == output height * width * channels (HWC), the same memory each time.
  void push_row(std::span<const std::uint8_t> row, std::span<std::uint8_t> output);

 private:
  void resize_row(std::span<const std::uint8_t> row);
  std::span<std::uint32_t> open_sums(std::uint32_t output_row);

  TriangleFilter horizontal_;
  TriangleFilter vertical_;
  std::uint32_t channels_;
  const kernels::KernelTable& kernels_;
  std::size_t row_values_;           // output width * channels
  std::uint32_t slots_;              // most output rows open at once
  std::vector<std::uint8_t> line_;   // the present row at output width
  std::vector<std::uint32_t> sums_;  // slots_ rows; output row j uses j % slots_
  std::uint32_t input_row_ = 0;
  std::uint32_t first_open_ = 0;  // output rows before it are written
};

}  // namespace cleave
