// SPDX-License-Identifier: Apache-2.0
//
// A Folder in memory that does with a loss of power what a disk may do: of what was not synced,
// any 512-byte sectors are there and others are zeros or missing, whatever the order they were
// written in; a name that was made or removed and not synced is there or not. It can also be full.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/spool/folder.h"

namespace cleave::test {

class ForgetfulFolder final : public agent::Folder {
 public:
  struct Disk;

  ForgetfulFolder();
  ~ForgetfulFolder() override;

  // Power is lost: what stays is decided by `seed`. Files opened before must not be used again.
  void lose_power(std::uint64_t seed);
  // Appends fail, after a part, once the files together would be larger than this.
  void set_capacity(std::uint64_t bytes);
  // The next `count` syncs fail.
  void fail_syncs(unsigned count);
  [[nodiscard]] std::vector<std::byte> content(const std::string& name) const;
  void set_content(const std::string& name, const std::vector<std::byte>& bytes);
  [[nodiscard]] std::uint64_t syncs() const;
  // Since the start, whatever became of them.
  [[nodiscard]] std::uint64_t appended_bytes() const;

  [[nodiscard]] Result<std::vector<std::string>> names() const override;
  [[nodiscard]] Result<std::unique_ptr<agent::AppendFile>> create(const std::string& name) override;
  [[nodiscard]] Result<std::unique_ptr<agent::AppendFile>> open(
      const std::string& name) const override;
  [[nodiscard]] Status remove(const std::string& name) override;
  [[nodiscard]] Status sync_names() override;

 private:
  std::unique_ptr<Disk> disk_;
};

}  // namespace cleave::test
