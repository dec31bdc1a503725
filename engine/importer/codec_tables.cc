// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/codec_tables.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "schemas/generated/wire_generated.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"

namespace cleave::importer {
namespace {

constexpr auto kCoded = static_cast<std::uint8_t>(fbs::Codec::Coded);

void replace_tables(fbs::ModelT& model, const std::vector<CodedCutTable>& tables) {
  std::erase_if(model.codec_tables, [&](const std::unique_ptr<fbs::CodecTableT>& old) {
    return old->codec == kCoded && std::ranges::any_of(tables, [&](const CodedCutTable& table) {
             return table.variant == old->variant && table.cut == old->cut;
           });
  });
  for (const CodedCutTable& table : tables) {
    auto added = std::make_unique<fbs::CodecTableT>();
    added->variant = table.variant;
    added->cut = table.cut;
    added->codec = kCoded;
    added->data = table.data;
    added->disagreement_ppm = table.disagreement_ppm;
    model.codec_tables.push_back(std::move(added));
  }
}

// Gives the length of the file.
std::uint64_t place_segments(fbs::ModelT& model, std::uint64_t header_bytes) {
  std::uint64_t end = kModelPreambleBytes + header_bytes;
  for (fbs::Segment& segment : model.segments) {
    const flatbuffers::span<const std::uint8_t, 32> hash(segment.sha256()->data(), 32);
    segment = fbs::Segment(next_segment_offset(end), segment.bytes(), hash);
    end = segment.offset() + segment.bytes();
  }
  return end;
}

std::vector<std::uint8_t> pack(const fbs::ModelT& model) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishModelBuffer(builder, fbs::CreateModel(builder, &model));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

}  // namespace

Result<std::vector<std::byte>> with_coded_tables(const ModelFile& model,
                                                 const std::vector<CodedCutTable>& tables) {
  fbs::ModelT changed;
  model.header().UnPackTo(&changed);
  replace_tables(changed, tables);
  // Offsets are fixed-size fields: they do not change the header's length.
  ModelPreamble preamble;
  preamble.header_bytes = pack(changed).size();
  preamble.file_bytes = place_segments(changed, preamble.header_bytes);
  const std::vector<std::uint8_t> header = pack(changed);
  if (header.size() > kMaxModelHeaderBytes) {
    return Status(StatusCode::kResourceExhausted, "with these tables the header is over 64 MiB");
  }
  const auto header_bytes = std::as_bytes(std::span(header));
  CLEAVE_RETURN_IF_ERROR(check_model_header(header_bytes, preamble.file_bytes).status());
  CLEAVE_ASSIGN_OR_RETURN(preamble.header_sha256, sha256(header_bytes));
  std::vector<std::byte> file(preamble.file_bytes);
  std::ranges::copy(encode_model_preamble(preamble), file.begin());
  std::ranges::copy(header_bytes, file.begin() + kModelPreambleBytes);
  for (std::uint32_t i = 0; i < changed.segments.size(); ++i) {
    const auto offset = static_cast<std::ptrdiff_t>(changed.segments[i].offset());
    std::ranges::copy(model.segment(i), file.begin() + offset);
  }
  return file;
}

}  // namespace cleave::importer
