// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a picture file, and as a JPEG that is at model size already. The first byte chooses
// the model's color order, crop and input size; the limits are small, so that a run spends its time
// on decoding rather than on pixels. Seeds: written by tests/engine/image/golden/make_golden.py,
// that at model size by make_seeds.cc.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/image/picture.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

flatbuffers::DetachedBuffer make_preprocessing(std::uint8_t choice) {
  const auto order = static_cast<cleave::fbs::ColorOrder>(choice % 3);
  const auto crop = static_cast<cleave::fbs::Crop>((choice >> 2) % 2);
  const std::vector<float> mean(3, 0.0f);
  const std::vector<float> deviation(3, 1.0f);
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(cleave::fbs::CreatePreprocessingDirect(
      builder, order, crop, 875'000, cleave::fbs::ResizeFilter::Triangle, &mean, &deviation));
  return builder.Release();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint8_t choice = data[0];
  const auto buffer = make_preprocessing(choice);
  const auto& preprocessing = *flatbuffers::GetRoot<cleave::fbs::Preprocessing>(buffer.data());
  const bool gray = preprocessing.color_order() == cleave::fbs::ColorOrder::Gray;
  const cleave::fbs::Shape shape(1 + (choice >> 3) % 8, 1 + (choice >> 6) * 9, gray ? 1 : 3);
  std::vector<std::uint8_t> pixels(std::size_t{shape.height()} * shape.width() * shape.channels());
  const cleave::PictureLimits limits{.max_pixels = 300'000, .max_whole_picture_bytes = 1'000'000};
  const auto file = std::as_bytes(std::span(data, size)).subspan(1);
  const cleave::Status status =
      cleave::decode_to_model_size(file, preprocessing, shape, limits, pixels);
  if (!status.is_ok()) cleave::fuzz::require_clean_error(status);
  const cleave::Status at_size = cleave::decode_at_model_size(file, preprocessing, shape, pixels);
  if (!at_size.is_ok()) cleave::fuzz::require_clean_error(at_size);
  return 0;
}
