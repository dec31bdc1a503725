// SPDX-License-Identifier: Apache-2.0
//
// A network of the zoo in every precision, for tests of memory. Scales of int8 are made up: which
// values come out does not change what they take.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/importer/importer.h"
#include "engine/importer/quantize.h"
#include "engine/preference.h"

namespace cleave::importer {

struct ZooForm {
  const char* name;  // of the variant
  Precision precision;
  Preference preference;
};

// f16 with a preference for memory differs from these in nothing that f32 does not show.
inline constexpr ZooForm kZooForms[] = {{"f32", Precision::kF32, Preference::kSpeed},
                                        {"f32", Precision::kF32, Preference::kMemory},
                                        {"f16", Precision::kF16, Preference::kSpeed},
                                        {"int8", Precision::kInt8, Preference::kSpeed},
                                        {"int8", Precision::kInt8, Preference::kMemory}};

class ZooNetwork {
 public:
  explicit ZooNetwork(const std::string& name) {
    auto graph = make_zoo_model(name, {});
    REQUIRE(graph.is_ok());
    REQUIRE(compile(*graph).is_ok());
    graph_ = std::move(*graph);
  }

  // Refers to this.
  VariantGraph variant(const ZooForm& form) {
    if (form.precision == Precision::kInt8 && !int8_) {
      const std::size_t values = graph_.values.size();
      const Calibration guessed{
          .ranges = std::vector<ValueRange>(values, {.minimum = -6, .maximum = 6}),
          .channels = std::vector<std::vector<ChannelRange>>(values)};
      auto quantized = quantize(graph_, guessed, ScaleSource::kRangesOnly);
      REQUIRE_MESSAGE(quantized.is_ok(), quantized.status().message());
      int8_ = std::move(*quantized);
    }
    const Graph& graph = form.precision == Precision::kInt8 ? *int8_ : graph_;
    return {.name = form.name, .precision = form.precision, .graph = &graph};
  }

 private:
  Graph graph_;
  std::optional<Graph> int8_;
};

}  // namespace cleave::importer
