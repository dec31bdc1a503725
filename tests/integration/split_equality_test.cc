// SPDX-License-Identifier: Apache-2.0
//
// At every cut, through real TCP, the scores are the bytes of the unsplit run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>

#include "schemas/frame.h"
#include "tests/support/programs.h"
#include "tests/support/shared_data.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

void check_every_cut(const Workshop& workshop, const std::string& model,
                     std::size_t variant_index = 0) {
  const nlohmann::json variant = inspect(model).at("variants").at(variant_index);
  const std::string name = variant.at("name");
  const std::string picture = workshop.png("picture.png", 3);
  const RunningServer server({model});
  const AgentRun whole = run_agent({"run", "--model", model, "--variant", name, "--split", "all",
                                    "--json", "--scores", picture});
  REQUIRE_MESSAGE(whole.exit_code == 0, whole.err);
  const nlohmann::json scores = whole.records.at(0).at("scores");
  REQUIRE(scores.size() > 1);
  CHECK(scores.front() != scores.back());

  std::size_t cuts = 0;
  const std::size_t op_count = variant.at("ops").size();
  for (const nlohmann::json& cut : variant.at("cuts")) {
    const std::size_t boundary = cut.at("op_boundary");
    CAPTURE(boundary);
    const AgentRun split =
        run_agent({"run", "--model", model, "--variant", name, "--server", server.address(),
                   "--split", "op:" + std::to_string(boundary), "--json", "--scores", picture});
    REQUIRE_MESSAGE(split.exit_code == 0, split.err);
    const nlohmann::json& record = split.records.at(0);
    CHECK(record.at("scores") == scores);
    CHECK_FALSE(record.contains("fallback"));
    const nlohmann::json& shape = variant.at("input_shape");
    const std::uint64_t pixel_bytes = shape.at(0).get<std::uint64_t>() *
                                      shape.at(1).get<std::uint64_t>() *
                                      shape.at(2).get<std::uint64_t>();
    const std::uint64_t expected = boundary == 0 ? pixel_bytes
                                   : boundary == op_count
                                       ? 0
                                       : cut.at("boundary_bytes").get<std::uint64_t>();
    CHECK(record.at("bytes_up") == expected);
    if (boundary < op_count) CHECK(record.at("server_ns") > 0);
    ++cuts;
  }
  CHECK(cuts == op_count + 1);
  std::printf("%s %s: %zu cuts, %zu scores each, byte for byte\n", model.c_str(), name.c_str(),
              cuts, scores.size());
}

// Where the only attachment of a recorded stream starts.
std::size_t find_attachment(std::span<const std::byte> stream) {
  const FrameLimits limits{.max_attachment_bytes = stream.size()};
  std::size_t place = 0;
  while (place + kFrameHeaderBytes <= stream.size()) {
    const auto header =
        decode_frame_header(stream.subspan(place).first<kFrameHeaderBytes>(), limits);
    REQUIRE_MESSAGE(header.is_ok(), header.status().message());
    place += kFrameHeaderBytes + header->message_bytes;
    if (header->attachment_bytes > 0) return place;
  }
  FAIL("no frame has an attachment");
  return 0;
}

// The greatest of the floats: not even a max pool right after the cut loses it.
std::size_t greatest_float(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  const auto greatest = std::ranges::max_element(values);
  REQUIRE(*greatest > 0);
  return static_cast<std::size_t>(greatest - values.begin());
}

struct RelayedRun {
  std::size_t attachment = 0;    // its place in what the agent sent
  std::vector<std::byte> bytes;  // the attachment
  nlohmann::json scores;
};

RelayedRun run_through_relay(const RunningServer& server, const std::string& model,
                             const std::string& split, const std::string& picture,
                             std::int64_t flipped) {
  TcpRelay relay(server.port());
  relay.flip_byte_at(flipped);
  const AgentRun run = run_agent({"run", "--model", model, "--server", relay.address(), "--split",
                                  split, "--json", "--scores", picture});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const nlohmann::json& record = run.records.at(0);
  CHECK_FALSE(record.contains("fallback"));
  const std::vector<std::byte> stream = relay.recorded();
  RelayedRun relayed{
      .attachment = find_attachment(stream), .bytes = {}, .scores = record.at("scores")};
  const std::size_t size = record.at("bytes_up");
  REQUIRE(relayed.attachment + size <= stream.size());
  const auto first = stream.begin() + static_cast<std::ptrdiff_t>(relayed.attachment);
  relayed.bytes.assign(first, first + static_cast<std::ptrdiff_t>(size));
  return relayed;
}

// One byte is flipped on its way to the server, once: the scores must be others, or the server did
// not compute them from what crossed.
void check_flip_changes_scores(const Workshop& workshop, const std::string& model,
                               const std::string& split) {
  CAPTURE(split);
  const std::string picture = workshop.png("picture.png", 3);
  const RunningServer server({model});
  const RelayedRun clean = run_through_relay(server, model, split, picture, -1);
  CHECK(run_through_relay(server, model, split, picture, -1).scores == clean.scores);
  // Little endian: the last of four bytes is sign and exponent. At split 0 there are pixels
  // instead.
  const std::size_t byte =
      split == "0" ? clean.bytes.size() / 2 : greatest_float(clean.bytes) * sizeof(float) + 3;
  const RelayedRun spoiled = run_through_relay(server, model, split, picture,
                                               static_cast<std::int64_t>(clean.attachment + byte));
  CHECK(spoiled.bytes == clean.bytes);  // before the flip
  CHECK(spoiled.scores != clean.scores);
}

// The middle one of the splits at which tensors cross.
void check_flip_at_middle_cut(const Workshop& workshop, const std::string& model) {
  std::vector<std::string> splits;
  const nlohmann::json variant = inspect(model).at("variants").at(0);
  const std::size_t op_count = variant.at("ops").size();
  for (const nlohmann::json& cut : variant.at("cuts")) {
    const std::size_t boundary = cut.at("op_boundary");
    if (cut.at("is_split") == true && boundary > 0 && boundary < op_count) {
      splits.push_back("op:" + std::to_string(boundary));
    }
  }
  REQUIRE(splits.size() > 4);
  check_flip_changes_scores(workshop, model, splits[splits.size() / 2]);
}

void check_network(const std::string& name) {
  const Workshop workshop;
  const std::string model = workshop.zoo(name);
  check_every_cut(workshop, model);
  check_flip_at_middle_cut(workshop, model);
}

}  // namespace

TEST_CASE("f16 and int8 variants at every cut, int8 tensors crossing as bytes") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--input", "64", "--width", "0.35", "--f16", "--int8"});
  check_every_cut(workshop, model, 1);
  check_every_cut(workshop, model, 2);
  const nlohmann::json variants = inspect(model).at("variants");
  const auto bytes_at_split = [&](std::size_t variant, std::size_t split) {
    const nlohmann::json& v = variants.at(variant);
    const std::size_t boundary = v.at("layers").at(split - 1).at("end_op");
    return v.at("cuts").at(boundary).at("boundary_bytes").get<std::size_t>();
  };
  CHECK(bytes_at_split(0, 4) == 4 * bytes_at_split(2, 4));
}

TEST_CASE("AlexNet at every cut, and a flipped byte") { check_network("alexnet"); }

TEST_CASE("VGG-11 at every cut, and a flipped byte") { check_network("vgg11"); }

TEST_CASE("MobileNetV2 at every cut, skip connections crossing, and a flipped byte") {
  check_network("mobilenet_v2");
}

TEST_CASE("SqueezeNet at every cut, branches crossing, and a flipped byte") {
  const auto data = shared_data();
  if (!data) return;
  const Workshop workshop;
  const std::string model =
      workshop.import((*data / "models/squeezenet_v1.1.onnx").string(), "squeezenet");
  check_every_cut(workshop, model);
  check_flip_at_middle_cut(workshop, model);
}

TEST_CASE("a flipped byte of the pixels at split 0 changes the scores") {
  const Workshop workshop;
  check_flip_changes_scores(workshop, workshop.zoo("mobilenet_v2", {"--input", "96"}), "0");
}

TEST_CASE("a JPEG at split 0 travels as the file it is and gives the same scores") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  const std::string picture = workshop.jpeg("picture.jpg", 5);
  const RunningServer server({model});
  const AgentRun whole =
      run_agent({"run", "--model", model, "--split", "all", "--json", "--scores", picture});
  const AgentRun remote = run_agent({"run", "--model", model, "--server", server.address(),
                                     "--split", "0", "--json", "--scores", picture});
  REQUIRE_MESSAGE(remote.exit_code == 0, remote.err);
  CHECK(remote.records.at(0).at("scores") == whole.records.at(0).at("scores"));
  std::FILE* file = std::fopen(picture.c_str(), "rb");
  REQUIRE(file != nullptr);
  std::fseek(file, 0, SEEK_END);
  CHECK(remote.records.at(0).at("bytes_up") == std::ftell(file));
  std::fclose(file);
}

}  // namespace cleave::test
