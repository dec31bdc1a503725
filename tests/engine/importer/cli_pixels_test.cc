// SPDX-License-Identifier: Apache-2.0
//
// `cleave-import pixels`: what a model sees of a picture.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/importer/importer.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/engine/importer/cli_runner.h"
#include "tests/support/onnx_writer.h"

using namespace cleave::test;
using cleave::ExitCode;

namespace {

constexpr std::uint32_t kSide = 32;

void write_picture(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// A folder with m.cleave, which takes 32 x 32 pixels in `color`, and photo.png, `pixels` of just
// that size.
class PixelsFolder : public TemporaryFolder {
 public:
  explicit PixelsFolder(const std::string& color) {
    const auto graph = cleave::importer::make_zoo_model(
        "mobilenet_v2", {.input = kSide, .width = 0.1, .classes = 2});
    write_picture(*this / "net.onnx", to_bytes(to_onnx(*graph)));
    const Finished imported =
        run_import(*this, "import net.onnx m.cleave --mean 127.5 --std 127.5 --color " + color);
    REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
    write_picture(*this / "photo.png",
                  make_png({.width = kSide, .height = kSide}, rows_of(pixels, kSide, 3)));
  }

  const Pixels pixels = noise(kSide * kSide * 3, 7);
};

}  // namespace

TEST_CASE("pixels of a picture that has the model's size are the picture's own") {
  const PixelsFolder folder("rgb");
  const Finished outcome = run_import(folder, "pixels m.cleave photo.png photo.u8");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out == "photo.u8: 32 x 32 x 3, RGB\n");
  CHECK(content(folder / "photo.u8") == std::string(folder.pixels.begin(), folder.pixels.end()));
}

TEST_CASE("pixels come in the model's color order") {
  const PixelsFolder folder("bgr");
  const Finished outcome = run_import(folder, "pixels m.cleave photo.png photo.u8 --json");
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  CHECK(nlohmann::json::parse(outcome.out)["color"] == "BGR");
  const std::string bytes = content(folder / "photo.u8");
  REQUIRE(bytes.size() == folder.pixels.size());
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    REQUIRE(static_cast<std::uint8_t>(bytes[i]) == folder.pixels[i + 2]);
    REQUIRE(static_cast<std::uint8_t>(bytes[i + 1]) == folder.pixels[i + 1]);
  }
}

TEST_CASE("each way that pixels cannot be had is one line and its exit code; no file is left") {
  const PixelsFolder folder("rgb");
  std::filesystem::create_directory(folder / "bare");
  for (const BadCase& c : {
           BadCase{"pixels none.cleave photo.png o.u8", ExitCode::kNotFound, "none.cleave"},
           BadCase{"pixels photo.png photo.png o.u8", ExitCode::kCorruptModel, "photo.png"},
           BadCase{"pixels m.cleave none.png o.u8", ExitCode::kNotFound, "none.png"},
           BadCase{"pixels m.cleave net.onnx o.u8", ExitCode::kBadInput, "net.onnx"},
           BadCase{"pixels m.cleave photo.png none/o.u8", ExitCode::kNotFound, "none/o.u8"},
           BadCase{"pixels m.cleave photo.png bare", ExitCode::kIo, "bare"},
       }) {
    check_bad_case(folder, c, "o.u8");
  }
}

TEST_CASE("help of pixels shows an example and exit codes") {
  const TemporaryFolder folder;
  const Finished help = run_import(folder, "pixels --help");
  CHECK(help.exit_code == 0);
  CHECK(help.out.find("cleave-import pixels m.cleave") != std::string::npos);
  CHECK(help.out.find("Exit codes") != std::string::npos);
}
