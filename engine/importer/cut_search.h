// SPDX-License-Identifier: Apache-2.0
//
// The search for codec Coded's tables at one cut: the form of the table and the coarsest step whose
// answers differ no more often than allowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "engine/importer/coded_directions.h"
#include "engine/importer/coded_statistics.h"
#include "engine/importer/cut_walker.h"
#include "schemas/status.h"

namespace cleave::importer {

// Of a normal distribution, three in four are below its mean and so many of its deviations.
inline constexpr double kUpperQuartile = 0.674;

// The share of other answers to expect of pictures like those judged.
struct ExpectedShare {
  double share = 0;
  double deviation = 0;  // its standard deviation, for having seen these photos and no others
  // What three in four sets of other photos keep to.
  [[nodiscard]] double with_margin() const { return share + kUpperQuartile * deviation; }
};

// As if the change of a picture's margin could happen to any other one of about that margin: few
// pictures tell it more exactly so than by their count. Pictures i, i + photos, .. are of one
// photo: they tell less than as many photos would. REQUIRES: `photos` divides how many answers
// there are.
[[nodiscard]] ExpectedShare expected_share(std::span<const JudgedAnswer> answers,
                                           std::size_t photos);

// A table, and what came of it with all pictures of a walker.
struct Trial {
  codec::CodedQuality quality;
  ExpectedShare expected;
  [[nodiscard]] std::uint32_t differing() const { return quality.figures.differing_pictures; }
};

// Whether `one` keeps to the disagreement, and `other` does not, or only with more bytes.
[[nodiscard]] bool is_better(const CodedFigures& one, const CodedFigures& other,
                             std::uint32_t disagreement_ppm);

// Works at the cut that its walker stands at. Used by one thread at a time.
class CutSearch {
 public:
  // Keeps both references; the walker goes nowhere meanwhile. Its pictures are of so many photos,
  // as expected_share() has them.
  CutSearch(CutWalker& walker, const codec::Boundary& boundary, std::size_t photos);

  // The table with the fewest bytes of those that keep to the disagreement, each with the coarsest
  // step that does: values as they are, and turned by blocks of 1, 2 or 4 positions a side where
  // that applies. Where none keeps to it, the one with the fewest other answers.
  [[nodiscard]] Result<codec::CodedQuality> find(std::uint32_t disagreement_ppm);

 private:
  // A transform of one tensor, with its steps in relation to each other.
  struct Turned {
    CodedDirections directions;
    std::vector<double> relative_steps;
  };
  // Of each tensor; none: its values as they are.
  struct Form {
    std::size_t side = 0;  // 0: no tensor is turned
    std::vector<std::optional<Turned>> tensors;
    std::map<int, Trial> known;  // by step
  };
  struct Allowed {
    double count = 0;  // of the walker's pictures
    double share = 0;  // to expect, with its margin
  };

  // Without figures.
  [[nodiscard]] codec::CodedQuality tables(const Form& form, int step) const;
  // What it gives belongs to `form`.
  [[nodiscard]] Result<const Trial*> trial(Form& form, int step);
  [[nodiscard]] Result<bool> keeps(Form& form, const Allowed& allowed, int step);
  // Between finest and coarsest, by halving; finest - 1: none does.
  [[nodiscard]] Result<int> coarsest_step(Form& form, const Allowed& allowed, int finest,
                                          int coarsest);
  [[nodiscard]] Result<int> plain_step(const Allowed& allowed);
  [[nodiscard]] Result<int> clipping_step(const Allowed& allowed);

  // Makes the turned forms once the plain one's step is known.
  [[nodiscard]] Status add_turned_forms(int plain_step);
  [[nodiscard]] bool may_turn(std::size_t tensor, std::size_t side) const;
  [[nodiscard]] Result<Turned> turn(std::size_t tensor, std::size_t side, double step);
  // How much the answers diverge by noise in each group of what a block comes to, `group` being the
  // number of each; geometrically on the mean 1.
  [[nodiscard]] Result<std::vector<double>> sensitivities(std::size_t tensor,
                                                          const CodedDirections& directions,
                                                          std::size_t side, double step,
                                                          std::span<const std::size_t> group);
  // By noise of one step of `table` in the group `noisy`: the sum over some pictures.
  [[nodiscard]] Result<double> divergence_by(std::size_t tensor,
                                             const codec::CodedTensorTable& table,
                                             std::span<const std::size_t> group, std::size_t noisy);

  CutWalker& walker_;
  const codec::Boundary& boundary_;
  std::size_t photos_;
  std::vector<std::vector<std::span<const std::byte>>> samples_;  // of each tensor
  std::vector<ValueScale> scales_;
  int finest_ = 0;  // without clipping
  int coarsest_ = 0;
  Form plain_;
  std::optional<std::vector<Form>> turned_;
};

}  // namespace cleave::importer
