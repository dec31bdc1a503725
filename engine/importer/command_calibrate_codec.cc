// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/codec/coded_table.h"
#include "engine/cuts.h"
#include "engine/importer/calibrate.h"
#include "engine/importer/calibrate_codec.h"
#include "engine/importer/commands.h"
#include "engine/importer/model_pixels.h"

namespace cleave::importer {
namespace {

constexpr std::size_t kMostPictures = 64;

struct CalibrateCodecArguments {
  std::string model, destination, pictures, variant;
  std::vector<std::string> splits;
  std::vector<std::string> disagreement{"1%", "3%", "7%"};
  unsigned threads = 1;
  bool json = false;
};

// "3", "3%", "0.5%": in millionths.
Result<std::uint32_t> parse_percent(std::string_view text) {
  std::string_view number = text;
  if (number.ends_with('%')) number.remove_suffix(1);
  double percent = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc{} || end != number.data() + number.size() || !(percent >= 0) ||
      percent > 50) {
    return Status(StatusCode::kInvalidArgument,
                  "--disagreement: " + std::string(text) + " is not a percentage of 0 to 50");
  }
  return static_cast<std::uint32_t>(std::lround(percent * 10'000));
}

Result<std::uint32_t> find_variant(const fbs::Model& model, const std::string& name) {
  std::string known;
  for (std::uint32_t v = 0; v < model.variants()->size(); ++v) {
    const std::string found = model.variants()->Get(v)->name()->str();
    if (name.empty() || found == name) return v;
    known += (known.empty() ? "" : ", ") + found;
  }
  return Status(StatusCode::kInvalidArgument,
                "--variant: the model has no " + name + ", it has " + known);
}

// Ascending, without those that nothing crosses to a server.
Result<std::vector<OpIndex>> find_cuts_of(const fbs::Model& model, std::uint32_t variant,
                                          const std::vector<std::string>& splits) {
  std::vector<OpIndex> cuts;
  for (const std::string& text : splits) {
    CLEAVE_ASSIGN_OR_RETURN(const Split split, parse_split(model, variant, text));
    cuts.push_back(split.op_boundary);
  }
  if (splits.empty()) {
    for (const Split& split : list_splits(model, variant)) cuts.push_back(split.op_boundary);
  }
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  const OpIndex ops = model.variants()->Get(variant)->ops()->size();
  std::erase_if(cuts, [&](OpIndex cut) { return cut == 0 || cut == ops; });
  if (cuts.empty()) {
    return Status(StatusCode::kInvalidArgument, "--split: nothing is coded at these cuts");
  }
  return cuts;
}

Status read_options(const CalibrateCodecArguments& arguments, const ModelFile& model,
                    CodecCalibration& calibration) {
  CLEAVE_ASSIGN_OR_RETURN(calibration.variant, find_variant(model.header(), arguments.variant));
  CLEAVE_ASSIGN_OR_RETURN(calibration.cuts,
                          find_cuts_of(model.header(), calibration.variant, arguments.splits));
  if (arguments.disagreement.size() > codec::kMaxQualities) {
    return {StatusCode::kInvalidArgument, "--disagreement: at most 8 levels"};
  }
  for (const std::string& text : arguments.disagreement) {
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t ppm, parse_percent(text));
    calibration.disagreement_ppm.push_back(ppm);
  }
  std::ranges::sort(calibration.disagreement_ppm);
  calibration.threads = arguments.threads;
  return Status::ok();
}

Result<std::vector<std::vector<std::uint8_t>>> read_pictures(const ModelFile& model,
                                                             const std::string& folder) {
  auto names = list_calibration_pictures(folder, kMostPictures);
  if (!names.is_ok()) return names.status().with_context("--pictures");
  std::vector<std::vector<std::uint8_t>> pictures;
  for (const std::string& name : *names) {
    CLEAVE_ASSIGN_OR_RETURN(auto pixels, model_pixels(model, name));
    pictures.push_back(std::move(pixels));
  }
  return pictures;
}

void print_cut(const CalibratedCut& found) {
  std::printf("op:%u, %zu elements:", found.cut, found.elements);
  for (std::size_t i = 0; i < found.qualities.size(); ++i) {
    const CodedFigures& figures = found.qualities[i];
    std::printf(" coded:%zu %u bytes (%.2f bits an element), %u of %u answers differ;", i,
                figures.median_bytes,
                8.0 * figures.median_bytes / static_cast<double>(found.elements),
                figures.differing_pictures, figures.compared_pictures);
  }
  std::printf("\n");
  std::fflush(stdout);
}

// Where a level's figures are over what it was to keep to.
void warn_of_excess(const CalibratedCut& found, const CodecCalibration& calibration) {
  for (std::size_t i = 0; i < found.qualities.size(); ++i) {
    const CodedFigures& figures = found.qualities[i];
    const std::uint64_t allowed_ppm = calibration.disagreement_ppm[i];
    if (1'000'000ULL * figures.differing_pictures <= allowed_ppm * figures.compared_pictures) {
      continue;
    }
    std::fprintf(stderr,
                 "cleave-import: warning: op:%u, coded:%zu: %u of %u answers differ, more than "
                 "%g%%; no step was found to do better\n",
                 found.cut, i, figures.differing_pictures, figures.compared_pictures,
                 static_cast<double>(allowed_ppm) / 10'000);
  }
}

nlohmann::ordered_json to_json(const CalibratedCut& found, const CodecCalibration& calibration) {
  nlohmann::ordered_json qualities = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < found.qualities.size(); ++i) {
    const CodedFigures& figures = found.qualities[i];
    qualities.push_back({{"disagreement_ppm", calibration.disagreement_ppm[i]},
                         {"median_bytes", figures.median_bytes},
                         {"p95_bytes", figures.p95_bytes},
                         {"compared_pictures", figures.compared_pictures},
                         {"differing_pictures", figures.differing_pictures}});
  }
  return {{"op_boundary", found.cut}, {"elements", found.elements}, {"qualities", qualities}};
}

Status calibrate_file(const CalibrateCodecArguments& arguments,
                      const std::shared_ptr<const ModelFile>& model, nlohmann::ordered_json& cuts) {
  if (!model->is_whole()) {
    return {StatusCode::kNotFound, arguments.model +
                                       " holds only a part of the model's weights; calibration "
                                       "runs the whole network: fetch the rest first"};
  }
  CodecCalibration calibration;
  CLEAVE_RETURN_IF_ERROR(read_options(arguments, *model, calibration));
  calibration.done = [&](const CalibratedCut& found) {
    if (!arguments.json) print_cut(found);
    warn_of_excess(found, calibration);
    cuts.push_back(to_json(found, calibration));
  };
  CLEAVE_ASSIGN_OR_RETURN(const auto pictures, read_pictures(*model, arguments.pictures));
  CLEAVE_ASSIGN_OR_RETURN(const auto tables, calibrate_codec(model, calibration, pictures));
  CLEAVE_ASSIGN_OR_RETURN(const auto bytes, with_coded_tables(*model, tables));
  return write_model_file(bytes, arguments.destination);
}

ExitCode run_calibrate_codec(const CalibrateCodecArguments& arguments) {
  const auto model = ModelFile::open(arguments.model);
  if (!model.is_ok()) return fail(model.status(), model_exit_code(model.status()));
  nlohmann::ordered_json cuts = nlohmann::ordered_json::array();
  const Status status = calibrate_file(arguments, *model, cuts);
  if (!status.is_ok()) return fail(status, exit_code_of(status));
  const auto written = ModelFile::open(arguments.destination);
  if (!written.is_ok()) return fail(written.status(), ExitCode::kInternal);
  const std::string identity = to_hex((*written)->identity());
  if (arguments.json) {
    const nlohmann::ordered_json summary = {
        {"path", arguments.destination}, {"identity", identity}, {"cuts", cuts}};
    // File names are bytes, JSON is UTF-8.
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    std::printf("%s\n", summary.dump(-1, ' ', false, replace).c_str());
  } else {
    std::printf("%s: %zu cuts, identity %.12s\n", arguments.destination.c_str(), cuts.size(),
                identity.c_str());
  }
  return ExitCode::kOk;
}

}  // namespace

Command add_calibrate_codec_command(CLI::App& app) {
  auto arguments = std::make_shared<CalibrateCodecArguments>();
  CLI::App& command = *app.add_subcommand(
      "calibrate-codec", "Give a model the tables of codec coded: the fewest bytes on the wire");
  command.footer(
      "\nFor each cut and each allowed disagreement the coarsest step is searched with which no\n"
      "more than that share of the pictures gets another best class than without a codec, nor is\n"
      "to be expected of three in four sets of others. OUT is MODEL with the tables: a model of\n"
      "its own, which agent and server must both have;\n"
      "`cleave-agent run --codec coded:N` uses the level of the N-th disagreement, from 0.\n"
      "The pictures should be like those to come, some dozens; up to 64 are taken, each also\n"
      "mirrored. Judge what was reached on others. A cut at which no step keeps to a level's\n"
      "share gets the step with the fewest other answers, and a warning. Tables of other cuts\n"
      "that MODEL has stay. The share that each level was made for is kept in the file:\n"
      "`cleave-agent run --codec auto --disagreement` goes by it.\n"
      "Memory: the whole network, and at a cut the tensors of all pictures at once: of 64 photos,\n"
      "128 with the mirrored ones, 128 times the cut's bytes (`inspect` prints them), twice while\n"
      "it goes on to the next cut's.\n"
      "\nExample:\n"
      "  cleave-import calibrate-codec m.cleave m_coded.cleave --pictures samples/ \\\n"
      "      --disagreement 1%,3%,7%\n"
      "\nExit codes: 0 written; 2 flags, or a model that takes no pictures; 3 no such file or\n"
      "folder, or not all weights in it; 4 not a usable picture, no such split; 5 the model file\n"
      "does not check; 11 reading or writing failed; 1 a bug.\n");
  command.add_option("MODEL", arguments->model, "Model file")->required();
  command.add_option("OUT", arguments->destination, "Model file to write; may be MODEL")
      ->required();
  command.add_option("--pictures", arguments->pictures, "Folder of .jpg, .jpeg and .png files")
      ->type_name("DIR")
      ->required();
  command
      .add_option("--disagreement", arguments->disagreement,
                  "Allowed share of other answers, a level of quality for each")
      ->delimiter(',')
      ->type_name("PERCENT[,PERCENT...]")
      ->capture_default_str();
  command.add_option("--variant", arguments->variant, "Precision (default: the file's first)")
      ->type_name("NAME");
  command
      .add_option("--split", arguments->splits,
                  "Cuts to calibrate, as `run` takes them (default: every layer's)")
      ->delimiter(',')
      ->type_name("K|LAYER|op:N[,...]");
  command.add_option("--threads", arguments->threads, "Threads that run the network")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  command.add_flag("--json", arguments->json, "Print what was found as JSON");
  return [arguments] { return run_calibrate_codec(*arguments); };
}

}  // namespace cleave::importer
