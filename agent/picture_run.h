// SPDX-License-Identifier: Apache-2.0
//
// The pictures of one `run`, one after the other: each ends in a line of output and, with a
// Delivery, in a terminal record or the spool. What waited is tried again, oldest first: before
// the run's own pictures, whenever the server has answered after an outage, and at the end.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/caps_options.h"
#include "agent/delivery.h"
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
};

class PictureRun {
 public:
  // All must outlive it; `connection` and `delivery` may be null.
  PictureRun(Pipeline& pipeline, Connection* connection, Delivery* delivery,
             const fbs::Model& model, const ReportOptions& report, CapsWatch& watch);

  // Until all are done, or stop() was called: then the picture under way is the last.
  asio::awaitable<void> run(std::vector<std::string> pictures);
  void stop() { stopping_ = true; }

  [[nodiscard]] const Tally& tally() const { return tally_; }
  // A picture that the spool dropped by itself.
  void note_dropped(const Dropped& dropped);

 private:
  asio::awaitable<Record> answer(PictureTask task);
  asio::awaitable<void> answer_and_tell(PictureTask task);
  asio::awaitable<void> drain();
  asio::awaitable<void> drain_after_outage(bool server_answered);
  void tell(const Record& record, bool hopeless);
  void print(const std::string& line);
  [[nodiscard]] bool ended() const { return stopping_ || tally_.output_broken; }

  Pipeline& pipeline_;
  Connection* connection_;
  Delivery* delivery_;
  const fbs::Model& model_;
  const ReportOptions report_;
  CapsWatch& watch_;
  PredictionErrors errors_;
  Tally tally_;
  Status
      mismatch_;  // the other model will not appear by waiting: every further picture ends so too
  bool stopping_ = false;
  bool outage_ = false;  // a picture had to wait, and the server has not answered since
};

}  // namespace cleave::agent
