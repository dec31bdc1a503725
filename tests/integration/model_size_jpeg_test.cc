// SPDX-License-Identifier: Apache-2.0
//
// Pictures that travel as a JPEG at model size: agent and server, as users start them.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "engine/tensor.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

struct JpegBench {
  Workshop workshop;
  std::string model = workshop.zoo("mobilenet_v2", {"--input", "96", "--width", "0.35"});
  std::string picture = workshop.jpeg("picture.jpg", 3);
  fbs::Shape shape{96, 96, 3};

  // The picture as it is sent.
  [[nodiscard]] Bytes sent(int quality) const {
    const auto opened = ModelFile::open(model);
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
    const fbs::Preprocessing& preprocessing = *(*opened)->header().preprocessing();
    const auto file = read_picture_file(picture, PictureLimits{});
    REQUIRE(file.is_ok());
    Pixels pixels(element_count(shape));
    REQUIRE(decode_to_model_size(*file, preprocessing, shape, PictureLimits{}, pixels).is_ok());
    Bytes jpeg(pixels.size());
    const auto bytes = encode_jpeg_into(pixels, shape, preprocessing.color_order(), quality, jpeg);
    REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
    jpeg.resize(*bytes);
    return jpeg;
  }
  // A PNG of the pixels that such a JPEG decodes to: of the model's own size, so that the agent
  // takes them as they are.
  [[nodiscard]] std::string arrived(const Bytes& jpeg) const {
    const TestPreprocessing rgb;
    Pixels pixels(element_count(shape));
    REQUIRE(decode_at_model_size(jpeg, rgb.get(), shape, pixels).is_ok());
    const Bytes png = make_png({.width = shape.width(), .height = shape.height()},
                               rows_of(pixels, shape.width(), 3));
    const std::string path = workshop.path("arrived.png");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
    return path;
  }
  [[nodiscard]] nlohmann::json alone(const std::string& image) const {
    const AgentRun run =
        run_agent({"run", "--model", model, "--split", "all", "--json", "--scores", image});
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    return run.records.at(0).at("scores");
  }
  [[nodiscard]] AgentRun agent(const std::string& command,
                               const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{command, "--model", model, "--json", picture};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_agent(arguments);
  }
};

nlohmann::json record_of(const AgentRun& run) {
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const nlohmann::json& record = run.records.at(0);
  CHECK_FALSE(record.contains("fallback"));
  return record;
}

}  // namespace

TEST_CASE("the server answers what the same JPEG, decoded at model size, gives on the device") {
  const JpegBench bench;
  const RunningServer server({bench.model});
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--split", "0", "--scores", "--server", server.address()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return record_of(bench.agent("run", arguments));
  };
  for (const int quality : {30, 90}) {
    CAPTURE(quality);
    const std::string text = std::to_string(quality);
    const Bytes jpeg = bench.sent(quality);
    const nlohmann::json expected = bench.alone(bench.arrived(jpeg));
    const nlohmann::json record = run({"--jpeg-quality", text});
    CHECK(record.at("sent") == "jpeg_model_size");
    CHECK(record.at("codec") == "jpeg:" + text);
    CHECK(record.at("bytes_up") == jpeg.size());
    CHECK(record.at("encode_ns") > 0);
    CHECK(record.at("scores") == expected);
    CHECK(record.at("scores") != bench.alone(bench.picture));
    const nlohmann::json named = run({"--codec", "jpeg:" + text});
    CHECK(named.at("sent") == "jpeg_model_size");
    CHECK(named.at("scores") == expected);
  }
  // Nobody asked for it: exact.
  const nlohmann::json file = run({});
  CHECK(file.at("sent") == "jpeg");
  CHECK(file.at("scores") == bench.alone(bench.picture));
  // Tensors of another split are not a picture's.
  std::vector<std::string> deeper{"--split",        "3",       "--server",
                                  server.address(), "--codec", "jpeg:90"};
  const nlohmann::json tensors = record_of(bench.agent("run", deeper));
  CHECK(tensors.at("sent") == "tensors");
  CHECK(tensors.at("codec") == "raw");
}

TEST_CASE("a named quality is planned where it pays, and the trace replays") {
  const JpegBench bench;
  const RunningServer server({bench.model});
  const std::string trace = bench.workshop.path("trace");
  const auto link = [&](const std::string& bandwidth) {
    return std::vector<std::string>{"--server",    server.address(), "--policy",
                                    "sco",         "--jpeg-quality", "75",
                                    "--bandwidth", bandwidth};
  };
  std::vector<std::string> slow = link("200kbit");
  const AgentRun planned = bench.agent("plan", slow);
  REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
  const nlohmann::json& plan = planned.records.at(0);
  CHECK(plan.at("choice").at("sent") == "jpeg_model_size");
  CHECK(plan.at("choice").at("codec") == "jpeg:75");
  CHECK(plan.at("choice").at("bytes_up") == bench.sent(75).size());  // of the picture named
  CHECK(plan.at("choice").at("split") == 0);
  CHECK(plan.at("why").get<std::string>().find("(JPEG at model size as jpeg:75)") !=
        std::string::npos);
  CHECK(plan.at("splits").at(2).at("sent") == "jpeg_model_size");
  slow.insert(slow.end(), {"--trace", trace});
  const nlohmann::json record = record_of(bench.agent("run", slow));
  CHECK(record.at("sent") == "jpeg_model_size");
  CHECK(record.at("codec") == "jpeg:75");
  const AgentRun replay = run_agent({"plan", "--model", bench.model, "--replay", trace, "--json"});
  REQUIRE_MESSAGE(replay.exit_code == 0, replay.err);
  CHECK(replay.records.at(0).at("decisions") == 1);
  CHECK(replay.records.at(0).at("different") == 0);
  const nlohmann::json fast = record_of(bench.agent("run", link("100gbit")));
  CHECK(fast.at("sent") != "jpeg_model_size");
  const AgentRun what_if =
      bench.agent("plan", {"--server", server.address(), "--policy", "sco", "--bandwidth",
                           "200kbit", "--what-if", "jpeg-quality=75"});
  REQUIRE_MESSAGE(what_if.exit_code == 0, what_if.err);
  CHECK(what_if.records.at(0).at("choice").at("codec") == "jpeg:75");
}

TEST_CASE(
    "--codec auto chooses among the qualities that the profile tried, within --disagreement") {
  const JpegBench bench;
  std::filesystem::create_directory(bench.workshop.path("samples"));
  for (const unsigned seed : {3U, 4U, 5U}) {
    (void)bench.workshop.jpeg("samples/" + std::to_string(seed) + ".jpg", seed);
  }
  const RunningServer server({bench.model});
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--server", server.address(), "--policy",    "sco",
                                       "--codec",  "auto",           "--bandwidth", "200kbit"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return record_of(bench.agent("run", arguments));
  };
  // Nothing is known of any: none is sent.
  CHECK(run({"--disagreement", "99%"}).at("sent") != "jpeg_model_size");
  const AgentRun profiled = run_agent({"profile", "--model", bench.model, "--runs", "1", "--json",
                                       "--jpeg-quality", "60", bench.workshop.path("samples")});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  std::vector<std::string> tried;
  for (const nlohmann::json& coded : profiled.records.at(0).at("coded")) {
    if (coded.at("sent") != "jpeg_model_size") continue;
    tried.push_back(coded.at("codec"));
    CHECK(coded.at("pictures") == 3);
    CHECK(coded.at("compared_pictures") == 3);
    CHECK(coded.at("encode_ns").at(0) > 0);
  }
  CHECK(tried == std::vector<std::string>{"jpeg:75", "jpeg:90", "jpeg:95", "jpeg:60"});
  // One more than those that differ, of four: never under a quarter.
  CHECK(run({}).at("sent") != "jpeg_model_size");
  CHECK(run({"--disagreement", "24%"}).at("sent") != "jpeg_model_size");
  const nlohmann::json chosen = run({"--disagreement", "100%"});
  CHECK(chosen.at("sent") == "jpeg_model_size");
  CHECK(chosen.at("codec") == "jpeg:75");
  CHECK(run({"--disagreement", "100%", "--jpeg-quality", "60"}).at("codec") == "jpeg:60");
  CHECK(run({"--disagreement", "100%", "--jpeg-quality", "61"}).at("sent") != "jpeg_model_size");
}

TEST_CASE("what the JPEG takes is within what plan says, and --ram without it is refused") {
  const JpegBench bench;
  const RunningServer server({bench.model});
  const AgentRun planned = bench.agent("plan", {"--jpeg-quality", "90", "--no-cache"});
  REQUIRE_MESSAGE(planned.exit_code == 0, planned.err);
  std::uint64_t pixels = 0, jpeg = 0;
  for (const nlohmann::json& row : planned.records.at(0).at("splits")) {
    if (row.at("sent") == "pixels_u8") pixels = row.at("ram_bytes");
    if (row.at("sent") == "jpeg_model_size") jpeg = row.at("ram_bytes");
  }
  CHECK(jpeg > pixels + element_count(bench.shape));
  const Finished run =
      run_program({agent_program(), "run", "--model", bench.model, "--no-cache", "--server",
                   server.address(), "--split", "0", "--jpeg-quality", "90", "--ram",
                   std::to_string(jpeg + (1 << 19)), "--json", bench.picture});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(nlohmann::json::parse(run.out).at("sent") == "jpeg_model_size");
  // What the kernel pages in around what is read differs by what it has cached: decision 7's 1 MiB.
  CHECK(run.peak_rss_bytes <= jpeg + (1 << 19) + (1 << 20));
}

TEST_CASE("--jpeg-quality refuses what it cannot keep") {
  const JpegBench bench;
  const auto code = [&](const std::vector<std::string>& more) {
    return bench.agent("run", more).exit_code;
  };
  CHECK(code({"--split", "0", "--jpeg-quality", "0"}) == 2);
  CHECK(code({"--split", "0", "--jpeg-quality", "101"}) == 2);
  CHECK(code({"--split", "0", "--codec", "jpeg"}) == 2);
  CHECK(code({"--split", "0", "--codec", "jpeg:101"}) == 2);
  CHECK(code({"--split", "0", "--codec", "jpeg:90", "--jpeg-quality", "80"}) == 2);
  const AgentRun bounded = bench.agent("run", {"--jpeg-quality", "90", "--disagreement", "1%"});
  CHECK(bounded.exit_code == 2);
  CHECK(bounded.err.find("--codec auto") != std::string::npos);
  CHECK(bench.agent("plan", {"--what-if", "jpeg-quality=101"}).exit_code == 2);
}

}  // namespace cleave::test
