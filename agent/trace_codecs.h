// SPDX-License-Identifier: Apache-2.0
//
// How a decision trace writes down the codecs that a plan may choose from.
#pragma once

#include <cstdint>

#include "agent/cut_codecs.h"
#include "agent/trace_fields.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// Each codec at a cut as [op, name, bytes, p95_bytes, ram_bytes, encode_ns, disagreement_ppm]:
// short, as there are hundreds on a line.
[[nodiscard]] TraceJson trace_codecs_json(const CutCodecs& codecs);

// The field "codecs" of a line; what is no such list, or not in order, spoils `fields`.
[[nodiscard]] CutCodecs read_trace_codecs(TraceFields& fields);

// Of traces of version 2: the one codec that all cuts had, by the field "codec"; none where there
// is no such field. A name that is none spoils `fields`. Errors: those of CutCodecs::of_one().
[[nodiscard]] Result<CutCodecs> read_trace_codec_of_all(TraceFields& fields, const ModelFile& model,
                                                        std::uint32_t variant);

}  // namespace cleave::agent
