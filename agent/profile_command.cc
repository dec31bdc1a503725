// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "agent/codec_option.h"
#include "agent/codec_survey.h"
#include "agent/coded_bytes.h"
#include "agent/commands.h"
#include "agent/disagreement.h"
#include "agent/edge_profile.h"
#include "agent/picture_source.h"
#include "agent/record.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kJpegCodec = static_cast<std::uint8_t>(fbs::Codec::Jpeg);

const char* sent_name(std::uint8_t codec) {
  if (codec == kJpegCodec) return kSentJpeg;
  if (codec == static_cast<std::uint8_t>(fbs::Codec::JpegModelSize)) return kSentModelJpeg;
  return codec == static_cast<std::uint8_t>(fbs::Codec::PixelsU8) ? kSentPixels : kSentTensors;
}

const char* layer_name(const fbs::Model& model, std::size_t layer) {
  return model.layers()->Get(static_cast<flatbuffers::uoffset_t>(layer))->name()->c_str();
}

Json coded_json(const CodedBytes& coded) {
  Json json{{"variant", coded.variant},
            {"sent", sent_name(coded.codec)},
            {"op_boundaries", coded.op_boundary},
            {"median_bytes", coded.median_bytes},
            {"p95_bytes", coded.p95_bytes}};
  if (json["sent"] == kSentJpeg || json["sent"] == kSentPixels) return json;
  json["codec"] =
      codec_name({.codec = static_cast<fbs::Codec>(coded.codec), .quality = coded.quality});
  json["pictures"] = coded.pictures;
  if (!coded.encode_ns.empty()) json["encode_ns"] = coded.encode_ns;
  if (coded.differing_pictures.empty()) return json;
  json["compared_pictures"] = coded.compared_pictures;
  json["differing_pictures"] = coded.differing_pictures;
  return json;
}

void print_json(const ProfileData& profile, const Device& device, const std::string& path) {
  const fbs::Model& model = device.model->header();
  Json json{{"model", model.name()->str()},   {"identity", to_hex(device.model->identity())},
            {"processor", profile.processor}, {"file", path},
            {"input_ns", profile.input_ns},   {"weight_cache", cache_json(device)},
            {"cores", profile.cores},         {"sample_pictures", profile.sample_pictures}};
  json["clock_khz"] = profile.clock_khz == 0 ? Json(nullptr) : Json(profile.clock_khz);
  for (const VariantProfile& variant : profile.variants) {
    Json entry{{"variant", variant.variant}, {"threads", variant.threads}, {"runs", variant.runs}};
    for (std::size_t i = 0; i < variant.layer_median_ns.size(); ++i) {
      entry["layers"].push_back({{"name", layer_name(model, i)},
                                 {"median_ns", variant.layer_median_ns[i]},
                                 {"p95_ns", variant.layer_p95_ns[i]}});
    }
    entry["compared_pictures"] = variant.compared_pictures;
    entry["differing_pictures"] = variant.differing_pictures;
    const std::uint32_t share_ppm = disagreement_ppm(model, variant);
    entry["disagreement_ppm"] = share_ppm == UINT32_MAX ? Json(nullptr) : Json(share_ppm);
    entry["op_median_ns"] = variant.op_median_ns;
    entry["op_p95_ns"] = variant.op_p95_ns;
    json["variants"].push_back(std::move(entry));
  }
  json["coded"] = Json::array();
  for (const CodedBytes& coded : profile.coded) {
    json["coded"].push_back(coded_json(coded));
  }
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

// Once a variant, whose tables of other numbers of threads say the same.
void print_disagreement(const ProfileData& profile, const fbs::Model& model) {
  const char* first = model.variants()->Get(0)->name()->c_str();
  for (const VariantProfile& variant : profile.variants) {
    if (variant.compared_pictures == 0 || &variant != find_variant(profile, variant.variant)) {
      continue;
    }
    std::printf(
        "%s: another best class on %u of %u pictures than %s; --disagreement takes it as "
        "%.4f%%\n",
        variant.variant.c_str(), variant.differing_pictures, variant.compared_pictures, first,
        disagreement_ppm(model, variant) / 1e4);
  }
}

// A line for each codec and level of a variant.
void print_codecs(const ProfileData& profile) {
  for (const CodedBytes& coded : profile.coded) {
    if (coded.encode_ns.empty()) continue;
    const auto [least, most] = std::ranges::minmax(coded.encode_ns);
    const std::string name =
        codec_name({.codec = static_cast<fbs::Codec>(coded.codec), .quality = coded.quality});
    if (coded.op_boundary.back() == 0) {
      std::printf("%s as %s at model size: %.3f ms to encode", coded.variant.c_str(), name.c_str(),
                  static_cast<double>(most) / 1e6);
    } else {
      std::printf("%s as %s: %.3f to %.3f ms to encode at %zu cuts", coded.variant.c_str(),
                  name.c_str(), static_cast<double>(least) / 1e6, static_cast<double>(most) / 1e6,
                  coded.encode_ns.size());
    }
    if (coded.op_boundary.back() == 0 && coded.pictures > 0) {
      std::printf(", median %llu bytes, p95 %llu",
                  static_cast<unsigned long long>(coded.median_bytes[0]),
                  static_cast<unsigned long long>(coded.p95_bytes[0]));
    }
    if (!coded.differing_pictures.empty()) {
      std::printf("; another best class on %u of %u pictures at most",
                  std::ranges::max(coded.differing_pictures), coded.compared_pictures);
    }
    std::printf("\n");
  }
}

void print_text(const ProfileData& profile, const Device& device, const std::string& path) {
  const fbs::Model& model = device.model->header();
  std::printf("%s on %s, clock %s\npicture preparation %.2f ms\n", model.name()->c_str(),
              profile.processor.c_str(), clock_text(profile.clock_khz).c_str(),
              static_cast<double>(profile.input_ns) / 1e6);
  for (const VariantProfile& variant : profile.variants) {
    std::printf("%s, %u threads, %u runs\n  %-28s %10s %10s\n", variant.variant.c_str(),
                variant.threads, variant.runs, "layer", "median ms", "p95 ms");
    for (std::size_t i = 0; i < variant.layer_median_ns.size(); ++i) {
      std::printf("  %-28s %10.3f %10.3f\n", layer_name(model, i),
                  static_cast<double>(variant.layer_median_ns[i]) / 1e6,
                  static_cast<double>(variant.layer_p95_ns[i]) / 1e6);
    }
    // As a plan adds them up.
    std::uint64_t total = 0;
    for (const std::uint64_t ns : variant.op_median_ns) total += ns;
    std::printf("  %-28s %10.3f\n", "all", static_cast<double>(total) / 1e6);
  }
  print_disagreement(profile, model);
  print_codecs(profile);
  if (profile.sample_pictures > 0) {
    const auto jpeg = std::ranges::find(profile.coded, kJpegCodec, &CodedBytes::codec);
    std::printf("%u JPEG files: median %llu bytes, p95 %llu\n", profile.sample_pictures,
                static_cast<unsigned long long>(jpeg->median_bytes[0]),
                static_cast<unsigned long long>(jpeg->p95_bytes[0]));
  }
  std::printf("written to %s\n", path.c_str());
}

// A line on standard error that each call writes again; only a terminal shows it.
class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) != 0) {}
  void show(const std::string& what, std::size_t done, std::size_t total,
            const char* unit = "ops") const {
    if (shown_) std::fprintf(stderr, "\r\033[K%s: %zu of %zu %s", what.c_str(), done, total, unit);
  }
  void clear() const {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

 private:
  bool shown_;
};

// One table of each number of threads, in one profile.
Result<ProfileData> measure_all(const CommandOptions& options, const Device& device) {
  std::vector<unsigned> counts = options.thread_counts;
  if (counts.empty()) counts.push_back(options.threads);
  std::ranges::sort(counts);
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  // Named, a variant is measured alone; unnamed, all are.
  std::optional<std::uint32_t> only;
  if (!options.variant.empty()) only = device.variant;
  const std::size_t variants = only ? 1 : device.model->header().variants()->size();
  if (counts.size() * variants > kMaxProfileVariants) {
    return Status(StatusCode::kInvalidArgument,
                  "--thread-counts: at most " + std::to_string(kMaxProfileVariants / variants) +
                      " for " + std::to_string(variants) + " variants");
  }
  const Progress progress;
  ProfileData all;
  for (const unsigned threads : counts) {
    CLEAVE_ASSIGN_OR_RETURN(
        ProfileData one,
        measure_here(options, device, {.threads = threads, .runs = options.runs, .variant = only},
                     [&](std::size_t done, std::size_t total) {
                       progress.show(std::to_string(threads) + " threads", done, total);
                     }));
    if (all.variants.empty()) {
      all = std::move(one);
      continue;
    }
    all.clock_khz = std::min(all.clock_khz, one.clock_khz);
    std::ranges::move(one.variants, std::back_inserter(all.variants));
  }
  progress.clear();
  return all;
}

// What the pictures are for: how often precisions differ, and the bytes of JPEGs. A picture that
// cannot be used costs a line and no more; `used` is how many are left.
Status look_at_pictures(const CommandOptions& options, const Device& device,
                        std::vector<std::string> pictures, ProfileData& profile,
                        std::size_t& used) {
  const Progress progress;
  std::vector<std::string> left_out;
  const PictureSkipped skip = [&](const std::string& name, const Status& why) {
    progress.clear();
    std::fprintf(stderr, "cleave-agent: left out: %s\n", why.message().c_str());
    // For want of room here, a JPEG can still be sent.
    const bool no_room =
        why.code() == StatusCode::kOutOfRange || why.code() == StatusCode::kResourceExhausted;
    if (!no_room) left_out.push_back(name);
  };
  const DisagreementOptions compare{
      .threads = options.threads,
      .ram_bytes = device.caps.ram.bytes,
      .weight_budget_bytes = device.caps.ram.bytes / 4,
      .weights = {.cache = device.cache, .preference = options.preference},
      .skipped = skip,
      .progress = [&](std::size_t done, std::size_t total) {
        progress.show("comparing precisions", done, total);
      }};
  const Status compared = measure_disagreement(device.model, pictures, compare, profile);
  progress.clear();
  // Named twice, it was left out twice.
  std::erase_if(pictures, [&](const std::string& name) {
    return std::ranges::find(left_out, name) != left_out.end();
  });
  const std::uint64_t cap = device.caps.ram.bytes;
  const std::size_t candidates = pictures.size();
  left_out.clear();
  add_coded_bytes(*device.model, pictures, cap - std::min(cap, resident_bytes()), skip, profile);
  used = candidates - left_out.size();
  return compared;
}

// What codecs take at each cut, and with pictures what they make of them.
Status look_at_codecs(const CommandOptions& options, const Device& device,
                      std::span<const std::string> pictures, ProfileData& profile) {
  const Progress progress;
  CodecSurveyOptions survey{.threads = options.threads,
                            .ram_bytes = device.caps.ram.bytes,
                            .most_pictures = options.codec_pictures,
                            .weights = {.cache = device.cache, .preference = options.preference}};
  survey.progress = [&](std::size_t done, std::size_t total) {
    progress.show("codecs", done, total, "cuts");
  };
  const auto own = static_cast<std::uint8_t>(options.jpeg_quality);
  const bool is_listed =
      std::ranges::find(survey.jpeg_qualities, own) != survey.jpeg_qualities.end();
  if (own > 0 && !is_listed) survey.jpeg_qualities.push_back(own);
  std::string note;
  const Status surveyed = survey_codecs(device.model, pictures, survey, profile, note);
  progress.clear();
  if (!note.empty()) std::fprintf(stderr, "cleave-agent: %s\n", note.c_str());
  return surveyed;
}

// The profile is written by then: its times are as good without pictures.
ExitCode judge_pictures(std::size_t named, std::size_t used) {
  if (named == 0 || used > 0) return ExitCode::kOk;
  std::fprintf(stderr,
               "cleave-agent: none of the %zu pictures can be used: the profile is written without "
               "them, and no precisions are compared\n",
               named);
  return ExitCode::kBadInput;
}

}  // namespace

int profile_command(const CommandOptions& options) {
  std::vector<std::string> pictures;
  if (!options.images.empty()) {
    auto listed = list_pictures(options.images);
    if (!listed.is_ok()) return fail(exit_code_of(listed.status()), listed.status().message());
    pictures = std::move(listed).value();
  }
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  auto profile = measure_all(options, *device);
  if (!profile.is_ok()) return fail(exit_code_of(profile.status()), profile.status().message());
  const std::string path =
      options.output.empty() ? default_profile_path(options.model_path) : options.output;
  // The times are as good without pictures: they are written whatever becomes of these. Trying
  // codecs may take hours, and who ends it keeps what was measured by then.
  std::size_t used = 0;
  Status looked = look_at_pictures(options, *device, pictures, *profile, used);
  if (const Status status = write_profile(path, *profile); !status.is_ok()) {
    return fail(ExitCode::kIo, status.message());
  }
  const Status surveyed = look_at_codecs(options, *device, pictures, *profile);
  if (looked.is_ok()) looked = surveyed;
  warn_of_cache(*device);
  if (const Status status = write_profile(path, *profile); !status.is_ok()) {
    return fail(ExitCode::kIo, status.message());
  }
  options.json ? print_json(*profile, *device, path) : print_text(*profile, *device, path);
  if (!looked.is_ok()) return fail(exit_code_of(looked), looked.message());
  return finish_output(judge_pictures(pictures.size(), used));
}

}  // namespace cleave::agent
