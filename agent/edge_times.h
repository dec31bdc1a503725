// SPDX-License-Identifier: Apache-2.0
//
// Where the device's own times come from: a profile, a measurement made now, or, without either,
// what its cores and clock would take for the network's multiply-adds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/edge_profile.h"
#include "agent/processor_state.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// Where no clock can be read and none was given.
inline constexpr std::uint32_t kAssumedClockKhz = 1'000'000;

enum class EdgeTimesSource : std::uint8_t { kProfile, kMeasuredNow, kComputed };
// "profile", "measured now", "computed".
const char* edge_times_source_name(EdgeTimesSource source);

struct EdgeTimes {
  ProfileData table;
  EdgeTimesSource source = EdgeTimesSource::kProfile;
  std::string note;              // one sentence for people; empty for a profile
  std::uint64_t kept_bytes = 0;  // by which measuring left this process larger
};

// The paper's model: multiply-adds / (cores x clock), one a cycle and core, for one variant; cores
// are no more than `threads`. Picture preparation and ops without weights count nothing. The note
// says cores and clock, and that nothing was measured.
[[nodiscard]] EdgeTimes computed_edge_times(const ModelFile& model, std::uint32_t variant,
                                            const ProcessorState& processor, unsigned threads);

// measure_profile() with the speed at which it was measured: the cores, and the lowest clock seen
// before, between and after (what ran slower than its clock says would be scaled wrongly, what ran
// faster only late). `processor_now` detects; `changed` is told when the clocks differ.
[[nodiscard]] Result<ProfileData> measure_at_clock(
    const std::shared_ptr<const ModelFile>& model, const MeasureOptions& options,
    const std::function<ProcessorState()>& processor_now,
    const std::function<void(std::size_t, std::size_t)>& progress, bool& clock_changed);

}  // namespace cleave::agent
