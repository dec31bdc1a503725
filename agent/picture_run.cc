// SPDX-License-Identifier: Apache-2.0
#include "agent/picture_run.h"

#include <boost/asio/co_spawn.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/request_ids.h"
#include "agent/spool/result_line.h"

namespace cleave::agent {
namespace {

// Records that are done and wait for one before them.
constexpr std::uint64_t kMostUntold = 64;

// The inner part of a record's JSON object, without the id: the log has that already.
std::string inner_json(Record record, const fbs::Model& model, const ReportOptions& report) {
  record.request_id = 0;
  const std::string whole = record_json(record, model, report);
  return whole.substr(1, whole.size() - 2);
}

}  // namespace

PictureRun::PictureRun(const asio::any_io_executor& executor, std::size_t overlap,
                       Pipeline& pipeline, Connection* connection, Delivery* delivery,
                       const fbs::Model& model, const ReportOptions& report, CapsWatch& watch,
                       EventLog* log, const DrainJitter& jitter)
    : executor_(executor),
      overlap_(overlap),
      pipeline_(pipeline),
      connection_(connection),
      delivery_(delivery),
      model_(model),
      report_(report),
      watch_(watch),
      log_(log),
      jitter_(jitter),
      jitter_timer_(executor),
      places_(executor, overlap),
      told_(executor) {}

asio::awaitable<void> PictureRun::run(PictureQueue& pictures, std::size_t total) {
  ProgressBar progress(total);
  pictures_ = &pictures;
  progress_ = &progress;
  if (delivery_ != nullptr) co_await drain();
  co_await take_all(pictures);
  co_await rest(0);
  progress.clear();
  pictures_ = nullptr;
  progress_ = nullptr;
  if (delivery_ != nullptr && !ended() && mismatch_.is_ok()) {
    delivery_->begin_anew();
    co_await drain();
  }
  if (!report_.json && !tally_.output_broken) print(errors_text(errors_));
  if (connection_ != nullptr) co_await connection_->close();
}

void PictureRun::stop() {
  stopping_ = true;
  jitter_timer_.cancel();
  if (pictures_ != nullptr) pictures_->close();
}

// A picture leaves the queue only when there is a place for it: until then it is the queue's to
// drop.
asio::awaitable<void> PictureRun::take_all(PictureQueue& pictures) {
  while (!ended()) {
    (void)co_await places_.enter();
    if (drain_due_) co_await drain_after_outage();
    // One that takes long must not let the others' records pile up.
    while (begun_ - next_told_ >= kMostUntold) {
      told_.reset();
      (void)co_await told_.wait();
    }
    std::optional<std::string> picture;
    if (!ended()) picture = co_await pictures.take();
    if (!ended() && !picture && !pictures.is_over()) {  // woken: what waited comes first
      places_.leave();
      continue;
    }
    if (!picture || ended()) {
      places_.leave();
      break;
    }
    if (drain_due_) co_await drain_after_outage();
    begin(std::move(*picture));
  }
}

void PictureRun::begin(std::string image) {
  PictureTask task;
  task.image = std::move(image);
  asio::co_spawn(executor_, answer_and_tell(std::move(task), begun_++),
                 [](std::exception_ptr error) {
                   if (error != nullptr) std::rethrow_exception(error);
                 });
}

// Until nothing is in work; nothing begins before go_on().
asio::awaitable<void> PictureRun::rest(std::size_t places_held) {
  for (std::size_t i = places_held; i < overlap_; ++i) (void)co_await places_.enter();
}

void PictureRun::go_on(std::size_t places_held) {
  for (std::size_t i = places_held; i < overlap_; ++i) places_.leave();
}

asio::awaitable<void> PictureRun::answer_and_tell(PictureTask task, std::uint64_t number) {
  Record record = co_await answer(std::move(task));
  if (record.spooled) outage_ = true;
  if (delivery_ != nullptr && outage_ && record.status.is_ok() && !record.sent.empty()) {
    drain_due_ = true;
    if (pictures_ != nullptr) pictures_->wake();
  }
  untold_.emplace(number, std::move(record));
  tell_in_order();
  places_.leave();
}

void PictureRun::tell_in_order() {
  while (!untold_.empty() && untold_.begin()->first == next_told_) {
    const Record next = std::move(untold_.begin()->second);
    untold_.erase(untold_.begin());
    ++next_told_;
    tell(next);
    if (progress_ != nullptr) progress_->advance();
  }
  told_.set();
}

asio::awaitable<Record> PictureRun::answer(PictureTask task) {
  Processed done;
  if (!mismatch_.is_ok() && delivery_ == nullptr) {
    done.record.image = std::move(task.image);
    done.record.status = mismatch_;
    done.record.is_accepted = true;  // for all that is known: it is not read any more
  } else {
    done = co_await pipeline_.process(std::move(task));
  }
  Record& record = done.record;
  if (record.status.code() == StatusCode::kMismatch) mismatch_ = record.status;
  if (delivery_ != nullptr) {
    const Activation* const activation = done.activation ? &*done.activation : nullptr;
    const Status status = delivery_->finish(
        record, done.file, activation,
        [this](const Record& ended) { return inner_json(ended, model_, report_); });
    if (!status.is_ok() && tally_.delivery_broken.is_ok()) tally_.delivery_broken = status;
    delivery_->tick();
  }
  co_return std::move(record);
}

// The oldest first; the first that cannot be answered ends it: the others would wait for the same.
asio::awaitable<void> PictureRun::drain() {
  co_await await_jitter();
  while (!ended()) {
    auto task = delivery_->next();
    if (!task) break;
    const std::uint64_t id = task->request_id;
    const Record record = co_await answer(std::move(*task));
    tell(record);
    if (!record.spooled) continue;
    outage_ = true;
    delivery_->pass_over(id);
    break;
  }
}

// Nobody is asked where nothing waits, or without a server.
asio::awaitable<void> PictureRun::await_jitter() {
  if (ended() || connection_ == nullptr || delivery_->ledger().waiting() == 0) co_return;
  jitter_timer_.expires_after(jitter_.next());
  (void)co_await jitter_timer_.async_wait(as_result);
}

// REQUIRES: the caller holds a place.
asio::awaitable<void> PictureRun::drain_after_outage() {
  drain_due_ = false;
  co_await rest(1);
  if (outage_ && !ended()) {
    outage_ = false;
    delivery_->begin_anew();
    co_await drain();
  }
  go_on(1);
}

void PictureRun::note_dropped(const Dropped& dropped) {
  ++tally_.failed;
  if (tally_.first_failure.is_ok()) {
    tally_.first_failure = Status(StatusCode::kUnavailable, "dropped: " + dropped.reason);
  }
  ++tally_.dropped[dropped.reason];
  Record ids;
  ids.request_id = dropped.request_id;
  std::fprintf(stderr, "cleave-agent: %s: dropped: %s%s\n", dropped.name.c_str(),
               dropped.reason.c_str(), ids_text(ids).c_str());
  log_event(log_, LogLevel::kWarn, "dropped",
            {{"image", dropped.name},
             {"request", known_id_text(dropped.request_id)},
             {"reason", dropped.reason}});
  if (!report_.json) return;
  nlohmann::ordered_json line{{"image", dropped.name}};
  if (dropped.request_id != 0) line["request"] = request_id_text(dropped.request_id);
  line["dropped"] = dropped.reason;
  print(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void PictureRun::note_end(const Record& record) {
  if (!record.status.is_ok()) return note_failure(record);
  log_event(log_, record.drained ? LogLevel::kInfo : LogLevel::kDebug,
            record.drained ? "drained" : "answered",
            {{"image", record.image},
             {"request", known_id_text(record.request_id)},
             {"wire_id", LogId{record.wire_id}},
             {"split", record.split},
             {"total_ns", record.total_ns}});
}

void PictureRun::note_failure(const Record& record) {
  std::string reason = record.dropped;
  std::string_view event = "dropped";
  if (record.spooled) {
    event = "spooled";
  } else if (!record.is_accepted) {
    event = "unreadable";
    ++tally_.unreadable;
  } else {
    if (reason.empty()) {
      reason = may_be_tried_again(record.status) ? kDroppedUnanswered : kDroppedRefused;
    }
    ++tally_.dropped[reason];
  }
  log_event(log_, record.spooled ? LogLevel::kInfo : LogLevel::kWarn, event,
            {{"image", record.image},
             {"request", known_id_text(record.request_id)},
             {"wire_id", LogId{record.wire_id}},
             {"reason", reason},
             {"spooled_as", record.spooled_as},
             {"why", record.status.message()}});
}

void PictureRun::print(const std::string& line) {
  const bool written = std::fputs(line.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  if (!written) tally_.output_broken = true;
}

// Whoever it is, the run goes on; but its owner has to know why the server is not asked.
void PictureRun::warn_of_stranger() {
  if (connection_ == nullptr || connection_->stranger() == told_stranger_) return;
  told_stranger_ = connection_->stranger();
  if (told_stranger_.empty()) return;
  std::fprintf(stderr, "cleave-agent: %s; not trusted, and tried again later\n",
               told_stranger_.c_str());
}

void PictureRun::tell(const Record& record) {
  if (progress_ != nullptr) progress_->clear();
  record.status.is_ok() ? ++tally_.answered : ++tally_.failed;
  if (!record.status.is_ok() && tally_.first_failure.is_ok()) tally_.first_failure = record.status;
  errors_.observe(record);
  print(report_.json ? record_json(record, model_, report_, errors_.median()) + "\n"
                     : record_text(record, model_, report_));
  const bool is_mismatch = record.status.code() == StatusCode::kMismatch;
  const bool is_told = is_mismatch && std::exchange(told_of_mismatch_, true);
  if (!record.status.is_ok() && !is_told) {
    std::fprintf(stderr, "cleave-agent: %s%s\n", record.status.message().c_str(),
                 ids_text(record).c_str());
  }
  note_end(record);
  warn_of_stranger();
  if (const std::string notice = watch_.take_notice(); !notice.empty()) {
    std::fprintf(stderr, "cleave-agent: %s\n", notice.c_str());
  }
  if (delivery_ == nullptr) return;
  if (const Status trouble = delivery_->take_trouble(); !trouble.is_ok()) {
    std::fprintf(stderr, "cleave-agent: %s\n", trouble.message().c_str());
  }
}

}  // namespace cleave::agent
