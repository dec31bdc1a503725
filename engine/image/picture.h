// SPDX-License-Identifier: Apache-2.0
//
// A picture from a file to the model's input: decode (JPEG, PNG), crop, resize, normalize, as the
// model file says. Decoding and resizing stream by rows, so that a 12-megapixel photo needs a few
// rows of memory, not the whole picture (decision 7). The result depends on the file and the
// preprocessing only, never on the machine: arithmetic is integer or exactly rounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// Caps on what a picture's own header may claim, checked before anything is allocated.
struct PictureLimits {
  std::uint64_t max_file_bytes = 64u << 20;
  std::uint64_t max_pixels = 100'000'000;
  std::uint32_t max_side = 65'535;
  // For the files that cannot be decoded by rows: progressive and multi-scan JPEG (2 bytes a
  // sample: 36 MB for 12 megapixels at 4:2:0) and interlaced PNG (3 bytes a pixel). 0 refuses them.
  std::uint64_t max_whole_picture_bytes = 64u << 20;
};

enum class PictureFormat : std::uint8_t { kJpeg, kPng };

// By the first bytes. Errors: kUnsupported (neither JPEG nor PNG).
[[nodiscard]] Result<PictureFormat> detect_format(std::span<const std::byte> file);

// Reads a whole file under the cap. Errors: kNotFound, kIo, kOutOfRange.
[[nodiscard]] Result<std::vector<std::byte>> read_picture_file(const std::string& path,
                                                               const PictureLimits& limits);

// Whether a picture can be the input of a model of this preprocessing: of as many channels as its
// color order has, and of sides within 1..2^20.
[[nodiscard]] bool takes_pictures(const fbs::Preprocessing& preprocessing, const fbs::Shape& shape);

// Decodes, crops and resizes `file` to shape.height x shape.width, u8, in the model's color order:
// exactly what codec PixelsU8 carries. `pixels` must hold height * width * channels bytes; channels
// is 3 for RGB and BGR, 1 for gray.
// Order: decode to RGB; gray by ITU-R BT.601 when the model asks for it; crop; resize; turn upright
// as the Exif orientation of a JPEG says; BGR.
// Crop (CenterSquare): side = shorter side * crop_ppm / 10^6, rounded half up, at least 1; the
// margins' odd pixel goes to the right and bottom.
// Resize: triangle filter over the whole cropped picture, support scaled when shrinking, 8-bit
// result rounded after each pass, horizontal first (the reference's rule).
// The whole file is read, also below the crop: a damaged file never gives an answer.
// Errors: kUnsupported (format), kCorrupt (truncated or damaged file), kOutOfRange (limits),
// kInvalidArgument (shape, channels and pixels disagree, or a side of shape is 0 or above 2^20).
// On an error the content of `pixels` is unspecified. Any number of threads.
[[nodiscard]] Status decode_to_model_size(std::span<const std::byte> file,
                                          const fbs::Preprocessing& preprocessing,
                                          const fbs::Shape& shape, const PictureLimits& limits,
                                          std::span<std::uint8_t> pixels);

// Decodes a JPEG that is at model size already, as codec JpegModelSize carries it: neither cropped
// nor resized nor turned. Its three components become the model's colors as in
// decode_to_model_size(); what encode_jpeg_into() makes of `pixels` gives them back but for what
// JPEG loses. Errors: kCorrupt (no JPEG, or damaged), kOutOfRange (of another size), kUnsupported
// (other components, several scans), kInvalidArgument (as above); all but damage are found in its
// header, before memory is taken for the picture. Any number of threads.
[[nodiscard]] Status decode_at_model_size(std::span<const std::byte> file,
                                          const fbs::Preprocessing& preprocessing,
                                          const fbs::Shape& shape, std::span<std::uint8_t> pixels);

// Memory that decoding takes at once for a file that cannot be decoded by rows, as its header says
// (PictureLimits::max_whole_picture_bytes bounds it); 0 for others, and where the header cannot be
// read. Reads the header alone.
[[nodiscard]] std::uint64_t whole_picture_bytes(std::span<const std::byte> file);

// u8 pixels to the model's input: value = (pixel - mean[c]) / deviation[c] in f32, through a table
// of 256 entries a channel, so that both ends agree bit for bit. Sizes must agree:
// input.size() == pixels.size() == height * width * channels; mean and deviation hold `channels`.
void normalize(std::span<const std::uint8_t> pixels, const fbs::Preprocessing& preprocessing,
               std::uint32_t channels, std::span<float> input);

}  // namespace cleave
