// SPDX-License-Identifier: Apache-2.0
//
// The codecs of boundary tensors on real networks and photos: what a cut costs on the wire, what
// the answers lose, and how fast one core is; beside what sending the picture costs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/codec/coded_table.h"
#include "tests/bench/codec_bench.h"
#include "tests/bench/codec_speed.h"
#include "tests/bench/codec_synthetic.h"
#include "tests/support/sanitized.h"
#include "tests/support/shared_data.h"

namespace {

using namespace cleave;
using namespace cleave::bench;

double percent(std::size_t part, std::size_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::size_t>(whole, 1));
}

void print_line(const CodecLine& line) {
  std::printf("    %-10s %9.0f bytes %7.3f bits  agree %5.1f %%  top-1 %5.1f %%",
              line.codec.c_str(), line.mean_bytes, line.bits(),
              percent(line.agreeing, line.pictures), percent(line.right, line.pictures));
  if (line.encode_per_s > 0) {
    std::printf("  M/s: encode %6.0f decode %6.0f", line.encode_per_s / 1e6,
                line.decode_per_s / 1e6);
  }
  std::printf("\n");
}

void print_report(const CodecReport& report) {
  const std::size_t photos = report.pictures.front().pictures;
  std::printf("%s: %zu photos, f32 top-1 %.1f %%; coded is calibrated on others for",
              report.network.c_str(), photos, percent(report.right, photos));
  for (const std::uint32_t ppm : report.disagreement_ppm) std::printf(" %.1f %%", ppm / 10'000.0);
  std::printf(" of other answers\n  the picture instead\n");
  for (const CodecLine& line : report.pictures) print_line(line);
  for (const CodecCut& cut : report.cuts) {
    std::printf("  k %u (%s), op:%u, %s, %.1f %% zeros\n", cut.layers_on_device, cut.layer.c_str(),
                cut.op_boundary, cut.shape.c_str(), 100 * cut.zeros);
    for (const CodecLine& line : cut.lines) print_line(line);
  }
  std::fflush(stdout);
}

nlohmann::ordered_json to_json(const CodecLine& line) {
  return {{"codec", line.codec},
          {"elements", line.elements},
          {"mean_bytes", line.mean_bytes},
          {"bits_per_element", line.bits()},
          {"pictures", line.pictures},
          {"agreeing", line.agreeing},
          {"right", line.right},
          {"encode_elements_per_s", line.encode_per_s},
          {"decode_elements_per_s", line.decode_per_s}};
}

nlohmann::ordered_json to_json(const std::vector<CodecLine>& lines) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const CodecLine& line : lines) all.push_back(to_json(line));
  return all;
}

nlohmann::ordered_json to_json(const CodecReport& report) {
  nlohmann::ordered_json cuts = nlohmann::ordered_json::array();
  for (const CodecCut& cut : report.cuts) {
    cuts.push_back({{"split", cut.layers_on_device},
                    {"op_boundary", cut.op_boundary},
                    {"layer", cut.layer},
                    {"shape", cut.shape},
                    {"zeros", cut.zeros},
                    {"codecs", to_json(cut.lines)}});
  }
  return {{"network", report.network},
          {"disagreement_ppm", report.disagreement_ppm},
          {"right", report.right},
          {"picture", to_json(report.pictures)},
          {"cuts", cuts}};
}

// That every codec runs at every kind of cut, that lossless and f16 change no answer and int8 at
// most one, and that none takes more than its form allows. What coded takes of a network whose
// weights mean nothing says nothing: bench_synthetic() judges that.
int judge_smoke(const CodecReport& report) {
  for (const CodecCut& cut : report.cuts) {
    for (const CodecLine& line : cut.lines) {
      const bool is_exact = line.codec == "Lossless" || line.codec == "F16";
      const bool is_int8 = line.codec == "Int8";
      const double most_bits = line.codec == "Lossless" ? 33 : is_exact ? 16 : is_int8 ? 8.5 : 3;
      const std::size_t fewest = is_exact ? line.pictures : line.pictures - (is_int8 ? 1 : 2);
      if (line.bits() <= most_bits && line.agreeing >= fewest) continue;
      std::fprintf(stderr, "bench_codec: at op:%u %s takes %.3f bits, %zu of %zu answers agree\n",
                   cut.op_boundary, line.codec.c_str(), line.bits(), line.agreeing, line.pictures);
      return 1;
    }
  }
  return 0;
}

int judge_synthetic() {
  const auto lines = bench_synthetic();
  if (!lines.is_ok()) {
    std::fprintf(stderr, "bench_codec: %s\n", lines.status().message().c_str());
    return 1;
  }
  int result = 0;
  for (const SyntheticLine& line : *lines) {
    std::printf("synthetic, %s: %.4f bits (at most %.4f), error %.4f (at most %.4f)\n",
                line.form.c_str(), line.bits, line.most_bits, line.error, line.most_error);
    if (!line.is_within()) {
      std::fprintf(stderr, "bench_codec: synthetic tensors, %s: worse than was recorded\n",
                   line.form.c_str());
      result = 1;
    }
  }
  return result;
}

// Of optimized code alone: what checks itself, or was built to be stepped through, has no speed.
int judge_speed() {
#ifdef __OPTIMIZE__
  constexpr bool kJudged = !test::kSanitized;
#else
  constexpr bool kJudged = false;
#endif
  const auto lines = bench_speed();
  if (!lines.is_ok()) {
    std::fprintf(stderr, "bench_codec: %s\n", lines.status().message().c_str());
    return 1;
  }
  int result = 0;
  for (const SpeedLine& line : *lines) {
    std::printf(
        "speed, %s: M elements/s in %.0f, out %.0f; cycles an element in %.1f, out %.1f (at most "
        "%.0f)\n",
        line.form.c_str(), line.encode_per_s / 1e6, line.decode_per_s / 1e6, line.encode_cycles,
        line.decode_cycles, line.most_cycles);
    if (kJudged && !line.is_within()) {
      std::fprintf(stderr, "bench_codec: %s: slower than its floor\n", line.form.c_str());
      result = 1;
    }
  }
  return result;
}

struct Options {
  std::vector<std::string> networks = codec_network_names();
  CodecCuts cuts;
  std::vector<double> disagreement;
  bool json = false, smoke = false;
};

Result<CodecReport> run(CodecNetwork network, const Options& options) {
  if (!options.disagreement.empty()) network.disagreement_ppm.clear();
  for (const double allowed : options.disagreement) {
    network.disagreement_ppm.push_back(static_cast<std::uint32_t>(std::lround(allowed * 10'000)));
  }
  std::ranges::sort(network.disagreement_ppm);
  CLEAVE_ASSIGN_OR_RETURN(CodecReport report, bench_codecs(network, options.cuts));
  if (!options.json) print_report(report);
  return report;
}

int run_all(const Options& options) {
  const auto data = options.smoke ? std::optional<std::filesystem::path>() : test::shared_data();
  if (!options.smoke && !data) return 0;
  const std::vector<std::string> names =
      options.smoke ? std::vector<std::string>{"seeded"} : options.networks;
  nlohmann::ordered_json reports = nlohmann::ordered_json::array();
  for (const std::string& name : names) {
    auto network = options.smoke ? seeded_codec_network() : load_codec_network(*data, name);
    Status status = network.status();
    if (status.is_ok()) {
      const auto report = run(std::move(network).value(), options);
      status = report.status();
      if (report.is_ok()) reports.push_back(to_json(*report));
      if (report.is_ok() && options.smoke && judge_smoke(*report) != 0) return 1;
    }
    if (!status.is_ok()) {
      std::fprintf(stderr, "bench_codec: %s: %s\n", name.c_str(), status.message().c_str());
      return 1;
    }
  }
  if (options.json) std::printf("%s\n", reports.dump(2).c_str());
  if (!options.smoke) return 0;
  const int coding = judge_synthetic();
  return std::max(coding, judge_speed());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Measures the codecs of boundary tensors on the networks and photos of the test data."};
  Options options;
  app.add_option("--network", options.networks, "Which networks")
      ->delimiter(',')
      ->check(CLI::IsMember(codec_network_names()));
  app.add_option("--cuts", options.cuts.most, "At most so many cuts of each, evenly spaced")
      ->check(CLI::Range(1, 1000));
  app.add_option("--op", options.cuts.only, "Only the cuts at these ops")->delimiter(',');
  app.add_option("--disagreement", options.disagreement,
                 "Percents of other answers that coded is calibrated for, Coded:0 for the least "
                 "(default: 7, SqueezeNet 13, VGG-6 4)")
      ->delimiter(',')
      ->expected(1, static_cast<int>(codec::kMaxQualities))
      ->check(CLI::Range(0.1, 50.0));
  app.add_flag("--json", options.json, "Print everything as JSON");
  app.add_flag(
      "--smoke", options.smoke,
      "A seeded network and pictures, and synthetic tensors: fails when a codec got worse, or "
      "slower than its floor");
  app.footer(
      "Bits are of an element of the cut, or of a pixel's channel. Every third photo calibrates, "
      "the others are measured; speed is of one core, the median of the photos.");
  CLI11_PARSE(app, argc, argv);
  return run_all(options);
}
