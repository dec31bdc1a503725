// SPDX-License-Identifier: Apache-2.0
//
// The pictures of one `run`, several in work at a time: each ends in a line of output, in the order
// in which they came, and, with a Delivery, in a terminal record or the spool. What waited is tried
// again, oldest first, while nothing else is in work: before the run's own pictures, whenever the
// server has answered after an outage, and at the end; each time after a wait of its own
// (drain_jitter.h), where there is a server to be asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "agent/caps_options.h"
#include "agent/delivery.h"
#include "agent/drain_jitter.h"
#include "agent/picture_queue.h"
#include "agent/pipeline.h"
#include "agent/prediction_error.h"
#include "agent/report.h"

namespace cleave::agent {

// What the run ends with: the first failure decides the exit code when nothing was answered.
struct Tally {
  std::size_t answered = 0;
  std::size_t failed = 0;  // those that wait in the spool included
  Status first_failure;
  bool output_broken = false;
  Status delivery_broken;  // a terminal record could not be written
  // Without an answer and not waiting, by reason (spool/ledger.h); `unreadable` were not accepted,
  // as their files could not be read.
  std::map<std::string, std::uint64_t> dropped;
  std::uint64_t unreadable = 0;
};

class PictureRun {
 public:
  // All must outlive it; `connection`, `delivery` and `log` may be null. At most `overlap` pictures
  // are in work at a time; `executor` has one thread.
  PictureRun(const asio::any_io_executor& executor, std::size_t overlap, Pipeline& pipeline,
             Connection* connection, Delivery* delivery, const fbs::Model& model,
             const ReportOptions& report, CapsWatch& watch, EventLog* log,
             const DrainJitter& jitter = DrainJitter(kernel_random()));

  // Until the queue is finished and all are done, or stop() was called: then the pictures in work
  // are the last. `total`: how many will come, for the progress bar; 0: nobody knows.
  asio::awaitable<void> run(PictureQueue& pictures, std::size_t total);
  void stop();

  [[nodiscard]] const Tally& tally() const { return tally_; }
  // A picture that spool or queue dropped; its id is 0 when it has none.
  void note_dropped(const Dropped& dropped);

 private:
  asio::awaitable<void> take_all(PictureQueue& pictures);
  asio::awaitable<void> rest(std::size_t places_held);
  void go_on(std::size_t places_held);
  void begin(std::string image);
  asio::awaitable<Record> answer(PictureTask task);
  asio::awaitable<void> answer_and_tell(PictureTask task, std::uint64_t number);
  void tell_in_order();
  asio::awaitable<void> drain();
  asio::awaitable<void> await_jitter();
  asio::awaitable<void> drain_after_outage();
  void tell(const Record& record);
  // Counted and logged, why there is no answer.
  void note_end(const Record& record);
  void note_failure(const Record& record);
  void print(const std::string& line);
  void warn_of_stranger();
  [[nodiscard]] bool ended() const { return stopping_ || tally_.output_broken; }

  const asio::any_io_executor executor_;
  const std::size_t overlap_;
  Pipeline& pipeline_;
  Connection* connection_;
  Delivery* delivery_;
  const fbs::Model& model_;
  const ReportOptions report_;
  CapsWatch& watch_;
  EventLog* const log_;
  DrainJitter jitter_;
  asio::steady_timer jitter_timer_;
  Turns places_;
  Signal told_;
  PictureQueue* pictures_ = nullptr;  // while run() is
  ProgressBar* progress_ = nullptr;   // likewise
  std::uint64_t begun_ = 0;
  std::uint64_t next_told_ = 0;
  std::map<std::uint64_t, Record> untold_;  // by number: those before them are in work
  PredictionErrors errors_;
  Tally tally_;
  Status
      mismatch_;  // the other model will not appear by waiting: every further picture ends so too
  bool told_of_mismatch_ = false;  // once is enough
  std::string told_stranger_;      // once for each, as Connection::stranger() has it
  bool stopping_ = false;
  bool outage_ = false;     // a picture had to wait, and the server has not answered since
  bool drain_due_ = false;  // now it has
};

}  // namespace cleave::agent
