// SPDX-License-Identifier: Apache-2.0
//
// The planned arenas of three networks in each precision, whole and of some heads, and of runs that
// prefer memory, against tests/golden/arenas.txt: none grows, or shrinks, by more than 3 %
// unnoticed. Workspaces depend on the kernels, so the table has figures for each set of kernels;
// for a set that is not in it the test says so and passes.
//
// To accept new figures: CLEAVE_ACCEPT_ARENAS=1 ctest -R arena_golden   (then commit the table)
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "engine/cuts.h"
#include "engine/executor.h"
#include "engine/head_memory.h"
#include "engine/importer/model_header.h"
#include "tests/engine/importer/zoo_forms.h"

namespace cleave::importer {
namespace {

constexpr const char* kTable = "tests/golden/arenas.txt";
constexpr const char* kHow = "CLEAVE_ACCEPT_ARENAS=1 ctest -R arena_golden accepts new figures";

struct Key {
  std::string kernels, network, part;
  friend auto operator<=>(const Key&, const Key&) = default;
};
using Table = std::map<Key, std::uint64_t>;

// Lines of `kernels|network|part|bytes`; '#' begins a comment.
Table read_table() {
  std::ifstream file(kTable);
  REQUIRE(file.good());
  Table table;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    Key key;
    std::string bytes;
    std::getline(fields, key.kernels, '|');
    std::getline(fields, key.network, '|');
    std::getline(fields, key.part, '|');
    std::getline(fields, bytes);
    table[key] = std::stoull(bytes);
  }
  return table;
}

void write_table(const Table& table) {
  std::ofstream file(kTable);
  file << "# Bytes of planned arenas, one picture, one thread (importer_arena_golden).\n"
          "# kernels|network|part|bytes\n";
  for (const auto& [key, bytes] : table) {
    file << key.kernels << '|' << key.network << '|' << key.part << '|' << bytes << '\n';
  }
  REQUIRE(file.good());
}

// Planning looks at shapes alone: no weights are written.
std::vector<std::uint8_t> header_of(const VariantGraph& variant) {
  std::vector<PlacedSegment> segments;
  for (const Node& node : variant.graph->nodes) {
    if (!node.has_weights()) continue;
    segments.push_back({0, layout_segment(node, variant.precision).bytes(), {}});
  }
  return build_model_header(std::span(&variant, 1), segments, std::nullopt);
}

// "vgg16", "vgg16 f16", "vgg16 f32 preferring memory".
std::string name_of(const std::string& network, const ZooForm& form) {
  const bool memory = form.preference == Preference::kMemory;
  if (form.precision == Precision::kF32 && !memory) return network;
  return network + " " + form.name + (memory ? " preferring memory" : "");
}

// The head of every fourth split and of the whole network, and the largest tail.
Table plan(const fbs::Model& model, const std::string& network, Preference preference) {
  const fbs::Variant& variant = *model.variants()->Get(0);
  std::vector<OpIndex> boundaries;
  const std::vector<Split> splits = list_splits(model, 0);
  for (const Split& split : splits) boundaries.push_back(split.op_boundary);
  const auto arenas = plan_cut_arenas(variant, boundaries, 1, preference);
  REQUIRE_MESSAGE(arenas.is_ok(), arenas.status().message());
  Table table;
  for (std::size_t i = 1; i < splits.size(); i += i + 4 < splits.size() ? 4 : 1) {
    const std::string part = "head " + std::to_string(splits[i].layers_on_device);
    table[{kernel_set_name(), network, part}] = (*arenas)[i].head_bytes;
  }
  table[{kernel_set_name(), network, "tail 0"}] = (*arenas)[0].tail_bytes;
  return table;
}

// The head of VGG-16 up to layer 17 on a small device, with what the agent's process and a small
// picture take besides: under 8 MB, as integration_peak_rss sees it.
void check_promise(const fbs::Model& model, const ZooForm& form) {
  constexpr std::uint64_t kProcessBytes = 8'000'000;
  const bool int8 = form.precision == Precision::kInt8;
  const std::uint64_t most = int8 ? 25'000'000 : 60'000'000;
  // Winograd's weights take eight times the int8 kernels: what is promised of them is to be had.
  if (int8 && form.preference == Preference::kSpeed) return;
  const auto split = parse_split(model, 0, "17");
  REQUIRE(split.is_ok());
  const OpIndex boundary[] = {split->op_boundary};
  const auto head = plan_head_memory(model, 0, boundary, form.preference);
  REQUIRE(head.is_ok());
  const std::uint64_t bytes = (*head)[0].total() + kProcessBytes;
  std::printf("VGG-16 to layer 17, %s, preferring %s: %llu bytes\n", form.name,
              preference_name(form.preference), static_cast<unsigned long long>(bytes));
  CHECK(bytes <= most);
}

void check_row(const Key& key, std::uint64_t found, std::uint64_t golden) {
  const std::string what = key.network + ", " + key.part + ": " + std::to_string(found) +
                           " bytes, " + std::to_string(golden) + " in the table. " + kHow;
  CHECK_MESSAGE(found <= golden + golden * 3 / 100, "more memory than before: ", what);
  CHECK_MESSAGE(found >= golden - golden * 3 / 100, "less memory than before, well done: ", what);
}

}  // namespace

TEST_CASE("planned arenas are those of the golden table, within 3 %") {
  const bool accept = std::getenv("CLEAVE_ACCEPT_ARENAS") != nullptr;
  Table golden = read_table();
  const bool known = std::ranges::any_of(
      golden, [](const auto& row) { return row.first.kernels == kernel_set_name(); });
  if (!known && !accept) {
    std::printf("skipped: no figures for the kernels \"%s\". %s\n", kernel_set_name(), kHow);
    return;
  }
  if (accept) {
    std::erase_if(golden, [](const auto& row) { return row.first.kernels == kernel_set_name(); });
  }
  std::size_t rows = 0;
  for (const char* name : {"vgg16", "alexnet", "mobilenet_v2"}) {
    ZooNetwork network(name);
    for (const ZooForm& form : kZooForms) {
      const std::vector<std::uint8_t> header = header_of(network.variant(form));
      const fbs::Model& model = *fbs::GetModel(header.data());
      if (std::string(name) == "vgg16") check_promise(model, form);
      for (const auto& row : plan(model, name_of(name, form), form.preference)) {
        const auto& key = row.first;
        const auto bytes = row.second;
        if (accept) golden[key] = bytes;
        REQUIRE_MESSAGE(golden.contains(key), key.network, ", ", key.part, " is not there. ", kHow);
        check_row(key, bytes, golden[key]);
        ++rows;
      }
    }
  }
  CHECK(static_cast<std::ptrdiff_t>(rows) == std::ranges::count_if(golden, [](const auto& row) {
          return row.first.kernels == kernel_set_name();
        }));
  if (accept) write_table(golden);
}

}  // namespace cleave::importer
