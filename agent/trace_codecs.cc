// SPDX-License-Identifier: Apache-2.0
#include "agent/trace_codecs.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/codec_option.h"
#include "agent/trace_fields.h"
#include "planner/planner.h"

namespace cleave::agent {
namespace {

using Json = TraceJson;

// False: no such entry, or not in order.
bool read_codec(const Json& json, std::vector<CodecsAtCut>& cuts) {
  constexpr std::size_t kName = 1, kFields = 7;
  if (!json.is_array() || json.size() != kFields || !json[kName].is_string()) return false;
  std::uint64_t numbers[kFields] = {};
  for (std::size_t i = 0; i < kFields; ++i) {
    if (i == kName) continue;
    if (!json[i].is_number_unsigned()) return false;
    numbers[i] = json[i].get<std::uint64_t>();
  }
  const auto choice = find_codec(json[kName].get<std::string>());
  if (!choice || numbers[0] > kMaxProfileOps || numbers[6] > UINT32_MAX) return false;
  if (!is_model_jpeg(*choice) && choice->quality > 0x0F) return false;
  const auto op = static_cast<OpIndex>(numbers[0]);
  if (cuts.empty() || cuts.back().op_boundary != op) {
    if (!cuts.empty() && cuts.back().op_boundary > op) return false;
    cuts.push_back({.op_boundary = op, .codecs = {}});
  }
  cuts.back().codecs.push_back({.choice = *choice,
                                .bytes = numbers[2],
                                .p95_bytes = numbers[3],
                                .ram_bytes = numbers[4],
                                .encode_ns = numbers[5],
                                .disagreement_ppm = static_cast<std::uint32_t>(numbers[6])});
  return true;
}

}  // namespace

TraceJson trace_codecs_json(const CutCodecs& codecs) {
  Json json = Json::array();
  for (const CodecsAtCut& cut : codecs.cuts()) {
    for (const CutCodec& codec : cut.codecs) {
      json.push_back({cut.op_boundary, codec_name(codec.choice), codec.bytes, codec.p95_bytes,
                      codec.ram_bytes, codec.encode_ns, codec.disagreement_ppm});
    }
  }
  return json;
}

CutCodecs read_trace_codecs(TraceFields& fields) {
  std::vector<CodecsAtCut> cuts;
  for (const Json& entry : fields.entries("codecs", planner::kMaxCandidates)) {
    fields.require(read_codec(entry, cuts));
  }
  return CutCodecs(std::move(cuts));
}

Result<CutCodecs> read_trace_codec_of_all(TraceFields& fields, const ModelFile& model,
                                          std::uint32_t variant) {
  if (!fields.has("codec")) return CutCodecs();
  const auto codec = find_codec(fields.text("codec"));
  fields.require(codec.has_value());
  if (!codec) return CutCodecs();
  return CutCodecs::of_one(model, variant, *codec);
}

}  // namespace cleave::agent
