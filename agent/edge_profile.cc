// SPDX-License-Identifier: Apache-2.0
#include "agent/edge_profile.h"

#include <malloc.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/device_caps.h"
#include "agent/range_runner.h"
#include "engine/executor.h"
#include "engine/image/prepare_timing.h"
#include "engine/weights.h"

namespace cleave::agent {
namespace {

Status measure_stretch(Executor& executor, unsigned runs, Profiler& profiler) {
  for (const BoundaryBuffer& input : executor.inputs()) {
    std::ranges::fill(input.as_bytes(), std::byte{0});
  }
  CLEAVE_RETURN_IF_ERROR(executor.run());  // warm-up
  for (unsigned i = 0; i < runs; ++i) CLEAVE_RETURN_IF_ERROR(executor.run(&profiler));
  return Status::ok();
}

Result<VariantProfile> measure_variant(
    const std::shared_ptr<const ModelFile>& model, std::uint32_t index,
    const MeasureOptions& options, const std::function<void(std::size_t, std::size_t)>& progress) {
  const fbs::Variant& variant = *model->header().variants()->Get(index);
  const OpIndex op_count = variant.ops()->size();
  Profiler profiler(op_count, options.runs);
  RangeRunner runner(model, index, {.threads = options.threads}, options.weights);
  for (OpIndex op = 0; op < op_count;) {
    const OpRange range =
        next_stretch(variant, op, options.weight_budget_bytes, options.weights.preference);
    runner.release();
    ::malloc_trim(0);  // or the heap keeps the pieces resident beside what comes next
    CLEAVE_RETURN_IF_ERROR(runner.prepare(range));
    CLEAVE_RETURN_IF_ERROR(measure_stretch(runner.executor(), options.runs, profiler));
    op = range.last;
    if (progress) progress(op, op_count);
  }
  VariantProfile profile;
  profile.variant = variant.name()->str();
  profile.threads = options.threads;
  profile.runs = options.runs;
  for (OpIndex op = 0; op < op_count; ++op) {
    profile.op_median_ns.push_back(profiler.median_ns(op));
    profile.op_p95_ns.push_back(profiler.percentile_ns(op, 95));
  }
  OpIndex begin = 0;
  for (const OpIndex end : *variant.layer_end_ops()) {
    profile.layer_median_ns.push_back(profiler.percentile_ns(OpRange{begin, end}, 50));
    profile.layer_p95_ns.push_back(profiler.percentile_ns(OpRange{begin, end}, 95));
    begin = end;
  }
  return profile;
}

// "Some CPU, 4 cores, avx2" without its cores: with how many it is used now scales the times.
std::string without_cores(const std::string& processor) {
  std::string kept;
  for (std::size_t start = 0, end = 0; end != std::string::npos; start = end + 2) {
    end = processor.find(", ", start);
    const std::string text = processor.substr(start, end - start);
    const std::size_t digits = text.find_first_not_of("0123456789");
    const bool is_count = digits != std::string::npos && digits > 0 &&
                          (text.substr(digits) == " core" || text.substr(digits) == " cores");
    if (!is_count) kept += text + ", ";
  }
  return kept;
}

bool is_same_processor(const std::string& a, const std::string& b) {
  return without_cores(a) == without_cores(b);
}

// Times hold for a processor and the kernels that ran on it: which they are, the preference decides
// too.
std::string measured_on(Preference preference) {
  const std::string kernels = processor_name() + ", " + kernel_set_name();
  return preference == Preference::kMemory ? kernels + ", prefers memory" : kernels;
}

Status other_processor(const std::string& path, const std::string& processor, Preference wanted) {
  const auto other = wanted == Preference::kMemory ? Preference::kSpeed : Preference::kMemory;
  if (is_same_processor(processor, measured_on(other))) {
    return {StatusCode::kMismatch, path + " was measured with --prefer " + preference_name(other) +
                                       "; profile again with --prefer " + preference_name(wanted)};
  }
  return {StatusCode::kMismatch, path + " was measured on another processor (" + processor + ")"};
}

// "1, 2 and 4".
std::string numbers_text(std::vector<std::uint32_t> numbers) {
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const bool last = i + 1 == numbers.size();
    text += (i == 0 ? "" : last ? " and " : ", ") + std::to_string(numbers[i]);
  }
  return text;
}

}  // namespace

OpRange next_stretch(const fbs::Variant& variant, OpIndex first, std::uint64_t budget_bytes,
                     Preference preference) {
  OpRange range{first, first};
  std::uint64_t bytes = 0;
  while (range.last < variant.ops()->size()) {
    bytes += weight_ram_bytes(variant, range.last, preference);
    if (bytes > budget_bytes && range.last > first) break;
    ++range.last;
  }
  return range;
}

Result<ProfileData> measure_profile(const std::shared_ptr<const ModelFile>& model,
                                    const MeasureOptions& options,
                                    const std::function<void(std::size_t, std::size_t)>& progress) {
  const fbs::Model& header = model->header();
  ProfileData profile;
  profile.model_identity = model->identity();
  profile.processor = measured_on(options.weights.preference);
  for (std::uint32_t v = 0; v < header.variants()->size(); ++v) {
    if (options.variant && *options.variant != v) continue;
    CLEAVE_ASSIGN_OR_RETURN(VariantProfile variant, measure_variant(model, v, options, progress));
    profile.variants.push_back(std::move(variant));
  }
  const fbs::Variant& first = *header.variants()->Get(0);
  CLEAVE_ASSIGN_OR_RETURN(
      profile.input_ns,
      measure_picture_preparation_ns(*header.preprocessing(),
                                     *first.tensors()->Get(first.input())->shape(), options.runs));
  return profile;
}

std::string default_profile_path(const std::string& model_path) { return model_path + ".profile"; }

Result<ProfileData> load_profile(const std::string& path, const ModelFile& model, unsigned threads,
                                 Preference preference) {
  CLEAVE_ASSIGN_OR_RETURN(ProfileData profile, read_profile(path, model.identity()));
  if (!is_same_processor(profile.processor, measured_on(preference))) {
    return other_processor(path, profile.processor, preference);
  }
  std::vector<std::uint32_t> counts;
  for (const VariantProfile& variant : profile.variants) counts.push_back(variant.threads);
  std::erase_if(profile.variants,
                [&](const VariantProfile& variant) { return variant.threads != threads; });
  if (profile.variants.empty()) {
    return Status(StatusCode::kMismatch, path + " was measured with " + numbers_text(counts) +
                                             " threads; profile again with --threads " +
                                             std::to_string(threads));
  }
  return profile;
}

}  // namespace cleave::agent
