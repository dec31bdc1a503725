// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/faults/fault_judge.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "agent/spool/disk_folder.h"
#include "agent/spool/result_line.h"
#include "agent/spool/spool_contents.h"
#include "schemas/exit_code.h"

namespace cleave::test {
namespace {

int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

bool is_terminal(const nlohmann::json& line) {
  return line.contains("top") || line.contains("dropped");
}

// The exit codes of a run that ended by itself: no signal, no internal error, nothing unknown.
bool is_orderly(int exit_code) {
  switch (static_cast<ExitCode>(exit_code)) {
    case ExitCode::kOk:
    case ExitCode::kPartial:
    case ExitCode::kServerUnreachable:
    case ExitCode::kIo:
    case ExitCode::kBadInput:
    case ExitCode::kCapTooSmall:
    case ExitCode::kModelMismatch:
    case ExitCode::kNotFound:
      return true;
    default:
      return false;
  }
}

}  // namespace

FaultJudge::FaultJudge(const FaultBench& bench, const FaultPlan& plan,
                       std::vector<std::string> names, std::string spool, std::string results)
    : bench_(bench),
      plan_(plan),
      names_(std::move(names)),
      spool_(std::move(spool)),
      results_(std::move(results)) {}

const BenchPicture* FaultJudge::picture_called(const std::string& name) const {
  const auto found = std::ranges::find(names_, name);
  return found == names_.end()
             ? nullptr
             : &bench_.pictures()[static_cast<std::size_t>(found - names_.begin())];
}

bool FaultJudge::may_drop(const std::string& reason, const BenchPicture* picture) const {
  const bool disk_was_full = plan_.does(ActKind::kFillDisk);
  if (reason == "refused") return picture != nullptr && picture->is_damaged;
  if (reason == "spool_full") return plan_.small_spool || disk_was_full;
  if (reason == "expired") return plan_.expires;
  if (reason == "unanswered") return !plan_.has_spool;
  // Its bytes are copied when nobody could answer it; until then its file is all there is of it.
  const bool may_lack_copy = plan_.has_budget || disk_was_full || was_killed_;
  if (reason == "model_changed") return plan_.loses_sources && plan_.updates_model();
  if (reason == "source_gone") return plan_.loses_sources && may_lack_copy;
  return false;
}

void FaultJudge::judge_record(const nlohmann::json& record, ModelVersion version) {
  const std::string id = record.at("request");
  const std::string name = record.value("image", std::string());
  const BenchPicture* const picture = picture_called(name);
  if (!ended_.emplace(id, record).second) complain(id + " has two terminal records");
  if (record.at("state") == "answered") {
    if (picture == nullptr) return complain(id + " answers no picture of ours: " + record.dump());
    if (picture->is_damaged) return complain(name + " cannot have an answer");
    if (record.at("scores") != picture->scores.at(version)) {
      complain(name + " has a wrong answer: " + record.dump().substr(0, 600));
    }
    return;
  }
  const std::string reason = record.value("reason", std::string("none"));
  if (record.at("state") != "dropped" || !may_drop(reason, picture)) {
    complain(name + " ended as it may not: " + record.dump().substr(0, 600));
  }
}

// Only what was appended since the last time.
void FaultJudge::read_log(ModelVersion version) {
  std::ifstream file(results_);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    if (count < lines_read_ || count == 0) continue;  // the first begins the log
    if (file.eof() || !agent::read_result_line(line)) {
      // A run that was killed in its write, or found the disk full; the next run cuts it off.
      break;
    }
    judge_record(nlohmann::json::parse(line), version);
  }
  lines_read_ = std::max(lines_read_, count);
}

void FaultJudge::read_pending() {
  pending_.clear();
  if (!plan_.has_spool) return;
  const auto folder = agent::DiskFolder::open(spool_, /*create=*/false);
  if (!folder.is_ok()) return;  // no run came so far
  const auto contents = agent::read_spool(**folder);
  if (!contents.is_ok())
    return complain("the spool cannot be read: " + contents.status().message());
  for (const auto& [sequence, picture] : contents->pending) {
    pending_.insert(agent::request_id_text(picture.request_id));
  }
}

// A line for each picture of the run, one end for each request, and none that the books do not
// know.
void FaultJudge::judge_lines(const PhaseOutcome& outcome) {
  // What a full disk did not take of the log, where the spool does not know the picture either.
  const bool may_be_lost = plan_.does(ActKind::kFillDisk) &&
                           (outcome.was_killed || outcome.exit_code == code(ExitCode::kIo));
  std::size_t own = 0;
  std::set<std::string> told;
  for (const nlohmann::json& line : outcome.lines) {
    const bool of_ledger = line.contains("dropped") && !line.contains("error");
    if (!of_ledger && !line.value("drained", false)) ++own;
    const std::string id = line.value("request", std::string());
    if (id.empty()) continue;
    if (is_terminal(line) && !told.insert(id).second) {
      complain(id + " ended twice in one run: " + line.dump());
    }
    const bool is_kept = is_terminal(line) || line.value("spooled", false);
    if (is_kept && !ended_.contains(id) && !pending_.contains(id) && !may_be_lost) {
      complain(id + " is in no book: " + line.dump().substr(0, 300));
    }
  }
  // On a full disk a log cannot even begin.
  const bool never_began = may_be_lost && outcome.lines.empty();
  const bool to_the_end = !outcome.was_killed && !outcome.was_told_to_end && !never_began;
  if (to_the_end && own != outcome.offered) {
    complain("of " + std::to_string(outcome.offered) + " pictures " + std::to_string(own) +
             " were told of");
  }
}

void FaultJudge::judge_run(const PhaseOutcome& outcome) {
  was_killed_ = was_killed_ || outcome.was_killed;
  if (!outcome.was_killed && !is_orderly(outcome.exit_code)) {
    complain("the agent ended with " + std::to_string(outcome.exit_code));
  }
  read_log(outcome.version);
  read_pending();
  judge_lines(outcome);
  for (const auto& [id, record] : ended_) accepted_.insert(id);
  accepted_.insert(pending_.begin(), pending_.end());
  for (const std::string& id : accepted_) {
    if (!ended_.contains(id) && !pending_.contains(id)) {
      complain(id + " was accepted, has not ended and does not wait");
    }
  }
}

void FaultJudge::judge_end() {
  for (const std::string& id : accepted_) {
    if (!ended_.contains(id)) complain(id + " never ended");
  }
  for (const std::string& id : pending_) {
    complain(id + " waits in the spool though nothing keeps it there");
  }
}

}  // namespace cleave::test
