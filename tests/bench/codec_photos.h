// SPDX-License-Identifier: Apache-2.0
//
// Networks and labelled photos for bench_codec: those of ../shared/data, or seeded ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::bench {

struct LabelledPixels {
  std::vector<std::uint8_t> pixels = {};  // at model size, in the model's color order
  std::size_t label = 0;                  // as the network numbers its scores
};

struct CodecNetwork {
  std::string name = {};
  std::shared_ptr<const ModelFile> model = nullptr;  // variant 0 is f32
  // How often the best class may be another one, in millionths: what costs about a point of top-1.
  // Ascending, one for each level of codec Coded.
  std::vector<std::uint32_t> disagreement_ppm = {};
  std::vector<LabelledPixels> calibration = {}, evaluation = {};  // different photos
};

// MobileNetV2 (both), SqueezeNet and VGG-6; every third photo calibrates.
[[nodiscard]] std::vector<std::string> codec_network_names();
// REQUIRES: one of these names. Errors: of reading.
[[nodiscard]] Result<CodecNetwork> load_codec_network(const std::filesystem::path& data,
                                                      const std::string& name);

// A small seeded network on seeded pictures, its own answers being the labels.
[[nodiscard]] Result<CodecNetwork> seeded_codec_network();

}  // namespace cleave::bench
