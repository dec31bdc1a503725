// SPDX-License-Identifier: Apache-2.0
//
// What became of one picture: the agent's unit of output. Each accepted picture ends in exactly one
// record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "planner/fixed_point.h"
#include "schemas/status.h"

namespace cleave::agent {

// In which form the server got what it answered from.
inline constexpr const char* kSentJpeg = "jpeg";                  // the file as it is
inline constexpr const char* kSentPixels = "pixels_u8";           // at model size
inline constexpr const char* kSentModelJpeg = "jpeg_model_size";  // a JPEG made of those pixels
inline constexpr const char* kSentTensors = "tensors";            // boundary tensors

// What of a picture waits in the spool.
inline constexpr const char* kWaitsAsPicture = "picture";        // a copy of its file
inline constexpr const char* kWaitsAsActivation = "activation";  // what its head computed
inline constexpr const char* kWaitsAsReference = "reference";    // its own file alone

// Where a picture's time goes, as it was predicted or as it was.
struct PartTimes {
  std::uint64_t edge_ns = 0;    // on the device, with encoding
  std::uint64_t link_ns = 0;    // both ways
  std::uint64_t server_ns = 0;  // in the server: waiting, decoding, computing
  [[nodiscard]] std::uint64_t total_ns() const {
    return planner::saturating_add(edge_ns, planner::saturating_add(link_ns, server_ns));
  }
};

struct Record {
  std::string image;
  bool is_accepted = false;         // its file could be read
  std::uint64_t request_id = 0;     // of the result log; 0: without one, or not accepted
  std::uint64_t wire_id = 0;        // under which a server was asked last; 0: none was
  bool drained = false;             // it waited in the spool before
  bool spooled = false;             // it waits there now
  std::string spooled_as;           // then one of the three above
  std::uint64_t spooled_bytes = 0;  // and so many of the spool are its copy
  std::string dropped;              // why it ended without an answer, in one word; else empty
  std::string variant;              // precision of the network that answered
  Status status;                    // why there is no answer, or ok
  std::uint32_t split = 0;          // layers that ran on the device, after any fallback
  std::string split_name;           // name of the last of them
  std::uint32_t planned_split = 0;
  std::string fallback;       // why the device finished alone; empty: as planned
  std::string bounds_missed;  // Choice::bounds_missed
  std::vector<float> scores;
  std::string sent;             // one of the forms above; empty: nothing was sent
  std::string codec;            // of tensors that were sent: raw, lossless, f16, int8, coded:N; of
                                // a JPEG at model size: jpeg:N
  std::uint64_t bytes_up = 0;   // attachment bytes that travelled, also to no answer
  std::uint64_t edge_ns = 0;    // read, decode, resize, normalize, ops on the device
  std::uint64_t encode_ns = 0;  // tensors or pixels to a codec's bytes; as they are: 0
  std::uint64_t tx_ns = 0;      // estimate: wait - residence - rx
  std::uint64_t server_ns = 0;  // residence, by the server's clock
  std::uint64_t rx_ns = 0;      // estimate: half a round trip, at most wait - residence
  std::uint64_t waited_ns = 0;  // for processor, memory or link, while other pictures had them
  std::uint64_t total_ns = 0;   // file opened to answer known
  PartTimes predicted;          // for planned_split, before it ran; zeros: no prediction
};

}  // namespace cleave::agent
