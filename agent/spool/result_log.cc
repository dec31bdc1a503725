// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/result_log.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/spool/result_line.h"

namespace cleave::agent {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct Reading {
  ResultLogFindings findings;
  ResultLogPlace good_end;  // behind the last line that checks
};

// Reads line by line, in pieces.
class LineReader {
 public:
  LineReader(const AppendFile& file, const std::function<void(std::uint64_t)>& seen)
      : file_(file), seen_(seen) {}

  Result<Reading> read(const ResultLogPlace& begin) {
    reading_.good_end = begin;
    const std::uint64_t from = begin.bytes;
    std::vector<std::byte> piece(64 << 10);
    for (std::uint64_t at = from; at < file_.size();) {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file_.size() - at));
      CLEAVE_RETURN_IF_ERROR(file_.read_at(at, std::span(piece).first(count)));
      take({reinterpret_cast<const char*>(piece.data()), count}, at);
      at += count;
    }
    // What does not check and has nothing good behind it is the end to be cut.
    reading_.findings.damaged_lines -= damaged_since_good_;
    reading_.findings.cut_bytes = file_.size() - reading_.good_end.bytes;
    return reading_;
  }

 private:
  void take(std::string_view piece, std::uint64_t at) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      const std::string_view part = piece.substr(0, end);
      if (line_.size() + part.size() <= kMaxResultLineBytes) {
        line_ += part;
      } else {
        too_long_ = true;
      }
      if (end == std::string_view::npos) return;
      at += end + 1;
      finish_line(at);
      piece.remove_prefix(end + 1);
    }
  }

  void finish_line(std::uint64_t end) {
    const auto line = too_long_ ? std::nullopt : read_result_line(line_);
    line_.clear();
    too_long_ = false;
    if (!line) {
      ++reading_.findings.damaged_lines;
      ++damaged_since_good_;
      return;
    }
    ++reading_.findings.lines;
    damaged_since_good_ = 0;
    reading_.good_end = {end, line->crc};
    seen_(line->request_id);
  }

  const AppendFile& file_;
  const std::function<void(std::uint64_t)>& seen_;
  Reading reading_;
  std::string line_;
  bool too_long_ = false;
  std::uint64_t damaged_since_good_ = 0;
};

Result<std::string> read_start(const AppendFile& file) {
  std::string start(std::min<std::uint64_t>(file.size(), result_log_start().size()), '\0');
  CLEAVE_RETURN_IF_ERROR(
      file.read_at(0, std::as_writable_bytes(std::span(start.data(), start.size()))));
  return start;
}

// A loss of power may have left so much of a log that was just made.
bool is_unfinished_start(const AppendFile& file, const std::string& start) {
  if (file.size() > result_log_start().size()) return false;
  return result_log_start().starts_with(start) ||
         start.find_first_not_of('\0') == std::string::npos;
}

ResultLogPlace behind_start() {
  const std::string start = result_log_start();
  return {start.size(),
          read_result_tail(std::string_view(start).substr(start.size() - kResultLineTailBytes))
              .value_or(0)};
}

// `from`, or the end of the first line when the log is another there.
Result<ResultLogPlace> place_to_begin(const AppendFile& file, const ResultLogPlace& from) {
  const ResultLogPlace first = behind_start();
  if (from.bytes <= first.bytes || from.bytes > file.size()) return first;
  std::array<char, kResultLineTailBytes> tail;
  CLEAVE_RETURN_IF_ERROR(
      file.read_at(from.bytes - tail.size(), std::as_writable_bytes(std::span(tail))));
  const auto crc = read_result_tail({tail.data(), tail.size()});
  return crc && *crc == from.crc ? from : first;
}

Result<Reading> read_from(const AppendFile& file, const ResultLogPlace& from,
                          const std::function<void(std::uint64_t)>& seen) {
  CLEAVE_ASSIGN_OR_RETURN(const ResultLogPlace first, place_to_begin(file, from));
  return LineReader(file, seen).read(first);
}

const std::function<void(std::uint64_t)> kIgnoreIds = [](std::uint64_t) {};

// The last lines, of a longer and longer end until one of them checks.
Result<Reading> read_end(const AppendFile& file) {
  const ResultLogPlace first = behind_start();
  for (std::uint64_t window = 64 << 10; window < file.size() - first.bytes; window *= 8) {
    // Begins within a line, which then does not check.
    auto reading = LineReader(file, kIgnoreIds).read({file.size() - window, 0});
    if (!reading.is_ok()) return reading;
    if (reading->findings.lines == 0) continue;
    reading->findings.damaged_lines -= std::min<std::uint64_t>(reading->findings.damaged_lines, 1);
    return reading;
  }
  return LineReader(file, kIgnoreIds).read(first);
}

}  // namespace

Result<std::unique_ptr<ResultLog>> ResultLog::open(Folder& folder, const std::string& name,
                                                   const std::optional<ResultLogPlace>& from,
                                                   const std::function<void(std::uint64_t)>& seen) {
  auto file = folder.open(name);
  if (file.status().code() == StatusCode::kNotFound) file = folder.create(name);
  if (!file.is_ok()) return file.status();
  std::unique_ptr<ResultLog> log(new ResultLog(std::move(file).value()));
  CLEAVE_ASSIGN_OR_RETURN(const std::string start, read_start(*log->file_));
  if (start != result_log_start()) {
    if (!is_unfinished_start(*log->file_, start)) {
      return Status(
          StatusCode::kCorrupt,
          name + ": there is something else than a result log in this file; name another");
    }
    CLEAVE_RETURN_IF_ERROR(log->begin(folder));
    return log;
  }
  CLEAVE_ASSIGN_OR_RETURN(const Reading reading,
                          from ? read_from(*log->file_, *from, seen) : read_end(*log->file_));
  log->findings_ = reading.findings;
  log->size_ = reading.good_end.bytes;
  log->last_crc_ = reading.good_end.crc;
  if (log->file_->size() > log->size_) {
    CLEAVE_RETURN_IF_ERROR(log->file_->truncate(log->size_));
    log->dirty_ = true;
  }
  return log;
}

Status ResultLog::begin(Folder& folder) {
  CLEAVE_RETURN_IF_ERROR(file_->truncate(0));
  const std::string start = result_log_start();
  CLEAVE_RETURN_IF_ERROR(file_->append(bytes_of(start)));
  CLEAVE_RETURN_IF_ERROR(file_->sync());
  size_ = start.size();
  last_crc_ = behind_start().crc;
  return folder.sync_names();
}

Status ResultLog::append(std::uint64_t request_id, std::string_view fields) {
  const std::string line = result_line(request_id, fields);
  if (line.size() > kMaxResultLineBytes) {
    return {StatusCode::kResourceExhausted, "a line of the result log would be longer than " +
                                                std::to_string(kMaxResultLineBytes) + " bytes"};
  }
  // What an earlier error left behind the last whole line.
  if (file_->size() > size_) CLEAVE_RETURN_IF_ERROR(file_->truncate(size_));
  dirty_ = true;
  if (Status status = file_->append(bytes_of(line)); !status.is_ok()) {
    (void)file_->truncate(size_);
    return status;
  }
  size_ = file_->size();
  last_crc_ = read_result_tail(std::string_view(line).substr(line.size() - kResultLineTailBytes))
                  .value_or(0);
  return Status::ok();
}

Status ResultLog::sync() {
  if (!dirty_) return Status::ok();
  CLEAVE_RETURN_IF_ERROR(file_->sync());
  dirty_ = false;
  return Status::ok();
}

Status ResultLog::make_durable() {
  dirty_ = true;
  return sync();
}

Result<ResultLogFindings> inspect_result_log(const Folder& folder, const std::string& name) {
  CLEAVE_ASSIGN_OR_RETURN(const auto file, folder.open(name));
  CLEAVE_ASSIGN_OR_RETURN(const std::string start, read_start(*file));
  if (start != result_log_start()) {
    return Status(StatusCode::kCorrupt, name + ": no result log");
  }
  CLEAVE_ASSIGN_OR_RETURN(const Reading reading,
                          LineReader(*file, kIgnoreIds).read(behind_start()));
  return reading.findings;
}

}  // namespace cleave::agent
