// SPDX-License-Identifier: Apache-2.0
//
// TF.js models that are damaged, contradict themselves or ask for what is not there: each gives a
// status that says what is wrong, and nothing throws.
#include <doctest/doctest.h>

#include <utility>

#include "engine/importer/importer.h"
#include "tests/engine/importer/tfjs_builder.h"

namespace cleave::test {
namespace {

void check_refused(const std::string& path, StatusCode code, const std::string& why) {
  const Status status = importer::read_tfjs(path).status();
  CAPTURE(why);
  CAPTURE(status.message());
  CHECK(status.code() == code);
  CHECK(status.message().find(why) != std::string::npos);
}

const json kConvolution{{"filters", 1},
                        {"kernel_size", {3, 3}},
                        {"padding", "same"},
                        {"strides", {1, 1}},
                        {"activation", "relu"}};

// A small network with a branch, that the tests below bend.
json small_network() {
  return keras_functional(
      "net",
      {keras_input("in", {nullptr, 4, 4, 1}),
       keras_call(keras_layer("Conv2D", "conv", kConvolution), {"in"}),
       keras_call(keras_layer("Add", "sum"), {"conv", "in"}),
       keras_call(keras_layer("MaxPooling2D", "pool", {{"pool_size", {2, 2}}}), {"sum"}),
       keras_call(keras_layer("Flatten", "flat"), {"pool"}),
       keras_call(keras_layer("Dense", "dense", {{"units", 2}, {"activation", "softmax"}}),
                  {"flat"})},
      "in", "dense");
}

void add_weights(TfjsBuilder& b) {
  b.weight("conv/kernel", {3, 3, 1, 1}, std::vector<float>(9, 1.0F));
  b.weight("conv/bias", {1}, {0});
  b.packed_weight("dense/kernel", {4, 2}, "uint8", std::vector<std::uint8_t>(8, 1), 0.5, -1);
  b.weight("dense/bias", {2}, {0, 0});
}

TEST_CASE("the network that the others bend is valid") {
  TfjsBuilder b;
  add_weights(b);
  const Status status = importer::read_tfjs(b.write_model(small_network())).status();
  CHECK_MESSAGE(status.is_ok(), status.message());
}

TEST_CASE("text that is no model") {
  const TfjsBuilder b;
  check_refused(b.write_text(""), StatusCode::kCorrupt, "not valid JSON");
  check_refused(b.write_text("{\"modelTopology\": "), StatusCode::kCorrupt, "not valid JSON");
  check_refused(b.write_text("[]"), StatusCode::kCorrupt, "modelTopology");
  check_refused(b.write_text("{\"modelTopology\": {}}"), StatusCode::kCorrupt, "weightsManifest");
  check_refused(b.write_text(std::string(100'000, '[')), StatusCode::kCorrupt, "too deeply");
  check_refused(b.folder() / "absent.json", StatusCode::kNotFound, "no such file");
  check_refused(b.folder().path().string(), StatusCode::kNotFound, "no such file");
}

TEST_CASE("graph models are told apart from layers models") {
  const TfjsBuilder b;
  check_refused(b.write({{"modelTopology", {{"node", json::array()}}}}), StatusCode::kUnsupported,
                "graph model");
}

// Calls `change` with every value in `root`, one at a time.
template <typename Change>
void for_each_value(json& value, const Change& change) {
  change(value);
  if (!value.is_structured()) return;
  for (json& child : value) for_each_value(child, change);
}

TEST_CASE("any value of another type gives a graph or a status") {
  TfjsBuilder b;
  add_weights(b);
  json file = b.file(small_network());
  const json replacements = {nullptr,
                             true,
                             -1,
                             0,
                             1e300,
                             1.5,
                             "x",
                             "",
                             json::array(),
                             json::object(),
                             json::array({1, 2, 3}),
                             9223372036854775807LL,
                             18446744073709551615ULL,
                             4096};
  int tried = 0;
  int refused = 0;
  for_each_value(file, [&](json& value) {
    const json original = value;
    for (const json& replacement : replacements) {
      value = replacement;
      // The path the change sits at does not matter: only that reading ends in a status.
      refused += importer::read_tfjs(b.write(file)).is_ok() ? 0 : 1;
      ++tried;
    }
    value = original;
  });
  CHECK(tried > 1500);
  CHECK(refused > tried / 3);
}

TEST_CASE("shards that do not fit the weights") {
  TfjsBuilder b;
  add_weights(b);
  b.shard().pop_back();
  check_refused(b.write_model(small_network()), StatusCode::kCorrupt, "\"dense/bias\" is cut off");
  b.shard().resize(b.shard().size() + 5);
  check_refused(b.write_model(small_network()), StatusCode::kCorrupt, "belong to no weight");
}

TEST_CASE("shards outside the model's folder are not read") {
  TfjsBuilder b;
  add_weights(b);
  json file = b.file(small_network());
  for (const char* path : {"../weights.bin", "a/../../weights.bin", "/etc/hostname", ""}) {
    CAPTURE(path);
    file["weightsManifest"][0]["paths"][0] = path;
    check_refused(b.write(file), StatusCode::kCorrupt, "not below the model's directory");
  }
  file["weightsManifest"][0]["paths"][0] = "absent.bin";
  check_refused(b.write(file), StatusCode::kNotFound, "absent.bin");
}

TEST_CASE("weights that are missing, doubled, or of another shape") {
  TfjsBuilder missing;
  missing.weight("conv/kernel", {3, 3, 1, 1}, std::vector<float>(9, 1.0F));
  check_refused(missing.write_model(small_network()), StatusCode::kNotFound, "\"conv/bias\"");

  TfjsBuilder doubled;
  add_weights(doubled);
  doubled.weight("conv/bias", {1}, {0});
  check_refused(doubled.write_model(small_network()), StatusCode::kCorrupt, "there twice");

  TfjsBuilder reshaped;
  reshaped.weight("conv/kernel", {3, 1, 3, 1}, std::vector<float>(9, 1.0F));
  check_refused(reshaped.write_model(small_network()), StatusCode::kCorrupt,
                "is [3,1,3,1], not [3,3,1,1]");

  TfjsBuilder huge;
  huge.weight("conv/kernel", {1 << 30, 1 << 30, 4, 4}, {1});
  check_refused(huge.write_model(small_network()), StatusCode::kCorrupt, "impossible shape");
}

TEST_CASE("every layer that cannot be imported is named, nested ones too") {
  const TfjsBuilder b;
  const json inner = keras_sequential("inner", {keras_layer("LSTM", "memory")});
  const json model = keras_sequential(
      "outer", {keras_input("in", {nullptr, 4, 4, 1}), keras_layer("UpSampling2D", "up"), inner});
  const Status status = importer::read_tfjs(b.write_model(model)).status();
  CAPTURE(status.message());
  CHECK(status.code() == StatusCode::kUnsupported);
  CHECK(status.message().find("2 layers cannot be imported") != std::string::npos);
  CHECK(status.message().find("UpSampling2D \"up\"") != std::string::npos);
  CHECK(status.message().find("LSTM \"memory\"") != std::string::npos);
}

TEST_CASE("settings that cannot be imported are named, with what they are") {
  const TfjsBuilder b;
  const json model = keras_functional(
      "net",
      {keras_input("in", {nullptr, 4, 4, 1}),
       keras_call(keras_layer("Activation", "tanh", {{"activation", "tanh"}}), {"in"}),
       keras_call(keras_layer("MaxPooling2D", "pool", {{"data_format", "channels_first"}}), {"in"}),
       keras_call(keras_layer("Concatenate", "join"), {"tanh", "pool"})},
      "in", "join");
  const Status status = importer::read_tfjs(b.write_model(model)).status();
  CAPTURE(status.message());
  CHECK(status.code() == StatusCode::kUnsupported);
  CHECK(status.message().find("Activation \"tanh\": activation \"tanh\"") != std::string::npos);
  CHECK(status.message().find("MaxPooling2D \"pool\": data_format") != std::string::npos);
  CHECK(status.message().find("Concatenate") == std::string::npos);
}

TEST_CASE("graphs that cannot be walked") {
  TfjsBuilder b;
  add_weights(b);
  json circle = small_network();
  circle["config"]["layers"][1]["inbound_nodes"][0][0][0] = "dense";
  check_refused(b.write_model(circle), StatusCode::kCorrupt, "in a circle");

  json twins = small_network();
  twins["config"]["layers"][2]["config"]["name"] = "conv";
  check_refused(b.write_model(twins), StatusCode::kCorrupt, "two layers are named \"conv\"");

  json unknown = small_network();
  unknown["config"]["layers"][2]["inbound_nodes"][0][0][0] = "nobody";
  check_refused(b.write_model(unknown), StatusCode::kCorrupt, "no layer \"nobody\"");

  json open = small_network();
  open["config"]["layers"][0]["config"]["batch_input_shape"] = {nullptr, nullptr, nullptr, 1};
  check_refused(b.write_model(open), StatusCode::kUnsupported, "not fixed");
}

// Each model calls the one inside ten times in a row: 10^9 layers in a few kilobytes.
TEST_CASE("models that multiply by nesting are stopped") {
  const TfjsBuilder b;
  json model = keras_layer("Dropout", "inner");
  for (int depth = 0; depth < 9; ++depth) {
    json nodes = json::array({json::array({json::array({"x", 0, 0})})});
    const int first_call = depth == 0 ? 0 : 1;  // nested models count from 1
    for (int i = 0; i < 9; ++i) {
      nodes.push_back(json::array({json::array({"inner", first_call + i, 0})}));
    }
    model["inbound_nodes"] = nodes;
    model["name"] = model["config"]["name"] = "inner";
    model = keras_functional("outer", {keras_input("x", {nullptr, 4}), model}, "x", "inner");
    model["config"]["output_layers"] = json::array({json::array({"inner", first_call + 9, 0})});
  }
  check_refused(b.write_model(model), StatusCode::kResourceExhausted, "too many layers");
}

}  // namespace
}  // namespace cleave::test
