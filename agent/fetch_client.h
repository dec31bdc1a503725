// SPDX-License-Identifier: Apache-2.0
//
// Asks a server for parts of its models: one connection that only fetches (schemas/wire_format.md,
// "Fetching models"), apart from the one that pictures go over, so that neither waits for the
// other. One call at a time; every await has a deadline; errors are values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/connection_options.h"
#include "agent/net.h"
#include "agent/server_link.h"
#include "schemas/model_reader.h"
#include "schemas/sha256.h"
#include "schemas/status.h"
#include "schemas/wire_reader.h"

namespace cleave::agent {

// A header or a segment, from `offset` to its end.
struct FetchWanted {
  Sha256Digest sha256{};
  std::uint64_t offset = 0;
  std::uint64_t total_bytes = 0;  // of the whole; 0: as the server says, if within the maximum
  std::uint64_t max_total_bytes = 0;
};

// Takes the bytes that come next, at most kMaxPieceBytes of them, of `total_bytes` in all. Its
// error ends the fetch, and the connection with what is under way on it.
using PieceSink =
    std::function<Status(std::uint64_t total_bytes, std::span<const std::byte> bytes)>;

class FetchClient {
 public:
  // `options.model_identity` and `score_count` are not used. `model_name`: the model whose current
  // version is asked for; empty: none.
  FetchClient(asio::any_io_executor executor, const ConnectionOptions& options,
              std::string model_name);

  // Connects and shakes hands, unless that is done. Errors: kUnavailable, kDeadlineExceeded,
  // kCorrupt; kResourceExhausted (busy: see retry_after()); kMismatch (another protocol, no model
  // of that name, or models are not given out: trying again is pointless).
  asio::awaitable<Status> ensure_connected();

  // What the server said to the name; nothing without one. REQUIRES: ensure_connected() was ok.
  [[nodiscard]] const std::optional<ModelIdentity>& current_model() const { return current_model_; }

  // Gives `sink` every byte from `wanted.offset` on, in order. A connection that breaks is closed,
  // and the next call makes another; what the sink took stays taken. Errors: as ensure_connected();
  // kNotFound (the server does not hold it), kInvalidArgument (it refuses the offset), kCorrupt (it
  // broke the protocol, or has a `total_bytes` that is not the one wanted); the sink's own.
  asio::awaitable<Status> fetch(const FetchWanted& wanted, const PieceSink& sink);

  // Says Goodbye, for at most a second, and closes. Does not fail.
  asio::awaitable<void> close();

  // How long the server asked to be left alone in the last call; 0: it did not.
  [[nodiscard]] std::chrono::milliseconds retry_after() const { return retry_after_; }

  // Of pieces that came behind a refusal, too early to be of use.
  [[nodiscard]] std::uint64_t skipped_bytes() const { return skipped_bytes_; }

 private:
  using Incoming = ServerLink::Incoming;
  struct Pending {
    std::uint64_t fetch_id = 0;
    std::uint64_t offset = 0;
    std::uint32_t bytes = 0;
  };
  class Transfer;

  asio::awaitable<Status> greet();
  Status read_welcome(const fbs::Envelope& envelope);
  asio::awaitable<Status> run(Transfer& transfer);
  asio::awaitable<Status> ask(Transfer& transfer);
  asio::awaitable<Status> take_piece(Transfer& transfer);
  asio::awaitable<Status> send(std::span<const std::byte> bytes);
  asio::awaitable<Status> receive(Incoming& frame,
                                  Clock::time_point latest = Clock::time_point::max());
  asio::awaitable<bool> skip_pending(Transfer& transfer);
  asio::awaitable<Status> receive_attachment(const Incoming& frame,
                                             Clock::time_point latest = Clock::time_point::max());
  Status refused(const fbs::Error& error);
  void note_pause(const fbs::Error& error);
  void drop();

  const ConnectionOptions options_;
  const std::string model_name_;
  ServerLink link_;
  bool ready_ = false;
  bool told_unencrypted_ = false;  // once is enough
  // What was asked for was refused, and the rest answered in turn: the connection is good.
  bool refused_only_ = false;
  std::size_t most_pending_;  // 1 after Busy, and one more with each piece that comes
  std::uint64_t next_fetch_id_ = 1;
  std::uint64_t skipped_bytes_ = 0;
  std::optional<ModelIdentity> current_model_;
  std::chrono::milliseconds retry_after_{0};
  std::vector<std::byte> piece_;
};

}  // namespace cleave::agent
