// SPDX-License-Identifier: Apache-2.0
#include "agent/delivery.h"

#include <zlib.h>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/spool/sync_policy.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

constexpr const char* kLock = "lock";

// What another server, another time or more memory may change.
bool may_be_tried_again(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kMismatch;
}

std::uint32_t crc_of(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Result<LedgerOptions> ledger_options(const DeliveryTexts& texts) {
  LedgerOptions options;
  options.spool.limit_bytes = texts.spool_limit_bytes;
  if (texts.spool_limit_bytes < kSmallestSpoolLimitBytes) {
    return Status(StatusCode::kInvalidArgument, "--spool-limit: at least 1MiB");
  }
  CLEAVE_ASSIGN_OR_RETURN(options.spool.sync, parse_sync_policy(texts.sync));
  if (!texts.write_budget.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(options.spool.budget, parse_write_budget(texts.write_budget));
  }
  CLEAVE_ASSIGN_OR_RETURN(options.ttl_ns, parse_age_ns(texts.spool_ttl));
  options.full =
      texts.spool_full == "drop-newest" ? SpoolFull::kDropNewest : SpoolFull::kDropOldest;
  return options;
}

}  // namespace

Result<std::unique_ptr<Delivery>> Delivery::open(const DeliveryTexts& texts, OnDrop on_drop) {
  CLEAVE_ASSIGN_OR_RETURN(const LedgerOptions options, ledger_options(texts));
  const std::filesystem::path results(texts.results);
  const std::string folder = results.has_parent_path() ? results.parent_path().string() : ".";
  std::unique_ptr<Delivery> delivery(new Delivery);
  CLEAVE_ASSIGN_OR_RETURN(delivery->results_folder_, DiskFolder::open(folder, /*create=*/false));
  CLEAVE_RETURN_IF_ERROR(delivery->results_folder_->lock(results.filename().string() + ".lock"));
  if (!texts.spool.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(delivery->spool_folder_, DiskFolder::open(texts.spool, true));
    CLEAVE_RETURN_IF_ERROR(delivery->spool_folder_->lock(kLock));
  }
  CLEAVE_ASSIGN_OR_RETURN(
      delivery->ledger_,
      Ledger::open(delivery->spool_folder_.get(), *delivery->results_folder_,
                   results.filename().string(), system_time(), options, std::move(on_drop)));
  return delivery;
}

std::uint64_t Delivery::accept(const std::string& image, std::span<const std::byte> file) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(image, error);
  return ledger_->accept({.file_bytes = file.size(),
                          .file_crc = crc_of(file),
                          .name = image.substr(0, kMaxSourceNameBytes),
                          .path = error ? std::string() : path.string()});
}

Status Delivery::finish(Record& record, std::span<const std::byte> file,
                        const std::function<std::string(const Record&)>& fields) {
  if (record.request_id == 0) return Status::ok();  // never accepted: its file cannot be read
  if (record.status.is_ok()) return ledger_->answered(record.request_id, fields(record));
  if (!may_be_tried_again(record.status)) {
    record.dropped = kDroppedRefused;
    return ledger_->dropped(record.request_id, record.dropped, fields(record));
  }
  if (record.drained) {  // its bytes are there already
    record.spooled = true;
    ledger_->pass_over(record.request_id);
    return Status::ok();
  }
  if (!has_spool()) {
    record.dropped = kDroppedUnanswered;
    return ledger_->dropped(record.request_id, record.dropped, fields(record));
  }
  const std::array<std::span<const std::byte>, 1> parts{file};
  const Ledger::Kept kept = ledger_->keep(record.request_id, PayloadHead{}, parts);
  if (kept == Ledger::Kept::kNoRoom || kept == Ledger::Kept::kNotSpooled) {
    record.dropped = kept == Ledger::Kept::kNoRoom ? kDroppedSpoolFull : kDroppedUnanswered;
    return ledger_->dropped(record.request_id, record.dropped, fields(record));
  }
  record.spooled = true;
  ledger_->pass_over(record.request_id);
  return Status::ok();
}

// A copy, or over the write budget the file itself, if it is still the one that was accepted.
Result<std::vector<std::byte>> Delivery::bytes_of(const PendingPicture& picture) {
  if (picture.payload) return ledger_->payload(picture.request_id);
  const PictureLimits limits;
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::byte> bytes,
                          read_picture_file(picture.source.path, limits));
  if (bytes.size() == picture.source.file_bytes && crc_of(bytes) == picture.source.file_crc) {
    return bytes;
  }
  return Status(StatusCode::kNotFound, picture.source.path + " is another file now");
}

std::optional<PictureTask> Delivery::next() {
  while (const PendingPicture* picture = ledger_->next()) {
    const std::uint64_t id = picture->request_id;
    const std::string name = picture->source.name;
    const char* const reason = picture->payload ? kDroppedDamaged : kDroppedSourceGone;
    auto bytes = bytes_of(*picture);
    if (bytes.is_ok()) {
      return PictureTask{.image = name, .request_id = id, .bytes = std::move(bytes).value()};
    }
    if (bytes.status().code() == StatusCode::kIo) {
      ledger_->pass_over(id);  // the disk may do better the next time
      continue;
    }
    ledger_->drop(id, name, reason);
  }
  return std::nullopt;
}

}  // namespace cleave::agent
