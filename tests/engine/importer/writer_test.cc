// SPDX-License-Identifier: Apache-2.0
//
// What is written is what the reader gives back, bit for bit, and what the engine computes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/executor.h"
#include "engine/importer/importer.h"
#include "schemas/model_preamble.h"
#include "schemas/model_reader.h"
#include "tests/support/graph_builder.h"
#include "tests/support/temporary_folder.h"

using namespace cleave::importer;
using cleave::ModelFile;
using cleave::StatusCode;
using cleave::test::GraphBuilder;
using cleave::test::interpret;
using cleave::test::relative_error;
using cleave::test::seeded_values;
using cleave::test::TemporaryFolder;
namespace fbs = cleave::fbs;

namespace {

// Convolution, batch norm, ReLU, residual, pool, classifier: eight source nodes, five ops.
Graph small_network() {
  GraphBuilder b({8, 8, 3});
  const ValueId stem = b.relu(b.affine(b.conv2d(b.input(), 6, 3, 1)));
  const ValueId sum = b.node(NodeKind::kAdd, {b.depthwise(stem, 1, 3, 1), stem});
  const ValueId pooled = b.node(NodeKind::kGlobalAveragePool, {sum});
  Graph g = b.finish(b.fully_connected(b.marker(pooled, "Flatten"), 4));
  g.name = "small";
  g.licence = "CC0\nsecond line";
  g.preprocessing.mean = {1, 2, 3};
  g.preprocessing.deviation = {4, 5, 6};
  g.preprocessing.color_order = GraphPreprocessing::ColorOrder::kBgr;
  g.preprocessing.crop = GraphPreprocessing::Crop::kCenterSquare;
  g.preprocessing.crop_ppm = 875'000;
  g.labels = {"a", "b", "c", "d"};
  return g;
}

Graph compiled_graph(Graph g) {
  const cleave::Status status = compile(g);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return g;
}

std::vector<std::byte> built(const Graph& g) {
  auto bytes = build_model_file(g);
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  return std::move(*bytes);
}

std::shared_ptr<const ModelFile> opened(const std::vector<std::byte>& bytes) {
  auto file = ModelFile::from_bytes(bytes, {.verify_segments = true});
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  return *file;
}

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<float> run_in_engine(std::shared_ptr<const ModelFile> file,
                                 const std::vector<float>& input) {
  const cleave::OpIndex ops = file->header().variants()->Get(0)->ops()->size();
  auto weights = cleave::Weights::create(file, 0, {0, ops});
  REQUIRE_MESSAGE(weights.is_ok(), weights.status().message());
  auto executor = cleave::Executor::create(*weights, {});
  REQUIRE_MESSAGE(executor.is_ok(), executor.status().message());
  REQUIRE((*executor)->prepare({0, ops}, 1).is_ok());
  std::copy(input.begin(), input.end(), (*executor)->inputs()[0].f32().begin());
  REQUIRE((*executor)->run().is_ok());
  const cleave::BoundaryBuffer output = (*executor)->outputs()[0];
  return {output.f32().begin(), output.f32().end()};
}

std::vector<std::byte> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("the reader gives back what the graph says") {
  const Graph g = compiled_graph(small_network());
  const auto file = opened(built(g));
  const fbs::Model& model = file->header();
  CHECK(model.name()->str() == "small");
  CHECK(model.licence()->str() == "CC0\nsecond line");
  CHECK(model.labels()->Get(3)->str() == "d");
  CHECK(model.self_test() == nullptr);
  const fbs::Preprocessing& p = *model.preprocessing();
  CHECK(p.color_order() == fbs::ColorOrder::BGR);
  CHECK(p.crop() == fbs::Crop::CenterSquare);
  CHECK(p.crop_ppm() == 875'000);
  CHECK(p.mean()->Get(2) == 3);
  CHECK(p.deviation()->Get(0) == 4);
  const fbs::Variant& variant = *model.variants()->Get(0);
  REQUIRE(variant.ops()->size() == g.nodes.size());
  for (std::uint32_t i = 0; i < variant.ops()->size(); ++i) {
    const fbs::Op& op = *variant.ops()->Get(i);
    CHECK(op.name()->str() == g.nodes[i].name);
    if (op.kernel() != nullptr) {
      CHECK(floats(file->weight_bytes(op, *op.kernel())) == g.nodes[i].kernel);
    }
    if (op.bias() != nullptr) {
      CHECK(floats(file->weight_bytes(op, *op.bias())) == g.nodes[i].bias);
    }
  }
  CHECK(variant.ops()->Get(0)->clamp()->minimum() == 0);
  CHECK(variant.ops()->Get(1)->clamp() == nullptr);
}

TEST_CASE("the engine computes what the source graph says") {
  for (const char* name : {"small", "mobilenet_v2", "mobilenet_v1"}) {
    CAPTURE(name);
    Graph g = std::string(name) == "small"
                  ? small_network()
                  : *make_zoo_model(name, {.input = 64, .width = 0.35, .classes = 10});
    const Hwc& shape = g.values[g.input].shape;
    const auto input = seeded_values(std::size_t{shape.height} * shape.width * shape.channels, 4);
    const std::vector<float> expected = interpret(g, input);
    const auto file = opened(built(compiled_graph(std::move(g))));
    CHECK(relative_error(expected, run_in_engine(file, input)) < 1e-5);
  }
}

TEST_CASE("layers end where the last op that holds any of their nodes ends") {
  const Graph g = compiled_graph(small_network());
  // conv, affine, relu (fused), depthwise, add, global pool, linear
  REQUIRE(g.layers.size() == 7);
  const auto file = opened(built(g));
  const auto& ends = *file->header().variants()->Get(0)->layer_end_ops();
  CHECK(std::vector<std::uint32_t>(ends.begin(), ends.end()) ==
        std::vector<std::uint32_t>{1, 1, 1, 2, 3, 4, 5});
}

TEST_CASE("a dropout layer without ops ends where the layer before it ends") {
  Graph g = *make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.1, .classes = 2});
  const auto file = opened(built(compiled_graph(std::move(g))));
  const fbs::Variant& variant = *file->header().variants()->Get(0);
  CHECK(variant.layer_end_ops()->size() == 21);
  CHECK(variant.layer_end_ops()->Get(19) == variant.ops()->size() - 1);
  CHECK(variant.layer_end_ops()->Get(20) == variant.ops()->size());
}

TEST_CASE("quantization parameters of weights and tensors are kept") {
  GraphBuilder b({4, 4, 3});
  Graph g = b.finish(b.conv2d(b.input(), 2, 1));
  g.nodes[0].kernel_quantization = {QuantizationParameters::Type::kS8, {0.5f, 0.25f}, {0, 0}, 0};
  g.nodes[0].bias_quantization = {QuantizationParameters::Type::kS32, {0.125f}, {0}, -1};
  g.values[g.output].quantization = {QuantizationParameters::Type::kU8, {0.1f}, {128}, -1};
  const auto file = opened(built(compiled_graph(g)));
  const fbs::Variant& variant = *file->header().variants()->Get(0);
  const fbs::Op& op = *variant.ops()->Get(0);
  CHECK(op.kernel()->quantization()->scale()->Get(1) == 0.25f);
  CHECK(op.kernel()->quantization()->axis() == 0);
  CHECK(op.bias()->quantization()->dtype() == fbs::DType::S32);
  const fbs::Quantization& activation = *variant.tensors()->Get(op.output())->quantization();
  CHECK(activation.dtype() == fbs::DType::U8);
  CHECK(activation.zero_point()->Get(0) == 128);
}

TEST_CASE("every kind of op survives with its parameters") {
  GraphBuilder b({9, 9, 3});
  ValueId v = b.pad(b.input(), {1, 2, 3, 4}, -0.5f);
  Node n;
  n.kind = NodeKind::kLrn;
  n.inputs = {v};
  n.size = 5;
  n.alpha = 0.5f;
  n.beta = 0.75f;
  n.bias_k = 2;
  v = b.add(n);
  Node leaky;
  leaky.kind = NodeKind::kLeakyRelu;
  leaky.inputs = {v};
  leaky.alpha = 0.1f;
  v = b.add(leaky);
  v = b.node(NodeKind::kHardSwish, {v});
  v = b.node(NodeKind::kSigmoid, {v});
  v = b.node(NodeKind::kConcat, {v, b.clamp(v, 0.1f, 0.9f)});
  v = b.conv2d(v, 4, 3, 1, 2);
  v = b.pool(NodeKind::kMaxPool2D, v, 3, 2, 1);
  v = b.pool(NodeKind::kAveragePool2D, v, 2, 1);
  v = b.depthwise(v, 2, 3, 1);
  v = b.node(NodeKind::kMultiply, {v, b.node(NodeKind::kGlobalAveragePool, {v})});
  Graph g = b.finish(b.node(NodeKind::kSoftmax, {b.fully_connected(v, 5)}));
  const auto input = seeded_values(9 * 9 * 3, 8);
  const std::vector<float> expected = interpret(g, input);
  const auto file = opened(built(compiled_graph(std::move(g))));
  CHECK(file->header().preprocessing()->mean()->Get(0) == 0);
  CHECK(relative_error(expected, run_in_engine(file, input)) < 1e-5);
}

TEST_CASE("the same graph gives the same bytes, another weight another identity") {
  const std::vector<std::byte> first = built(compiled_graph(small_network()));
  CHECK(first == built(compiled_graph(small_network())));
  Graph changed = compiled_graph(small_network());
  changed.nodes.back().kernel[0] += 1;
  CHECK(opened(first)->identity() != opened(built(changed))->identity());
}

TEST_CASE("a zoo file has the identity that it had on the day the format was fixed") {
  const auto graph =
      make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.35, .classes = 10, .seed = 1});
  const auto file = opened(built(compiled_graph(*graph)));
  CHECK(cleave::to_hex(file->identity()) ==
        "095f8f88ab4c917df80cc277e30171b27f3d800095107f85ff2ca5ca8c09254f");
}

TEST_CASE(
    "names that are not plain text are made plain; an input that is no picture has no order") {
  GraphBuilder b({4, 4, 5});
  Graph g = b.finish(b.conv2d(b.input(), 2, 1));
  g.name.clear();
  g.nodes[0].name = "bad\x1b[31m\xff";
  const auto file = opened(built(compiled_graph(g)));
  CHECK(file->header().name()->str() == "model");
  CHECK(file->header().variants()->Get(0)->ops()->Get(0)->name()->str() == "bad?[31m?");
  CHECK(file->header().preprocessing()->color_order() == fbs::ColorOrder::None);
}

TEST_CASE("what does not fit the network is refused, not written") {
  const auto refused = [](auto damage) {
    Graph g = compiled_graph(small_network());
    damage(g);
    return build_model_file(g).status();
  };
  CHECK(refused([](Graph& g) { g.labels.pop_back(); }).code() == StatusCode::kInvalidArgument);
  CHECK(refused([](Graph& g) { g.preprocessing.mean = {1}; }).code() == StatusCode::kCorrupt);
  CHECK(refused([](Graph& g) { g.licence = "bell\a"; }).code() == StatusCode::kCorrupt);
  CHECK(refused([](Graph& g) { g.layers.clear(); }).code() == StatusCode::kInternal);
  CHECK(refused([](Graph& g) { g.nodes[0].kernel.pop_back(); }).code() == StatusCode::kCorrupt);
}

TEST_CASE("a self-test picture is stored and must be of the model's size") {
  const Graph g = compiled_graph(small_network());
  SelfTestPicture test{std::vector<std::uint8_t>(8 * 8 * 3, 7), {1, 2, 3, 4}, 0.5f};
  const auto bytes = build_model_file(g, test);
  REQUIRE(bytes.is_ok());
  const auto file = opened(*bytes);
  CHECK(file->header().self_test()->pixels()->size() == 192);
  CHECK(file->header().self_test()->scores()->Get(3) == 4);
  test.pixels.pop_back();
  CHECK(build_model_file(g, test).status().code() == StatusCode::kCorrupt);
}

TEST_CASE("writing gives a file with the built bytes and nothing else in its folder") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes = built(compiled_graph(small_network()));
  const std::string path = folder / "m.cleave";
  REQUIRE(write_model_file(bytes, path).is_ok());
  CHECK(read_bytes(path) == bytes);
  CHECK(entries(folder.path()) == 1);
  // Over an older file.
  Graph other = compiled_graph(small_network());
  other.nodes[0].kernel[0] = 9;
  REQUIRE(write_model_file(built(other), path).is_ok());
  CHECK(read_bytes(path) == built(other));
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a place that cannot be written is an error that names it and leaves nothing") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes = built(compiled_graph(small_network()));
  const cleave::Status no_folder = write_model_file(bytes, folder / "none/m.cleave");
  CHECK(no_folder.code() == StatusCode::kNotFound);
  CHECK(no_folder.message().find("none/m.cleave") != std::string::npos);
  CHECK(write_model_file(bytes, folder.path().string()).code() == StatusCode::kIo);
  CHECK(write_model_file(bytes, "/proc/self/m.cleave").is_ok() == false);
  CHECK(entries(folder.path()) == 0);
}
