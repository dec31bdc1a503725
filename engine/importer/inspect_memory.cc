// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/inspect_memory.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace cleave::importer {
namespace {

constexpr std::size_t kBarColumns = 40;
constexpr std::size_t kLineColumns = 100;

char letter_of(const ArenaPlacement& placement, OpIndex op, const OpReport& report) {
  if (!placement.tensor) return 'w';
  if (*placement.tensor == report.output) return 'o';
  const bool reads = std::ranges::find(report.inputs, *placement.tensor) != report.inputs.end();
  return reads && placement.lives_in(op) ? 'i' : '=';
}

// What is small keeps one column; where two share a column, the later one in the arena shows.
std::string bar(const ArenaMap& map, OpIndex op, const OpReport& report) {
  std::string text(kBarColumns, '.');
  for (const ArenaPlacement& placement : map.placements) {
    if (!placement.lives_in(op)) continue;
    const auto begin = static_cast<std::size_t>(placement.offset * kBarColumns / map.bytes);
    const auto end =
        static_cast<std::size_t>((placement.offset + placement.bytes) * kBarColumns / map.bytes);
    const std::size_t first = std::min(begin, kBarColumns - 1);
    const std::size_t count = std::max<std::size_t>(end - begin, 1);
    std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(first),
                std::min(count, kBarColumns - first), letter_of(placement, op, report));
  }
  return text;
}

// "3,7>8 w": tensors that live beside the output, the output, workspace.
std::string contents(const ArenaMap& map, OpIndex op, const OpReport& report) {
  std::string kept, output, workspace;
  for (const ArenaPlacement& placement : map.placements) {
    if (!placement.lives_in(op)) continue;
    if (!placement.tensor) {
      workspace = " w";
    } else if (*placement.tensor == report.output) {
      output = ">" + std::to_string(report.output);
    } else {
      kept += (kept.empty() ? "" : ",") + std::to_string(*placement.tensor);
    }
  }
  return kept + output + workspace;
}

std::string line(const VariantReport& variant, const ArenaMap& map, OpIndex op) {
  const OpReport& report = variant.ops[op];
  std::array<char, 64> start{};
  std::snprintf(start.data(), start.size(), "%4u  %-17.17s %11llu ", op, report.kind.c_str(),
                static_cast<unsigned long long>(live_bytes(map, op)));
  std::string text = start.data() + bar(map, op, report) +
                     (is_high_water(map, op) ? " ^ " : "   ") + contents(map, op, report);
  if (text.size() > kLineColumns) text = text.substr(0, kLineColumns - 3) + "...";
  text.erase(text.find_last_not_of(' ') + 1);
  return text + '\n';
}

std::string variant_memory(const VariantReport& variant) {
  const ArenaMap& map = *variant.arena;
  if (map.range.empty()) return "arena           " + variant.name + ": no ops, no memory\n";
  std::string text =
      "arena           " + variant.name + ": " + std::to_string(map.bytes) + " bytes for ops " +
      std::to_string(map.range.first) + ".." + std::to_string(map.range.last - 1) +
      ", one picture, one thread\n" +
      "The bar is the arena while the op runs. i: it reads, o: it writes, =: kept "
      "for later ops,\nw: workspace, ^: reaches the high-water mark; o hides an i that it is "
      "written over.\nWhat crosses the cut behind has buffers of its own.\n";
  std::array<char, 128> heading{};
  std::snprintf(heading.data(), heading.size(), "%4s  %-17s %11s %-40s   %s\n", "op", "kind",
                "live bytes", "arena", "tensors");
  text += heading.data();
  for (OpIndex op = map.range.first; op < map.range.last; ++op) text += line(variant, map, op);
  return text;
}

}  // namespace

std::string memory_text(const ModelReport& report) {
  std::string text = "name            " + report.name + "\n";
  for (const VariantReport& variant : report.variants) text += variant_memory(variant);
  return text;
}

nlohmann::ordered_json memory_json(const VariantReport& variant) {
  using nlohmann::ordered_json;
  const ArenaMap& map = *variant.arena;
  ordered_json json = {{"first_op", map.range.first},
                       {"end_op", map.range.last},
                       {"arena_bytes", map.bytes},
                       {"ops", ordered_json::array()},
                       {"placements", ordered_json::array()}};
  for (OpIndex op = map.range.first; op < map.range.last; ++op) {
    json["ops"].push_back({{"index", op},
                           {"name", variant.ops[op].name},
                           {"live_bytes", live_bytes(map, op)},
                           {"high_water", is_high_water(map, op)}});
  }
  for (const ArenaPlacement& placement : map.placements) {
    json["placements"].push_back(
        {{"kind", placement.tensor ? "tensor" : "workspace"},
         {"tensor", placement.tensor ? ordered_json(*placement.tensor) : ordered_json(nullptr)},
         {"offset", placement.offset},
         {"bytes", placement.bytes},
         {"first_op", placement.first_op},
         {"last_op", placement.last_op}});
  }
  return json;
}

}  // namespace cleave::importer
