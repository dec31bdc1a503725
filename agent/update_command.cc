// SPDX-License-Identifier: Apache-2.0
//
// `cleave-agent update`: the model folder changes to the version that the server calls current,
// once its self-test has passed here; else it stays with the one it has, and remembers.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/commands.h"
#include "agent/fetch_progress.h"
#include "agent/folder_lock.h"
#include "agent/model_fetch.h"
#include "agent/model_parts.h"
#include "agent/remote_self_test.h"
#include "schemas/model_folder.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

// A self-test that was begun so often and never ended took the device down with it.
constexpr std::uint32_t kMostTrials = 2;

enum class Outcome { kUpToDate, kSwitched, kRefused, kRolledBack };

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUpToDate:
      return "up_to_date";
    case Outcome::kSwitched:
      return "switched";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kRolledBack:
      return "rolled_back";
  }
  return "?";
}

struct Update {
  const CommandOptions& options;
  const ConnectionOptions& connection;
  const DeviceCaps& caps;
  ModelFolderState state;
  Outcome outcome = Outcome::kUpToDate;
  std::string why = {};  // of a refusal
  FetchProgress fetched = {};
  std::optional<ModelIdentity> dropped_previous = {};  // to make room
};

Status save(const Update& update) {
  return write_model_folder_state(update.options.model_path, update.state);
}

Status switch_to(Update& update, const ModelIdentity& identity) {
  update.state.previous = std::exchange(update.state.current, identity);
  update.state.trial.reset();
  std::erase(update.state.refused, identity);
  CLEAVE_RETURN_IF_ERROR(save(update));
  update.outcome = Outcome::kSwitched;
  (void)prune_model_folder(update.options.model_path, update.state);
  return Status::ok();
}

Status refuse(Update& update, const ModelIdentity& identity, std::string why) {
  update.state.trial.reset();
  std::erase(update.state.refused, identity);
  update.state.refused.push_back(identity);
  CLEAVE_RETURN_IF_ERROR(save(update));
  update.outcome = Outcome::kRefused;
  update.why = std::move(why);
  (void)prune_model_folder(update.options.model_path, update.state);
  return Status::ok();
}

Status roll_back(Update& update) {
  if (!update.state.previous) {
    return {StatusCode::kNotFound, update.options.model_path + " has no version before this one"};
  }
  const ModelIdentity left = std::exchange(update.state.current, *update.state.previous);
  update.state.previous.reset();
  std::erase(update.state.refused, left);
  update.state.refused.push_back(left);
  CLEAVE_RETURN_IF_ERROR(save(update));
  update.outcome = Outcome::kRolledBack;
  (void)prune_model_folder(update.options.model_path, update.state);
  return Status::ok();
}

// Of the new version as much as is held of the old.
Result<std::vector<std::uint32_t>> segments_like(const ModelFile& old_model,
                                                 const ModelFile& new_model) {
  std::vector<std::uint32_t> segments;
  const auto& variants = *old_model.header().variants();
  for (std::uint32_t v = 0; v < variants.size(); ++v) {
    const Split held = held_split(old_model, v);
    if (held.op_boundary == 0) continue;
    CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t variant,
                            pick_variant(new_model, variants.Get(v)->name()->str()));
    const auto splits = list_splits(new_model.header(), variant);
    OpIndex ops = 0;
    for (const Split& split : splits) {
      if (split.layers_on_device <= held.layers_on_device) ops = split.op_boundary;
    }
    if (held_ops(old_model, v) == variants.Get(v)->ops()->size()) ops = splits.back().op_boundary;
    const auto missing = missing_segments(new_model, variant, ops);
    segments.insert(segments.end(), missing.begin(), missing.end());
  }
  return segments;
}

// `unanswered`: it failed at the exchange with the server.
asio::awaitable<Result<SelfTestResult>> test(const Update& update,
                                             std::shared_ptr<const ModelFile> model,
                                             bool& unanswered) {
  const auto variant = self_test_variant(*model);
  if (!variant.is_ok()) co_return variant.status();
  const fbs::Variant& tested = *model->header().variants()->Get(*variant);
  const OpIndex held = held_split(*model, *variant).op_boundary;
  if (held == tested.ops()->size()) {
    co_return run_self_test(model, update.options.threads, update.caps.ram.bytes / 4,
                            update.options.preference);
  }
  ConnectionOptions options = update.connection;
  options.model_identity = model->identity();
  options.score_count = model->header().self_test()->scores()->size();
  Connection connection(co_await asio::this_coro::executor, options);
  auto result = co_await run_remote_self_test(model, held, update.options.threads,
                                              update.options.preference, connection, unanswered);
  co_await connection.close();
  co_return result;
}

// What says nothing of the model: the server, the link or this device may do better the next time.
bool says_nothing_of_it(const Status& status, bool unanswered) {
  return unanswered || status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kIo;
}

// A request that the server calls wrong is no fault of the command line, nor what it does not have
// of the model folder.
Status of_the_link(const Status& status) {
  const bool is_refused = status.code() == StatusCode::kInvalidArgument ||
                          status.code() == StatusCode::kNotFound ||
                          status.code() == StatusCode::kResourceExhausted;
  return {is_refused ? StatusCode::kUnavailable : status.code(),
          "the new version's self-test: " + status.message()};
}

asio::awaitable<Status> try_model(Update& update, std::shared_ptr<const ModelFile> model) {
  const ModelIdentity identity = model->identity();
  if (model->header().self_test() == nullptr) {
    co_return refuse(update, identity, "it has no self-test (cleave-import import --self-test)");
  }
  // Whoever asks for a refused version again asks for one that would be refused as well.
  if (!update.state.trial || update.state.trial->identity != identity ||
      update.options.retry_refused) {
    update.state.trial = {.identity = identity, .starts = 0};
  }
  if (update.state.trial->starts >= kMostTrials) {
    co_return refuse(update, identity, "its self-test was begun before and never ended");
  }
  ++update.state.trial->starts;
  if (Status status = save(update); !status.is_ok()) co_return status;
  bool unanswered = false;
  const auto result = co_await test(update, std::move(model), unanswered);
  if (!result.is_ok() && says_nothing_of_it(result.status(), unanswered)) {
    update.state.trial.reset();
    if (Status status = save(update); !status.is_ok()) co_return status;
    co_return unanswered ? of_the_link(result.status()) : result.status();
  }
  if (!result.is_ok()) co_return refuse(update, identity, result.status().message());
  if (result->passed()) co_return switch_to(update, identity);
  co_return refuse(update, identity,
                   "its self-test gives other scores on this device, by up to " +
                       std::to_string(result->max_difference));
}

// Whether the fetch of `wanted` may go on without the version before this one, which is given up
// where that gives the room that was lacking, and kept otherwise.
Result<bool> make_room(Update& update, const ModelFetch& fetch, const ModelIdentity& wanted) {
  if (fetch.lacking_bytes() == 0 || !update.state.previous) return false;
  const std::string& folder = update.options.model_path;
  ModelFolderState without = update.state;
  without.previous.reset();
  if (unneeded_model_bytes(folder, without, {&wanted, 1}) < fetch.lacking_bytes()) return false;
  update.dropped_previous = std::exchange(update.state.previous, std::nullopt);
  CLEAVE_RETURN_IF_ERROR(save(update));
  (void)prune_model_folder(folder, update.state, {&wanted, 1});
  return true;
}

asio::awaitable<Status> fetch_header(Update& update, ModelFetch& fetch,
                                     const ModelIdentity& wanted) {
  Status status = co_await fetch.fetch_header(wanted);
  if (status.is_ok()) co_return status;
  const auto has_room = make_room(update, fetch, wanted);
  if (!has_room.is_ok()) co_return has_room.status();
  if (*has_room) status = co_await fetch.fetch_header(wanted);
  co_return status;
}

asio::awaitable<Status> fetch_segments(Update& update, ModelFetch& fetch, const ModelFile& model,
                                       const std::vector<std::uint32_t>& segments) {
  Status status = co_await fetch.fetch_segments(model, segments);
  if (status.is_ok()) co_return status;
  const auto has_room = make_room(update, fetch, model.identity());
  if (!has_room.is_ok()) co_return has_room.status();
  if (*has_room) status = co_await fetch.fetch_segments(model, segments);
  co_return status;
}

asio::awaitable<Status> update_all(Update& update, FetchClient& client, ModelFetch& fetch,
                                   const ModelFile& old_model) {
  Status status = co_await client.ensure_connected();
  if (!status.is_ok()) co_return status;
  const ModelIdentity identity = *client.current_model();
  if (identity == update.state.current) co_return status;
  if (std::ranges::count(update.state.refused, identity) > 0 && !update.options.retry_refused) {
    update.outcome = Outcome::kRefused;
    update.why = "it was refused before (--retry-refused tries it again)";
    co_return status;
  }
  // What earlier updates began and never ended counts for the cap as well.
  (void)prune_model_folder(update.options.model_path, update.state, {&identity, 1});
  status = co_await fetch_header(update, fetch, identity);
  if (!status.is_ok()) co_return status;
  auto model = ModelFile::open_held(update.options.model_path, identity);
  if (!model.is_ok()) co_return model.status();
  const auto segments = segments_like(old_model, **model);
  if (!segments.is_ok()) co_return refuse(update, identity, segments.status().message());
  status = co_await fetch_segments(update, fetch, **model, *segments);
  if (!status.is_ok()) co_return status;
  model = ModelFile::open_held(update.options.model_path, identity);
  if (!model.is_ok()) co_return model.status();
  co_return co_await try_model(update, std::move(model).value());
}

ExitCode report(const Update& update) {
  const bool refused = update.outcome == Outcome::kRefused;
  if (update.options.json) {
    Json json{{"outcome", outcome_name(update.outcome)},
              {"identity", to_hex(update.state.current)},
              {"previous", update.state.previous ? Json(to_hex(*update.state.previous)) : Json()},
              {"dropped_previous",
               update.dropped_previous ? Json(to_hex(*update.dropped_previous)) : Json()},
              {"received_bytes", update.fetched.received_bytes},
              {"retries", update.fetched.retries},
              {"spoiled", update.fetched.spoiled}};
    if (refused) json["why"] = update.why;
    std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s: %s, model %s\n", update.options.model_path.c_str(),
                outcome_name(update.outcome), to_hex(update.state.current).substr(0, 16).c_str());
  }
  if (refused) {
    return static_cast<ExitCode>(fail(ExitCode::kSelfTestFailed,
                                      "the server's current version is not taken: " + update.why));
  }
  return finish_output(ExitCode::kOk) == 0 ? ExitCode::kOk : ExitCode::kIo;
}

}  // namespace

int update_command(const CommandOptions& options) {
  const auto overrides = read_overrides(options.caps);
  if (!overrides.is_ok()) return fail(ExitCode::kUsage, overrides.status().message());
  const auto old_model = ModelFile::open_held(options.model_path);
  if (!old_model.is_ok()) {
    return fail(exit_code_of(old_model.status()), old_model.status().message());
  }
  const auto lock = FolderLock::take(options.model_path);
  if (!lock.is_ok()) return fail(ExitCode::kIo, lock.status().message());
  auto state = read_model_folder_state(options.model_path);
  if (!state.is_ok()) return fail(exit_code_of(state.status()), state.status().message());
  ConnectionOptions connection;
  const DeviceCaps caps =
      apply_overrides(detect_caps(options.model_path, (*old_model)->stored_bytes()), *overrides);
  Update update{options, connection, caps, std::move(state).value()};
  if (options.roll_back) {
    const Status status = roll_back(update);
    if (!status.is_ok()) return fail(exit_code_of(status), status.message());
    return static_cast<int>(report(update));
  }
  if (options.server.empty()) return fail(ExitCode::kUsage, "update needs --server, or --rollback");
  auto server = server_options(options);
  if (!server.is_ok()) return fail(exit_code_of(server.status()), server.status().message());
  connection = std::move(server).value();
  FetchMeter meter(!options.json);
  const FetchOptions fetch_options{
      .folder = options.model_path,
      .storage_bytes = caps.storage.bytes,
      .progress = [&](const FetchProgress& progress) { meter.show(progress); }};
  asio::io_context io(1);
  FetchClient client(io.get_executor(), connection, (*old_model)->header().name()->str());
  ModelFetch fetch(client, fetch_options);
  Status status;
  const auto run = [&]() -> asio::awaitable<void> {
    status = co_await update_all(update, client, fetch, **old_model);
    co_await client.close();
  };
  asio::co_spawn(io, run, [](std::exception_ptr error) {
    if (error != nullptr) std::rethrow_exception(error);
  });
  io.run();
  meter.clear();
  update.fetched = fetch.progress();
  if (update.dropped_previous) {
    std::fprintf(stderr, "cleave-agent: version %s is gone, to make room within the storage cap\n",
                 to_hex(*update.dropped_previous).substr(0, 16).c_str());
  }
  if (!status.is_ok()) return fail(fetch_exit_code(status), status.message());
  return static_cast<int>(report(update));
}

}  // namespace cleave::agent
