// SPDX-License-Identifier: Apache-2.0
//
// Ids of requests: never used twice by a device, not even after a restart, so that a server may
// know a request that is resent (kFeatureResend in schemas/protocol.h). Each start begins somewhere
// else among 2^63.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace cleave::agent {

// As the server's log has it in `request`.
[[nodiscard]] inline std::string wire_id_text(std::uint64_t wire_id) {
  return std::to_string(wire_id);
}

class RequestIds {
 public:
  RequestIds() {
    std::random_device random;
    next_ = (std::uint64_t{random()} << 32 | random()) >> 1;
  }

  // Not 0. Room for 2^63 of them.
  std::uint64_t next() { return ++next_; }

 private:
  std::uint64_t next_;
};

}  // namespace cleave::agent
