// SPDX-License-Identifier: Apache-2.0
#include "agent/delivery.h"

#include <zlib.h>
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/spool/sync_policy.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

constexpr const char* kLock = "lock";

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

AcceptedBody accepted_body(const std::string& image, std::span<const std::byte> file) {
  std::error_code error;
  std::string path = std::filesystem::absolute(image, error).string();
  if (error || path.size() > kMaxSourceNameBytes) path = image.substr(0, kMaxSourceNameBytes);
  return {.file_bytes = file.size(),
          .file_crc = crc_of(file),
          .name = image.substr(0, kMaxSourceNameBytes),
          .path = std::move(path)};
}

// The file itself, if it is still the one that was accepted.
Result<std::vector<std::byte>> accepted_file(const AcceptedBody& source) {
  const PictureLimits limits;
  CLEAVE_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, read_picture_file(source.path, limits));
  if (bytes.size() == source.file_bytes && crc_of(bytes) == source.file_crc) return bytes;
  return Status(StatusCode::kNotFound, source.path + " is another file now");
}

ActivationForm form_of(const PayloadHead& head) {
  return {.codec = static_cast<fbs::Codec>(head.codec),
          .quality = head.quality,
          .variant = head.variant,
          .cut = head.cut,
          .wire_id = head.wire_id};
}

}  // namespace

bool may_be_tried_again(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kMismatch;
}

Result<std::unique_ptr<Delivery>> Delivery::open(const DeliveryTexts& texts,
                                                 const ModelIdentity& model, OnDrop on_drop) {
  CLEAVE_ASSIGN_OR_RETURN(const LedgerOptions options, ledger_options(texts));
  const std::filesystem::path results(texts.results);
  const std::string folder = results.has_parent_path() ? results.parent_path().string() : ".";
  std::unique_ptr<Delivery> delivery(new Delivery(model));
  delivery->keeps_smaller_ = texts.spool_form != "picture";
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
  return ledger_->accept(accepted_body(image, file));
}

void Delivery::drop_unread(const std::string& image) {
  ledger_->accept_and_drop(accepted_body(image, {}), kDroppedQueueFull);
}

Status Delivery::finish(Record& record, std::span<const std::byte> file,
                        const Activation* activation,
                        const std::function<std::string(const Record&)>& fields) {
  if (record.request_id == 0) return Status::ok();  // never accepted: its file cannot be read
  if (record.status.is_ok()) return ledger_->answered(record.request_id, fields(record));
  if (!may_be_tried_again(record.status)) {
    record.dropped = kDroppedRefused;
    return ledger_->dropped(record.request_id, record.dropped, fields(record));
  }
  const Ledger::Kept kept =
      has_spool() ? keep(record, file, activation) : Ledger::Kept::kNotSpooled;
  if (kept == Ledger::Kept::kNoRoom || kept == Ledger::Kept::kNotSpooled) {
    record.dropped = kept == Ledger::Kept::kNoRoom ? kDroppedSpoolFull : kDroppedUnanswered;
    return ledger_->dropped(record.request_id, record.dropped, fields(record));
  }
  note_waiting(record);
  ledger_->pass_over(record.request_id);
  return Status::ok();
}

PayloadHead Delivery::head_of(const ActivationForm& form) const {
  PayloadHead head{.form = PayloadHead::Form::kActivation,
                   .codec = static_cast<std::uint8_t>(form.codec),
                   .quality = form.quality,
                   .variant = form.variant,
                   .cut = form.cut,
                   .wire_id = form.wire_id};
  std::ranges::copy(std::as_bytes(std::span(model_)), head.model.begin());
  return head;
}

// The smaller of the two is what is written, once. One that waited already is rewritten only where
// the ledger finds it worth a second write.
Ledger::Kept Delivery::keep(const Record& record, std::span<const std::byte> file,
                            const Activation* activation) {
  const bool is_smaller =
      keeps_smaller_ && activation != nullptr && activation->bytes() < file.size();
  const std::vector<std::span<const std::byte>> parts =
      is_smaller ? activation->parts : std::vector{file};
  const PayloadHead head = is_smaller ? head_of(activation->form) : PayloadHead{};
  if (!record.drained) return ledger_->keep(record.request_id, head, parts);
  if (!file.empty()) ledger_->keep_less(record.request_id, head, parts);
  return Ledger::Kept::kCopied;
}

void Delivery::note_waiting(Record& record) {
  record.spooled = true;
  record.spooled_as = kWaitsAsReference;
  const PendingPicture* const picture = ledger_->find(record.request_id);
  if (picture == nullptr || !picture->payload) return;
  const bool is_file = picture->payload->head.form == PayloadHead::Form::kFile;
  record.spooled_as = is_file ? kWaitsAsPicture : kWaitsAsActivation;
  record.spooled_bytes = picture->payload->bytes();
}

// What the spool has of it and, where that is nothing or of no use any more, its own file.
Result<PictureTask> Delivery::task_of(const PendingPicture& picture) {
  PictureTask task{.image = picture.source.name, .request_id = picture.request_id};
  if (picture.payload) {
    const PayloadHead& head = picture.payload->head;
    const bool is_activation = head.form == PayloadHead::Form::kActivation;
    const bool is_of_model =
        !is_activation || std::ranges::equal(head.model, std::as_bytes(std::span(model_)));
    auto bytes = is_of_model ? ledger_->payload(picture.request_id)
                             : Status(StatusCode::kMismatch, "an activation of another model");
    if (bytes.is_ok()) {
      task.bytes = std::move(bytes).value();
      if (is_activation) task.activation = form_of(head);
      return task;
    }
    if (bytes.status().code() == StatusCode::kIo) return bytes.status();
    auto file = accepted_file(picture.source);
    if (!file.is_ok()) return bytes.status();
    task.bytes = std::move(file).value();
    return task;
  }
  CLEAVE_ASSIGN_OR_RETURN(task.bytes, accepted_file(picture.source));
  return task;
}

std::optional<PictureTask> Delivery::next() {
  while (const PendingPicture* picture = ledger_->next()) {
    const std::uint64_t id = picture->request_id;
    const std::string name = picture->source.name;
    const bool has_copy = picture->payload.has_value();
    auto task = task_of(*picture);
    if (task.is_ok()) return std::move(task).value();
    switch (task.status().code()) {
      case StatusCode::kIo:
        ledger_->pass_over(id);  // the disk may do better the next time
        break;
      case StatusCode::kMismatch:
        ledger_->drop(id, name, kDroppedModelChanged);
        break;
      default:
        ledger_->drop(id, name, has_copy ? kDroppedDamaged : kDroppedSourceGone);
    }
  }
  return std::nullopt;
}

}  // namespace cleave::agent
