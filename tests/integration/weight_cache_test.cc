// SPDX-License-Identifier: Apache-2.0
//
// The weight cache as its users meet it: later starts and other processes use what the first one
// packed, and whatever is wrong with the cache costs time only.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "schemas/exit_code.h"
#include "tests/support/programs.h"
#include "tests/support/reclaim.h"
#include "tests/support/sanitized.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

struct CacheFile {
  ino_t inode = 0;
  std::uint64_t bytes = 0;
  bool operator==(const CacheFile&) const = default;
};

std::map<std::string, CacheFile> files_of(const std::string& folder) {
  std::map<std::string, CacheFile> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat info {};
    REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    files[entry.path().filename()] = {info.st_ino, static_cast<std::uint64_t>(info.st_size)};
  }
  return files;
}

// What a process has of the cache's files in memory, from its smaps.
struct MappedPages {
  std::uint64_t mapped = 0, resident = 0, shared = 0, of_its_own = 0;
};

MappedPages pages_of(pid_t process) {
  std::ifstream smaps("/proc/" + std::to_string(process) + "/smaps");
  MappedPages pages;
  bool is_cache = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string key;
    std::uint64_t kib = 0;
    words >> key;
    if (!key.ends_with(':')) {
      is_cache = line.ends_with(".packed");
    } else if (is_cache && words >> kib) {
      if (key == "Size:") pages.mapped += kib * 1024;
      if (key == "Rss:") pages.resident += kib * 1024;
      if (key.starts_with("Shared_")) pages.shared += kib * 1024;
      if (key.starts_with("Private_")) pages.of_its_own += kib * 1024;
    }
  }
  return pages;
}

// Pages that were reclaimed come back for one process at a time, which then has them alone.
bool share_all(const MappedPages& pages, std::uint64_t bytes) {
  CHECK(pages.mapped >= bytes);
  return pages.resident > bytes * 9 / 10 && pages.shared == pages.resident && pages.of_its_own == 0;
}

void check_shared(const std::function<bool()>& holds) {
  const Verdict verdict = judge_residency(holds);
  CHECK(verdict != Verdict::kFails);
  if (verdict == Verdict::kPagesWereReclaimed) {
    std::printf("not judged: this machine is short of memory and reclaims pages\n");
  }
}

std::vector<std::string> run_all(const std::string& model, const std::string& cache,
                                 const std::string& picture) {
  return {"run",     "--model", model,    "--split",  "all",
          "--cache", cache,     "--json", "--scores", picture};
}

}  // namespace

TEST_CASE("a second agent packs nothing; a deeper cut only adds files") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2");
  const std::string picture = workshop.jpeg("a.jpg", 1);
  const std::string cache = workshop.path("cache");
  const RunningServer server({model}, {"--no-cache"});
  const AgentRun head =
      run_agent({"run", "--model", model, "--split", "4", "--server", server.address(), "--cache",
                 cache, "--json", "--scores", picture});
  REQUIRE_MESSAGE(head.exit_code == 0, head.err);
  const auto few = files_of(cache);
  CHECK(few.size() > 2);
  const AgentRun all = run_agent(run_all(model, cache, picture));
  REQUIRE_MESSAGE(all.exit_code == 0, all.err);
  const auto more = files_of(cache);
  CHECK(more.size() > few.size());
  for (const auto& [name, file] : few) CHECK(more.at(name) == file);
  const AgentRun profiled =
      run_agent({"profile", "--model", model, "--runs", "1", "--cache", cache, "--json"});
  REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
  const nlohmann::json& used = profiled.records.at(0).at("weight_cache");
  CHECK(used.at("ops_packed") == 0);
  CHECK(used.at("files_written") == 0);
  // Once for the time of each op, once for what the codecs make of what crosses the cuts.
  CHECK(used.at("ops_mapped") == 2 * more.size());
  CHECK(files_of(cache) == more);
  const AgentRun without = run_agent(
      {"run", "--model", model, "--split", "all", "--no-cache", "--json", "--scores", picture});
  CHECK(without.records.at(0).at("scores") == all.records.at(0).at("scores"));
  CHECK(head.records.at(0).at("scores") == all.records.at(0).at("scores"));
  CHECK(run_agent(run_all(model, cache, picture)).records.at(0).at("scores") ==
        all.records.at(0).at("scores"));
}

TEST_CASE("two agents and two servers share the pages of one cache") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2");
  const std::string cache = workshop.path("cache");
  const std::string picture = workshop.jpeg("a.jpg", 1);
  REQUIRE(run_agent(run_all(model, cache, picture)).exit_code == 0);
  std::uint64_t bytes = 0;
  for (const auto& [name, file] : files_of(cache)) bytes += file.bytes;

  // Many pictures, so that both are still at work when they are stopped and looked at.
  std::vector<std::string> command = run_all(model, cache, picture);
  command.insert(command.begin(), agent_program());
  for (int i = 0; i < 400; ++i) command.push_back(picture);
  check_shared([&] {
    BackgroundProgram first(command), second(command);
    for (BackgroundProgram* agent : {&first, &second}) {
      REQUIRE(agent->read_line() != "");
      REQUIRE(agent->stop());
    }
    return share_all(pages_of(first.pid()), bytes) && share_all(pages_of(second.pid()), bytes);
  });

  const auto serve = [&] {
    return std::make_unique<BackgroundProgram>(
        std::vector<std::string>{server_program(), "--listen", "127.0.0.1:0", "--json",
                                 "--log-level", "warn", "--model", model, "--cache", cache});
  };
  check_shared([&] {
    const auto one = serve(), two = serve();
    for (BackgroundProgram* server : {one.get(), two.get()}) {
      const auto line = nlohmann::json::parse(server->read_line(), nullptr, false);
      REQUIRE(line.is_object());
      CHECK(line.at("weight_cache").at("ops_packed") == 0);
      CHECK(line.at("weight_cache").at("ops_mapped") == files_of(cache).size());
    }
    return share_all(pages_of(one->pid()), bytes) && share_all(pages_of(two->pid()), bytes);
  });
}

TEST_CASE("an agent that is killed while it fills the cache leaves nothing that is used") {
  const Workshop workshop;
  const std::string model = workshop.zoo("alexnet", {"--classes", "10"});
  const std::string picture = workshop.jpeg("a.jpg", 1);
  const AgentRun expected = run_agent(
      {"run", "--model", model, "--split", "all", "--no-cache", "--json", "--scores", picture});
  REQUIRE_MESSAGE(expected.exit_code == 0, expected.err);
  // Instrumented, each takes 4 s, and the agent longer to begin.
  const std::vector<int> delays_ms =
      kSanitized ? std::vector{200, 600, 1500}
                 : std::vector{20, 40, 60, 80, 100, 130, 160, 200, 260, 330};
  for (const int milliseconds : delays_ms) {
    CAPTURE(milliseconds);
    const std::string cache = workshop.path("cache" + std::to_string(milliseconds));
    {
      std::vector<std::string> command = run_all(model, cache, picture);
      command.insert(command.begin(), agent_program());
      const BackgroundProgram agent(command);
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      agent.signal(SIGKILL);
    }
    const AgentRun profiled =
        run_agent({"profile", "--model", model, "--runs", "1", "--cache", cache, "--json"});
    REQUIRE_MESSAGE(profiled.exit_code == 0, profiled.err);
    CHECK(profiled.records.at(0).at("weight_cache").at("files_refused") == 0);
    const AgentRun again = run_agent(run_all(model, cache, picture));
    REQUIRE_MESSAGE(again.exit_code == 0, again.err);
    CHECK(again.records.at(0).at("scores") == expected.records.at(0).at("scores"));
  }
}

TEST_CASE("a cache that cannot be used is one line, not a failure") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--width", "0.35", "--input", "96", "--classes", "10"});
  const std::string picture = workshop.jpeg("a.jpg", 1);
  const auto check = [&](const std::string& cache, const std::string& line) {
    const AgentRun run = run_agent(run_all(model, cache, picture));
    CHECK(run.exit_code == 0);
    CHECK(run.records.at(0).contains("top"));
    CHECK(run.err.find(line) != std::string::npos);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  };
  const std::string open = workshop.path("open");
  fs::create_directory(open);
  REQUIRE(::chmod(open.c_str(), 0777) == 0);
  check(open, "the weight cache is not used: " + open + ": others may write to it");
  CHECK(fs::is_empty(open));
  const std::string file = workshop.file("file", "");
  check(file, "the weight cache is not used: " + file);
  check("/proc/none", "the weight cache is not used: /proc/none");
  // Room for a part only.
  const AgentRun small =
      run_agent({"run", "--model", model, "--split", "all", "--cache", workshop.path("small"),
                 "--cache-limit", "100kB", "--json", picture});
  CHECK(small.exit_code == 0);
  CHECK(small.err.find("over the cache's limit of 100000 bytes") != std::string::npos);
  std::uint64_t bytes = 0;
  for (const auto& [name, kept] : files_of(workshop.path("small"))) bytes += kept.bytes;
  CHECK(bytes > 0);
  CHECK(bytes <= 100'000);
  CHECK(run_agent({"run", "--model", model, "--cache", open, "--no-cache", picture}).exit_code ==
        static_cast<int>(ExitCode::kUsage));
}

TEST_CASE("without a flag the cache is the user's own, and doctor shows it") {
  const Workshop workshop;
  const std::string model =
      workshop.zoo("mobilenet_v2", {"--width", "0.35", "--input", "96", "--classes", "10"});
  const std::string picture = workshop.jpeg("a.jpg", 1);
  REQUIRE(run_agent({"run", "--model", model, "--split", "all", "--json", picture}).exit_code == 0);
  const std::string folder = workshop.path("caches/cleave/weights");
  const auto files = files_of(folder);
  const AgentRun doctor = run_agent({"doctor", "--model", model, "--json"});
  REQUIRE(doctor.exit_code == 0);
  const nlohmann::json& shown = doctor.records.at(0).at("weight_cache");
  CHECK(shown.at("folder") == folder);
  CHECK(shown.at("files") == files.size());
  CHECK(shown.at("limit_bytes") == 1 << 30);
  std::uint64_t bytes = 0;
  for (const auto& [name, file] : files) bytes += file.bytes;
  CHECK(shown.at("bytes") == bytes);
  CHECK(run_program({agent_program(), "doctor", "--model", model}).out.find(folder) !=
        std::string::npos);
}

TEST_CASE("storage counts the cache's files beside the model's") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2");
  const std::string cache = workshop.path("cache");
  const AgentRun profiled =
      run_agent({"profile", "--model", model, "--runs", "1", "--cache", cache, "--json"});
  REQUIRE(profiled.exit_code == 0);
  const auto splits = [&](const std::vector<std::string>& options) {
    std::vector<std::string> command{"plan", "--model", model, "--json"};
    command.insert(command.end(), options.begin(), options.end());
    return run_agent(command).records.at(0).at("splits");
  };
  const nlohmann::json with = splits({"--cache", cache}), without = splits({"--no-cache"});
  const auto ram_growth = [&](std::size_t split) {
    return with[split].at("ram_bytes").get<std::int64_t>() -
           without[split].at("ram_bytes").get<std::int64_t>();
  };
  // The process's own pages, those of the cache's code among them, count in every split alike. How
  // many are resident differs from run to run: a sanitizer's, with its 80 MB, by more than 1 MB.
  constexpr std::int64_t kMostCodeBytes = 512 << 10;
  const std::int64_t own_bytes = without[0].at("ram_bytes").get<std::int64_t>();
  CHECK(std::abs(ram_growth(0)) < std::max(kMostCodeBytes, own_bytes / 20));
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < with.size(); ++i) {
    const std::uint64_t packed = with[i].at("storage_bytes").get<std::uint64_t>() -
                                 without[i].at("storage_bytes").get<std::uint64_t>();
    CHECK(packed >= before);
    CHECK(ram_growth(i) == ram_growth(0));
    before = packed;
  }
  const double found = profiled.records.at(0).at("weight_cache").at("bytes");
  CHECK(static_cast<double>(before) == doctest::Approx(found).epsilon(0.03));
  // What fits with no cache alone.
  const std::uint64_t raw = without.back().at("storage_bytes");
  const std::vector<std::string> all{"run",       "--model",
                                     model,       "--split",
                                     "all",       workshop.jpeg("a.jpg", 1),
                                     "--storage", std::to_string(raw + 1000)};
  std::vector<std::string> refused = all, taken = all;
  refused.insert(refused.end(), {"--cache", cache});
  taken.emplace_back("--no-cache");
  const AgentRun no = run_agent(refused);
  CHECK(no.exit_code == static_cast<int>(ExitCode::kCapTooSmall));
  CHECK(no.err.find("--no-cache") != std::string::npos);
  CHECK(run_program([&] {
          taken.insert(taken.begin(), agent_program());
          return taken;
        }())
            .exit_code == 0);
}

}  // namespace cleave::test
