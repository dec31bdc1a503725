// SPDX-License-Identifier: Apache-2.0
//
// make_png and make_jpeg: straight calls of libpng and libjpeg, which abort the test on an error.
#include <png.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
#include <jpeglib.h>
}

#include "tests/engine/image/test_pictures.h"

namespace cleave::test {
namespace {

void append_bytes(png_structp png, png_bytep data, std::size_t size) {
  auto& out = *static_cast<Bytes*>(png_get_io_ptr(png));
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  out.insert(out.end(), bytes, bytes + size);
}

void set_palette(png_structp png, png_infop info, const PngSpec& spec) {
  std::vector<png_color> colors;
  for (std::size_t i = 0; i + 2 < spec.palette.size(); i += 3) {
    colors.push_back({spec.palette[i], spec.palette[i + 1], spec.palette[i + 2]});
  }
  if (!colors.empty()) png_set_PLTE(png, info, colors.data(), static_cast<int>(colors.size()));
  if (!spec.palette_alpha.empty()) {
    png_set_tRNS(png, info, spec.palette_alpha.data(), static_cast<int>(spec.palette_alpha.size()),
                 nullptr);
  }
}

void write_png_rows(png_structp png, const PngSpec& spec, std::size_t row_bytes,
                    const DrawRow& draw) {
  Pixels row(row_bytes);
  const int passes = spec.interlaced ? png_set_interlace_handling(png) : 1;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::uint32_t y = 0; y < spec.height; ++y) {
      draw(y, row);
      png_write_row(png, row.data());
    }
  }
}

void set_up_jpeg(jpeg_compress_struct& codec, const JpegSpec& spec) {
  codec.image_width = spec.width;
  codec.image_height = spec.height;
  codec.input_components = spec.channels;
  codec.in_color_space =
      spec.channels == 1 ? JCS_GRAYSCALE : (spec.channels == 3 ? JCS_RGB : JCS_CMYK);
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, spec.quality, TRUE);
  codec.restart_in_rows = spec.restart_rows;
  if (spec.progressive) jpeg_simple_progression(&codec);
}

}  // namespace

Bytes make_png(const PngSpec& spec, const DrawRow& draw) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &out, append_bytes, nullptr);
  png_set_IHDR(png, info, spec.width, spec.height, spec.bit_depth, spec.color_type,
               spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, 1);
  png_set_filter(png, 0, PNG_FILTER_SUB);
  set_palette(png, info, spec);
  png_write_info(png, info);
  write_png_rows(png, spec, png_get_rowbytes(png, info), draw);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

Bytes make_jpeg(const JpegSpec& spec, const DrawRow& draw) {
  jpeg_compress_struct codec{};
  jpeg_error_mgr error{};
  codec.err = jpeg_std_error(&error);
  jpeg_create_compress(&codec);
  unsigned char* output = nullptr;
  unsigned long output_bytes = 0;
  jpeg_mem_dest(&codec, &output, &output_bytes);
  set_up_jpeg(codec, spec);
  const jpeg_scan_info scans[] = {
      {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
  if (spec.scan_per_component) {
    codec.scan_info = scans;
    codec.num_scans = 3;
  }
  jpeg_start_compress(&codec, TRUE);
  Pixels pixels(std::size_t{spec.width} * static_cast<std::size_t>(spec.channels));
  while (codec.next_scanline < codec.image_height) {
    draw(codec.next_scanline, pixels);
    JSAMPROW row = pixels.data();
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  const auto* bytes = reinterpret_cast<const std::byte*>(output);
  Bytes file(bytes, bytes + output_bytes);
  std::free(output);
  return file;
}

}  // namespace cleave::test
