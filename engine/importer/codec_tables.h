// SPDX-License-Identifier: Apache-2.0
//
// A model file with other codec tables: everything else stays as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::importer {

// The table of codec Coded for one cut of a variant.
struct CodedCutTable {
  std::string variant;
  OpIndex cut = 0;
  std::vector<std::uint8_t> data;
  std::vector<std::uint32_t> disagreement_ppm;  // that was allowed, of each level; empty: not known
};

// The bytes of `model` with `tables` in the place of those of codec Coded that it has for the
// same cuts of the same variants. It is another model: its identity differs. The same arguments
// give the same bytes. REQUIRES: a whole model file. Errors: kResourceExhausted (a header over its
// cap), kCorrupt (what no reader would accept).
[[nodiscard]] Result<std::vector<std::byte>> with_coded_tables(
    const ModelFile& model, const std::vector<CodedCutTable>& tables);

}  // namespace cleave::importer
