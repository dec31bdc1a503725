// SPDX-License-Identifier: Apache-2.0
//
// cleave's own programs for the integration tests, and the pictures and models they are run on.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {

// Full paths; the folder comes from $CLEAVE_BIN_DIR, which CMake sets for these tests.
std::string agent_program();
std::string server_program();
std::string import_program();

struct PictureSides {
  std::uint32_t width = 400, height = 300;
};

// A folder of its own for one test, with everything that the test writes, and the user's caches of
// the programs that it starts; removed at the end.
class Workshop {
 public:
  Workshop();
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

  // `cleave-import zoo` into the folder; gives the path.
  std::string zoo(const std::string& name, const std::vector<std::string>& options = {}) const;
  // `cleave-import import`.
  std::string import(const std::string& source, const std::string& name) const;
  // A JPEG with detail that depends on `seed`; gives the path.
  std::string jpeg(const std::string& name, unsigned seed, PictureSides sides = {}) const;
  // A PNG likewise.
  std::string png(const std::string& name, unsigned seed) const;
  std::string file(const std::string& name, const std::string& content) const;

 private:
  TemporaryFolder folder_;
};

// `cleave-server` on a free loopback port, ready when constructed.
class RunningServer {
 public:
  // Its standard error as in BackgroundProgram.
  explicit RunningServer(const std::vector<std::string>& models,
                         const std::vector<std::string>& options = {},
                         const std::string& error_file = {});
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] BackgroundProgram& program() { return *program_; }

 private:
  std::unique_ptr<BackgroundProgram> program_;
  std::uint16_t port_ = 0;
};

// Runs `cleave-agent` with the arguments; the JSON lines it printed are in `records`.
struct AgentRun {
  int exit_code = -1;
  std::vector<nlohmann::json> records;
  std::string err;
};
AgentRun run_agent(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& prefix = {});

// The counters of `run --stats --json`, from its standard error. REQUIREs that they are there.
nlohmann::json stats_of(const std::string& err);

// `cleave-import inspect --json`.
nlohmann::json inspect(const std::string& model, const std::vector<std::string>& options = {});

}  // namespace cleave::test
