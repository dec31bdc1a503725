// SPDX-License-Identifier: Apache-2.0
//
// The part of ModelBuilder that turns a draft into the bytes of a file.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "schemas/model_preamble.h"
#include "tests/support/model_builder.h"

namespace cleave::test {
namespace {

Sha256Digest hash(std::span<const std::byte> bytes) {
  const Result<Sha256Digest> digest = sha256(bytes);
  if (!digest.is_ok()) throw std::logic_error(digest.status().message());
  return *digest;
}

std::vector<fbs::Segment> place(const std::vector<std::vector<std::byte>>& segments,
                                std::uint64_t header_bytes) {
  std::vector<fbs::Segment> placed;
  std::uint64_t end = kModelPreambleBytes + header_bytes;
  for (const std::vector<std::byte>& segment : segments) {
    const std::uint64_t offset = next_segment_offset(end);
    const Sha256Digest digest = hash(segment);
    placed.emplace_back(offset, segment.size(), flatbuffers::make_span(digest));
    end = offset + segment.size();
  }
  return placed;
}

}  // namespace

void ModelBuilder::set_name(std::string name) { draft_.name = std::move(name); }

void ModelBuilder::set_labels(std::vector<std::string> labels) {
  draft_.labels = std::move(labels);
}

void ModelBuilder::set_preprocessing(fbs::ColorOrder order, std::vector<float> mean,
                                     std::vector<float> deviation) {
  draft_.preprocessing->color_order = order;
  draft_.preprocessing->mean = std::move(mean);
  draft_.preprocessing->deviation = std::move(deviation);
}

void ModelBuilder::set_layers(const std::vector<LayerSpec>& layers) {
  own_layers_ = true;
  draft_.layers.clear();
  variant().layer_end_ops.clear();
  for (const LayerSpec& spec : layers) {
    auto layer = std::make_unique<fbs::LayerT>();
    layer->name = spec.name;
    layer->kind = spec.kind;
    draft_.layers.push_back(std::move(layer));
    variant().layer_end_ops.push_back(spec.end_op);
  }
}

std::vector<std::byte> ModelBuilder::build(const std::function<void(fbs::ModelT&)>& spoil) {
  if (!own_layers_ && draft_.layers.empty()) {
    std::vector<LayerSpec> layers;
    for (std::uint32_t i = 0; i < variant().ops.size(); ++i) {
      layers.push_back(
          {"layer" + std::to_string(i + 1), fbs::EnumNameOpOptions(op(i).options.type), i + 1});
    }
    set_layers(layers);
  }
  // Segments are fixed-size structs: placing them does not change the header's length.
  draft_.segments.assign(segments_.size(), fbs::Segment());
  draft_.segments = place(segments_, pack_header(draft_).size());
  if (!spoil) return assemble_file(pack_header(draft_), segments_);
  fbs::ModelT spoiled = draft_;
  spoil(spoiled);
  return assemble_file(pack_header(spoiled), segments_);
}

std::vector<std::byte> pack_header(const fbs::ModelT& model) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishModelBuffer(builder, fbs::CreateModel(builder, &model));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> assemble_file(const std::vector<std::byte>& header,
                                     const std::vector<std::vector<std::byte>>& segments) {
  std::vector<std::byte> file(kModelPreambleBytes + header.size());
  std::ranges::copy(header, file.begin() + kModelPreambleBytes);
  for (const std::vector<std::byte>& segment : segments) {
    file.resize(next_segment_offset(file.size()));
    file.insert(file.end(), segment.begin(), segment.end());
  }
  reseal(file, header.size());
  return file;
}

void reseal(std::vector<std::byte>& file, std::uint64_t header_bytes) {
  const auto header = std::span(file).subspan(kModelPreambleBytes, header_bytes);
  const auto preamble = encode_model_preamble({.committed = true,
                                               .header_bytes = header_bytes,
                                               .file_bytes = file.size(),
                                               .header_sha256 = hash(header)});
  std::ranges::copy(preamble, file.begin());
}

std::uint64_t header_bytes_of(const std::vector<std::byte>& file) {
  const auto preamble = decode_model_preamble(std::span(file).first<kModelPreambleBytes>());
  if (!preamble.is_ok()) throw std::logic_error(preamble.status().message());
  return preamble->header_bytes;
}

}  // namespace cleave::test
