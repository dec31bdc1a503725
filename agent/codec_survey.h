// SPDX-License-Identifier: Apache-2.0
//
// What each codec makes of the tensors at each cut of a network, and JPEG of pictures at model
// size, on this device and on the user's own pictures: bytes, time to encode, and how often it
// changes the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/model_jpeg.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct CodecSurveyOptions {
  unsigned threads = 1;                  // of the network; codecs have one
  std::uint64_t ram_bytes = UINT64_MAX;  // what the whole process may hold: see survey_codecs()
  std::size_t most_pictures = 64;        // that are looked at
  WeightsOptions weights = {};
  // Of JPEGs at model size.
  std::vector<std::uint8_t> jpeg_qualities{std::begin(kModelJpegQualities),
                                           std::end(kModelJpegQualities)};
  // May be empty: called with the cuts that were looked at so far, of all pictures, and their
  // number.
  std::function<void(std::size_t, std::size_t)> progress = {};
};

// Adds to `profile`, for each variant that it has, a CodedBytes of JPEGs at model size of each
// quality, at cut 0 (a picture that makes more bytes than its pixels counts as those; a quality of
// which all do is left out), and of each codec but raw one with every cut where a layer ends. Each
// of the first `most_pictures` that can be decoded is taken through the network; at each cut it is
// encoded, decoded, and finished from what was decoded. Without a picture, or where the whole
// network does not fit `ram_bytes`, a made-up one is encoded at each cut, for the time alone:
// `note` then says why, if there were pictures and want of room is the reason. Nothing of the
// network is held then beside what crosses and the codec, and cuts where these and the codec's
// output are over `ram_bytes` are left out. What runs from one cut to the next is not held to
// `ram_bytes`. Errors: those of Weights::create, Executor::prepare and BoundaryCodec::create;
// kResourceExhausted.
[[nodiscard]] Status survey_codecs(const std::shared_ptr<const ModelFile>& model,
                                   std::span<const std::string> pictures,
                                   const CodecSurveyOptions& options, ProfileData& profile,
                                   std::string& note);

}  // namespace cleave::agent
