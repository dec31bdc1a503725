// SPDX-License-Identifier: Apache-2.0
#include "engine/image/jpeg_decoder.h"

#include <string>
#include <vector>

#include "engine/image/jpeg_error.h"
#include "engine/image/longjmp_guard.h"

namespace cleave {
namespace {

// Each scan of a progressive file walks all its coefficients, and an empty scan costs a hostile
// file a few bytes. libjpeg's own default script has 10.
constexpr int kMaxScans = 100;

// libjpeg's CMYK is inverted ink, as Adobe writes it: 255 is no ink. So the picture is c * k / 255,
// rounded.
void cmyk_to_rgb(std::span<const std::uint8_t> cmyk, std::span<std::uint8_t> rgb) {
  for (std::size_t i = 0; i < rgb.size() / 3; ++i) {
    const unsigned key = cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned product = cmyk[4 * i + c] * key;
      rgb[3 * i + c] = static_cast<std::uint8_t>((product + 127) / 255);
    }
  }
}

class JpegRowSource final : public RowSource {
 public:
  explicit JpegRowSource(const PictureLimits& limits) : limits_(limits) {}
  ~JpegRowSource() override { jpeg_destroy_decompress(&codec_); }

  // Instead of open(): of three components in one scan, and of exactly that size. What an Exif
  // segment says of it is not looked at.
  Status open_of_size(std::span<const std::byte> file, std::uint32_t width, std::uint32_t height) {
    CLEAVE_RETURN_IF_ERROR(read_header(file));
    width_ = codec_.image_width;
    height_ = codec_.image_height;
    if (width_ != width || height_ != height) {
      return {StatusCode::kOutOfRange, "JPEG: " + std::to_string(width_) + " x " +
                                           std::to_string(height_) + " and not the model's " +
                                           std::to_string(width) + " x " + std::to_string(height)};
    }
    if (codec_.num_components != 3 || jpeg_has_multiple_scans(&codec_) != FALSE) {
      return {StatusCode::kUnsupported,
              "JPEG: at model size it has three components in one scan, not " +
                  std::to_string(codec_.num_components) +
                  (jpeg_has_multiple_scans(&codec_) != FALSE ? " in several" : "")};
    }
    return start();
  }

  Status open(std::span<const std::byte> file) {
    CLEAVE_RETURN_IF_ERROR(read_header(file));
    width_ = codec_.image_width;
    height_ = codec_.image_height;
    orientation_ = read_exif_orientation(file);
    CLEAVE_RETURN_IF_ERROR(check_header());
    return start();
  }

  // Instead of open().
  std::uint64_t whole_bytes(std::span<const std::byte> file) {
    if (!read_header(file).is_ok() || jpeg_has_multiple_scans(&codec_) == FALSE) return 0;
    return coefficient_bytes();
  }

  Status next_row(std::span<std::uint8_t> rgb) override {
    const bool convert = codec_.out_color_space == JCS_CMYK;
    JSAMPROW row = convert ? cmyk_.data() : rgb.data();
    JDIMENSION rows = 0;
    const bool finished =
        run_guarded(error_.target, [&] { rows = jpeg_read_scanlines(&codec_, &row, 1); });
    if (!finished) return error_.status();
    if (rows != 1) return {StatusCode::kCorrupt, "JPEG: fewer rows than its header says"};
    if (convert) cmyk_to_rgb(cmyk_, rgb);
    return Status::ok();
  }

  Status finish() override {
    const bool finished = run_guarded(error_.target, [&] { jpeg_finish_decompress(&codec_); });
    return finished ? Status::ok() : error_.status();
  }

 private:
  Status read_header(std::span<const std::byte> file) {
    codec_.err = error_.install();
    const bool finished = run_guarded(error_.target, [&] {
      jpeg_create_decompress(&codec_);
      jpeg_mem_src(&codec_, reinterpret_cast<const unsigned char*>(file.data()),
                   static_cast<unsigned long>(file.size()));
      jpeg_read_header(&codec_, TRUE);
    });
    return finished ? Status::ok() : error_.status();
  }

  Status check_header() {
    CLEAVE_RETURN_IF_ERROR(check_dimensions(width_, height_, limits_));
    const int components = codec_.num_components;
    if (components != 1 && components != 3 && components != 4) {
      return {StatusCode::kUnsupported,
              "JPEG: " + std::to_string(components) + " color components"};
    }
    if (jpeg_has_multiple_scans(&codec_) == FALSE) return Status::ok();
    return check_whole_picture_bytes(coefficient_bytes(), "a progressive or multi-scan JPEG",
                                     limits_);
  }

  [[nodiscard]] std::uint64_t coefficient_bytes() const {
    std::uint64_t blocks = 0;
    for (int i = 0; i < codec_.num_components; ++i) {
      const jpeg_component_info& component = codec_.comp_info[i];
      blocks += std::uint64_t{component.width_in_blocks} * component.height_in_blocks;
    }
    return blocks * sizeof(JBLOCK);
  }

  Status start() {
    codec_.out_color_space = codec_.num_components == 4 ? JCS_CMYK : JCS_RGB;
    codec_.dct_method = JDCT_ISLOW;
    codec_.do_fancy_upsampling = TRUE;
    progress_.progress_monitor = stop_at_scan_limit;
    codec_.progress = &progress_;
    if (codec_.out_color_space == JCS_CMYK) cmyk_.resize(std::size_t{4} * width_);
    const bool finished = run_guarded(error_.target, [&] { jpeg_start_decompress(&codec_); });
    return finished ? Status::ok() : error_.status();
  }

  static void stop_at_scan_limit(j_common_ptr codec) {
    if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number <= kMaxScans) return;
    auto* error = reinterpret_cast<JpegError*>(codec->err);
    constexpr std::string_view kText = "more scans than any real picture has";
    error->text[kText.copy(error->text.data(), error->text.size() - 1)] = '\0';
    std::longjmp(error->target, 1);
  }

  PictureLimits limits_;
  JpegError error_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct codec_{};
  std::vector<std::uint8_t> cmyk_;
};

}  // namespace

Result<std::unique_ptr<RowSource>> open_jpeg(std::span<const std::byte> file,
                                             const PictureLimits& limits) {
  auto source = std::make_unique<JpegRowSource>(limits);
  CLEAVE_RETURN_IF_ERROR(source->open(file));
  return std::unique_ptr<RowSource>(std::move(source));
}

Result<std::unique_ptr<RowSource>> open_jpeg_of_size(std::span<const std::byte> file,
                                                     std::uint32_t width, std::uint32_t height) {
  auto source = std::make_unique<JpegRowSource>(PictureLimits{});
  CLEAVE_RETURN_IF_ERROR(source->open_of_size(file, width, height));
  return std::unique_ptr<RowSource>(std::move(source));
}

std::uint64_t jpeg_whole_bytes(std::span<const std::byte> file) {
  return JpegRowSource(PictureLimits{}).whole_bytes(file);
}

}  // namespace cleave
