// SPDX-License-Identifier: Apache-2.0
#include "agent/cut_codecs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/codec_option.h"
#include "engine/image/jpeg_encoder.h"
#include "planner/fixed_point.h"
#include "planner/planner.h"

namespace cleave::agent {
namespace {

using planner::saturating_add;

constexpr std::uint32_t kNotKnown = UINT32_MAX;
// More qualities than anybody looks at in one plan.
constexpr std::size_t kMostModelJpegs = 8;

// What a profile has of one codec at one cut.
struct ProfiledCodec {
  const CodedBytes* coded = nullptr;  // null: nothing
  std::size_t index = 0;              // of the cut
};

ProfiledCodec find_profiled(const CodecKnowledge& known, std::string_view variant, OpIndex cut,
                            const CodecChoice& choice) {
  if (known.profile == nullptr) return {};
  const CodedBytes* coded =
      find_coded(*known.profile, variant, static_cast<std::uint8_t>(choice.codec), choice.quality);
  if (coded == nullptr) return {};
  const auto at = std::ranges::lower_bound(coded->op_boundary, cut);
  if (at == coded->op_boundary.end() || *at != cut) return {};
  return {coded, static_cast<std::size_t>(at - coded->op_boundary.begin())};
}

// (differing + 1) / (compared + 1), rounded up: none of a few that differs does not make it exact.
std::uint32_t counted_ppm(std::uint32_t differing, std::uint32_t compared) {
  const std::uint64_t of = std::uint64_t{compared} + 1;
  return static_cast<std::uint32_t>(((std::uint64_t{differing} + 1) * 1'000'000 + of - 1) / of);
}

// For what the level was made, or what calibration counted, if that is more.
std::uint32_t calibrated_ppm(const CodedFigures& figures) {
  if (!figures.allowed_ppm) return kNotKnown;
  if (figures.compared_pictures == 0) return *figures.allowed_ppm;
  const std::uint64_t counted =
      (std::uint64_t{figures.differing_pictures} * 1'000'000 + figures.compared_pictures - 1) /
      figures.compared_pictures;
  return std::max(*figures.allowed_ppm, static_cast<std::uint32_t>(counted));
}

// Of one cut, while codecs are listed.
struct ListedCut {
  const ModelFile& model;
  std::uint32_t variant = 0;
  OpIndex cut = 0;
  std::uint64_t boundary_bytes = 0;
  const CodecKnowledge& known;

  [[nodiscard]] std::string_view variant_name() const {
    return model.header().variants()->Get(variant)->name()->string_view();
  }
};

std::uint32_t disagreement_of(const ListedCut& at, const CodecChoice& choice,
                              const CodedFigures* figures) {
  if (is_exact(choice.codec)) return 0;
  std::uint32_t ppm = kNotKnown;
  const ProfiledCodec profiled = find_profiled(at.known, at.variant_name(), at.cut, choice);
  if (profiled.coded != nullptr && !profiled.coded->differing_pictures.empty()) {
    ppm = counted_ppm(profiled.coded->differing_pictures[profiled.index],
                      profiled.coded->compared_pictures);
  } else if (figures != nullptr) {
    ppm = calibrated_ppm(*figures);
  }
  const std::uint32_t variant_ppm = at.known.variant_disagreement_ppm;
  return ppm > kNotKnown - variant_ppm ? kNotKnown : ppm + variant_ppm;
}

Result<CutCodec> list_codec(const ListedCut& at, const CodecChoice& choice) {
  if (choice.codec == fbs::Codec::Raw) {
    return CutCodec{.choice = choice, .bytes = at.boundary_bytes, .is_usual = true};
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto made,
                          BoundaryCodec::create(at.model, at.variant, at.cut, choice));
  CutCodec listed{.choice = choice,
                  .bytes = made->max_encoded_bytes(),
                  .ram_bytes = saturating_add(made->held_bytes(), made->max_encoded_bytes())};
  const CodedFigures* figures = nullptr;
  std::vector<CodedFigures> levels;
  if (choice.codec == fbs::Codec::Coded) {
    CLEAVE_ASSIGN_OR_RETURN(levels, coded_figures(at.model, at.variant, at.cut));
    figures = &levels[choice.quality];
    listed.bytes = figures->median_bytes;
    listed.p95_bytes = figures->p95_bytes;
    listed.is_usual = true;
  }
  listed.disagreement_ppm = disagreement_of(at, choice, figures);
  const ProfiledCodec profiled = find_profiled(at.known, at.variant_name(), at.cut, choice);
  if (profiled.coded == nullptr) return listed;
  if (profiled.coded->pictures > 0) {
    listed.bytes = profiled.coded->median_bytes[profiled.index];
    listed.p95_bytes = profiled.coded->p95_bytes[profiled.index];
    listed.is_usual = true;
  }
  if (!profiled.coded->encode_ns.empty()) {
    listed.encode_ns = profiled.coded->encode_ns[profiled.index];
  }
  return listed;
}

// The cuts inside of the network at which a layer ends.
std::vector<ListedCut> inner_cuts(const ModelFile& model, std::uint32_t variant,
                                  const CodecKnowledge& known) {
  const fbs::Model& header = model.header();
  const OpIndex ops = header.variants()->Get(variant)->ops()->size();
  const std::vector<Cut> cuts = find_cuts(header, variant);
  std::vector<ListedCut> inner;
  for (const Split& split : list_splits(header, variant)) {
    if (split.op_boundary == 0 || split.op_boundary == ops) continue;
    inner.push_back(
        {model, variant, split.op_boundary, cuts[split.op_boundary].boundary_bytes, known});
  }
  return inner;
}

// REQUIRES: `at` is cut 0, its bytes those of the pixels.
CutCodec list_model_jpeg(const ListedCut& at, std::uint8_t quality) {
  const fbs::Variant& variant = *at.model.header().variants()->Get(at.variant);
  const fbs::Shape& shape = *variant.tensors()->Get(variant.input())->shape();
  const CodecChoice choice{.codec = fbs::Codec::JpegModelSize, .quality = quality};
  const std::uint64_t area = std::uint64_t{shape.width()} * shape.height();
  CutCodec listed{
      .choice = choice,
      .bytes = std::min(estimated_jpeg_bytes(area, quality), at.boundary_bytes),
      .ram_bytes = saturating_add(at.boundary_bytes, jpeg_encoder_bytes(shape.width()))};
  listed.disagreement_ppm = disagreement_of(at, choice, nullptr);
  const ProfiledCodec profiled = find_profiled(at.known, at.variant_name(), at.cut, choice);
  if (profiled.coded != nullptr && profiled.coded->pictures > 0) {
    listed.bytes = profiled.coded->median_bytes[profiled.index];
    listed.p95_bytes = profiled.coded->p95_bytes[profiled.index];
    listed.is_usual = true;
  }
  if (profiled.coded != nullptr && !profiled.coded->encode_ns.empty()) {
    listed.encode_ns = profiled.coded->encode_ns[profiled.index];
  }
  const auto measured = std::ranges::find(at.known.jpegs, quality, &ModelJpegBytes::quality);
  if (measured != at.known.jpegs.end()) {
    listed.bytes = measured->median_bytes;
    listed.p95_bytes = measured->p95_bytes;
    listed.is_usual = true;
  }
  return listed;
}

// Enough for a rate, and little to hold.
constexpr std::uint64_t kTimedBytes = 32 << 10;

bool is_better_to_time(const ListedCut& one, const ListedCut& other) {
  const bool one_is_enough = one.boundary_bytes >= kTimedBytes;
  if (one_is_enough != (other.boundary_bytes >= kTimedBytes)) return one_is_enough;
  return one_is_enough ? one.boundary_bytes < other.boundary_bytes
                       : one.boundary_bytes > other.boundary_bytes;
}

// Of one codec, over all cuts where it applies.
struct ToTime {
  const ListedCut* best = nullptr;
  bool is_needed = false;  // somewhere the profile does not time it
};

bool is_profiled(const ListedCut& at, const CodecChoice& choice) {
  const ProfiledCodec profiled = find_profiled(at.known, at.variant_name(), at.cut, choice);
  return profiled.coded != nullptr && !profiled.coded->encode_ns.empty() &&
         profiled.coded->encode_ns[profiled.index] > 0;
}

void estimate_encoding(std::uint64_t boundary_bytes, const EncodeRates& rates, CutCodec& codec) {
  if (codec.choice.codec == fbs::Codec::Raw || codec.encode_ns > 0) return;
  const auto rate = rates.find(pack_codec(codec.choice));
  if (rate != rates.end()) codec.encode_ns = rate->second.ns_for(boundary_bytes);
}

}  // namespace

Result<EncodeRates> measure_encode_rates(const ModelFile& model, std::uint32_t variant,
                                         const ProfileData* profile, const DeviceSpeed& now) {
  const CodecKnowledge known{.profile = profile};
  const std::vector<ListedCut> inner = inner_cuts(model, variant, known);
  std::map<std::uint8_t, ToTime> codecs;
  for (const ListedCut& at : inner) {
    for (const CodecChoice& choice : codecs_at(model, variant, at.cut)) {
      if (choice.codec == fbs::Codec::Raw) continue;
      ToTime& codec = codecs[pack_codec(choice)];
      if (codec.best == nullptr || is_better_to_time(at, *codec.best)) codec.best = &at;
      codec.is_needed = codec.is_needed || !is_profiled(at, choice);
    }
  }
  DeviceSpeed of_table;
  if (profile != nullptr) of_table = {.clock_khz = profile->clock_khz, .cores = profile->cores};
  const TimeScale scale = time_scale(now, of_table, 1);  // one thread encodes
  EncodeRates rates;
  for (const auto& [packed, codec] : codecs) {
    if (!codec.is_needed) continue;
    CLEAVE_ASSIGN_OR_RETURN(EncodeRate rate, measure_encode_rate(model, variant, codec.best->cut,
                                                                 unpack_codec(packed)));
    rate.ns = scale.apply(rate.ns);
    rates.emplace(packed, rate);
  }
  return rates;
}

void add_model_jpeg_rate(const ModelFile& model, std::uint32_t variant, std::uint8_t quality,
                         const ProfileData* profile, const DeviceSpeed& now, EncodeRates& rates) {
  const CodecKnowledge known{.profile = profile};
  const ListedCut pictures{.model = model, .variant = variant, .known = known};
  if (!takes_model_jpegs(model.header(), variant) ||
      is_profiled(pictures, {.codec = fbs::Codec::JpegModelSize, .quality = quality})) {
    return;
  }
  auto rate = measure_model_jpeg_rate(model.header(), variant);
  if (!rate.is_ok()) return;
  DeviceSpeed of_table;
  if (profile != nullptr) of_table = {.clock_khz = profile->clock_khz, .cores = profile->cores};
  rate->ns = time_scale(now, of_table, 1).apply(rate->ns);
  rates.emplace(pack_codec({.codec = fbs::Codec::JpegModelSize}), *rate);
}

Result<CutCodecs> CutCodecs::of_one(const ModelFile& model, std::uint32_t variant,
                                    const CodecChoice& choice, const CodecKnowledge& known) {
  if (choice.codec == fbs::Codec::Raw) return CutCodecs();
  bool applies = choice.codec != fbs::Codec::Coded;  // the others' reasons are the tensors' dtypes
  std::vector<CodecsAtCut> cuts;
  for (const ListedCut& at : inner_cuts(model, variant, known)) {
    const auto applying = codecs_at(model, variant, at.cut);
    const bool here = std::ranges::find(applying, choice) != applying.end();
    applies = applies || here;
    CLEAVE_ASSIGN_OR_RETURN(CutCodec listed, list_codec(at, here ? choice : CodecChoice{}));
    listed.disagreement_ppm = 0;
    cuts.push_back({.op_boundary = at.cut, .codecs = {listed}});
  }
  if (applies) return CutCodecs(std::move(cuts));
  return Status(StatusCode::kNotFound,
                "the model has no table of codec coded at level " + std::to_string(choice.quality) +
                    " for any cut of this variant; `cleave-import calibrate-codec` makes them");
}

Result<CutCodecs> CutCodecs::of_all(const ModelFile& model, std::uint32_t variant,
                                    const CodecKnowledge& known) {
  const std::vector<ListedCut> inner = inner_cuts(model, variant, known);
  // The planner library has room for so many: of a network with thousands of layers, later cuts
  // have raw alone.
  std::size_t room = planner::kMaxCandidates -
                     std::min(planner::kMaxCandidates, inner.size() + 3 + kMostModelJpegs);
  std::vector<CodecsAtCut> cuts;
  for (const ListedCut& at : inner) {
    CodecsAtCut& here = cuts.emplace_back(CodecsAtCut{.op_boundary = at.cut, .codecs = {}});
    for (const CodecChoice& choice : codecs_at(model, variant, at.cut)) {
      if (!here.codecs.empty() && room == 0) break;
      if (!here.codecs.empty()) --room;
      CLEAVE_ASSIGN_OR_RETURN(CutCodec listed, list_codec(at, choice));
      if (known.rates != nullptr) estimate_encoding(at.boundary_bytes, *known.rates, listed);
      here.codecs.push_back(listed);
    }
  }
  return CutCodecs(std::move(cuts));
}

CutCodecs CutCodecs::with_model_jpegs(const ModelFile& model, std::uint32_t variant,
                                      std::span<const std::uint8_t> qualities,
                                      const CodecKnowledge& known, JpegBound bound) const {
  if (!takes_model_jpegs(model.header(), variant)) return *this;
  const fbs::Variant& header = *model.header().variants()->Get(variant);
  const std::uint64_t pixel_bytes = element_count(*header.tensors()->Get(header.input())->shape());
  const ListedCut at{model, variant, 0, pixel_bytes, known};
  CodecsAtCut pictures{.op_boundary = 0, .codecs = {}};
  for (const std::uint8_t quality : qualities) {
    if (pictures.codecs.size() >= kMostModelJpegs) break;
    CutCodec listed = list_model_jpeg(at, quality);
    if (bound == JpegBound::kOnlyKnown && listed.disagreement_ppm == kNotKnown) continue;
    if (bound == JpegBound::kNone) listed.disagreement_ppm = 0;
    if (known.rates != nullptr) estimate_encoding(pixel_bytes, *known.rates, listed);
    pictures.codecs.push_back(listed);
  }
  if (pictures.codecs.empty()) return *this;
  std::vector<CodecsAtCut> cuts{std::move(pictures)};
  cuts.insert(cuts.end(), cuts_.begin(), cuts_.end());
  return CutCodecs(std::move(cuts));
}

std::size_t CutCodecs::codec_count() const {
  std::size_t count = 0;
  for (const CodecsAtCut& cut : cuts_) count += cut.codecs.size();
  return count;
}

bool CutCodecs::chooses() const {
  return std::ranges::any_of(cuts_, [](const CodecsAtCut& cut) { return cut.codecs.size() > 1; });
}

std::vector<std::uint64_t> decode_times(const CutCodecs& codecs, const ProfileData& profile,
                                        std::string_view variant) {
  const CodecKnowledge known{.profile = &profile};
  std::vector<std::uint64_t> times;
  for (const CodecsAtCut& cut : codecs.cuts()) {
    for (const CutCodec& codec : cut.codecs) {
      CodecChoice asked = codec.choice;
      if (is_model_jpeg(asked)) asked.quality = 0;  // a server times them as one
      const ProfiledCodec found = find_profiled(known, variant, cut.op_boundary, asked);
      const bool is_timed = found.coded != nullptr && !found.coded->decode_ns.empty();
      times.push_back(is_timed ? found.coded->decode_ns[found.index] : 0);
    }
  }
  return times;
}

}  // namespace cleave::agent
