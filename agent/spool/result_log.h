// SPDX-License-Identifier: Apache-2.0
//
// What became of each accepted picture, a JSON line each, appended once and never changed:
// spool_format.md, "The result log". Used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/spool/folder.h"

namespace cleave::agent {

struct ResultLogFindings {
  std::uint64_t lines = 0;          // that check, from where the reading began
  std::uint64_t damaged_lines = 0;  // in the middle, left as they are
  std::uint64_t cut_bytes = 0;      // behind the last line that checks, taken away
};

// A place in a log: its length once, and the crc32 of the line that then was the last.
struct ResultLogPlace {
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
};

class ResultLog {
 public:
  // Opens or makes `name` in `folder`, which must outlive the log. Reads the lines behind
  // `from`, or all of them when the log has no such place, and calls `seen` with the id of each;
  // without a `from` only as much of the end as shows where it is. A damaged
  // end is cut off. Errors: kCorrupt (it is something else, and stays as it is), kIo,
  // kResourceExhausted.
  static Result<std::unique_ptr<ResultLog>> open(Folder& folder, const std::string& name,
                                                 const std::optional<ResultLogPlace>& from,
                                                 const std::function<void(std::uint64_t)>& seen);

  // Appends the line of a request (result_line()). As a whole or not at all.
  // Errors: kIo, kResourceExhausted (also: longer than a line may be).
  [[nodiscard]] Status append(std::uint64_t request_id, std::string_view fields);
  // All lines are durable. Errors: kIo.
  [[nodiscard]] Status sync();
  // The same, of what was in the file before it was opened too.
  [[nodiscard]] Status make_durable();

  [[nodiscard]] ResultLogPlace end() const { return {size_, last_crc_}; }
  [[nodiscard]] bool is_dirty() const { return dirty_; }
  [[nodiscard]] const ResultLogFindings& findings() const { return findings_; }

 private:
  explicit ResultLog(std::unique_ptr<AppendFile> file) : file_(std::move(file)) {}
  Status begin(Folder& folder);

  std::unique_ptr<AppendFile> file_;
  std::uint64_t size_ = 0;  // of the lines that were written whole
  std::uint32_t last_crc_ = 0;
  bool dirty_ = false;
  ResultLogFindings findings_;
};

// The same reading of a log, which changes nothing. Errors: kNotFound, kCorrupt, kIo.
[[nodiscard]] Result<ResultLogFindings> inspect_result_log(const Folder& folder,
                                                           const std::string& name);

}  // namespace cleave::agent
