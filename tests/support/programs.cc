// SPDX-License-Identifier: Apache-2.0
#include "tests/support/programs.h"

#include <doctest/doctest.h>
#include <png.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/image/jpeg_encoder.h"

namespace cleave::test {
namespace {

std::string program(const char* name, const char* own_folder = nullptr) {
  const char* folder = own_folder != nullptr ? own_folder : std::getenv("CLEAVE_BIN_DIR");
  REQUIRE_MESSAGE(folder != nullptr, "CLEAVE_BIN_DIR names the folder of the programs");
  return std::string(folder) + "/" + name;
}

// Waves of several lengths: smooth enough to compress, different enough to classify differently.
std::vector<std::uint8_t> waves(unsigned seed, PictureSides sides) {
  std::vector<std::uint8_t> rgb(std::size_t{sides.width} * sides.height * 3);
  for (std::uint32_t y = 0; y < sides.height; ++y) {
    for (std::uint32_t x = 0; x < sides.width; ++x) {
      for (std::uint32_t c = 0; c < 3; ++c) {
        const double phase = 0.02 * (1 + (seed + c) % 5) * x + 0.03 * (1 + (seed * 7 + c) % 4) * y;
        const double value = 128 + 90 * std::sin(phase + c) + 30 * std::sin(0.7 * x + seed);
        rgb[(std::size_t{y} * sides.width + x) * 3 + c] =
            static_cast<std::uint8_t>(std::lround(std::fmin(255, std::fmax(0, value))));
      }
    }
  }
  return rgb;
}

void write_bytes(const std::string& path, const void* data, std::size_t size) {
  std::ofstream out(path, std::ios::binary);
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  REQUIRE(out.good());
}

}  // namespace

std::string agent_program() { return program("cleave-agent"); }
std::string server_program() { return program("cleave-server"); }
// It may be of another build than agent and server.
std::string import_program() {
  return program("cleave-import", std::getenv("CLEAVE_IMPORT_BIN_DIR"));
}

Workshop::Workshop() { ::setenv("XDG_CACHE_HOME", path("caches").c_str(), 1); }

std::string Workshop::zoo(const std::string& name, const std::vector<std::string>& options) const {
  const std::string out = path(name + ".cleave");
  std::vector<std::string> command{import_program(), "zoo", name, out};
  command.insert(command.end(), options.begin(), options.end());
  const Finished finished = run_program(command);
  REQUIRE_MESSAGE(finished.exit_code == 0, finished.err);
  return out;
}

std::string Workshop::import(const std::string& source, const std::string& name) const {
  const std::string out = path(name + ".cleave");
  const Finished finished = run_program({import_program(), "import", source, out});
  REQUIRE_MESSAGE(finished.exit_code == 0, finished.err);
  return out;
}

std::string Workshop::jpeg(const std::string& name, unsigned seed, PictureSides sides) const {
  const auto encoded = encode_jpeg(waves(seed, sides), sides.width, sides.height, 90);
  REQUIRE(encoded.is_ok());
  write_bytes(path(name), encoded->data(), encoded->size());
  return path(name);
}

std::string Workshop::png(const std::string& name, unsigned seed) const {
  constexpr PictureSides kSides;
  const std::vector<std::uint8_t> pixels = waves(seed, kSides);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = kSides.width;
  image.height = kSides.height;
  image.format = PNG_FORMAT_RGB;
  REQUIRE(png_image_write_to_file(&image, path(name).c_str(), 0, pixels.data(), 0, nullptr) != 0);
  return path(name);
}

std::string Workshop::file(const std::string& name, const std::string& content) const {
  write_bytes(path(name), content.data(), content.size());
  return path(name);
}

RunningServer::RunningServer(const std::vector<std::string>& models,
                             const std::vector<std::string>& options,
                             const std::string& error_file) {
  std::vector<std::string> command{server_program(), "--listen",    "127.0.0.1:0",
                                   "--json",         "--log-level", "warn"};
  for (const std::string& model : models) {
    command.emplace_back("--model");
    command.push_back(model);
  }
  command.insert(command.end(), options.begin(), options.end());
  program_ = std::make_unique<BackgroundProgram>(command, Environment{}, error_file);
  const std::string line = program_->read_line();
  const auto json = nlohmann::json::parse(line, nullptr, false);
  REQUIRE_MESSAGE(json.is_object(), "the server printed: " << line);
  const std::string address = json.at("address");
  port_ = static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

AgentRun run_agent(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& prefix) {
  std::vector<std::string> command = prefix;
  if (prefix.empty()) command.push_back(agent_program());
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Finished finished = run_program(command);
  AgentRun run{.exit_code = finished.exit_code, .records = {}, .err = finished.err};
  std::istringstream lines(finished.out);
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    REQUIRE_MESSAGE(json.is_object(), "not a JSON line: " << line);
    run.records.push_back(std::move(json));
  }
  return run;
}

nlohmann::json stats_of(const std::string& err) {
  const std::size_t line = err.find(R"({"event":"stats")");
  REQUIRE_MESSAGE(line != std::string::npos, err);
  return nlohmann::json::parse(err.substr(line, err.find('\n', line) - line));
}

nlohmann::json inspect(const std::string& model, const std::vector<std::string>& options) {
  std::vector<std::string> command{import_program(), "inspect", model, "--json"};
  command.insert(command.end(), options.begin(), options.end());
  const Finished finished = run_program(command);
  REQUIRE_MESSAGE(finished.exit_code == 0, finished.err);
  return nlohmann::json::parse(finished.out);
}

}  // namespace cleave::test
