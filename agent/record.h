// SPDX-License-Identifier: Apache-2.0
//
// What became of one picture: the agent's unit of output. Each accepted picture ends in exactly one
// record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/status.h"

namespace cleave::agent {

// In which form the server got what it answered from.
inline constexpr const char* kSentJpeg = "jpeg";         // the file as it is
inline constexpr const char* kSentPixels = "pixels_u8";  // at model size
inline constexpr const char* kSentTensors = "tensors";   // boundary tensors

struct Record {
  std::string image;
  Status status;            // why there is no answer, or ok
  std::uint32_t split = 0;  // layers that ran on the device, after any fallback
  std::string split_name;   // name of the last of them
  std::uint32_t planned_split = 0;
  std::string fallback;  // why the device finished alone; empty: as planned
  std::vector<float> scores;
  std::string sent;             // one of the forms above; empty: nothing was sent
  std::uint64_t bytes_up = 0;   // attachment bytes: what the cut says
  std::uint64_t edge_ns = 0;    // read, decode, resize, normalize, ops on the device
  std::uint64_t encode_ns = 0;  // boundary tensors to bytes
  std::uint64_t tx_ns = 0;      // estimate: wait - residence - rx
  std::uint64_t server_ns = 0;  // residence, by the server's clock
  std::uint64_t rx_ns = 0;      // estimate: half a round trip, at most wait - residence
  std::uint64_t total_ns = 0;   // file opened to answer known
};

}  // namespace cleave::agent
