// SPDX-License-Identifier: Apache-2.0
//
// The codecs among which a plan may choose at each cut, with what each costs as far as it is known:
// from a profile, else from the model's own tables, else as the codec's bounds say.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/codec_timing.h"
#include "agent/model_jpeg.h"
#include "agent/time_scale.h"
#include "engine/codec/boundary_codec.h"
#include "engine/cuts.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// How what crosses a cut is coded; at cut 0 the picture, as a JPEG at model size.
struct CutCodec {
  CodecChoice choice;
  std::uint64_t bytes = 0;      // of its output: what is usual, or the most
  std::uint64_t p95_bytes = 0;  // 0: no more than that
  std::uint64_t ram_bytes = 0;  // beside the tensors or pixels: its memory and its output
  std::uint64_t encode_ns = 0;  // at the speed at which the device's table was measured; 0: unknown
  std::uint32_t disagreement_ppm = 0;  // with the variant's; UINT32_MAX: not known
  bool is_usual = false;               // the bytes were seen on pictures
  friend bool operator==(const CutCodec&, const CutCodec&) = default;
};

struct CodecsAtCut {
  OpIndex op_boundary = 0;
  std::vector<CutCodec> codecs;  // at least one
  friend bool operator==(const CodecsAtCut&, const CodecsAtCut&) = default;
};

// How fast codecs encode here, at the speed at which the device's table was measured; by
// pack_codec().
using EncodeRates = std::map<std::uint8_t, EncodeRate>;

// Of every codec that applies at some cut of `variant` where `profile` does not time it (null: it
// times nothing): each is timed once, at the cut that suits best. The device is as fast as `now`
// says meanwhile; the rates are scaled to the speed of the profile's table. Errors: those of
// measure_encode_rate().
[[nodiscard]] Result<EncodeRates> measure_encode_rates(const ModelFile& model,
                                                       std::uint32_t variant,
                                                       const ProfileData* profile,
                                                       const DeviceSpeed& now);

// Adds to `rates` how fast JPEGs at model size are made, if the model's input is a picture and the
// profile does not time those of `quality`; scaled as above. Without memory for it nothing is
// added.
void add_model_jpeg_rate(const ModelFile& model, std::uint32_t variant, std::uint8_t quality,
                         const ProfileData* profile, const DeviceSpeed& now, EncodeRates& rates);

// What is known besides the model.
struct CodecKnowledge {
  const ProfileData* profile = nullptr;        // of this device; null: none
  std::uint32_t variant_disagreement_ppm = 0;  // that lossy codecs add to
  const EncodeRates* rates = nullptr;          // for what the profile does not time; null: none
  std::span<const ModelJpegBytes> jpegs = {};  // of the pictures at hand
};

// What is asked of a JPEG at model size.
enum class JpegBound : std::uint8_t {
  kNone,      // the user names it: held to no bound on other answers
  kAsKnown,   // how often answers differ is what the profile counted, else not known
  kOnlyKnown  // one of which that is not known is left out
};

// At the cuts where a layer ends, ascending: an empty list is raw everywhere, and pixels or the
// file at cut 0.
class CutCodecs {
 public:
  CutCodecs() = default;
  // REQUIRES: ascending cuts, none without codecs.
  explicit CutCodecs(std::vector<CodecsAtCut> cuts) : cuts_(std::move(cuts)) {}

  // The one that the user names, at the cuts where it applies, else raw; it is held to no bound on
  // other answers. Bytes are those of the profile's pictures, else of Coded what calibration
  // measured, else the most that the codec can make. Errors: those of BoundaryCodec::create();
  // kNotFound (Coded, and no cut has such a level).
  static Result<CutCodecs> of_one(const ModelFile& model, std::uint32_t variant,
                                  const CodecChoice& choice, const CodecKnowledge& known = {});

  // Every codec that applies at each cut, raw first. How often answers differ is what the profile
  // counted, (differing + 1) / (compared + 1) as for precisions; else of Coded what its table was
  // made for, or what calibration counted where that is more; else not known. Time to encode is the
  // profile's, else as long for each byte of tensors as the rates say, else not known.
  // Errors: those of BoundaryCodec::create().
  static Result<CutCodecs> of_all(const ModelFile& model, std::uint32_t variant,
                                  const CodecKnowledge& known);

  // The same with JPEGs at model size of `qualities` as the codecs of cut 0, where the model's
  // input is a picture. Bytes are those of the pictures at hand, else of the profile's, else an
  // estimate.
  [[nodiscard]] CutCodecs with_model_jpegs(const ModelFile& model, std::uint32_t variant,
                                           std::span<const std::uint8_t> qualities,
                                           const CodecKnowledge& known, JpegBound bound) const;

  [[nodiscard]] std::span<const CodecsAtCut> cuts() const { return cuts_; }
  // Of all cuts together.
  [[nodiscard]] std::size_t codec_count() const;
  // At least one cut has more than one.
  [[nodiscard]] bool chooses() const;
  friend bool operator==(const CutCodecs&, const CutCodecs&) = default;

 private:
  std::vector<CodecsAtCut> cuts_;
};

// The time of each codec of `cuts`, in their order, to decode on the server that sent `profile`; 0
// where it says nothing.
[[nodiscard]] std::vector<std::uint64_t> decode_times(const CutCodecs& codecs,
                                                      const ProfileData& profile,
                                                      std::string_view variant);

}  // namespace cleave::agent
