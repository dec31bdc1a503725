// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/commands.h"
#include "agent/edge_profile.h"

namespace cleave::agent {
namespace {

// Times of layers are sums of their ops; a layer inside a fused op shows 0 and its op counts where
// the op ends.
struct LayerTime {
  std::string name;
  std::uint64_t median_ns = 0, p95_ns = 0;
};

std::vector<LayerTime> layer_times(const fbs::Model& model, const fbs::Variant& variant,
                                   const VariantProfile& profile) {
  std::vector<LayerTime> layers;
  OpIndex op = 0;
  for (flatbuffers::uoffset_t i = 0; i < model.layers()->size(); ++i) {
    LayerTime layer{.name = model.layers()->Get(i)->name()->str()};
    for (; op < variant.layer_end_ops()->Get(i); ++op) {
      layer.median_ns += profile.op_median_ns[op];
      layer.p95_ns += profile.op_p95_ns[op];
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

void print_json(const ProfileData& profile, const Device& device, const std::string& path) {
  const fbs::Model& model = device.model->header();
  nlohmann::ordered_json json{
      {"model", model.name()->str()},   {"identity", to_hex(device.model->identity())},
      {"processor", profile.processor}, {"file", path},
      {"input_ns", profile.input_ns},   {"weight_cache", cache_json(device)}};
  for (const VariantProfile& variant : profile.variants) {
    nlohmann::ordered_json entry{
        {"variant", variant.variant}, {"threads", variant.threads}, {"runs", variant.runs}};
    for (const auto* header : *model.variants()) {
      if (header->name()->string_view() != variant.variant) continue;
      for (const LayerTime& layer : layer_times(model, *header, variant)) {
        entry["layers"].push_back(
            {{"name", layer.name}, {"median_ns", layer.median_ns}, {"p95_ns", layer.p95_ns}});
      }
    }
    entry["op_median_ns"] = variant.op_median_ns;
    entry["op_p95_ns"] = variant.op_p95_ns;
    json["variants"].push_back(std::move(entry));
  }
  std::printf("%s\n",
              json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void print_text(const ProfileData& profile, const Device& device, const std::string& path) {
  const fbs::Model& model = device.model->header();
  std::printf("%s on %s\npicture preparation %.2f ms\n", model.name()->c_str(),
              profile.processor.c_str(), static_cast<double>(profile.input_ns) / 1e6);
  for (const VariantProfile& variant : profile.variants) {
    std::printf("%s, %u threads, %u runs\n  %-28s %10s %10s\n", variant.variant.c_str(),
                variant.threads, variant.runs, "layer", "median ms", "p95 ms");
    std::uint64_t total = 0;
    for (const auto* header : *model.variants()) {
      if (header->name()->string_view() != variant.variant) continue;
      for (const LayerTime& layer : layer_times(model, *header, variant)) {
        std::printf("  %-28s %10.3f %10.3f\n", layer.name.c_str(),
                    static_cast<double>(layer.median_ns) / 1e6,
                    static_cast<double>(layer.p95_ns) / 1e6);
        total += layer.median_ns;
      }
    }
    std::printf("  %-28s %10.3f\n", "all", static_cast<double>(total) / 1e6);
  }
  std::printf("written to %s\n", path.c_str());
}

}  // namespace

int profile_command(const CommandOptions& options) {
  auto device = open_device(options);
  if (!device.is_ok()) return fail(exit_code_of(device.status()), device.status().message());
  // Named, a variant is measured alone; unnamed, all are, and stand in one table.
  std::optional<std::uint32_t> only;
  if (!options.variant.empty()) only = device->variant;
  const bool progress_wanted = isatty(STDERR_FILENO) != 0;
  auto profile =
      measure_profile(device->model,
                      {.threads = options.threads,
                       .runs = options.runs,
                       .weight_budget_bytes = device->caps.ram.bytes / 4,
                       .weights = {.cache = device->cache, .preference = options.preference},
                       .variant = only},
                      [&](std::size_t done, std::size_t total) {
                        if (progress_wanted) std::fprintf(stderr, "\r%zu of %zu ops", done, total);
                      });
  if (progress_wanted) std::fputs("\r\033[K", stderr);
  if (!profile.is_ok()) return fail(exit_code_of(profile.status()), profile.status().message());
  warn_of_cache(*device);
  const std::string path =
      options.output.empty() ? default_profile_path(options.model_path) : options.output;
  if (const Status status = write_profile(path, *profile); !status.is_ok()) {
    return fail(ExitCode::kIo, status.message());
  }
  options.json ? print_json(*profile, *device, path) : print_text(*profile, *device, path);
  return finish_output(ExitCode::kOk);
}

}  // namespace cleave::agent
