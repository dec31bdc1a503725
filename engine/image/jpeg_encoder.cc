// SPDX-License-Identifier: Apache-2.0
#include "engine/image/jpeg_encoder.h"

#include <cstdlib>

#include "engine/image/jpeg_error.h"
#include "engine/image/longjmp_guard.h"

namespace cleave {
namespace {

// Owns what libjpeg allocates while a picture is encoded.
struct Encoder {
  Encoder() = default;
  ~Encoder() {
    jpeg_destroy_compress(&codec);
    std::free(output);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  JpegError error;
  jpeg_compress_struct codec{};
  unsigned char* output = nullptr;
  unsigned long output_bytes = 0;
};

void set_up(jpeg_compress_struct& codec, std::uint32_t width, std::uint32_t height, int quality) {
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  codec.dct_method = JDCT_ISLOW;
}

void write_rows(jpeg_compress_struct& codec, const std::uint8_t* rgb) {
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    // The interface is older than const; libjpeg does not write to the rows.
    auto* row =
        const_cast<JSAMPROW>(rgb + std::size_t{codec.next_scanline} * codec.image_width * 3);
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
}

}  // namespace

Result<std::vector<std::byte>> encode_jpeg(std::span<const std::uint8_t> rgb, std::uint32_t width,
                                           std::uint32_t height, int quality) {
  const bool sides_fit =
      width > 0 && height > 0 && width <= JPEG_MAX_DIMENSION && height <= JPEG_MAX_DIMENSION;
  if (!sides_fit || rgb.size() != std::uint64_t{width} * height * 3) {
    return Status(StatusCode::kInvalidArgument, "encode_jpeg: size does not match the pixels");
  }
  if (quality < 1 || quality > 100) {
    return Status(StatusCode::kInvalidArgument, "encode_jpeg: quality is 1 to 100");
  }
  Encoder encoder;
  encoder.codec.err = encoder.error.install();
  const bool finished = run_guarded(encoder.error.target, [&] {
    jpeg_create_compress(&encoder.codec);
    jpeg_mem_dest(&encoder.codec, &encoder.output, &encoder.output_bytes);
    set_up(encoder.codec, width, height, quality);
    write_rows(encoder.codec, rgb.data());
  });
  if (!finished) return encoder.error.status();
  const auto* bytes = reinterpret_cast<const std::byte*>(encoder.output);
  return std::vector<std::byte>(bytes, bytes + encoder.output_bytes);
}

}  // namespace cleave
