// SPDX-License-Identifier: Apache-2.0
//
// ONNX's own operator vectors (Debian package libonnx-testdata) through the whole path: imported,
// fused, written, opened, run. Every case of a supported operator either passes or is printed with
// the reason why it is left out.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/engine/onnx_vectors.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

// What is reached with libonnx-testdata 1.12; fewer means that something broke.
constexpr int kFloor = 87;

// The backend suite's defaults.
constexpr double kRelative = 1e-3, kAbsolute = 1e-7;

struct Tally {
  int passed = 0, other_operators = 0;
  std::map<std::string, std::string> left_out;
};

// Empty when every element is within the suite's tolerances.
std::string compare(const std::vector<float>& expected, const std::vector<float>& actual) {
  if (expected.size() != actual.size()) {
    return std::to_string(actual.size()) + " elements instead of " +
           std::to_string(expected.size());
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double allowed = kAbsolute + kRelative * std::fabs(expected[i]);
    if (expected[i] == actual[i] || std::fabs(double{expected[i]} - actual[i]) <= allowed) continue;
    return "element " + std::to_string(i) + " is " + std::to_string(actual[i]) + " instead of " +
           std::to_string(expected[i]);
  }
  return "";
}

void run_case(const fs::path& directory, Tally& tally) {
  const std::string name = directory.filename().string();
  INFO(name);
  const OnnxVector vector = load_onnx_vector(directory);
  if (vector.kind == OnnxVector::Kind::kOtherOperators) {
    ++tally.other_operators;
    return;
  }
  if (vector.kind == OnnxVector::Kind::kLeftOut) {
    tally.left_out[name] = vector.reason;
    return;
  }
  const Result<std::vector<float>> actual = run_onnx_vector(vector);
  if (!actual.is_ok() && actual.status().code() == StatusCode::kUnsupported) {
    tally.left_out[name] = actual.status().message();
    return;
  }
  REQUIRE_MESSAGE(actual.is_ok(), actual.status().message());
  const std::string difference = compare(vector.expected, *actual);
  CHECK_MESSAGE(difference.empty(), difference);
  if (difference.empty()) ++tally.passed;
}

TEST_CASE("ONNX operator vectors give the suite's outputs") {
  const fs::path data = "/usr/share/libonnx-testdata/data";
  REQUIRE_MESSAGE(fs::is_directory(data), "install the Debian package libonnx-testdata");
  Tally tally;
  for (const char* group : {"node", "pytorch-converted", "pytorch-operator", "simple"}) {
    std::vector<fs::path> cases;
    for (const auto& entry : fs::directory_iterator(data / group)) cases.push_back(entry.path());
    std::sort(cases.begin(), cases.end());
    for (const fs::path& directory : cases) run_case(directory, tally);
  }
  for (const auto& [name, reason] : tally.left_out) {
    std::printf("left out: %s: %s\n", name.c_str(), reason.c_str());
  }
  std::printf("ONNX operator vectors: %d passed, %zu left out, %d of operators not imported\n",
              tally.passed, tally.left_out.size(), tally.other_operators);
  CHECK(tally.passed >= kFloor);
}

}  // namespace
}  // namespace cleave::test
