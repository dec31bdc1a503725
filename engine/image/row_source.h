// SPDX-License-Identifier: Apache-2.0
//
// A picture being decoded, one row at a time from top to bottom, as RGB bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/image/orientation.h"
#include "engine/image/picture.h"
#include "schemas/status.h"

namespace cleave {

// One thread at a time. An object exists only when the file's header has been read and is within
// the limits; the file's bytes are borrowed and must outlive it.
class RowSource {
 public:
  virtual ~RowSource() = default;
  RowSource(const RowSource&) = delete;
  RowSource& operator=(const RowSource&) = delete;

  // As stored in the file, before `orientation` is applied.
  [[nodiscard]] std::uint32_t width() const { return width_; }
  [[nodiscard]] std::uint32_t height() const { return height_; }
  // How the stored picture has to be turned to stand upright.
  [[nodiscard]] Orientation orientation() const { return orientation_; }

  // The next row into `rgb`. REQUIRES: rgb.size() == 3 * width(); called at most height() times,
  // and not again after an error. Errors: kCorrupt.
  [[nodiscard]] virtual Status next_row(std::span<std::uint8_t> rgb) = 0;

  // Reads the rest of the file and checks that it is whole. REQUIRES: every row was read.
  // Errors: kCorrupt.
  [[nodiscard]] virtual Status finish() = 0;

 protected:
  RowSource() = default;

  std::uint32_t width_ = 0;
  std::uint32_t height_ = 0;
  Orientation orientation_ = Orientation::kUpright;
};

// Opens a decoder for the file's format. Errors: kUnsupported (neither JPEG nor PNG, or a kind of
// them that is not read), kCorrupt, kOutOfRange (a limit).
[[nodiscard]] Result<std::unique_ptr<RowSource>> open_row_source(std::span<const std::byte> file,
                                                                 const PictureLimits& limits);

// kOutOfRange when a header claims more than `limits` allow.
[[nodiscard]] Status check_dimensions(std::uint64_t width, std::uint64_t height,
                                      const PictureLimits& limits);

// kOutOfRange when a file that cannot be decoded by rows needs `bytes` at once. `kind` is what the
// file is ("a progressive JPEG").
[[nodiscard]] Status check_whole_picture_bytes(std::uint64_t bytes, const char* kind,
                                               const PictureLimits& limits);

}  // namespace cleave
