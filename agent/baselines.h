// SPDX-License-Identifier: Apache-2.0
//
// What a split has to beat: the device alone, and the server alone with the picture sent in each of
// three forms. A split that loses to one of them on this link is no gain, so `plan` shows them all,
// with the bandwidth at which it and the choice break even.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/model_jpeg.h"
#include "agent/split_planner.h"
#include "engine/image/picture.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

inline constexpr int kPeerJpegQuality = 90;

// How large one picture is in each form.
struct PictureForms {
  std::size_t pictures = 0;  // that were measured (medians); 0: the JPEG's bytes are an estimate
  std::optional<std::uint64_t> file_bytes;  // as it is; only when every picture is a JPEG
  const char* file_bytes_source =
      "measured";                        // or "profile": of the pictures that it was made with
  std::uint64_t file_bytes_p95 = 0;      // of the same pictures
  std::uint64_t largest_file_bytes = 0;  // of the pictures, whatever their format; 0 without; of a
                                         // profile's the 95th percentile
  std::uint64_t jpeg_bytes = 0;          // JPEG quality 90 at model size
  std::uint64_t jpeg_encode_ns = 0;      // on this device; decoding and resizing not counted
  std::uint64_t pixel_bytes = 0;         // u8 at model size: always exact
  std::vector<ModelJpegBytes> model_jpegs = {};  // measured, of the qualities that were asked for
};

// Reads, resizes and encodes each picture named, at kPeerJpegQuality and at each of `qualities`.
// Errors: as decode_to_model_size, with the name.
[[nodiscard]] Result<PictureForms> measure_forms(std::span<const std::string> pictures,
                                                 const fbs::Preprocessing& preprocessing,
                                                 const fbs::Shape& input,
                                                 std::span<const std::uint8_t> qualities = {});

// Without a picture: estimated_jpeg_bytes() for the bytes, a made-up picture for the time.
[[nodiscard]] Result<PictureForms> estimate_forms(const fbs::Shape& input);

// Where the choice is the faster one of two.
enum class FasterWhen : std::uint8_t { kAlways, kNever, kSame, kBelow, kAbove };
struct BreakEven {
  FasterWhen when = FasterWhen::kSame;
  std::uint64_t bandwidth_bps = 0;  // of kBelow and kAbove: where both take the same time
};

// What one way of answering takes: fixed_ns + bytes * 8 / bandwidth.
struct LinkCost {
  std::uint64_t fixed_ns = 0;  // all but the bytes' time on the link
  std::uint64_t bytes = 0;
};
[[nodiscard]] BreakEven break_even(const LinkCost& choice, const LinkCost& other);

// Of device, server and round trip on the one hand and bytes sent on the other; and of a split.
[[nodiscard]] LinkCost link_cost(std::uint64_t edge_ns, std::uint64_t server_ns,
                                 std::uint64_t bytes, const planner::Link& link);
[[nodiscard]] LinkCost link_cost(const PlannedSplit& row, const planner::Link& link);

struct Baseline {
  const char* name = "";         // in JSON
  const char* description = "";  // for a person
  const char* bytes_source = "exact";
  bool needs_server = true;
  bool server_decodes = false;     // a JPEG
  bool over_server_limit = false;  // the server takes no file of that size
  std::uint64_t bytes_up = 0;
  std::uint64_t edge_ns = 0;
  // Only with a server whose times are known, or when none is needed.
  struct Times {
    std::uint64_t tx_ns = 0;
    std::uint64_t server_ns = 0;
    std::uint64_t total_ns = 0;
    std::optional<BreakEven> choice = std::nullopt;  // against the plan's choice, if it has one
  };
  std::optional<Times> times = std::nullopt;
};

// Edge only, the file as it is (if there is one), a JPEG at model size of quality 90 and u8 pixels,
// in this order; on the server in the fastest of the precisions whose answers the plan accepts.
// `planners` must not be empty; `max_picture_bytes` is the server's limit.
[[nodiscard]] std::vector<Baseline> list_baselines(std::span<const SplitPlanner> planners,
                                                   const Plan& plan, const PictureForms& forms,
                                                   const planner::Link& link,
                                                   std::uint64_t max_picture_bytes);

}  // namespace cleave::agent
