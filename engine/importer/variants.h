// SPDX-License-Identifier: Apache-2.0
//
// Which precisions go into a model file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/importer/importer.h"

namespace cleave::importer {

struct VariantOptions {
  bool f32 = true;
  bool f16 = false;
  bool int8 = false;
  std::optional<std::string> calibration_folder = {};  // of pictures, for int8
};

// The variants of a compiled graph, "f32", "f16", "int8" in this order. Owns the int8 graph, and
// refers to `graph`, which must live as long.
class Variants {
 public:
  // Errors: kInvalidArgument (none chosen; a folder without int8; int8 of a network that takes no
  // pictures), those of calibrate() and quantize().
  [[nodiscard]] static Result<Variants> make(const Graph& graph, const VariantOptions& options);

  [[nodiscard]] std::vector<VariantGraph> list() const;

 private:
  explicit Variants(const Graph& graph) : graph_(&graph) {}

  const Graph* graph_;
  VariantOptions options_;
  std::optional<Graph> int8_;
};

}  // namespace cleave::importer
