// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/importer/importer.h"
#include "engine/importer/model_header.h"
#include "engine/kernels/half.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"

namespace cleave::importer {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are stored as they are held");

template <typename Element>
void put(const std::vector<Element>& values, std::byte* place) {
  if (!values.empty()) std::memcpy(place, values.data(), values.size() * sizeof(Element));
}

std::vector<std::byte> segment_bytes(const Node& node, Precision precision) {
  const SegmentLayout layout = layout_segment(node, precision);
  std::vector<std::byte> bytes(layout.bytes());
  if (stores_f16(node, precision)) {
    std::vector<std::uint16_t> halves(node.kernel.size());
    std::ranges::transform(node.kernel, halves.begin(), kernels::float_to_half);
    put(halves, bytes.data());
  } else {
    put(node.kernel, bytes.data());
  }
  put(node.int8_kernel, bytes.data());
  put(node.bias, bytes.data() + layout.bias_offset);
  put(node.int32_bias, bytes.data() + layout.bias_offset);
  return bytes;
}

// Calls visit(node, precision) for what has a segment, in the order of segments.
template <typename Visit>
Status for_each_segment(std::span<const VariantGraph> variants, const Visit& visit) {
  for (const VariantGraph& variant : variants) {
    for (const Node& node : variant.graph->nodes) {
      if (node.has_weights()) CLEAVE_RETURN_IF_ERROR(visit(node, variant.precision));
    }
  }
  return Status::ok();
}

Result<std::vector<PlacedSegment>> hash_segments(std::span<const VariantGraph> variants) {
  std::vector<PlacedSegment> segments;
  CLEAVE_RETURN_IF_ERROR(for_each_segment(variants, [&](const Node& node, Precision precision) {
    const std::vector<std::byte> bytes = segment_bytes(node, precision);
    CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest digest, sha256(bytes));
    segments.push_back({0, bytes.size(), digest});
    return Status::ok();
  }));
  return segments;
}

// Returns the length of the file.
std::uint64_t place_segments(std::vector<PlacedSegment>& segments, std::uint64_t header_bytes) {
  std::uint64_t end = kModelPreambleBytes + header_bytes;
  for (PlacedSegment& segment : segments) {
    segment.offset = next_segment_offset(end);
    end = segment.offset + segment.bytes;
  }
  return end;
}

Status check_graph(const Graph& graph) {
  if (graph.nodes.empty() || graph.layers.empty()) {
    return {StatusCode::kInternal, "the graph has no ops or no layers: import steps are missing"};
  }
  const Hwc& scores = graph.values[graph.output].shape;
  const std::uint64_t outputs = std::uint64_t{scores.height} * scores.width * scores.channels;
  if (!graph.labels.empty() && graph.labels.size() != outputs) {
    return {StatusCode::kInvalidArgument, std::to_string(graph.labels.size()) +
                                              " labels for a network with " +
                                              std::to_string(outputs) + " outputs"};
  }
  return Status::ok();
}

// What is written must be what the reader accepts; a vector's storage is aligned enough for it.
Status check_header(const std::vector<std::uint8_t>& header, std::uint64_t file_bytes) {
  if (header.size() > kMaxModelHeaderBytes) {
    return {StatusCode::kResourceExhausted, "the network's description is over 64 MiB"};
  }
  return check_model_header(std::as_bytes(std::span(header)), file_bytes).status();
}

Result<std::vector<std::byte>> assemble(std::span<const VariantGraph> variants,
                                        const std::vector<std::uint8_t>& header,
                                        const std::vector<PlacedSegment>& segments,
                                        const ModelPreamble& preamble) {
  std::vector<std::byte> file(preamble.file_bytes);
  std::ranges::copy(encode_model_preamble(preamble), file.begin());
  std::memcpy(file.data() + kModelPreambleBytes, header.data(), header.size());
  auto segment = segments.begin();
  CLEAVE_RETURN_IF_ERROR(for_each_segment(variants, [&](const Node& node, Precision precision) {
    std::ranges::copy(segment_bytes(node, precision),
                      file.begin() + static_cast<std::ptrdiff_t>((segment++)->offset));
    return Status::ok();
  }));
  return file;
}

}  // namespace

Result<std::vector<std::byte>> build_model_file(std::span<const VariantGraph> variants,
                                                const std::optional<SelfTestPicture>& self_test) {
  for (const VariantGraph& variant : variants) CLEAVE_RETURN_IF_ERROR(check_graph(*variant.graph));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<PlacedSegment> segments, hash_segments(variants));
  // Offsets are fixed-size fields: a header without them is as long as the header with them.
  const std::size_t header_bytes = build_model_header(variants, segments, self_test).size();
  ModelPreamble preamble;
  preamble.file_bytes = place_segments(segments, header_bytes);
  const std::vector<std::uint8_t> header = build_model_header(variants, segments, self_test);
  CLEAVE_RETURN_IF_ERROR(check_header(header, preamble.file_bytes));
  preamble.header_bytes = header.size();
  CLEAVE_ASSIGN_OR_RETURN(preamble.header_sha256, sha256(std::as_bytes(std::span(header))));
  return assemble(variants, header, segments, preamble);
}

Result<std::vector<std::byte>> build_model_file(const Graph& graph,
                                                const std::optional<SelfTestPicture>& self_test) {
  const VariantGraph variant{.name = "f32", .precision = Precision::kF32, .graph = &graph};
  return build_model_file(std::span(&variant, 1), self_test);
}

}  // namespace cleave::importer
