// SPDX-License-Identifier: Apache-2.0
#include "agent/model_fetch.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/backoff.h"
#include "agent/content_writer.h"
#include "planner/fixed_point.h"
#include "schemas/atomic_file.h"
#include "schemas/model_folder.h"
#include "schemas/model_preamble.h"

namespace cleave::agent {
namespace {

constexpr std::chrono::milliseconds kLongestPause{10'000};

// A link or a server that may be better the next time. What came and broke the protocol may be a
// link that spoils bytes.
bool may_pass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kCorrupt;
}

bool is_there(const std::string& path, std::uint64_t bytes) {
  std::error_code error;
  return std::filesystem::file_size(path, error) == bytes && !error;
}

}  // namespace

struct ModelFetch::Part {
  ContentWriter writer;
  Sha256Digest sha256{};
  std::uint64_t total_bytes = 0;  // 0: not known
  std::uint64_t max_bytes = 0;
  Status own = {};  // what went wrong on this side: not the link's fault, and final
};

class ModelFetch::Attempts {
 public:
  Attempts(const FetchOptions& options, std::uint64_t seed)
      : left_(options.link_attempts),
        all_(options.link_attempts),
        backoff_(options.first_pause, kLongestPause, seed) {}

  void progressed() {
    left_ = all_;
    backoff_.succeeded();
  }
  // False: none is left.
  bool take() { return left_ > 0 && --left_ > 0; }
  std::chrono::milliseconds pause() { return backoff_.next(); }

 private:
  unsigned left_;
  unsigned all_;
  Backoff backoff_;
};

ModelFetch::ModelFetch(FetchClient& client, const FetchOptions& options)
    : client_(client), options_(options) {}

Status ModelFetch::check_room(std::uint64_t more_bytes) {
  lacking_bytes_ = 0;
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t stored, model_folder_bytes(options_.folder));
  if (more_bytes <= options_.storage_bytes && stored <= options_.storage_bytes - more_bytes) {
    return Status::ok();
  }
  lacking_bytes_ = planner::saturating_add(stored, more_bytes) - options_.storage_bytes;
  return {StatusCode::kResourceExhausted,
          options_.folder + " holds " + std::to_string(stored) + " bytes, " +
              std::to_string(more_bytes) + " more are needed, and the cap is " +
              std::to_string(options_.storage_bytes) + " (--storage, or what is free)"};
}

asio::awaitable<Status> ModelFetch::fetch_header(const ModelIdentity& model) {
  lacking_bytes_ = 0;
  if (ModelFile::open_held(options_.folder, model).is_ok()) co_return Status::ok();
  auto writer = ContentWriter::open(options_.folder, model, kMaxModelHeaderBytes);
  if (!writer.is_ok()) co_return writer.status();
  Part part{
      .writer = std::move(writer).value(), .sha256 = model, .max_bytes = kMaxModelHeaderBytes};
  // How long it is, the server will say; a header is short, and its beginning is not worth keeping.
  Status status = part.writer.restart();
  if (status.is_ok()) status = co_await fetch_part(part);
  if (status.is_ok()) {
    const auto header = read_file(part.writer.path(), kMaxModelHeaderBytes);
    status = header.is_ok() ? store_model_header(options_.folder, model, *header) : header.status();
  }
  std::remove(part.writer.path().c_str());
  co_return status;
}

asio::awaitable<Status> ModelFetch::fetch_segments(const ModelFile& model,
                                                   const std::vector<std::uint32_t>& segments) {
  std::uint64_t more_bytes = 0;
  progress_.total_bytes = progress_.bytes;
  for (const std::uint32_t index : segments) {
    const fbs::Segment& segment = *model.header().segments()->Get(index);
    std::error_code missing;
    const std::string path = model_part_path(options_.folder, segment_sha256(segment));
    const std::uintmax_t there = std::filesystem::file_size(path, missing);
    more_bytes += segment.bytes() - (missing ? 0 : std::min<std::uint64_t>(there, segment.bytes()));
    progress_.total_bytes += segment.bytes();
  }
  if (Status status = check_room(more_bytes); !status.is_ok()) co_return status;
  for (const std::uint32_t index : segments) {
    const fbs::Segment& segment = *model.header().segments()->Get(index);
    const Sha256Digest sha256 = segment_sha256(segment);
    const std::string path = model_segment_path(options_.folder, sha256);
    if (is_there(path, segment.bytes())) continue;
    auto writer = ContentWriter::open(options_.folder, sha256, segment.bytes());
    if (!writer.is_ok()) co_return writer.status();
    Part part{.writer = std::move(writer).value(),
              .sha256 = sha256,
              .total_bytes = segment.bytes(),
              .max_bytes = segment.bytes()};
    progress_.bytes += part.writer.bytes();
    progress_.resumed_bytes += part.writer.bytes();
    Status status = co_await fetch_part(part);
    if (status.is_ok()) status = part.writer.move_to(path);
    if (!status.is_ok()) co_return status;
  }
  co_return Status::ok();
}

// Until it is complete and right, or nothing more is to be tried.
asio::awaitable<Status> ModelFetch::fetch_part(Part& part) {
  Attempts attempts(options_, part.sha256[0]);
  Status status;
  for (unsigned attempt = 0; attempt < options_.hash_attempts; ++attempt) {
    status = co_await receive(part, attempts);
    if (!status.is_ok()) co_return status;
    const std::uint64_t bytes = part.writer.bytes();
    status = part.writer.verify();
    if (status.code() != StatusCode::kCorrupt) co_return status;
    progress_.bytes -= bytes;
    ++progress_.spoiled;
  }
  co_return Status(StatusCode::kCorrupt,
                   status.message() + ", " + std::to_string(options_.hash_attempts) +
                       " times: the server's model file is damaged, or the link spoils bytes");
}

asio::awaitable<Status> ModelFetch::receive(Part& part, Attempts& attempts) {
  const PieceSink sink = [&](std::uint64_t total_bytes, std::span<const std::byte> bytes) {
    if (part.total_bytes == 0) {
      part.own = check_room(total_bytes);
      if (!part.own.is_ok()) return part.own;
      part.total_bytes = total_bytes;
      progress_.total_bytes += total_bytes;
    }
    part.own = part.writer.append(bytes);
    if (!part.own.is_ok()) return part.own;
    attempts.progressed();
    progress_.bytes += bytes.size();
    progress_.received_bytes += bytes.size();
    if (options_.progress) options_.progress(progress_);
    return Status::ok();
  };
  while (part.total_bytes == 0 || part.writer.bytes() < part.total_bytes) {
    const FetchWanted wanted{.sha256 = part.sha256,
                             .offset = part.writer.bytes(),
                             .total_bytes = part.total_bytes,
                             .max_total_bytes = part.max_bytes};
    const std::uint64_t skipped_before = client_.skipped_bytes();
    Status status = co_await client_.fetch(wanted, sink);
    progress_.received_bytes += client_.skipped_bytes() - skipped_before;
    if (!part.own.is_ok()) co_return part.own;
    if (status.is_ok()) continue;
    if (!may_pass(status) || !attempts.take()) co_return status;
    ++progress_.retries;
    co_await pause(std::max(attempts.pause(), client_.retry_after()));
  }
  co_return Status::ok();
}

asio::awaitable<void> ModelFetch::pause(std::chrono::milliseconds length) {
  asio::steady_timer timer(co_await asio::this_coro::executor, length);
  (void)co_await timer.async_wait(as_result);
}

}  // namespace cleave::agent
