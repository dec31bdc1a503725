// SPDX-License-Identifier: Apache-2.0
#include "engine/cuts.h"

#include <doctest/doctest.h>

#include "tests/engine/engine_harness.h"

namespace cleave::test {
namespace {

using Ids = std::vector<TensorId>;

// input(0) -> a(1) -> b(2) -> add(a, b) = c(3) -> d(4) -> concat(a, d) = e(5)
std::shared_ptr<const ModelFile> skip_model() {
  ModelBuilder builder({4, 4, 2});
  const Tensor a = builder.conv2d(builder.input(), 3, WindowSpec{});
  const Tensor b = builder.sigmoid(a);
  const Tensor c = builder.add(a, b);
  const Tensor d = builder.leaky_relu(c, 0.5F);
  builder.concat({a, d});
  return open_model(builder);
}

// Five ops in four layers; the second layer ends inside the op that ends the third.
std::shared_ptr<const ModelFile> layered_model() {
  ModelBuilder builder({8, 8, 3});
  auto x = builder.conv2d(builder.input(), 4, WindowSpec{});
  x = builder.sigmoid(x);
  x = builder.max_pool2d(x, WindowSpec{.window = 2, .stride = 2});
  x = builder.fully_connected(x, 6);
  builder.softmax(x);
  builder.set_layers({{"features.0", "conv", 1},
                      {"features.1", "batch norm", 3},
                      {"features.2", "relu", 3},
                      {"classifier", "linear", 5}});
  return open_model(builder);
}

Split parsed(const ModelFile& model, std::string_view text) {
  const auto split = parse_split(model.header(), 0, text);
  require_ok(split.status());
  return *split;
}

Status refused(const ModelFile& model, std::string_view text) {
  return parse_split(model.header(), 0, text).status();
}

}  // namespace

TEST_CASE("every tensor alive at a boundary crosses it, skip connections too") {
  const auto model = skip_model();
  const std::vector<Cut> cuts = find_cuts(model->header(), 0);
  REQUIRE(cuts.size() == 6);
  CHECK(cuts[0].boundary_tensors == Ids{0});
  CHECK(cuts[1].boundary_tensors == Ids{1});
  CHECK(cuts[2].boundary_tensors == Ids{1, 2});
  CHECK(cuts[3].boundary_tensors == Ids{1, 3});
  CHECK(cuts[4].boundary_tensors == Ids{1, 4});
  CHECK(cuts[5].boundary_tensors == Ids{5});
  for (OpIndex i = 0; i < cuts.size(); ++i) CHECK(cuts[i].op_boundary == i);
}

TEST_CASE("boundary bytes are those of all boundary tensors in f32") {
  const auto model = skip_model();
  const std::vector<Cut> cuts = find_cuts(model->header(), 0);
  CHECK(cuts[0].boundary_bytes == 4 * 4 * 2 * 4);
  CHECK(cuts[1].boundary_bytes == 4 * 4 * 3 * 4);
  CHECK(cuts[2].boundary_bytes == 2 * 4 * 4 * 3 * 4);
  CHECK(cuts[5].boundary_bytes == 4 * 4 * 6 * 4);
}

TEST_CASE("a split at a layer boundary inside a fused op is listed once, under its largest k") {
  const auto model = layered_model();
  const std::vector<Split> splits = list_splits(model->header(), 0);
  REQUIRE(splits.size() == 4);
  CHECK(splits[0].layers_on_device == 0);
  CHECK(splits[0].op_boundary == 0);
  CHECK(splits[1].layers_on_device == 1);
  CHECK(splits[1].op_boundary == 1);
  CHECK(splits[2].layers_on_device == 3);
  CHECK(splits[2].op_boundary == 3);
  CHECK(splits[3].layers_on_device == 4);
  CHECK(splits[3].op_boundary == 5);
}

TEST_CASE("a layer without ops at the start is the split k = 0") {
  ModelBuilder builder({4, 4, 2});
  builder.sigmoid(builder.input());
  builder.set_layers({{"identity", "identity", 0}, {"sigmoid", "sigmoid", 1}});
  const auto model = open_model(builder);
  const std::vector<Split> splits = list_splits(model->header(), 0);
  REQUIRE(splits.size() == 2);
  CHECK(splits[0].layers_on_device == 0);
  CHECK(splits[1].layers_on_device == 2);
}

TEST_CASE("a split is given as a number of layers, a layer's name, an op boundary, or all") {
  const auto model = layered_model();
  CHECK(parsed(*model, "0").op_boundary == 0);
  CHECK(parsed(*model, "2").op_boundary == 3);
  CHECK(parsed(*model, "2").layers_on_device == 2);
  CHECK(parsed(*model, "4").op_boundary == 5);
  CHECK(parsed(*model, "all").op_boundary == 5);
  CHECK(parsed(*model, "all").layers_on_device == 4);
  CHECK(parsed(*model, "features.0").op_boundary == 1);
  CHECK(parsed(*model, "classifier").layers_on_device == 4);
  CHECK(parsed(*model, "op:0").layers_on_device == 0);
  CHECK(parsed(*model, "op:2").op_boundary == 2);
  CHECK(parsed(*model, "op:2").layers_on_device == 1);
  CHECK(parsed(*model, "op:3").layers_on_device == 3);
  CHECK(parsed(*model, "op:5").layers_on_device == 4);
}

TEST_CASE("a split that does not exist is refused with what does") {
  const auto model = layered_model();
  CHECK(refused(*model, "5").code() == StatusCode::kOutOfRange);
  CHECK(refused(*model, "5").message().find("0 to 4") != std::string::npos);
  CHECK(refused(*model, "99999999999999999999999").code() == StatusCode::kOutOfRange);
  CHECK(refused(*model, "op:6").code() == StatusCode::kOutOfRange);
  CHECK(refused(*model, "op:6").message().find("op:5") != std::string::npos);
  CHECK(refused(*model, "op:").code() == StatusCode::kOutOfRange);
  CHECK(refused(*model, "op:-1").code() == StatusCode::kOutOfRange);
  CHECK(refused(*model, "op:1x").code() == StatusCode::kOutOfRange);
  const Status unknown = refused(*model, "clasifier");
  CHECK(unknown.code() == StatusCode::kNotFound);
  CHECK(unknown.message().find("nearest are: classifier") != std::string::npos);
  CHECK(refused(*model, "-1").code() == StatusCode::kNotFound);
  CHECK(refused(*model, "").code() == StatusCode::kNotFound);
  CHECK(refused(*model, "2 ").code() == StatusCode::kNotFound);
}

}  // namespace cleave::test
