// SPDX-License-Identifier: Apache-2.0
//
// At every cut, through real TCP, the scores are the bytes of the unsplit run.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/support/programs.h"
#include "tests/support/shared_data.h"
#include "tests/support/tcp_relay.h"

namespace cleave::test {
namespace {

void check_every_cut(const Workshop& workshop, const std::string& model) {
  const nlohmann::json variant = inspect(model).at("variants").at(0);
  const std::string picture = workshop.png("picture.png", 3);
  const RunningServer server({model});
  const AgentRun whole =
      run_agent({"run", "--model", model, "--split", "all", "--json", "--scores", picture});
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
        run_agent({"run", "--model", model, "--server", server.address(), "--split",
                   "op:" + std::to_string(boundary), "--json", "--scores", picture});
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
  std::printf("%s: %zu cuts, %zu scores each, byte for byte\n", model.c_str(), cuts, scores.size());
}

// A frame header and a Request come before the attachment; both are below 512 bytes, and every
// boundary here is far above.
constexpr std::int64_t kBeforeAttachment = 512;

void check_flipped_byte(const Workshop& workshop, const std::string& model, const char* split) {
  const std::string picture = workshop.png("picture.png", 3);
  const RunningServer server({model});
  TcpRelay relay(server.port());
  const std::vector<std::string> arguments{"run",           "--model", model, "--server",
                                           relay.address(), "--split", split, "--json",
                                           "--scores",      picture};
  const AgentRun clean = run_agent(arguments);
  REQUIRE_MESSAGE(clean.exit_code == 0, clean.err);
  const std::uint64_t sent = relay.bytes_up();
  const std::uint64_t attachment = clean.records.at(0).at("bytes_up");
  CHECK(sent > attachment);
  CHECK(sent < attachment + 2 * kBeforeAttachment);

  // The top byte of a float in the middle of the attachment, counted from the stream's start.
  bool changed = false;
  for (std::int64_t byte = 0; byte < 4 && !changed; ++byte) {
    relay.flip_byte_at(kBeforeAttachment + static_cast<std::int64_t>(attachment / 2 / 4 * 4) +
                       byte);
    const AgentRun spoiled = run_agent(arguments);
    REQUIRE_MESSAGE(spoiled.exit_code == 0, spoiled.err);
    changed = spoiled.records.at(0).at("scores") != clean.records.at(0).at("scores");
  }
  CHECK(changed);
}

}  // namespace

TEST_CASE("AlexNet at every cut") {
  const Workshop workshop;
  check_every_cut(workshop, workshop.zoo("alexnet"));
}

TEST_CASE("VGG-11 at every cut") {
  const Workshop workshop;
  check_every_cut(workshop, workshop.zoo("vgg11"));
}

TEST_CASE("MobileNetV2 at every cut, skip connections crossing") {
  const Workshop workshop;
  check_every_cut(workshop, workshop.zoo("mobilenet_v2"));
}

TEST_CASE("SqueezeNet at every cut, branches crossing") {
  const auto data = shared_data();
  if (!data) return;
  const Workshop workshop;
  check_every_cut(workshop,
                  workshop.import((*data / "models/squeezenet_v1.1.onnx").string(), "squeezenet"));
}

TEST_CASE("a flipped byte of a boundary tensor changes the scores") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  check_flipped_byte(workshop, model, "4");
  check_flipped_byte(workshop, model, "0");
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
