// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/cut_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "engine/codec/coded_values.h"

namespace cleave::importer {
namespace {

using codec::Boundary;
using codec::BoundaryTensor;
using codec::CodedQuality;
using codec::CodedTensorTable;

// Steps are rms * 2^(i / kOctave) for i from kFinest to kCoarsest: 1/64 of the rms to 16 times.
constexpr int kOctave = 8;
constexpr int kFinest = -6 * kOctave;
constexpr int kCoarsest = 4 * kOctave;
// A turned form's step is looked for so far around that of the values as they are.
constexpr int kTurnedFiner = kOctave, kTurnedCoarser = 2 * kOctave;
// So far from a step are those that have to bear it out: far enough to round most values otherwise.
constexpr int kNextSteps = kOctave / 4;

// Steps go with these powers of how sensitive the answers are. Half of what would be best if bits
// followed the logarithm of the step: coarse steps save less than that. (Of MobileNetV2's
// bottlenecks, 0.25 took 4 % off the bytes of equal steps among directions, 0.4 half as much.)
constexpr double kDirectionPower = 0.25, kSumPower = 0.4;
constexpr std::size_t kMostGroups = 32;
constexpr std::size_t kNoisyPictures = 8;

// Of a tensor of zeros too.
double positive_rms(const ValueScale& scale) { return std::max(scale.rms, 1e-30); }

double step_size(const ValueScale& scale, int step) {
  return positive_rms(scale) * std::exp2(static_cast<double>(step) / kOctave);
}

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

// Of each picture, how many of the changes of pictures with nearly its margin would change its best
// class. Those of any picture would be too many: where scores are large, margins are, and change by
// more.
std::vector<double> shares_lost(std::span<const JudgedAnswer> answers) {
  const std::size_t count = answers.size();
  const std::size_t around = std::max<std::size_t>(count / 8, 1);  // pictures on either side
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return answers[i].margin_before; });
  std::vector<double> shares(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i - std::min(i, around);
    const std::size_t last = std::min(i + around + 1, count);
    std::size_t lost = 0;
    for (std::size_t near = first; near < last; ++near) {
      const JudgedAnswer& other = answers[order[near]];
      const double change = other.margin_now - other.margin_before;
      lost += answers[order[i]].margin_before + change < 0 ? 1 : 0;
    }
    shares[order[i]] = static_cast<double>(lost) / static_cast<double>(last - first);
  }
  return shares;
}

// Divided by their geometric mean.
void normalize_mean(std::vector<double>& values) {
  double sum = 0;
  for (double& value : values) {
    value = std::max(value, 1e-12);
    sum += std::log(value) / static_cast<double>(values.size());
  }
  for (double& value : values) value /= std::exp(sum);
}

bool keeps_to(const CodedFigures& figures, std::uint32_t disagreement_ppm) {
  return std::uint64_t{figures.differing_pictures} * 1'000'000 <=
         std::uint64_t{disagreement_ppm} * figures.compared_pictures;
}

}  // namespace

bool is_better(const CodedFigures& one, const CodedFigures& other, std::uint32_t disagreement_ppm) {
  if (!keeps_to(one, disagreement_ppm)) return false;
  return !keeps_to(other, disagreement_ppm) || one.median_bytes < other.median_bytes;
}

ExpectedShare expected_share(std::span<const JudgedAnswer> answers, std::size_t photos) {
  const std::vector<double> shares = shares_lost(answers);
  std::vector<double> of_photo(photos);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    of_photo[i % photos] +=
        shares[i] * static_cast<double>(photos) / static_cast<double>(shares.size());
  }
  const auto count = static_cast<double>(photos);
  ExpectedShare expected;
  for (const double share : of_photo) expected.share += share / count;
  double squares = 0;
  for (const double share : of_photo) {
    squares += (share - expected.share) * (share - expected.share);
  }
  expected.deviation = std::sqrt(squares / (count * std::max(count - 1, 1.0)));
  return expected;
}

CutSearch::CutSearch(CutWalker& walker, const Boundary& boundary, std::size_t photos)
    : walker_(walker), boundary_(boundary), photos_(photos) {
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
  plain_.tensors.resize(boundary.size());
}

Result<CodedQuality> CutSearch::find(std::uint32_t disagreement_ppm) {
  const auto pictures = static_cast<double>(walker_.pictures());
  Allowed allowed{.count = disagreement_ppm * pictures / 1e6, .share = disagreement_ppm / 1e6};
  // Less than half a picture can not be told.
  allowed.share = std::max(allowed.share, 0.5 / pictures);
  CLEAVE_ASSIGN_OR_RETURN(const int step, plain_step(allowed));
  CLEAVE_ASSIGN_OR_RETURN(const Trial* best, trial(plain_, step));
  CLEAVE_RETURN_IF_ERROR(add_turned_forms(step));
  for (Form& form : *turned_) {
    const int finest = step - kTurnedFiner;
    CLEAVE_ASSIGN_OR_RETURN(const int found,
                            coarsest_step(form, allowed, finest, step + kTurnedCoarser));
    if (found < finest) continue;
    CLEAVE_ASSIGN_OR_RETURN(const Trial* turned, trial(form, found));
    if (is_better(turned->quality.figures, best->quality.figures, disagreement_ppm)) best = turned;
  }
  return best->quality;
}

Result<int> CutSearch::plain_step(const Allowed& allowed) {
  CLEAVE_ASSIGN_OR_RETURN(const int step, coarsest_step(plain_, allowed, finest_, coarsest_));
  return step >= finest_ ? Result<int>(step) : clipping_step(allowed);
}

Result<int> CutSearch::coarsest_step(Form& form, const Allowed& allowed, int finest, int coarsest) {
  int step = finest - 1, breaks = coarsest + 1;
  while (breaks - step > 1) {
    const int middle = step + (breaks - step) / 2;
    CLEAVE_ASSIGN_OR_RETURN(const bool is_kept, keeps(form, allowed, middle));
    (is_kept ? step : breaks) = middle;
  }
  return step;
}

// The coarsest of many steps is one that was lucky with these pictures: where that could be, those
// next to it have to bear it out.
Result<bool> CutSearch::keeps(Form& form, const Allowed& allowed, int step) {
  constexpr double kFarFrom = 2;
  CLEAVE_ASSIGN_OR_RETURN(const Trial* found, trial(form, step));
  const double expected = found->expected.with_margin();
  if (found->differing() > allowed.count) return false;
  if (expected > kFarFrom * allowed.share) return false;
  if (kFarFrom * expected < allowed.share) return true;
  // None that clips.
  const int finer_step = std::max(step - kNextSteps, std::min(finest_, step));
  CLEAVE_ASSIGN_OR_RETURN(const Trial* finer, trial(form, finer_step));
  CLEAVE_ASSIGN_OR_RETURN(const Trial* coarser, trial(form, step + kNextSteps));
  const double around = finer->expected.with_margin() + coarser->expected.with_margin();
  return (around + expected) / 3 <= allowed.share;
}

// To clip a few large values may cost less than a coarse step for all: the coarsest finer step
// that keeps to the disagreement, else of all those tried the one with the fewest other answers,
// the coarsest of equals.
Result<int> CutSearch::clipping_step(const Allowed& allowed) {
  for (int step = finest_; step >= kFinest; step -= kOctave) {
    CLEAVE_ASSIGN_OR_RETURN(const Trial* found, trial(plain_, step));
    if (found->differing() <= allowed.count) return step;
  }
  auto least = plain_.known.begin();
  for (auto tried = plain_.known.begin(); tried != plain_.known.end(); ++tried) {
    if (tried->second.differing() <= least->second.differing()) least = tried;
  }
  return least->first;
}

CodedQuality CutSearch::tables(const Form& form, int step) const {
  CodedQuality quality;
  for (std::size_t t = 0; t < boundary_.size(); ++t) {
    const double size = step_size(scales_[t], step);
    CodedTensorTable& table = quality.tensors.emplace_back();
    if (form.tensors[t]) {
      std::vector<double> steps = form.tensors[t]->relative_steps;
      for (double& one : steps) one *= size;
      table =
          transform_table(boundary_[t], samples_[t], form.tensors[t]->directions, form.side, steps);
    } else {
      table = quantizer_table(boundary_[t], samples_[t], size, scales_[t].has_negative);
    }
    add_contexts(boundary_[t], samples_[t], table);
  }
  return quality;
}

// By streams of the codec itself: which level a value has depends on what was coded before it.
Result<const Trial*> CutSearch::trial(Form& form, int step) {
  if (const auto found = form.known.find(step); found != form.known.end()) return &found->second;
  Trial trial{.quality = tables(form, step), .expected = {}};
  CLEAVE_ASSIGN_OR_RETURN(const auto codec, codec::make_coded_codec(boundary_, trial.quality));
  std::vector<std::vector<std::byte>> carried;
  for (const BoundaryTensor& tensor : boundary_) carried.emplace_back(tensor.bytes());
  const std::vector<std::span<std::byte>> to(carried.begin(), carried.end());
  const std::vector<std::span<const std::byte>> arrived(carried.begin(), carried.end());
  std::vector<std::byte> stream(codec->max_encoded_bytes());
  std::vector<JudgedAnswer> answers;
  std::vector<std::uint32_t> lengths;
  CodedFigures& figures = trial.quality.figures;
  for (std::size_t i = 0; i < walker_.pictures(); ++i) {
    const std::size_t length = codec->encode(walker_.tensors(i), stream);
    CLEAVE_RETURN_IF_ERROR(codec->decode(std::span(stream).first(length), to));
    CLEAVE_ASSIGN_OR_RETURN(const JudgedAnswer answer, walker_.judge(i, arrived));
    figures.differing_pictures += answer.differs ? 1 : 0;
    lengths.push_back(static_cast<std::uint32_t>(length));
    answers.push_back(answer);
  }
  std::ranges::sort(lengths);
  const auto rank = [&](std::size_t percent) { return (lengths.size() * percent + 99) / 100 - 1; };
  figures.compared_pictures = static_cast<std::uint32_t>(walker_.pictures());
  figures.median_bytes = lengths[rank(50)];
  figures.p95_bytes = lengths[rank(95)];
  trial.expected = expected_share(answers, photos_);
  return &(form.known[step] = std::move(trial));
}

// A tensor that is mostly zeros has no directions that say more than its channels; one of few
// positions has not enough samples of them.
bool CutSearch::may_turn(std::size_t tensor, std::size_t side) const {
  constexpr double kMostZeros = 0.5;
  constexpr std::size_t kFewestBlocks = 7;
  constexpr std::size_t kSamplesPerChannel = 16;
  const BoundaryTensor& shape = boundary_[tensor];
  const std::size_t height = shape.positions / shape.width;
  return shape.is_f32() && shape.channels <= codec::kMaxTransformChannels &&
         scales_[tensor].zeros <= kMostZeros && shape.width % side == 0 && height % side == 0 &&
         shape.width / side >= kFewestBlocks &&
         shape.positions * walker_.pictures() >= kSamplesPerChannel * shape.channels;
}

Status CutSearch::add_turned_forms(int plain_step) {
  if (turned_) return Status::ok();
  turned_.emplace();
  for (const std::size_t side : codec::kTransformSides) {
    Form form{.side = side, .tensors = {}, .known = {}};
    bool turns = false, turns_more = false;
    for (std::size_t t = 0; t < boundary_.size(); ++t) {
      form.tensors.emplace_back();
      turns = turns || may_turn(t, side);
      turns_more = turns_more || may_turn(t, 2 * side);
    }
    // Single positions are left to tensors that are too small for blocks.
    if (!turns || (side == 1 && turns_more)) continue;
    for (std::size_t t = 0; t < boundary_.size(); ++t) {
      if (!may_turn(t, side)) continue;
      CLEAVE_ASSIGN_OR_RETURN(form.tensors[t], turn(t, side, step_size(scales_[t], plain_step)));
    }
    turned_->push_back(std::move(form));
  }
  return Status::ok();
}

Result<CutSearch::Turned> CutSearch::turn(std::size_t tensor, std::size_t side, double step) {
  const std::size_t channels = boundary_[tensor].channels;
  const std::size_t sums = side * side;
  const std::size_t groups = std::min(channels, kMostGroups);
  Turned turned{.directions = find_directions(boundary_[tensor], samples_[tensor]),
                .relative_steps = {}};
  std::vector<std::size_t> by_direction, by_sum;
  for (std::size_t i = 0; i < sums * channels; ++i) {
    by_direction.push_back(i % channels * groups / channels);
    by_sum.push_back(i / channels);
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto of_direction,
                          sensitivities(tensor, turned.directions, side, step, by_direction));
  CLEAVE_ASSIGN_OR_RETURN(const auto of_sum,
                          sensitivities(tensor, turned.directions, side, step, by_sum));
  for (std::size_t i = 0; i < sums * channels; ++i) {
    turned.relative_steps.push_back(std::pow(of_direction[by_direction[i]], -kDirectionPower) *
                                    std::pow(of_sum[by_sum[i]], -kSumPower));
  }
  return turned;
}

// Each group's noise is as large as half a step's rounding of all would be: answers then change,
// but are not lost.
Result<std::vector<double>> CutSearch::sensitivities(std::size_t tensor,
                                                     const CodedDirections& directions,
                                                     std::size_t side, double step,
                                                     std::span<const std::size_t> group) {
  const std::size_t groups = *std::ranges::max_element(group) + 1;
  std::vector<double> result;
  for (std::size_t g = 0; g < groups; ++g) {
    const auto members = static_cast<double>(std::ranges::count(group, g));
    const double larger = std::sqrt(static_cast<double>(group.size()) / members) / 4;
    const std::vector<double> steps(group.size(), step * larger);
    const CodedTensorTable table = transform_table(boundary_[tensor], {}, directions, side, steps);
    CLEAVE_ASSIGN_OR_RETURN(const double divergence, divergence_by(tensor, table, group, g));
    result.push_back(divergence / (members * larger * larger));
  }
  normalize_mean(result);
  return result;
}

// Noise is levels of 1 and -1 at random.
Result<double> CutSearch::divergence_by(std::size_t tensor, const CodedTensorTable& table,
                                        std::span<const std::size_t> group, std::size_t noisy) {
  codec::CodedValues way(boundary_[tensor], table);
  std::vector<std::int8_t> levels(way.elements());
  std::vector<float> silence(levels.size()), noise(levels.size()), values(levels.size());
  way.restore(levels, std::as_writable_bytes(std::span(silence)));
  std::minstd_rand random(1);
  double divergence = 0;
  const std::size_t pictures = std::min(kNoisyPictures, walker_.pictures());
  for (std::size_t i = 0; i < pictures; ++i) {
    const std::size_t picture = i * walker_.pictures() / pictures;
    for (std::size_t e = 0; e < levels.size(); ++e) {
      if (group[e % group.size()] == noisy) levels[e] = random() / 4 % 2 == 0 ? 1 : -1;
    }
    way.restore(levels, std::as_writable_bytes(std::span(noise)));
    std::vector<std::span<const std::byte>> carried = walker_.tensors(picture);
    std::memcpy(values.data(), carried[tensor].data(), 4 * values.size());
    for (std::size_t e = 0; e < values.size(); ++e) values[e] += noise[e] - silence[e];
    carried[tensor] = std::as_bytes(std::span(values));
    CLEAVE_ASSIGN_OR_RETURN(const JudgedAnswer answer, walker_.judge(picture, carried));
    divergence += answer.divergence;
  }
  return divergence;
}

}  // namespace cleave::importer
