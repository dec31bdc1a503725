// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forgetful_folder.h"

#include <algorithm>
#include <utility>

namespace cleave::test {
namespace {

constexpr std::size_t kSectorBytes = 512;

struct Content {
  std::vector<std::byte> now;
  std::vector<std::byte> durable;
};

}  // namespace

struct ForgetfulFolder::Disk {
  std::map<std::string, std::shared_ptr<Content>> now;
  std::map<std::string, std::shared_ptr<Content>> durable;  // names
  std::uint64_t capacity = UINT64_MAX;
  unsigned failing_syncs = 0;
  std::uint64_t syncs = 0;
  std::uint64_t appended_bytes = 0;

  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t sum = 0;
    for (const auto& [name, content] : now) sum += content->now.size();
    return sum;
  }
  bool sync_fails() {
    ++syncs;
    if (failing_syncs == 0) return false;
    --failing_syncs;
    return true;
  }
};

namespace {

class File final : public agent::AppendFile {
 public:
  File(ForgetfulFolder::Disk& disk, std::shared_ptr<Content> content)
      : disk_(disk), content_(std::move(content)) {}

  [[nodiscard]] std::uint64_t size() const override { return content_->now.size(); }

  [[nodiscard]] Status append(std::span<const std::byte> bytes) override {
    const std::uint64_t room = disk_.capacity - std::min(disk_.capacity, disk_.used());
    const std::size_t fits = std::min<std::uint64_t>(room, bytes.size());
    content_->now.insert(content_->now.end(), bytes.begin(),
                         bytes.begin() + static_cast<std::ptrdiff_t>(fits));
    disk_.appended_bytes += fits;
    if (fits == bytes.size()) return Status::ok();
    return {StatusCode::kResourceExhausted, "the disk is full"};
  }
  [[nodiscard]] Status truncate(std::uint64_t size) override {
    content_->now.resize(size);
    return Status::ok();
  }
  [[nodiscard]] Status sync() override {
    if (disk_.sync_fails()) return {StatusCode::kIo, "the disk does not sync"};
    content_->durable = content_->now;
    return Status::ok();
  }
  [[nodiscard]] Status read_at(std::uint64_t offset, std::span<std::byte> bytes) const override {
    if (offset + bytes.size() > content_->now.size()) return {StatusCode::kCorrupt, "ends early"};
    std::copy_n(content_->now.begin() + static_cast<std::ptrdiff_t>(offset), bytes.size(),
                bytes.begin());
    return Status::ok();
  }

 private:
  ForgetfulFolder::Disk& disk_;
  std::shared_ptr<Content> content_;
};

// Any of the sectors that differ, each by itself; a file that grew may have any length between.
void keep_some(Content& content, std::mt19937_64& random) {
  const std::vector<std::byte>& wanted = content.now;
  std::vector<std::byte> kept = content.durable;
  // A fair share of crashes loses all or nothing.
  const auto kind = random() % 4;
  std::size_t size = wanted.size();
  if (kind == 0) size = content.durable.size();
  if (kind >= 2) {
    const std::size_t low = std::min(wanted.size(), content.durable.size());
    const std::size_t high = std::max(wanted.size(), content.durable.size());
    size = low + random() % (high - low + 1);
  }
  kept.resize(size);
  for (std::size_t at = 0; at < size; at += kSectorBytes) {
    const std::size_t end = std::min({at + kSectorBytes, size, wanted.size()});
    const bool survives = kind == 1 || (kind >= 2 && random() % 2 == 0);
    if (!survives) continue;
    for (std::size_t i = at; i < end; ++i) kept[i] = wanted[i];
  }
  content.now = content.durable = std::move(kept);
}

}  // namespace

ForgetfulFolder::ForgetfulFolder() : disk_(std::make_unique<Disk>()) {}
ForgetfulFolder::~ForgetfulFolder() = default;

void ForgetfulFolder::lose_power(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::string, std::shared_ptr<Content>> kept;
  std::map<std::string, std::shared_ptr<Content>> either = disk_->durable;
  either.insert(disk_->now.begin(), disk_->now.end());
  for (const auto& [name, content] : either) {
    const bool sure = disk_->durable.contains(name) && disk_->now.contains(name);
    if (!sure && random() % 2 == 0) continue;
    keep_some(*content, random);
    kept[name] = content;
  }
  disk_->now = kept;
  disk_->durable = kept;
}

void ForgetfulFolder::set_capacity(std::uint64_t bytes) { disk_->capacity = bytes; }
void ForgetfulFolder::fail_syncs(unsigned count) { disk_->failing_syncs = count; }
std::uint64_t ForgetfulFolder::syncs() const { return disk_->syncs; }
std::uint64_t ForgetfulFolder::appended_bytes() const { return disk_->appended_bytes; }

std::vector<std::byte> ForgetfulFolder::content(const std::string& name) const {
  return disk_->now.at(name)->now;
}

void ForgetfulFolder::set_content(const std::string& name, const std::vector<std::byte>& bytes) {
  auto content = std::make_shared<Content>(Content{bytes, bytes});
  disk_->now[name] = disk_->durable[name] = content;
}

Result<std::vector<std::string>> ForgetfulFolder::names() const {
  std::vector<std::string> found;
  for (const auto& [name, content] : disk_->now) found.push_back(name);
  return found;
}

Result<std::unique_ptr<agent::AppendFile>> ForgetfulFolder::create(const std::string& name) {
  if (disk_->used() >= disk_->capacity) {
    return Status(StatusCode::kResourceExhausted, "the disk is full");
  }
  const auto content = std::make_shared<Content>();
  if (!disk_->now.try_emplace(name, content).second) return Status(StatusCode::kIo, "exists");
  return std::unique_ptr<agent::AppendFile>(std::make_unique<File>(*disk_, content));
}

Result<std::unique_ptr<agent::AppendFile>> ForgetfulFolder::open(const std::string& name) const {
  const auto found = disk_->now.find(name);
  if (found == disk_->now.end()) return Status(StatusCode::kNotFound, "no such file");
  return std::unique_ptr<agent::AppendFile>(std::make_unique<File>(*disk_, found->second));
}

Status ForgetfulFolder::remove(const std::string& name) {
  return disk_->now.erase(name) == 1 ? Status::ok() : Status(StatusCode::kNotFound, "no such file");
}

Status ForgetfulFolder::sync_names() {
  if (disk_->sync_fails()) return {StatusCode::kIo, "the disk does not sync"};
  disk_->durable = disk_->now;
  return Status::ok();
}

}  // namespace cleave::test
