// SPDX-License-Identifier: Apache-2.0
//
// --ram is a contract, also when the server is gone and the device finishes alone: the agent keeps
// its peak resident memory within the cap, or gives no answer.
#include <doctest/doctest.h>

#include "schemas/exit_code.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/support/programs.h"

namespace cleave::test {

TEST_CASE("without its server the agent stays within --ram or refuses") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2");
  const AgentRun profiled = run_agent({"profile", "--model", model, "--runs", "1", "--json"});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json plan = run_agent({"plan", "--model", model, "--json"}).records.at(0);
  const std::uint64_t whole = plan.at("splits").back().at("ram_bytes");
  for (const std::string& picture : {workshop.jpeg("small.jpg", 1), workshop.png("p.png", 2)}) {
    for (const char* split : {"0", "4", "10", "18", "all", "auto"}) {
      bool answered = false, refused = false;
      for (const std::uint64_t percent : {60, 90, 100, 102, 106, 112, 118, 125, 135, 150}) {
        const std::uint64_t cap = whole * percent / 100;
        const Finished run =
            run_program({agent_program(), "run", "--model", model, "--server", "127.0.0.1:1",
                         "--split", split, "--ram", std::to_string(cap), "--json", picture});
        CAPTURE(picture);
        CAPTURE(split);
        CAPTURE(percent);
        CAPTURE(run.err);
        if (run.exit_code == 0) {
          answered = true;
          // What the kernel pages in around what is read differs by what it has cached: decision
          // 7's 1 MiB.
          CHECK(run.peak_rss_bytes <= cap + (1 << 20));
        } else {
          refused = true;
          CHECK((run.exit_code == static_cast<int>(ExitCode::kServerUnreachable) ||
                 run.exit_code == static_cast<int>(ExitCode::kCapTooSmall)));
        }
      }
      CAPTURE(split);
      CHECK(answered);
      CHECK(refused);
    }
  }
}

TEST_CASE("measuring a network larger than --ram stays within it, also where weights are mapped") {
  // Weights of fully connected layers are read from the file in place; they are nine tenths here.
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--classes", "10"});
  const nlohmann::json plan = run_agent({"plan", "--model", model, "--json"}).records.at(0);
  const nlohmann::json& splits = plan.at("splits");
  const std::uint64_t whole = splits.back().at("ram_bytes");
  // What the largest op needs with everything before it.
  std::uint64_t cap = 0;
  std::string deepest_split;
  for (std::size_t i = 1, most = 0; i < splits.size(); ++i) {
    const std::uint64_t before = splits[i - 1].at("ram_bytes");
    const std::uint64_t bytes = splits[i].at("ram_bytes");
    if (bytes <= before + most) continue;
    most = bytes - before;
    cap = bytes;
    deepest_split = std::to_string(splits[i].at("split").get<int>());
  }
  REQUIRE(cap + 50'000'000 < whole);
  const RunningServer server({model});
  const auto measure = [&](std::uint64_t ram_bytes, const std::string& min_split) {
    return run_program({agent_program(), "run", "--model", model, "--server", server.address(),
                        "--split", "auto", "--measure", "--min-split", min_split, "--ram",
                        std::to_string(ram_bytes), "--json", workshop.jpeg("small.jpg", 1)});
  };
  const Finished run = measure(cap, "0");
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.err.find("measuring this device") != std::string::npos);
  CHECK_FALSE(nlohmann::json::parse(run.out).contains("fallback"));
  CHECK(run.peak_rss_bytes <= cap);

  // What measuring leaves behind in the process counts: the deepest split that `plan` says would
  // just fit is refused, or fits.
  bool answered = false;
  for (std::uint64_t room = 0; room <= 3'000'000; room += 500'000) {
    const Finished deepest = measure(cap + room, deepest_split);
    CAPTURE(room);
    CAPTURE(deepest.err);
    answered = deepest.exit_code == 0;
    if (answered) CHECK(deepest.peak_rss_bytes <= cap + room);
    if (!answered) CHECK(deepest.exit_code == static_cast<int>(ExitCode::kCapTooSmall));
  }
  CHECK(answered);
}

TEST_CASE("comparing precisions of a network larger than --ram stays within it") {
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--f16"});
  // The largest layer's weights are 151 MB, those of all of them 244 MB.
  constexpr std::uint64_t kCap = 170'000'000;
  std::vector<std::string> command{agent_program(), "profile", "--model", model,
                                   "--no-cache",    "--runs",  "1",       "--output",
                                   model + ".p",    "--json",  "--ram",   std::to_string(kCap)};
  for (const unsigned pictures : {1, 5, 30}) {
    for (unsigned seed = 0; seed < pictures; ++seed) {
      const std::string name = std::to_string(pictures) + "-" + std::to_string(seed) + ".jpg";
      command.push_back(workshop.jpeg(name, seed));
    }
    const Finished run = run_program(command);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    const nlohmann::json tables = nlohmann::json::parse(run.out).at("variants");
    CHECK(tables.at(1).at("compared_pictures").get<std::size_t>() + 12 == command.size());
    CAPTURE(pictures);
    CHECK(run.peak_rss_bytes <= kCap);
  }
}

TEST_CASE("a picture that --ram has no room for is left out of a profile, and its memory with it") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--f16"});
  // 48 MB, were it held whole.
  const Bytes interlaced = make_png({.width = 4000, .height = 4000, .interlaced = true},
                                    [](std::uint32_t, std::span<std::uint8_t>) {});
  const std::string large = workshop.file(
      "large.png", {reinterpret_cast<const char*>(interlaced.data()), interlaced.size()});
  constexpr std::uint64_t kCap = 36 << 20;
  const auto profile = [&](const std::string& cap) {
    return run_program({agent_program(), "profile", "--model", model, "--no-cache", "--runs", "1",
                        "--json", "--ram", cap, large, workshop.jpeg("small.jpg", 1)});
  };
  const Finished run = profile(std::to_string(kCap));
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.peak_rss_bytes <= kCap);
  CHECK(run.err.find("left out: " + large + ": ") != std::string::npos);
  const nlohmann::json tables = nlohmann::json::parse(run.out).at("variants");
  CHECK(tables.at(1).at("compared_pictures") == 1);
  // With room for it, it is compared.
  const Finished both = profile("256MiB");
  REQUIRE_MESSAGE(both.exit_code == 0, both.err);
  CHECK(both.err.empty());
  const nlohmann::json compared = nlohmann::json::parse(both.out).at("variants");
  CHECK(compared.at(1).at("compared_pictures") == 2);
}

TEST_CASE("a JPEG that the device has no room to decode goes to the server as it is") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "96"});
  const RunningServer server({model});
  // Held whole, 24 MB of coefficients and more.
  const Bytes progressive = make_jpeg({.width = 3000, .height = 2000, .progressive = true},
                                      [](std::uint32_t row, std::span<std::uint8_t> line) {
                                        for (std::size_t i = 0; i < line.size(); ++i) {
                                          line[i] = static_cast<std::uint8_t>(i * 7 + row * 13);
                                        }
                                      });
  REQUIRE(progressive.size() > 96 * 96 * 3);  // as pixels it would be fewer bytes
  const std::string picture = workshop.file(
      "p.jpg", {reinterpret_cast<const char*>(progressive.data()), progressive.size()});
  constexpr std::uint64_t kCap = 26 << 20;
  const auto ask = [&](const std::string& ram) {
    return run_agent({"run", "--model", model, "--no-cache", "--server", server.address(),
                      "--policy", "sco", "--bandwidth", "10mbit", "--json", "--scores", "--ram",
                      ram, picture});
  };
  const AgentRun tight = ask(std::to_string(kCap));
  REQUIRE_MESSAGE(tight.exit_code == 0, tight.err);
  CHECK(tight.records.at(0).at("sent") == "jpeg");
  const AgentRun wide = ask("256MiB");
  REQUIRE_MESSAGE(wide.exit_code == 0, wide.err);
  CHECK(wide.records.at(0).at("sent") == "pixels_u8");
  CHECK(wide.records.at(0).at("scores") == tight.records.at(0).at("scores"));
}

}  // namespace cleave::test
