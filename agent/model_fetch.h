// SPDX-License-Identifier: Apache-2.0
//
// Brings parts of a model from a server into a model folder: each is hashed as it comes, counts
// once its whole SHA-256 is right and it is durable, and is gone on with after a broken connection
// or a kill. What is fetched stays within a storage cap.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/fetch_client.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

struct FetchProgress {
  std::uint64_t bytes = 0;           // of the parts that were asked for, held so far
  std::uint64_t total_bytes = 0;     // of them all
  std::uint64_t received_bytes = 0;  // came over the link in this process, unused ones as well
  std::uint64_t resumed_bytes = 0;   // were there from an earlier attempt
  std::uint64_t retries = 0;         // what was asked for again, as link or server failed
  std::uint64_t spoiled = 0;         // parts that came with another SHA-256
};

struct FetchOptions {
  std::string folder;
  std::uint64_t storage_bytes = UINT64_MAX;  // most that all files of the folder may take
  unsigned link_attempts = 5;  // in a row without a byte of progress; pauses between them grow
  unsigned hash_attempts = 3;  // of one part that comes with another SHA-256
  std::chrono::milliseconds first_pause{200};
  std::function<void(const FetchProgress&)> progress;  // may be empty; called after each piece
};

class ModelFetch {
 public:
  // Both must outlive it.
  ModelFetch(FetchClient& client, const FetchOptions& options);

  // The header of `model`, unless it is held. Errors: as FetchClient's, after all attempts; kIo;
  // kResourceExhausted (the storage cap); kCorrupt (what comes has another SHA-256, each time).
  asio::awaitable<Status> fetch_header(const ModelIdentity& model);
  // Segments of `model`, which is in the folder. Nothing is fetched unless all of them are within
  // the storage cap. Those that were complete when an error came stay. Errors: likewise.
  asio::awaitable<Status> fetch_segments(const ModelFile& model,
                                         const std::vector<std::uint32_t>& segments);

  [[nodiscard]] const FetchProgress& progress() const { return progress_; }
  // By how much the last call was over the storage cap; 0: it was not.
  [[nodiscard]] std::uint64_t lacking_bytes() const { return lacking_bytes_; }

 private:
  class Attempts;
  struct Part;

  asio::awaitable<Status> fetch_part(Part& part);
  asio::awaitable<Status> receive(Part& part, Attempts& attempts);
  asio::awaitable<void> pause(std::chrono::milliseconds length);
  Status check_room(std::uint64_t more_bytes);

  FetchClient& client_;
  const FetchOptions& options_;
  FetchProgress progress_;
  std::uint64_t lacking_bytes_ = 0;
};

}  // namespace cleave::agent
