// SPDX-License-Identifier: Apache-2.0
//
// What a run did besides answering, as one line: `run --stats`.
#pragma once

#include <cstdint>
#include <string>

#include "agent/link_state.h"
#include "agent/pipeline.h"

namespace cleave::agent {

// "retries=0 fallbacks=2 ..."; the names stay what they are, further ones come behind.
[[nodiscard]] std::string stats_text(const PipelineCounters& pipeline, const LinkCounters& link,
                                     std::uint64_t queue_drops);

}  // namespace cleave::agent
