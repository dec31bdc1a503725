// SPDX-License-Identifier: Apache-2.0
//
// What becomes of the pictures of a run for good: the result log that has one terminal record of
// each, and the spool in which those wait that nobody could answer (agent/spool/ledger.h).
// Used by the run's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "agent/picture_task.h"
#include "agent/record.h"
#include "agent/spool/disk_folder.h"
#include "agent/spool/ledger.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::agent {

// As written on the command line.
struct DeliveryTexts {
  std::string results;  // file; empty: no log, and then no spool
  std::string spool;    // folder; empty: none
  std::uint64_t spool_limit_bytes = SpoolOptions{}.limit_bytes;
  std::string spool_ttl = "7d";
  std::string spool_full = "drop-oldest";
  std::string spool_form = "smaller";  // or "picture"
  std::string sync = "always";
  std::string write_budget;  // empty: no bound
  [[nodiscard]] bool any() const { return !results.empty(); }
};

// Whether another server, another time or more memory may change it; else the picture is refused.
[[nodiscard]] bool may_be_tried_again(const Status& status);

class Delivery {
 public:
  // Told of each picture that is dropped without a record of its own: it was not in work.
  using OnDrop = std::function<void(const Dropped&)>;

  // Opens log and spool, which this process then holds alone. `model` is the identity of the one
  // that activations are of. Errors: kInvalidArgument (a text that
  // cannot be read), kUnavailable (another process has them), those of Ledger::open().
  static Result<std::unique_ptr<Delivery>> open(const DeliveryTexts& texts,
                                                const ModelIdentity& model, OnDrop on_drop);

  // A picture's file was read: it is accepted, durably as the sync policy says. Gives its id.
  [[nodiscard]] std::uint64_t accept(const std::string& image, std::span<const std::byte> file);

  // The picture of this record has ended, or waits in the spool from now on: record.spooled,
  // spooled_as and dropped say which. It waits as its `file` or, where that is smaller and
  // `--spool-form` allows it, as `activation` (null: none was computed). `fields`: the record as
  // the inner part of a JSON object; it is asked for once those are set. Errors: the terminal
  // record could not be written; where there is a spool, the next run begins with this picture.
  Status finish(Record& record, std::span<const std::byte> file, const Activation* activation,
                const std::function<std::string(const Record&)>& fields);

  // A picture that came while the queue was full was not even read: it is accepted and ends in one,
  // and OnDrop is told.
  void drop_unread(const std::string& image);

  // The oldest picture that waits, with its bytes; nothing when none does. Where its copy is
  // damaged, or an activation of another model, the file takes its place as long as that is still
  // the one that was accepted. A picture of which nothing is left is dropped on the way.
  [[nodiscard]] std::optional<PictureTask> next();
  // It could not be answered: next() goes on behind it until begin_anew().
  void pass_over(std::uint64_t request_id) { ledger_->pass_over(request_id); }
  void begin_anew() { ledger_->begin_anew(); }

  // To be called now and then: makes durable what `--sync interval` lets wait.
  void tick() { ledger_->tick(); }
  // The end of the run, in order. Errors: not all could be made durable.
  [[nodiscard]] Status close() { return ledger_->close(); }

  [[nodiscard]] bool has_spool() const { return spool_folder_ != nullptr; }
  // Whether pictures may wait as activations: finish() has a use for them.
  [[nodiscard]] bool keeps_activations() const { return has_spool() && keeps_smaller_; }
  [[nodiscard]] const Ledger& ledger() const { return *ledger_; }
  [[nodiscard]] Status take_trouble() { return ledger_->take_trouble(); }

 private:
  explicit Delivery(const ModelIdentity& model) : model_(model) {}
  [[nodiscard]] PayloadHead head_of(const ActivationForm& form) const;
  Ledger::Kept keep(const Record& record, std::span<const std::byte> file,
                    const Activation* activation);
  void note_waiting(Record& record);
  [[nodiscard]] Result<PictureTask> task_of(const PendingPicture& picture);

  const ModelIdentity model_;
  bool keeps_smaller_ = true;

  std::unique_ptr<DiskFolder> spool_folder_;
  std::unique_ptr<DiskFolder> results_folder_;
  std::unique_ptr<Ledger> ledger_;
};

}  // namespace cleave::agent
