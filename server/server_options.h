// SPDX-License-Identifier: Apache-2.0
//
// What the operator chose; filled by server_main.cc from the command line or a configuration file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/image/picture.h"
#include "engine/preference.h"
#include "engine/weight_cache_folder.h"
#include "schemas/transport/tls_context.h"
#include "server/address_limiter.h"
#include "server/answer_store.h"
#include "server/device_limiter.h"

namespace cleave::server {

// Whom the server believes, and what it shows them.
struct TrustOptions {
  TlsFiles tls;              // none: plain TCP
  std::string tokens;        // a file of them (token_table.h); empty: none
  bool allow_plain = false;  // beyond loopback too
};

struct ServerOptions {
  std::vector<std::string> model_paths;
  std::string listen = "127.0.0.1:7433";
  unsigned workers = 1;             // pictures computed at the same time
  unsigned threads = 1;             // threads of one computation
  std::size_t queue_capacity = 64;  // requests waiting for a worker before Busy
  std::size_t max_connections = 10000;
  std::uint32_t max_inflight = 4;  // requests of one connection before Busy
  // Request payloads held over all connections, received or being received, before Busy.
  std::uint64_t payload_budget_bytes = std::uint64_t{1} << 30;
  PictureLimits picture;
  std::chrono::milliseconds handshake_timeout{5'000};
  std::chrono::milliseconds idle_timeout{60'000};   // silence between frames
  std::chrono::milliseconds stall_timeout{15'000};  // no byte moved within a frame
  // Of an attachment, counted from its begin and after any pause, and of a whole frame of the
  // server's, both beside the stall timeout: slower is an attack, or a link that no split helps.
  std::uint64_t slowest_bytes_per_second = 1000;
  std::chrono::milliseconds drain_timeout{10'000};  // from shutdown() to the last answer
  std::chrono::milliseconds heartbeat{5'000};       // of agents that can; 0: none is asked for
  TrustOptions trust;
  std::chrono::milliseconds expiry_check{std::chrono::hours(24)};  // of what TLS is proved with
  AddressLimits address;
  DeviceLimits device{.max_inflight = 32};
  AnswerStoreLimits answers;
  unsigned profile_runs = 5;  // runs behind the table sent to agents
  std::string cache_path;     // folder for packed weights; empty: none
  Preference preference = Preference::kSpeed;
  std::uint64_t cache_limit_bytes = WeightCacheOptions{}.limit_bytes;
};

}  // namespace cleave::server
