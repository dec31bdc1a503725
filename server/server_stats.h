// SPDX-License-Identifier: Apache-2.0
//
// Counters of one server's life; touched on the network thread only. Every connection, request and
// computation that did not end in an answer is in one of them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace cleave::server {

struct ServerStats {
  // Connections.
  std::uint64_t connections = 0;          // accepted and given a session
  std::uint64_t refused_connections = 0;  // over --max-connections
  std::uint64_t refused_address_rate = 0;
  std::uint64_t refused_address_handshakes = 0;
  std::uint64_t refused_address_connections = 0;
  std::uint64_t sessions = 0;            // that were welcomed
  std::uint64_t refused_handshakes = 0;  // version, model, shutting down
  std::uint64_t unauthorized = 0;        // a Hello of a device that is not who it says
  std::uint64_t distrusted = 0;  // closed: what they were believed for is revoked, or is no more
  std::uint64_t handshake_timeouts = 0;
  std::uint64_t protocol_errors = 0;  // connections closed for a frame out of turn or unreadable
  std::uint64_t half_open = 0;        // closed: silent for its heartbeats
  std::uint64_t idle_closed = 0;      // closed: silent for the idle timeout
  std::uint64_t stalled_reads = 0;    // closed: a frame that stopped in its middle
  std::uint64_t stalled_writes = 0;   // closed: an agent that does not read
  std::uint64_t out_of_memory = 0;    // closed: no memory for it

  // TLS, where there is any.
  std::uint64_t tls_handshakes = 0;       // that succeeded
  std::uint64_t tls_failed = 0;           // connections closed; each is in one of the next
  std::uint64_t tls_no_certificate = 0;   // none was shown
  std::uint64_t tls_expired = 0;          // or not valid yet
  std::uint64_t tls_revoked = 0;          //
  std::uint64_t tls_unknown_issuer = 0;   // of no CA that is trusted
  std::uint64_t tls_bad_certificate = 0;  // of another purpose, without a name, spoiled, no CRL
  std::uint64_t tls_refused_by_peer = 0;  // the agent does not trust this server
  std::uint64_t tls_version = 0;          // no TLS 1.3
  std::uint64_t tls_not_tls = 0;          // other bytes
  std::uint64_t tls_broken = 0;           // cut off, changed or out of turn
  std::uint64_t reloads = 0;              // of certificates and tokens
  std::uint64_t reload_errors = 0;        // those that changed nothing
  std::uint64_t expiry_warnings = 0;      // certificates or lists that end within two weeks

  // Requests; requests = answers + request_errors + busy + cancelled + unanswered once no
  // connection is left.
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  std::uint64_t answers_repeated = 0;  // of answers: from the store of answers
  std::uint64_t joined = 0;            // resent while the first was computed
  std::uint64_t errors = 0;            // of requests and connections
  std::uint64_t request_errors = 0;    // of errors: the end of a request, alone or with its session
  std::uint64_t bad_requests = 0;      // of errors
  std::uint64_t bad_pictures = 0;      // of errors
  std::uint64_t deadline_exceeded = 0;  // of errors
  std::uint64_t internal_errors = 0;    // of errors
  std::uint64_t busy = 0;
  std::uint64_t busy_inflight = 0;         // of busy: over max_inflight of the connection
  std::uint64_t busy_payloads = 0;         // of busy: no room in the payload budget
  std::uint64_t busy_queue = 0;            // of busy: the queue was full
  std::uint64_t busy_device_rate = 0;      // of busy: over --device-rate
  std::uint64_t busy_device_bytes = 0;     // of busy: over --device-bytes
  std::uint64_t busy_device_inflight = 0;  // of busy: over --device-inflight
  std::uint64_t busy_memory = 0;           // of busy: a worker had no memory
  std::uint64_t busy_resend = 0;         // of busy: resent when the first had just come to nothing
  std::uint64_t busy_shutting_down = 0;  // of busy: the server was ending
  std::uint64_t cancelled = 0;
  std::uint64_t unanswered = 0;  // their connection ended first, perhaps in their middle

  // Computations.
  std::uint64_t withdrawn = 0;        // taken out of the queue: nobody waited for it any more
  std::uint64_t unsent = 0;           // computed, and nobody waited for it any more
  std::uint64_t answers_evicted = 0;  // made room in the store of answers before their time

  // Models.
  std::uint64_t pieces = 0;        // of models, that agents fetched
  std::uint64_t piece_bytes = 0;   // in them
  std::uint64_t fetch_errors = 0;  // of errors

  std::uint64_t peak_payload_bytes = 0;  // the most that requests held at one time
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

struct ServerCounter {
  std::string_view name;
  std::uint64_t ServerStats::*value;
};

// All of them, by the names that reports use.
inline constexpr auto kServerCounters = std::to_array<ServerCounter>({
    {"connections", &ServerStats::connections},
    {"requests", &ServerStats::requests},
    {"answers", &ServerStats::answers},
    {"answers_repeated", &ServerStats::answers_repeated},
    {"joined", &ServerStats::joined},
    {"errors", &ServerStats::errors},
    {"request_errors", &ServerStats::request_errors},
    {"bad_requests", &ServerStats::bad_requests},
    {"bad_pictures", &ServerStats::bad_pictures},
    {"deadline_exceeded", &ServerStats::deadline_exceeded},
    {"internal_errors", &ServerStats::internal_errors},
    {"busy", &ServerStats::busy},
    {"busy_inflight", &ServerStats::busy_inflight},
    {"busy_payloads", &ServerStats::busy_payloads},
    {"busy_queue", &ServerStats::busy_queue},
    {"busy_device_rate", &ServerStats::busy_device_rate},
    {"busy_device_bytes", &ServerStats::busy_device_bytes},
    {"busy_device_inflight", &ServerStats::busy_device_inflight},
    {"busy_memory", &ServerStats::busy_memory},
    {"busy_resend", &ServerStats::busy_resend},
    {"busy_shutting_down", &ServerStats::busy_shutting_down},
    {"cancelled", &ServerStats::cancelled},
    {"unanswered", &ServerStats::unanswered},
    {"withdrawn", &ServerStats::withdrawn},
    {"unsent", &ServerStats::unsent},
    {"answers_evicted", &ServerStats::answers_evicted},
    {"refused_connections", &ServerStats::refused_connections},
    {"refused_address_rate", &ServerStats::refused_address_rate},
    {"refused_address_handshakes", &ServerStats::refused_address_handshakes},
    {"refused_address_connections", &ServerStats::refused_address_connections},
    {"sessions", &ServerStats::sessions},
    {"refused_handshakes", &ServerStats::refused_handshakes},
    {"unauthorized", &ServerStats::unauthorized},
    {"distrusted", &ServerStats::distrusted},
    {"tls_handshakes", &ServerStats::tls_handshakes},
    {"tls_failed", &ServerStats::tls_failed},
    {"tls_no_certificate", &ServerStats::tls_no_certificate},
    {"tls_expired", &ServerStats::tls_expired},
    {"tls_revoked", &ServerStats::tls_revoked},
    {"tls_unknown_issuer", &ServerStats::tls_unknown_issuer},
    {"tls_bad_certificate", &ServerStats::tls_bad_certificate},
    {"tls_refused_by_peer", &ServerStats::tls_refused_by_peer},
    {"tls_version", &ServerStats::tls_version},
    {"tls_not_tls", &ServerStats::tls_not_tls},
    {"tls_broken", &ServerStats::tls_broken},
    {"reloads", &ServerStats::reloads},
    {"reload_errors", &ServerStats::reload_errors},
    {"expiry_warnings", &ServerStats::expiry_warnings},
    {"handshake_timeouts", &ServerStats::handshake_timeouts},
    {"protocol_errors", &ServerStats::protocol_errors},
    {"half_open", &ServerStats::half_open},
    {"idle_closed", &ServerStats::idle_closed},
    {"stalled_reads", &ServerStats::stalled_reads},
    {"stalled_writes", &ServerStats::stalled_writes},
    {"out_of_memory", &ServerStats::out_of_memory},
    {"pieces", &ServerStats::pieces},
    {"piece_bytes", &ServerStats::piece_bytes},
    {"fetch_errors", &ServerStats::fetch_errors},
    {"peak_payload_bytes", &ServerStats::peak_payload_bytes},
    {"bytes_in", &ServerStats::bytes_in},
    {"bytes_out", &ServerStats::bytes_out},
});
// A counter that is added and not listed is one that nobody sees.
static_assert(sizeof(ServerStats) == kServerCounters.size() * sizeof(std::uint64_t));

}  // namespace cleave::server
