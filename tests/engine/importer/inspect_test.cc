// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/inspect.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/importer/importer.h"
#include "engine/importer/inspect_memory.h"
#include "tests/support/graph_builder.h"

using namespace cleave::importer;
using cleave::ModelFile;
using cleave::test::GraphBuilder;

namespace {

ModelReport report_of(Graph g, const InspectOptions& options = {}) {
  REQUIRE(compile(g).is_ok());
  const auto bytes = build_model_file(g);
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  const auto file = ModelFile::from_bytes(*bytes);
  REQUIRE(file.is_ok());
  auto report = inspect_model(**file, options);
  REQUIRE_MESSAGE(report.is_ok(), report.status().message());
  return std::move(*report);
}

ModelReport mobilenet() { return report_of(*make_zoo_model("mobilenet_v2", {})); }

// 8x8x3 -> conv 3x3 of 4 -> ReLU -> pool 2 -> linear of 5
ModelReport small() {
  GraphBuilder b({8, 8, 3});
  const ValueId v = b.pool(NodeKind::kMaxPool2D, b.relu(b.conv2d(b.input(), 4, 3, 1)), 2, 2);
  return report_of(b.finish(b.fully_connected(v, 5)));
}

}  // namespace

TEST_CASE("ops: shapes, multiply-adds and weight bytes worked out by hand") {
  const VariantReport v = small().variants.at(0);
  REQUIRE(v.ops.size() == 3);
  CHECK(v.ops[0].kind == "Conv2D");
  CHECK(v.ops[0].multiply_adds == 8 * 8 * 4 * 3 * 3 * 3);
  CHECK(v.ops[0].weight_bytes == 4 * (4 * 27 + 4));
  CHECK(v.ops[1].kind == "MaxPool2D");
  CHECK(v.ops[1].multiply_adds == 0);
  CHECK(v.ops[2].multiply_adds == 5 * 4 * 4 * 4);
  CHECK(v.multiply_adds == v.ops[0].multiply_adds + v.ops[2].multiply_adds);
  CHECK(v.weight_bytes == v.ops[0].weight_bytes + v.ops[2].weight_bytes);
}

TEST_CASE("cuts: what crosses, what the head costs, which splits they are") {
  const VariantReport v = small().variants.at(0);
  REQUIRE(v.cuts.size() == 4);
  const std::vector<std::uint64_t> bytes = {8 * 8 * 3 * 4, 8 * 8 * 4 * 4, 4 * 4 * 4 * 4, 5 * 4};
  for (std::size_t c = 0; c < v.cuts.size(); ++c) {
    CHECK(v.cuts[c].cut.boundary_bytes == bytes[c]);
    CHECK(v.cuts[c].is_split);
  }
  CHECK(v.cuts[0].head_weight_bytes == 0);
  CHECK(v.cuts[2].head_weight_bytes == v.ops[0].weight_bytes);
  CHECK(v.cuts[3].head_multiply_adds == v.multiply_adds);
  CHECK(v.cuts[0].layers_on_device == 0);
  CHECK(v.cuts[1].layers_on_device == 2);  // convolution and its ReLU
  CHECK(v.cuts[3].layers_on_device == 4);
}

TEST_CASE("layers hold the ops that end with them; a fused one is empty") {
  const VariantReport v = small().variants.at(0);
  REQUIRE(v.layers.size() == 4);
  CHECK(v.layers[0].ops == cleave::OpRange{0, 1});
  CHECK(v.layers[1].ops.empty());
  CHECK(v.layers[3].ops == cleave::OpRange{2, 3});
  CHECK(v.layers[0].multiply_adds == v.ops[0].multiply_adds);
}

TEST_CASE("a skip connection crosses too: inside a block two tensors are at the boundary") {
  const VariantReport v = mobilenet().variants.at(0);
  const auto add =
      std::find_if(v.ops.begin(), v.ops.end(), [](const OpReport& op) { return op.kind == "Add"; });
  REQUIRE(add != v.ops.end());
  const auto before_add = static_cast<std::size_t>(add - v.ops.begin());
  CHECK(v.cuts[before_add].cut.boundary_tensors.size() == 2);
  CHECK(v.cuts[before_add + 1].cut.boundary_tensors.size() == 1);
  CHECK_FALSE(v.cuts[before_add].is_split);
}

TEST_CASE("MobileNetV2: 21 layers, 0.30 G multiply-adds, arena at least its two largest tensors") {
  const ModelReport report = mobilenet();
  const VariantReport& v = report.variants.at(0);
  CHECK(v.layers.size() == 21);
  CHECK(v.multiply_adds == 300'774'272);
  std::uint64_t layer_sum = 0;
  for (const LayerReport& layer : v.layers) layer_sum += layer.multiply_adds;
  CHECK(layer_sum == v.multiply_adds);
  // The expansion of block 2 and its input: 112 x 112 x (96 + 16), f32.
  CHECK(v.arena_bytes >= 112 * 112 * (96 + 16) * 4);
  CHECK(v.arena_bytes < 2 * 112 * 112 * (96 + 16) * 4);
  for (std::size_t c = 2; c < v.cuts.size(); ++c) {
    CHECK(v.cuts[c].head_weight_bytes >= v.cuts[c - 1].head_weight_bytes);
  }
}

TEST_CASE("JSON holds every op, layer and cut with the same figures") {
  const ModelReport report = mobilenet();
  const auto json = nlohmann::json::parse(report_json(report));
  CHECK(json["identity"] == report.identity);
  CHECK(json["preprocessing"]["mean"][0] == doctest::Approx(123.675));
  const auto& v = json["variants"][0];
  CHECK(v["layers"].size() == 21);
  CHECK(v["ops"].size() == report.variants[0].ops.size());
  CHECK(v["cuts"].size() == report.variants[0].ops.size() + 1);
  CHECK(v["multiply_adds"] == report.variants[0].multiply_adds);
  CHECK(v["cuts"][0]["boundary_bytes"] == 224 * 224 * 3 * 4);
  CHECK(v["input_shape"] == nlohmann::json({224, 224, 3}));
}

TEST_CASE("text has a line for the input, each layer and each op") {
  const std::string text = report_text(small());
  CHECK(std::count(text.begin(), text.end(), '\n') >= 1 + 4 + 3);
  for (const char* part : {"(input)", "Conv2D", "MaxPool2D", "8x8x4", "identity", "768 B"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) CHECK_FALSE(line.ends_with(' '));
}

TEST_CASE("--memory: a line an op within 100 columns, with what is read, written and kept") {
  const ModelReport report = report_of(*make_zoo_model("mobilenet_v2", {}), {.memory_of = "all"});
  std::istringstream lines(memory_text(report));
  std::size_t ops = 0, high = 0;
  bool skip = false;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 100);
    if (line.size() < 78 || line[0] != ' ' || line.substr(0, 4) == "  op") continue;
    const std::string bar = line.substr(36, 40);
    CHECK(bar.find_first_not_of("io=w.") == std::string::npos);
    CHECK(bar.find_first_of("io") != std::string::npos);
    ++ops;
    high += line[77] == '^' ? 1 : 0;
    // Op 7 works inside a block: the skip connection's tensor 6 is kept beside it.
    if (line.substr(0, 4) == "   7") skip = line.find(" 6,7>8") != std::string::npos;
  }
  CHECK(ops == report.variants[0].ops.size());
  CHECK(high >= 1);
  CHECK(skip);
}

TEST_CASE("--memory --json: places worked out by hand, and the sum of those that live") {
  GraphBuilder b({8, 8, 3});
  const ValueId v = b.pool(NodeKind::kMaxPool2D, b.relu(b.conv2d(b.input(), 4, 3, 1)), 2, 2);
  const ModelReport report = report_of(b.finish(b.fully_connected(v, 5)), {.memory_of = "op:2"});
  const auto json = nlohmann::json::parse(report_json(report)).at("variants").at(0).at("memory");
  CHECK(json.at("first_op") == 0);
  CHECK(json.at("end_op") == 2);
  CHECK(json.at("arena_bytes") == report.variants[0].cuts[2].head_memory.arena_bytes);
  // Tensor 2 crosses the cut: it is the caller's.
  std::map<std::uint64_t, nlohmann::json> tensors;
  std::map<std::uint64_t, std::uint64_t> live;
  for (const auto& place : json.at("placements")) {
    const bool is_tensor = place.at("kind") == "tensor";
    CHECK(is_tensor == !place.at("tensor").is_null());
    if (is_tensor) tensors[place.at("tensor")] = place;
    for (std::uint64_t op = place.at("first_op"); op <= place.at("last_op"); ++op) {
      live[op] += place.at("bytes").get<std::uint64_t>();
    }
  }
  REQUIRE(tensors.size() == 2);
  constexpr std::uint64_t kSlack = 128;
  CHECK(tensors[0].at("bytes") == 8 * 8 * 3 * 4 + kSlack);
  CHECK(tensors[0].at("first_op") == 0);
  CHECK(tensors[0].at("last_op") == 0);
  CHECK(tensors[1].at("bytes") == 8 * 8 * 4 * 4 + kSlack);
  CHECK(tensors[1].at("last_op") == 1);
  for (const auto& op : json.at("ops")) CHECK(op.at("live_bytes") == live[op.at("index")]);
  CHECK(json.at("ops").size() == 2);
}

TEST_CASE("the memory of a head is weights, arena, boundary and what any run takes") {
  const VariantReport v = small().variants.at(0);
  CHECK(v.cuts[0].head_memory.total() == 0);
  CHECK(v.cuts[2].head_memory.weight_bytes == v.cuts[2].head_weight_bytes);
  CHECK(v.cuts[2].head_memory.total() ==
        v.cuts[2].head_weight_bytes + v.cuts[2].head_memory.arena_bytes +
            v.cuts[2].cut.boundary_bytes + cleave::kHeadOtherBytes + 2 * 2560 +
            (3 * 3 * 8 * 8 + 2 * 2 * 4 * 4) * sizeof(void*));
}
