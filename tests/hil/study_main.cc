// SPDX-License-Identifier: Apache-2.0
//
// Repeats the papers' studies: prints the tables, and writes them and the figures to a folder.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "schemas/exit_code.h"
#include "tests/hil/study.h"

namespace {

using cleave::study::StudyFile;

constexpr const char* kUsage =
    "usage: study [lmos | cost] [--out DIR]\n"
    "\n"
    "Repeats the LMOS paper's study and the edge/cloud cost study (both without a name), and\n"
    "prints their tables, ours beside theirs. Takes seconds and 0.6 GB of memory.\n"
    "\n"
    "  --out DIR   also write study_*.txt and study_*.svg there (an existing folder)\n"
    "\n"
    "Exit codes: 0 done; 1 a bug; 2 flags; 11 writing failed.\n";

struct Arguments {
  bool lmos = true, cost = true, help = false;
  std::string out;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "lmos" || word == "cost") {
      arguments.lmos = word == "lmos";
      arguments.cost = word == "cost";
    } else if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (word == "--out" && i + 1 < argc) {
      arguments.out = argv[++i];
    } else {
      return false;
    }
  }
  return true;
}

bool write(const std::string& folder, const StudyFile& file) {
  const std::filesystem::path path = std::filesystem::path(folder) / file.name;
  std::ofstream stream(path, std::ios::binary);
  stream << file.content;
  stream.flush();
  if (stream.good()) return true;
  std::fprintf(stderr, "study: cannot write %s\n", path.c_str());
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return static_cast<int>(cleave::ExitCode::kUsage);
  }
  if (arguments.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  std::vector<StudyFile> files;
  if (arguments.lmos) {
    const auto networks = cleave::study::make_study_networks();
    if (!networks.is_ok()) {
      std::fprintf(stderr, "study: %s\n", std::string(networks.status().message()).c_str());
      return 1;
    }
    files = cleave::study::lmos_study(*networks);
  }
  if (arguments.cost) {
    for (StudyFile& file : cleave::study::cost_study()) files.push_back(std::move(file));
  }
  for (const StudyFile& file : files) {
    if (file.name.ends_with(".txt")) std::printf("%s\n", file.content.c_str());
    if (!arguments.out.empty() && !write(arguments.out, file)) {
      return static_cast<int>(cleave::ExitCode::kIo);
    }
  }
  return 0;
}
