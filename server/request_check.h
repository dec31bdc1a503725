// SPDX-License-Identifier: Apache-2.0
//
// Whether a request fits the local model: everything a request claims follows from it, and is
// checked before a byte of the attachment is read. Free of sockets.
#pragma once

#include <cstdint>
#include <string>

#include "engine/image/picture.h"
#include "schemas/generated/wire_generated.h"
#include "server/model_store.h"
#include "server/request_key.h"

namespace cleave::server {

// Why `request` does not fit `model`, or empty. REQUIRES: it came from parse_message().
[[nodiscard]] std::string check_request(const LoadedModel& model, const PictureLimits& picture,
                                        const fbs::Request& request,
                                        std::uint64_t attachment_bytes);

[[nodiscard]] RequestShape shape_of(const LoadedModel& model, const fbs::Request& request,
                                    std::uint64_t attachment_bytes);

}  // namespace cleave::server
