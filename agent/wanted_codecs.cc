// SPDX-License-Identifier: Apache-2.0
#include "agent/wanted_codecs.h"

#include <malloc.h>

#include <string>

#include "agent/codec_option.h"
#include "agent/disagreement.h"

namespace cleave::agent {

Result<std::optional<CodecChoice>> wanted_codec(const CommandOptions& options) {
  if (options.codec == kCodecAuto) {
    if (options.split == "auto") return std::optional<CodecChoice>();
    return Status(StatusCode::kInvalidArgument,
                  "--codec auto is chosen together with the split: with --split " + options.split +
                      " name a codec");
  }
  const auto codec = find_codec(options.codec);
  if (!codec) {
    return Status(StatusCode::kInvalidArgument,
                  "--codec: " + options.codec + " is none of auto, " + codec_names());
  }
  if (!is_exact(codec->codec) && !options.trade.disagreement.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "--codec " + options.codec +
                      " is taken however often it changes an answer, and --disagreement bounds "
                      "that: leave one of them out, or let --codec auto choose");
  }
  return std::optional<CodecChoice>(is_model_jpeg(*codec) ? CodecChoice{} : *codec);
}

Result<std::optional<std::uint8_t>> wanted_jpeg_quality(const CommandOptions& options) {
  unsigned quality = options.jpeg_quality;
  const auto codec = find_codec(options.codec);
  if (codec && is_model_jpeg(*codec)) {
    if (quality != 0 && quality != codec->quality) {
      return Status(StatusCode::kInvalidArgument, "--jpeg-quality and --codec " + options.codec +
                                                      " name two qualities: leave one of them out");
    }
    quality = codec->quality;
  }
  if (quality == 0) return std::optional<std::uint8_t>();
  if (!options.trade.disagreement.empty() && options.codec != kCodecAuto) {
    return Status(StatusCode::kInvalidArgument,
                  "a JPEG of a named quality is taken however often it changes an answer, and "
                  "--disagreement bounds that: leave one of them out, or let --codec auto choose");
  }
  return std::optional<std::uint8_t>(static_cast<std::uint8_t>(quality));
}

Result<std::vector<std::uint8_t>> jpeg_qualities_to_plan(const CommandOptions& options) {
  CLEAVE_ASSIGN_OR_RETURN(const auto wanted, wanted_jpeg_quality(options));
  if (wanted) return std::vector<std::uint8_t>{*wanted};
  if (options.codec != kCodecAuto) return std::vector<std::uint8_t>();
  return std::vector<std::uint8_t>(std::begin(kModelJpegQualities), std::end(kModelJpegQualities));
}

Result<CutCodecs> codecs_to_plan(const CommandOptions& options, const ModelFile& model,
                                 std::uint32_t variant, const ProfileData* profile,
                                 const EncodeRates* rates, std::span<const ModelJpegBytes> jpegs) {
  CLEAVE_ASSIGN_OR_RETURN(const auto wanted, wanted_codec(options));
  CLEAVE_ASSIGN_OR_RETURN(const auto jpeg, wanted_jpeg_quality(options));
  CLEAVE_ASSIGN_OR_RETURN(const auto qualities, jpeg_qualities_to_plan(options));
  CodecKnowledge known{.profile = profile, .rates = rates, .jpegs = jpegs};
  if (wanted) {
    CLEAVE_ASSIGN_OR_RETURN(const CutCodecs codecs,
                            CutCodecs::of_one(model, variant, *wanted, known));
    return codecs.with_model_jpegs(model, variant, qualities, known, JpegBound::kNone);
  }
  const std::string name = model.header().variants()->Get(variant)->name()->str();
  const VariantProfile* table = profile == nullptr ? nullptr : find_variant(*profile, name);
  if (chooses_variant(options) && table != nullptr) {
    known.variant_disagreement_ppm = disagreement_ppm(model.header(), *table);
  }
  auto codecs = CutCodecs::of_all(model, variant, known);
  ::malloc_trim(0);  // what each codec held for a moment is not kept
  if (!codecs.is_ok()) return codecs;
  return codecs->with_model_jpegs(model, variant, qualities, known,
                                  jpeg ? JpegBound::kAsKnown : JpegBound::kOnlyKnown);
}

Result<EncodeRates> encode_rates_to_plan(const CommandOptions& options, const ModelFile& model,
                                         std::uint32_t variant, const ProfileData* profile,
                                         const DeviceSpeed& now) {
  EncodeRates rates;
  if (options.codec == kCodecAuto) {
    CLEAVE_ASSIGN_OR_RETURN(rates, measure_encode_rates(model, variant, profile, now));
  }
  // Of those that --codec auto looks at by itself only what the profile has tried, and timed.
  CLEAVE_ASSIGN_OR_RETURN(const auto jpeg, wanted_jpeg_quality(options));
  if (jpeg) add_model_jpeg_rate(model, variant, *jpeg, profile, now, rates);
  return rates;
}

}  // namespace cleave::agent
