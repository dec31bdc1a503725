// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/calibrate_codec.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_quantizer.h"
#include "engine/codec/coded_table.h"
#include "engine/importer/coded_statistics.h"
#include "engine/importer/cut_walker.h"
#include "engine/importer/model_pixels.h"

namespace cleave::importer {
namespace {

using codec::Boundary;
using codec::CodedQuality;

// Steps are rms * 2^(i / kOctave) for i from kFinest to kCoarsest: 1/64 of the rms to 16 times.
constexpr int kOctave = 4;
constexpr int kFinest = -24;
constexpr int kCoarsest = 16;

// Of a tensor of zeros too.
double positive_rms(const ValueScale& scale) { return std::max(scale.rms, 1e-30); }

// The finest step with which no tensor's largest value is beyond the last level.
int finest_without_clipping(std::span<const ValueScale> scales) {
  double ratio = 0;
  for (const ValueScale& scale : scales) {
    ratio = std::max(ratio, scale.largest / positive_rms(scale));
  }
  if (ratio == 0) return kFinest;
  const double step = std::ceil(kOctave * std::log2(ratio / codec::kMostLevel));
  return std::max(kFinest, static_cast<int>(step));
}

// Searches at the cut that its walker stands at.
class CutSearch {
 public:
  CutSearch(CutWalker& walker, const Boundary& boundary) : walker_(walker), boundary_(boundary) {
    for (std::size_t i = 0; i < walker.pictures(); ++i) {
      const auto tensors = walker.tensors(i);
      samples_.resize(tensors.size());
      for (std::size_t t = 0; t < tensors.size(); ++t) samples_[t].push_back(tensors[t]);
    }
    for (std::size_t t = 0; t < boundary.size(); ++t) {
      scales_.push_back(value_scale(boundary[t], samples_[t]));
    }
    finest_ = finest_without_clipping(scales_);
    coarsest_ = std::max(kCoarsest, finest_ + kOctave);
  }

  // The coarsest step that keeps to the disagreement; when none does without clipping, as of
  // clipping_step(). Counts go up and down: halving finds where they pass what is allowed, and
  // means decide near it.
  Result<int> find_step(std::uint32_t disagreement_ppm) {
    const double allowed =
        static_cast<double>(disagreement_ppm) * static_cast<double>(walker_.pictures()) / 1e6;
    int step = finest_ - 1, breaks = coarsest_ + 1;
    while (breaks - step > 1) {
      const int middle = step + (breaks - step) / 2;
      CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t differing, differing_at(middle));
      (differing <= allowed ? step : breaks) = middle;
    }
    if (step < finest_) return clipping_step(allowed);
    CLEAVE_ASSIGN_OR_RETURN(bool keeps, keeps_at(step, allowed));
    while (!keeps && step > finest_) {
      CLEAVE_ASSIGN_OR_RETURN(keeps, keeps_at(--step, allowed));
    }
    if (!keeps) return clipping_step(allowed);
    for (; step < coarsest_; ++step) {
      CLEAVE_ASSIGN_OR_RETURN(keeps, keeps_at(step + 1, allowed));
      if (!keeps) break;
    }
    return step;
  }

  Result<CodedQuality> quality_at(int step) {
    CodedQuality quality;
    quality.tensors = quantizers(step);
    for (std::size_t t = 0; t < boundary_.size(); ++t) {
      add_contexts(boundary_[t], samples_[t], quality.tensors[t]);
    }
    CLEAVE_RETURN_IF_ERROR(measure_bytes(quality));
    CLEAVE_ASSIGN_OR_RETURN(quality.figures.differing_pictures, differing_at(step));
    quality.figures.compared_pictures = static_cast<std::uint32_t>(walker_.pictures());
    return quality;
  }

 private:
  [[nodiscard]] std::vector<codec::CodedTensorTable> quantizers(int step) const {
    std::vector<codec::CodedTensorTable> tables;
    for (std::size_t t = 0; t < boundary_.size(); ++t) {
      const double size = positive_rms(scales_[t]) * std::exp2(static_cast<double>(step) / kOctave);
      tables.push_back(quantizer_table(boundary_[t], samples_[t], size, scales_[t].has_negative));
    }
    return tables;
  }

  // By itself, and on the mean with its neighbours that clip nothing.
  Result<bool> keeps_at(int step, double allowed) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t here, differing_at(step));
    double sum = 0, count = 0;
    for (int near = std::max(step - 1, finest_); near <= step + 1; ++near, ++count) {
      CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t differing, differing_at(near));
      sum += differing;
    }
    return here <= allowed && sum <= allowed * count;
  }

  // To clip a few large values may cost less than a coarse step for all: the coarsest finer step
  // that keeps to the disagreement, else of all those tried the one with the fewest other answers,
  // the coarsest of equals.
  Result<int> clipping_step(double allowed) {
    for (int step = finest_; step >= kFinest; step -= kOctave) {
      CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t differing, differing_at(step));
      if (differing <= allowed) return step;
    }
    auto least = known_.begin();
    for (auto tried = known_.begin(); tried != known_.end(); ++tried) {
      if (tried->second <= least->second) least = tried;
    }
    return least->first;
  }

  Result<std::uint32_t> differing_at(int step);
  Status measure_bytes(CodedQuality& quality) const;

  CutWalker& walker_;
  const Boundary& boundary_;
  std::vector<std::vector<std::span<const std::byte>>> samples_;  // of each tensor
  std::vector<ValueScale> scales_;
  int finest_ = kFinest;  // without clipping
  int coarsest_ = kCoarsest;
  std::map<int, std::uint32_t> known_;  // by step
};

Result<std::uint32_t> CutSearch::differing_at(int step) {
  if (const auto found = known_.find(step); found != known_.end()) return found->second;
  const std::vector<codec::CodedTensorTable> tables = quantizers(step);
  std::vector<codec::CodedQuantizer> ways;
  std::vector<std::vector<std::byte>> carried;
  for (std::size_t t = 0; t < boundary_.size(); ++t) {
    ways.emplace_back(tables[t], boundary_[t]);
    carried.emplace_back(boundary_[t].bytes());
  }
  const std::vector<std::span<const std::byte>> arrived(carried.begin(), carried.end());
  std::uint32_t differing = 0;
  for (std::size_t i = 0; i < walker_.pictures(); ++i) {
    for (std::size_t t = 0; t < boundary_.size(); ++t) {
      std::vector<std::int8_t> levels(boundary_[t].elements());
      ways[t].quantize(samples_[t][i], levels);
      ways[t].restore(levels, carried[t]);
    }
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t answer, walker_.answer_with(arrived));
    differing += answer != walker_.answer(i) ? 1 : 0;
  }
  known_[step] = differing;
  return differing;
}

Status CutSearch::measure_bytes(CodedQuality& quality) const {
  CLEAVE_ASSIGN_OR_RETURN(const auto made, codec::make_coded_codec(boundary_, quality));
  std::vector<std::byte> stream(made->max_encoded_bytes());
  std::vector<std::uint32_t> lengths;
  for (std::size_t i = 0; i < walker_.pictures(); ++i) {
    lengths.push_back(static_cast<std::uint32_t>(made->encode(walker_.tensors(i), stream)));
  }
  std::ranges::sort(lengths);
  const auto rank = [&](std::size_t percent) { return (lengths.size() * percent + 99) / 100 - 1; };
  quality.figures.median_bytes = lengths[rank(50)];
  quality.figures.p95_bytes = lengths[rank(95)];
  return Status::ok();
}

Result<std::vector<CodedQuality>> find_qualities(CutWalker& walker, const Boundary& boundary,
                                                 std::span<const std::uint32_t> disagreement_ppm) {
  CutSearch search(walker, boundary);
  std::vector<CodedQuality> qualities;
  for (const std::uint32_t allowed : disagreement_ppm) {
    CLEAVE_ASSIGN_OR_RETURN(const int step, search.find_step(allowed));
    CLEAVE_ASSIGN_OR_RETURN(CodedQuality quality, search.quality_at(step));
    qualities.push_back(std::move(quality));
  }
  return qualities;
}

void report(const CodecCalibration& options, OpIndex cut, const Boundary& boundary,
            std::span<const CodedQuality> qualities) {
  if (!options.done) return;
  CalibratedCut found{.cut = cut, .elements = 0, .qualities = {}};
  for (const codec::BoundaryTensor& tensor : boundary) found.elements += tensor.elements();
  for (const CodedQuality& quality : qualities) found.qualities.push_back(quality.figures);
  options.done(found);
}

}  // namespace

Result<std::vector<CodedCutTable>> calibrate_codec(
    const std::shared_ptr<const ModelFile>& model, const CodecCalibration& options,
    std::span<const std::vector<std::uint8_t>> pictures) {
  if (pictures.empty()) return Status(StatusCode::kInvalidArgument, "no picture to calibrate with");
  std::vector<std::vector<std::uint8_t>> all(pictures.begin(), pictures.end());
  for (const auto& pixels : pictures) all.push_back(mirrored(pixels, input_shape(*model)));
  CLEAVE_ASSIGN_OR_RETURN(const auto walker,
                          CutWalker::create(model, options.variant, all, options.threads));
  const fbs::Model& header = model->header();
  std::vector<CodedCutTable> tables;
  for (const OpIndex cut : options.cuts) {
    CLEAVE_RETURN_IF_ERROR(walker->go_to(cut));
    const Boundary boundary = codec::boundary_at(header, options.variant, cut);
    CLEAVE_ASSIGN_OR_RETURN(const auto qualities,
                            find_qualities(*walker, boundary, options.disagreement_ppm));
    tables.push_back({.variant = header.variants()->Get(options.variant)->name()->str(),
                      .cut = cut,
                      .data = codec::write_coded_table(qualities),
                      .disagreement_ppm = options.disagreement_ppm});
    report(options, cut, boundary, qualities);
  }
  return tables;
}

}  // namespace cleave::importer
