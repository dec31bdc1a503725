// SPDX-License-Identifier: Apache-2.0
#include "engine/image/png_decoder.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/image/longjmp_guard.h"

namespace cleave {
namespace {

constexpr std::size_t kRgbSamples = 3;

class PngRowSource final : public RowSource {
 public:
  PngRowSource(std::span<const std::byte> file, const PictureLimits& limits)
      : rest_(file), limits_(limits) {}
  ~PngRowSource() override { png_destroy_read_struct(&png_, &info_, nullptr); }

  Status open() {
    if (!create()) return {StatusCode::kResourceExhausted, "PNG: no memory for the decoder"};
    if (!run_guarded(target_, [&] { png_read_info(png_, info_); })) return error();
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    CLEAVE_RETURN_IF_ERROR(check_dimensions(width_, height_, limits_));
    CLEAVE_RETURN_IF_ERROR(set_up());
    return passes_ > 1 ? read_interlaced() : Status::ok();
  }

  // Instead of open().
  std::uint64_t whole_bytes() {
    if (!create() || !run_guarded(target_, [&] { png_read_info(png_, info_); })) return 0;
    if (png_get_interlace_type(png_, info_) == PNG_INTERLACE_NONE) return 0;
    return std::uint64_t{kRgbSamples} * png_get_image_width(png_, info_) *
           png_get_image_height(png_, info_);
  }

  Status next_row(std::span<std::uint8_t> rgb) override {
    if (passes_ > 1) {
      const std::size_t row_bytes = kRgbSamples * width_;
      std::memcpy(rgb.data(), picture_.data() + next_row_ * row_bytes, row_bytes);
      ++next_row_;
      return Status::ok();
    }
    const bool finished = run_guarded(target_, [&] { png_read_row(png_, rgb.data(), nullptr); });
    return finished ? Status::ok() : error();
  }

  Status finish() override {
    return run_guarded(target_, [&] { png_read_end(png_, nullptr); }) ? Status::ok() : error();
  }

 private:
  bool create() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) return false;
    return run_guarded(target_, [&] {
      png_set_read_fn(png_, this, read);
      // The limits of this module decide, with their own message.
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      // Text, profiles and the like are not looked at, so they shall not be inflated or stored.
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    });
  }

  Status set_up() {
    std::size_t row_bytes = 0;
    const bool finished = run_guarded(target_, [&] {
      png_set_strip_16(png_);
      png_set_palette_to_rgb(png_);
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_gray_to_rgb(png_);
      png_set_strip_alpha(png_);
      passes_ = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
      row_bytes = png_get_rowbytes(png_, info_);
    });
    if (!finished) return error();
    if (row_bytes != kRgbSamples * width_) return {StatusCode::kInternal, "PNG: row is not RGB"};
    return Status::ok();
  }

  Status read_interlaced() {
    const std::uint64_t picture_bytes = std::uint64_t{kRgbSamples} * width_ * height_;
    CLEAVE_RETURN_IF_ERROR(check_whole_picture_bytes(picture_bytes, "an interlaced PNG", limits_));
    picture_.resize(picture_bytes);
    const bool finished = run_guarded(target_, [&] {
      for (int pass = 0; pass < passes_; ++pass) {
        for (std::size_t y = 0; y < height_; ++y) {
          png_read_row(png_, picture_.data() + y * kRgbSamples * width_, nullptr);
        }
      }
    });
    return finished ? Status::ok() : error();
  }

  [[nodiscard]] Status error() const {
    return {StatusCode::kCorrupt, std::string("PNG: ") + text_.data()};
  }

  static void read(png_structp png, png_bytep out, std::size_t bytes) {
    auto& self = *static_cast<PngRowSource*>(png_get_io_ptr(png));
    if (bytes > self.rest_.size()) png_error(png, "the file ends early");
    std::memcpy(out, self.rest_.data(), bytes);
    self.rest_ = self.rest_.subspan(bytes);
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto& self = *static_cast<PngRowSource*>(png_get_error_ptr(png));
    const std::string_view text = message;
    self.text_[text.copy(self.text_.data(), self.text_.size() - 1)] = '\0';
    std::longjmp(self.target_, 1);
  }

  static void on_warning(png_structp, png_const_charp) {}

  std::span<const std::byte> rest_;
  PictureLimits limits_;
  std::jmp_buf target_{};
  std::array<char, 200> text_{};
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  std::vector<std::uint8_t> picture_;  // only of an interlaced file
  std::size_t next_row_ = 0;
};

}  // namespace

Result<std::unique_ptr<RowSource>> open_png(std::span<const std::byte> file,
                                            const PictureLimits& limits) {
  auto source = std::make_unique<PngRowSource>(file, limits);
  CLEAVE_RETURN_IF_ERROR(source->open());
  return std::unique_ptr<RowSource>(std::move(source));
}

std::uint64_t png_whole_bytes(std::span<const std::byte> file) {
  return PngRowSource(file, PictureLimits{}).whole_bytes();
}

}  // namespace cleave
