// SPDX-License-Identifier: Apache-2.0
//
// The papers' studies, repeated: text and pictures, the same bytes on every machine.
#pragma once

#include <string>
#include <vector>

#include "schemas/status.h"
#include "tests/hil/network_table.h"

namespace cleave::study {

struct StudyFile {
  std::string name;  // "study_lmos.txt"
  std::string content;
};

// The networks of the LMOS study: the papers' four and MobileNetV2.
struct StudyNetworks {
  std::vector<NetworkTable> zoo;
  std::vector<NetworkTable> synthetic;
};
// Takes seconds, and for one of them 0.6 GB of memory. Errors: those of zoo_table().
[[nodiscard]] Result<StudyNetworks> make_study_networks();

// Sensitivity (Table 1, Figures 2 and 3), layers on the edge (Table 2), the policies (Table 3,
// Figure 7).
[[nodiscard]] std::vector<StudyFile> lmos_study(const StudyNetworks& networks);
// Part of it: the sweeps over the synthetic networks.
[[nodiscard]] std::string sensitivity_text(const std::vector<NetworkTable>& networks);
[[nodiscard]] std::vector<StudyFile> sensitivity_figures(const std::vector<NetworkTable>& networks);
// Part of it: Figure 7 and the Pareto fronts.
[[nodiscard]] std::vector<StudyFile> policy_figures(const std::vector<NetworkTable>& networks);

// Users per instance and monthly totals of the five mechanisms.
[[nodiscard]] std::vector<StudyFile> cost_study();

}  // namespace cleave::study
