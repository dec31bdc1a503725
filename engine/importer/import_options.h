// SPDX-License-Identifier: Apache-2.0
//
// What the user says about a model that its source file does not say, or says wrongly: name,
// preprocessing, labels, licence.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/importer/graph.h"
#include "schemas/status.h"

namespace cleave::importer {

struct ImportOptions {
  std::optional<std::string> name = {};
  // One number for all channels or one per channel, in u8 units (0..255) or in units of 0..1.
  std::vector<double> mean = {}, deviation = {};
  std::vector<double> mean01 = {}, deviation01 = {};
  std::optional<double> scale = {};       // value = (pixel - mean) * scale, instead of a deviation
  std::optional<std::string> color = {};  // rgb, bgr, gray
  std::optional<std::string> crop = {};   // none, center, center:FRACTION
  std::optional<std::string> labels_path = {};
  std::optional<std::string> licence = {};
};

// Writes the options into `graph`, over what its source says. Errors: kInvalidArgument naming the
// flag, kNotFound and kIo (labels file).
[[nodiscard]] Status apply_options(const ImportOptions& options, Graph& graph);

// True when neither the source nor the user said how pixels become inputs.
[[nodiscard]] bool preprocessing_unknown(const Graph& graph);

// Lines of a text file without line ends; one empty last line is dropped. At most 16 MiB.
[[nodiscard]] Result<std::vector<std::string>> read_labels(const std::string& path);

}  // namespace cleave::importer
