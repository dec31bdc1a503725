// SPDX-License-Identifier: Apache-2.0
#include "agent/picture_run.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/spool/result_line.h"

namespace cleave::agent {
namespace {

// Devices that lost a server together must not come back to it in one moment.
constexpr std::chrono::milliseconds kLongestJitter{1000};

// The inner part of a record's JSON object, without the id: the log has that already.
std::string inner_json(Record record, const fbs::Model& model, const ReportOptions& report) {
  record.request_id = 0;
  const std::string whole = record_json(record, model, report);
  return whole.substr(1, whole.size() - 2);
}

}  // namespace

PictureRun::PictureRun(Pipeline& pipeline, Connection* connection, Delivery* delivery,
                       const fbs::Model& model, const ReportOptions& report, CapsWatch& watch)
    : pipeline_(pipeline),
      connection_(connection),
      delivery_(delivery),
      model_(model),
      report_(report),
      watch_(watch) {}

asio::awaitable<void> PictureRun::run(std::vector<std::string> pictures) {
  ProgressBar progress(pictures.size());
  if (delivery_ != nullptr) co_await drain();
  for (std::string& picture : pictures) {
    if (ended()) break;
    progress.clear();
    PictureTask task{.image = std::move(picture)};
    co_await answer_and_tell(std::move(task));
    progress.advance();
  }
  progress.clear();
  if (delivery_ != nullptr && !ended() && mismatch_.is_ok()) {
    delivery_->begin_anew();
    co_await drain();
  }
  if (!report_.json && !tally_.output_broken) print(errors_text(errors_));
  if (connection_ != nullptr) co_await connection_->close();
}

asio::awaitable<void> PictureRun::answer_and_tell(PictureTask task) {
  const bool waited = task.request_id != 0;
  const bool hopeless = !mismatch_.is_ok();
  const Record record = co_await answer(std::move(task));
  tell(record, hopeless);
  if (record.spooled) outage_ = true;
  if (!waited) co_await drain_after_outage(record.status.is_ok() && !record.sent.empty());
}

asio::awaitable<Record> PictureRun::answer(PictureTask task) {
  Record record;
  if (!mismatch_.is_ok() && delivery_ == nullptr) {
    record.image = std::move(task.image);
    record.status = mismatch_;
  } else {
    record = co_await pipeline_.process(std::move(task));
  }
  if (record.status.code() == StatusCode::kMismatch) mismatch_ = record.status;
  if (delivery_ != nullptr) {
    const Status status = delivery_->finish(
        record, pipeline_.last_file(), pipeline_.last_activation(),
        [this](const Record& ended) { return inner_json(ended, model_, report_); });
    if (!status.is_ok() && tally_.delivery_broken.is_ok()) tally_.delivery_broken = status;
    delivery_->tick();
  }
  co_return record;
}

// The oldest first; the first that cannot be answered ends it: the others would wait for the same.
asio::awaitable<void> PictureRun::drain() {
  while (!ended()) {
    auto task = delivery_->next();
    if (!task) break;
    const std::uint64_t id = task->request_id;
    const Record record = co_await answer(std::move(*task));
    tell(record, false);
    if (!record.spooled) continue;
    outage_ = true;
    delivery_->pass_over(id);
    break;
  }
}

asio::awaitable<void> PictureRun::drain_after_outage(bool server_answered) {
  if (delivery_ == nullptr || !outage_ || !server_answered || ended()) co_return;
  outage_ = false;
  const auto jitter = std::chrono::milliseconds(kernel_random() %
                                                static_cast<std::uint64_t>(kLongestJitter.count()));
  asio::steady_timer timer(co_await asio::this_coro::executor, jitter);
  (void)co_await timer.async_wait(as_result);
  delivery_->begin_anew();
  co_await drain();
}

void PictureRun::note_dropped(const Dropped& dropped) {
  ++tally_.failed;
  if (tally_.first_failure.is_ok()) {
    tally_.first_failure = Status(StatusCode::kUnavailable, "dropped: " + dropped.reason);
  }
  std::fprintf(stderr, "cleave-agent: %s: dropped: %s\n", dropped.name.c_str(),
               dropped.reason.c_str());
  if (!report_.json) return;
  const nlohmann::ordered_json line{{"image", dropped.name},
                                    {"request", request_id_text(dropped.request_id)},
                                    {"dropped", dropped.reason}};
  print(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void PictureRun::print(const std::string& line) {
  const bool written = std::fputs(line.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  if (!written) tally_.output_broken = true;
}

void PictureRun::tell(const Record& record, bool hopeless) {
  record.status.is_ok() ? ++tally_.answered : ++tally_.failed;
  if (!record.status.is_ok() && tally_.first_failure.is_ok()) tally_.first_failure = record.status;
  errors_.observe(record);
  print(report_.json ? record_json(record, model_, report_, errors_.median()) + "\n"
                     : record_text(record, model_, report_));
  if (!record.status.is_ok() && !hopeless) {
    std::fprintf(stderr, "cleave-agent: %s\n", record.status.message().c_str());
  }
  if (const std::string notice = watch_.take_notice(); !notice.empty()) {
    std::fprintf(stderr, "cleave-agent: %s\n", notice.c_str());
  }
  if (delivery_ == nullptr) return;
  if (const Status trouble = delivery_->take_trouble(); !trouble.is_ok()) {
    std::fprintf(stderr, "cleave-agent: %s\n", trouble.message().c_str());
  }
}

}  // namespace cleave::agent
