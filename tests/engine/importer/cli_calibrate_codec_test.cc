// SPDX-License-Identifier: Apache-2.0
//
// `cleave-import calibrate-codec`: its flags, what it prints, and what it refuses.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/engine/image/test_pictures.h"
#include "tests/engine/importer/cli_runner.h"

using namespace cleave::test;
using cleave::ExitCode;

namespace {

// A folder with m.cleave and samples/, pictures of noise.
class CalibrationFolder : public TemporaryFolder {
 public:
  CalibrationFolder() {
    const Finished made =
        run_import(*this, "zoo mobilenet_v2 m.cleave --input 32 --width 0.35 --classes 10");
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
    std::filesystem::create_directory(path() / "samples");
    for (unsigned seed = 0; seed < 3; ++seed) {
      const auto png =
          make_png({.width = 32, .height = 32}, rows_of(noise(32 * 32 * 3, seed), 32, 3));
      std::ofstream(path() / "samples" / (std::to_string(seed) + ".png"), std::ios::binary)
          .write(reinterpret_cast<const char*>(png.data()),
                 static_cast<std::streamsize>(png.size()));
    }
  }
};

}  // namespace

TEST_CASE("a model is calibrated at the cuts and for the disagreements that are named") {
  const CalibrationFolder folder;
  const Finished outcome =
      run_import(folder,
                 "calibrate-codec m.cleave c.cleave --pictures samples --split 3,5 "
                 "--disagreement 20%,5 --json");
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  const nlohmann::json summary = nlohmann::json::parse(outcome.out);
  REQUIRE(summary["cuts"].size() == 2);
  for (const nlohmann::json& cut : summary["cuts"]) {
    REQUIRE(cut["qualities"].size() == 2);
    CHECK(cut["qualities"][0]["compared_pictures"] == 6);
    CHECK(cut["qualities"][0]["disagreement_ppm"] == 50'000);
    CHECK(cut["qualities"][1]["disagreement_ppm"] == 200'000);
    // The smaller disagreement comes first, whatever the order of the flag.
    CHECK(cut["qualities"][0]["median_bytes"] >= cut["qualities"][1]["median_bytes"]);
  }
  const Finished again =
      run_import(folder, "calibrate-codec c.cleave c.cleave --pictures samples --split 3");
  REQUIRE_MESSAGE(again.exit_code == 0, again.err);
  CHECK(again.out.find("c.cleave: 1 cuts, identity ") != std::string::npos);
}

TEST_CASE("each way that calibration cannot be done is one line and its exit code") {
  const CalibrationFolder folder;
  std::filesystem::create_directory(folder / "empty");
  for (const BadCase& c : {
           BadCase{"calibrate-codec none.cleave o.cleave --pictures samples", ExitCode::kNotFound,
                   "none.cleave"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures none", ExitCode::kNotFound,
                   "--pictures"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures empty", ExitCode::kUsage,
                   "holds no"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures samples --disagreement 60%",
                   ExitCode::kUsage, "--disagreement"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures samples --disagreement much",
                   ExitCode::kUsage, "--disagreement"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures samples --variant f64",
                   ExitCode::kUsage, "f32"},
           BadCase{"calibrate-codec m.cleave o.cleave --pictures samples --split 0,all",
                   ExitCode::kUsage, "--split"},
       }) {
    check_bad_case(folder, c, "o.cleave");
  }
}
