// SPDX-License-Identifier: Apache-2.0
//
// The FlatBuffer header of a model file from a lowered graph.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/importer/graph.h"
#include "engine/importer/importer.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave::importer {

// Where an op's weights are inside its segment.
struct SegmentLayout {
  std::uint64_t kernel_bytes = 0;
  std::uint64_t bias_offset = 0, bias_bytes = 0;
  [[nodiscard]] std::uint64_t bytes() const {
    return bias_bytes == 0 ? kernel_bytes : bias_offset + bias_bytes;
  }
};

// Whether the kernel goes into the file as f16.
bool stores_f16(const Node& node, Precision precision);

SegmentLayout layout_segment(const Node& node, Precision precision);

// One per node with weights, in the order of variants and nodes.
struct PlacedSegment {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  Sha256Digest sha256{};
};

// The header's bytes. Their number does not depend on the segments' offsets and hashes.
// REQUIRES: as build_model_file(). The same arguments give the same bytes.
std::vector<std::uint8_t> build_model_header(std::span<const VariantGraph> variants,
                                             std::span<const PlacedSegment> segments,
                                             const std::optional<SelfTestPicture>& self_test);

}  // namespace cleave::importer
