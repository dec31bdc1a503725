// SPDX-License-Identifier: Apache-2.0
#include "engine/image/jpeg_encoder.h"

#include "engine/image/jpeg_error.h"
#include "engine/image/longjmp_guard.h"

extern "C" {
#include <jerror.h>
}

#include <csetjmp>
#include <cstdlib>
#include <string_view>

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

// Into memory that is there: it is not made larger, the picture is given up.
struct FixedDestination {
  jpeg_destination_mgr manager{};  // first: libjpeg hands back a pointer to it
  std::span<std::byte> file;
};

void begin_output(j_compress_ptr codec) {
  auto* to = reinterpret_cast<FixedDestination*>(codec->dest);
  to->manager.next_output_byte = reinterpret_cast<JOCTET*>(to->file.data());
  to->manager.free_in_buffer = to->file.size();
}

boolean give_up_output(j_compress_ptr codec) {
  auto* error = reinterpret_cast<JpegError*>(codec->err);
  error->manager.msg_code = JERR_IMAGE_TOO_BIG;
  constexpr std::string_view kText = "does not fit the room for it";
  error->text[kText.copy(error->text.data(), error->text.size() - 1)] = '\0';
  std::longjmp(error->target, 1);
}

void end_output(j_compress_ptr) {}

void use_destination(jpeg_compress_struct& codec, FixedDestination& to) {
  to.manager.init_destination = begin_output;
  to.manager.empty_output_buffer = give_up_output;
  to.manager.term_destination = end_output;
  codec.dest = &to.manager;
}

// The encoder takes red first; a gray picture has three equal channels.
void to_rgb(const std::uint8_t* from, std::uint32_t channels, bool blue_first,
            std::span<std::uint8_t> rgb) {
  for (std::size_t i = 0; i < rgb.size() / 3; ++i) {
    const std::uint8_t* pixel = from + i * channels;
    rgb[3 * i] = pixel[channels == 1 ? 0 : blue_first ? 2 : 0];
    rgb[3 * i + 1] = pixel[channels == 1 ? 0 : 1];
    rgb[3 * i + 2] = pixel[channels == 1 ? 0 : blue_first ? 0 : 2];
  }
}

void set_up(jpeg_compress_struct& codec, std::uint32_t width, std::uint32_t height, int quality) {
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  codec.dct_method = JDCT_ISLOW;
}

void write_rows(jpeg_compress_struct& codec, const std::uint8_t* pixels, std::uint32_t channels,
                bool blue_first, std::span<std::uint8_t> row) {
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    to_rgb(pixels + std::size_t{codec.next_scanline} * codec.image_width * channels, channels,
           blue_first, row);
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&codec, &line, 1);
  }
  jpeg_finish_compress(&codec);
}

// `use_destination` says where to, of a codec that has been created.
template <typename UseDestination>
Status encode(Encoder& encoder, std::span<const std::uint8_t> pixels, const fbs::Shape& shape,
              fbs::ColorOrder order, int quality, const UseDestination& use_destination) {
  const std::uint32_t channels = shape.channels();
  const bool sides_fit = shape.width() > 0 && shape.height() > 0 &&
                         shape.width() <= JPEG_MAX_DIMENSION &&
                         shape.height() <= JPEG_MAX_DIMENSION;
  if (!sides_fit || (channels != 1 && channels != 3) ||
      pixels.size() != std::uint64_t{shape.width()} * shape.height() * channels || quality < 1 ||
      quality > 100) {
    return {StatusCode::kInvalidArgument,
            "a JPEG has 1 or 3 channels, sides of up to 65500 and a quality of 1 to 100"};
  }
  std::vector<std::uint8_t> row(std::size_t{3} * shape.width());
  encoder.codec.err = encoder.error.install();
  const bool finished = run_guarded(encoder.error.target, [&] {
    jpeg_create_compress(&encoder.codec);
    use_destination();
    set_up(encoder.codec, shape.width(), shape.height(), quality);
    write_rows(encoder.codec, pixels.data(), channels, order == fbs::ColorOrder::BGR, row);
  });
  return finished ? Status::ok() : encoder.error.status();
}

}  // namespace

Result<std::vector<std::byte>> encode_jpeg(std::span<const std::uint8_t> rgb, std::uint32_t width,
                                           std::uint32_t height, int quality) {
  Encoder encoder;
  CLEAVE_RETURN_IF_ERROR(
      encode(encoder, rgb, {height, width, 3}, fbs::ColorOrder::RGB, quality,
             [&] { jpeg_mem_dest(&encoder.codec, &encoder.output, &encoder.output_bytes); }));
  const auto* bytes = reinterpret_cast<const std::byte*>(encoder.output);
  return std::vector<std::byte>(bytes, bytes + encoder.output_bytes);
}

Result<std::size_t> encode_jpeg_into(std::span<const std::uint8_t> pixels, const fbs::Shape& shape,
                                     fbs::ColorOrder order, int quality,
                                     std::span<std::byte> file) {
  // libjpeg writes before it asks whether there is room.
  if (file.empty()) return Status(StatusCode::kOutOfRange, "JPEG: does not fit the room for it");
  Encoder encoder;
  FixedDestination to;
  to.file = file;
  CLEAVE_RETURN_IF_ERROR(
      encode(encoder, pixels, shape, order, quality, [&] { use_destination(encoder.codec, to); }));
  return file.size() - to.manager.free_in_buffer;
}

std::uint64_t jpeg_encoder_bytes(std::uint32_t width) {
  // Seen: 20 to 26 kB of tables and pools, and 30 bytes for each column of blocks of 4:2:0.
  constexpr std::uint64_t kTableBytes = 32 << 10;
  constexpr std::uint64_t kColumnBytes = 48;
  constexpr std::uint64_t kBlockColumns = 16;
  return kTableBytes + kColumnBytes * (width + kBlockColumns);
}

}  // namespace cleave
