// SPDX-License-Identifier: Apache-2.0
//
// Reads every part of a checked model file that a user of it may rely on, as they would: under a
// sanitizer, whatever the reader let through that it should not have is found here.
#pragma once

#include <cstdint>

#include "schemas/model_reader.h"

namespace cleave::test {

// A sum over everything read; the same for files of the same content.
[[nodiscard]] std::uint64_t walk_model(const ModelFile& file);

}  // namespace cleave::test
