// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/importer/importer.h"
#include "engine/importer/model_header.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"

namespace cleave::importer {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are stored as they are held");

std::vector<std::byte> segment_bytes(const Node& node) {
  const SegmentLayout layout = layout_segment(node);
  std::vector<std::byte> bytes(layout.bytes());
  std::memcpy(bytes.data(), node.kernel.data(), layout.kernel_bytes);
  if (layout.bias_bytes != 0) {
    std::memcpy(bytes.data() + layout.bias_offset, node.bias.data(), layout.bias_bytes);
  }
  return bytes;
}

Result<std::vector<PlacedSegment>> hash_segments(const Graph& graph) {
  std::vector<PlacedSegment> segments;
  for (const Node& node : graph.nodes) {
    if (node.kernel.empty()) continue;
    const std::vector<std::byte> bytes = segment_bytes(node);
    CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest digest, sha256(bytes));
    segments.push_back({0, bytes.size(), digest});
  }
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

std::vector<std::byte> assemble(const Graph& graph, const std::vector<std::uint8_t>& header,
                                const std::vector<PlacedSegment>& segments,
                                const ModelPreamble& preamble) {
  std::vector<std::byte> file(preamble.file_bytes);
  std::ranges::copy(encode_model_preamble(preamble), file.begin());
  std::memcpy(file.data() + kModelPreambleBytes, header.data(), header.size());
  auto segment = segments.begin();
  for (const Node& node : graph.nodes) {
    if (node.kernel.empty()) continue;
    std::ranges::copy(segment_bytes(node),
                      file.begin() + static_cast<std::ptrdiff_t>((segment++)->offset));
  }
  return file;
}

}  // namespace

Result<std::vector<std::byte>> build_model_file(const Graph& graph,
                                                const std::optional<SelfTestPicture>& self_test) {
  CLEAVE_RETURN_IF_ERROR(check_graph(graph));
  CLEAVE_ASSIGN_OR_RETURN(std::vector<PlacedSegment> segments, hash_segments(graph));
  // Offsets are fixed-size fields: a header without them is as long as the header with them.
  const std::size_t header_bytes = build_model_header(graph, segments, self_test).size();
  ModelPreamble preamble;
  preamble.file_bytes = place_segments(segments, header_bytes);
  const std::vector<std::uint8_t> header = build_model_header(graph, segments, self_test);
  CLEAVE_RETURN_IF_ERROR(check_header(header, preamble.file_bytes));
  preamble.header_bytes = header.size();
  CLEAVE_ASSIGN_OR_RETURN(preamble.header_sha256, sha256(std::as_bytes(std::span(header))));
  return assemble(graph, header, segments, preamble);
}

}  // namespace cleave::importer
