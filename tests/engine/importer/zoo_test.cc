// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/importer/zoo.h"
#include "engine/importer/zoo_random.h"
#include "tests/support/graph_interpreter.h"

using namespace cleave::importer;
using cleave::StatusCode;
using cleave::test::interpret_all;
using cleave::test::parameter_count;
using cleave::test::seeded_values;

namespace {

Graph zoo(const std::string& name, const ZooOptions& options = {}) {
  auto graph = make_zoo_model(name, options);
  REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
  return std::move(*graph);
}

double rms(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += double{v} * v;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

TEST_CASE("the widths of MobileNetV2 have the parameter counts of timm's model table") {
  for (const auto& [factor, millions] : {std::pair{0.35, 1.68}, {0.5, 1.97}, {1.4, 6.11}}) {
    const double width = factor;  // clang 14 captures no binding
    CAPTURE(width);
    const Graph g = zoo("mobilenet_v2", {.width = width});
    CHECK(std::abs(static_cast<double>(parameter_count(g)) / 1e6 - millions) <= 0.005);
  }
}

TEST_CASE("channels scale to multiples of 8, never under 90 %") {
  CHECK(scaled_channels(32, 0.35) == 16);  // 8 would be 71 % of 11.2
  CHECK(scaled_channels(24, 0.75) == 24);  // 16 would be 89 % of 18
  CHECK(scaled_channels(320, 1.4) == 448);
  CHECK(scaled_channels(16, 0.1) == 8);
}

TEST_CASE("the same options give the same bits, another seed gives others") {
  const ZooOptions options{.input = 32, .width = 0.35, .classes = 10, .seed = 5};
  const Graph a = zoo("mobilenet_v2", options), b = zoo("mobilenet_v2", options);
  const Graph c = zoo("mobilenet_v2", {.input = 32, .width = 0.35, .classes = 10, .seed = 6});
  REQUIRE(a.nodes.size() == b.nodes.size());
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    CHECK(a.nodes[i].kernel == b.nodes[i].kernel);
    CHECK(a.nodes[i].bias == b.nodes[i].bias);
    if (!a.nodes[i].kernel.empty()) CHECK(a.nodes[i].kernel != c.nodes[i].kernel);
  }
}

TEST_CASE("classes end where tensors and answers do") {
  CHECK(zoo("mobilenet_v1", {.input = 32, .width = 0.25, .classes = 65'536}).nodes.size() > 0);
  const auto more = make_zoo_model("mobilenet_v1", {.input = 32, .width = 0.25, .classes = 65'537});
  CHECK(more.status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("the number of classes changes the last layer only") {
  const Graph ten = zoo("mobilenet_v1", {.input = 32, .width = 0.25, .classes = 10});
  const Graph two = zoo("mobilenet_v1", {.input = 32, .width = 0.25, .classes = 2});
  for (std::size_t i = 0; i + 1 < ten.nodes.size(); ++i) {
    CHECK(ten.nodes[i].kernel == two.nodes[i].kernel);
  }
  CHECK(ten.nodes.back().kernel != two.nodes.back().kernel);
}

TEST_CASE("normal deviates have mean 0, variance 1 and light tails, and fixed first values") {
  SplitMix64 random(1);
  // SplitMix64 of seed 1, from its authors' published generator.
  CHECK(SplitMix64(1).next() == 0x910a2dec89025cc1u);
  double sum = 0, squares = 0, outside = 0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    if (std::abs(x) > 2) ++outside;
  }
  CHECK(std::abs(sum / kDraws) < 0.01);
  CHECK(std::abs(squares / kDraws - 1) < 0.01);
  CHECK(std::abs(outside / kDraws - 0.0455) < 0.005);
}

TEST_CASE("signals neither die nor grow over the depth of the batch-normed networks") {
  for (const char* name : {"mobilenet_v1", "mobilenet_v2"}) {
    CAPTURE(name);
    const Graph g = zoo(name, {.input = 64, .width = 0.5, .classes = 10});
    const auto data = interpret_all(g, seeded_values(64 * 64 * 3, 9));
    for (const Node& node : g.nodes) {
      CAPTURE(node.name);
      CHECK(rms(data[node.output]) > 0.02);
      CHECK(rms(data[node.output]) < 20);
    }
  }
}

TEST_CASE("options that do not fit are refused with the option's name") {
  const auto refused = [](const char* name, const ZooOptions& options, const char* flag) {
    const auto graph = make_zoo_model(name, options);
    return !graph.is_ok() && graph.status().code() == StatusCode::kInvalidArgument &&
           graph.status().message().find(flag) != std::string::npos;
  };
  CHECK(refused("mobilenet_v2", {.input = 225}, "--input"));
  CHECK(refused("mobilenet_v2", {.input = 4096}, "--input"));
  CHECK(refused("mobilenet_v2", {.width = 0.01}, "--width"));
  CHECK(refused("vgg16", {.width = 0.5}, "--width"));
  CHECK(refused("vgg11", {.input = 192}, "--input"));
  CHECK(refused("alexnet", {.input = 320}, "--input"));
  CHECK(refused("alexnet", {.classes = 0}, "--classes"));
  CHECK(make_zoo_model("resnet50", {}).status().code() == StatusCode::kNotFound);
}
