// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/caps_report.h"
#include "agent/commands.h"
#include "agent/fetch_progress.h"
#include "agent/folder_lock.h"
#include "agent/model_fetch.h"
#include "agent/model_parts.h"
#include "schemas/model_folder.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

struct Fetched {
  std::shared_ptr<const ModelFile> model;
  std::uint32_t variant = 0;
  Split wanted;
  bool bounded = false;  // by the storage cap: not all that could be held is
};

// What the user named, or what the folder has.
Result<std::optional<ModelIdentity>> known_identity(const CommandOptions& options) {
  const auto state = read_model_folder_state(options.output);
  if (!state.is_ok() && state.status().code() != StatusCode::kNotFound) return state.status();
  if (!options.model_id.empty()) {
    CLEAVE_ASSIGN_OR_RETURN(const ModelIdentity named, parse_sha256(options.model_id));
    if (state.is_ok() && state->current != named) {
      return Status(StatusCode::kInvalidArgument,
                    options.output + " is in use with model " + to_hex(state->current) +
                        "; `cleave-agent update` changes to another, or name another --output");
    }
    return std::optional(named);
  }
  if (state.is_ok()) return std::optional(state->current);
  if (!options.model_name.empty()) return std::optional<ModelIdentity>();
  return Status(StatusCode::kInvalidArgument,
                options.output + " has no model yet: say which one by --name or --model-id");
}

// A folder is one model's, by name.
Status check_name(const CommandOptions& options, const ModelFile& model) {
  const std::string name = model.header().name()->str();
  if (options.model_name.empty() || options.model_name == name) return Status::ok();
  return {StatusCode::kInvalidArgument, options.output + " is a folder of model " + name +
                                            ", not of " + options.model_name +
                                            ": name another --output"};
}

std::uint64_t needed_bytes(const CommandOptions& options, const ModelFile& model,
                           std::uint32_t variant, const Split& split) {
  const std::uint64_t cached =
      options.no_cache ? 0 : cached_bytes(model, variant, split.op_boundary, options.preference);
  return model.stored_bytes() + cached +
         segment_bytes(model, missing_segments(model, variant, split.op_boundary));
}

// As deep as the cap allows, the folder and the packed weights of a run counted, as a plan does.
Split deepest_within(const CommandOptions& options, const ModelFile& model, std::uint32_t variant,
                     std::uint64_t storage_bytes) {
  Split deepest = held_split(model, variant);
  for (const Split& split : list_splits(model.header(), variant)) {
    if (split.op_boundary <= deepest.op_boundary) continue;
    if (needed_bytes(options, model, variant, split) > storage_bytes) break;
    deepest = split;
  }
  return deepest;
}

Result<std::vector<std::uint32_t>> choose_segments(const CommandOptions& options,
                                                   std::uint64_t storage_bytes, Fetched& fetched) {
  const ModelFile& model = *fetched.model;
  const auto& variants = *model.header().variants();
  CLEAVE_ASSIGN_OR_RETURN(fetched.variant, pick_variant(model, options.variant));
  const auto end = variants.Get(fetched.variant)->ops()->size();
  if (options.split == "auto") {
    fetched.wanted = deepest_within(options, model, fetched.variant, storage_bytes);
    fetched.bounded = fetched.wanted.op_boundary < end;
  } else {
    const auto split = parse_split(model.header(), fetched.variant, options.split);
    if (!split.is_ok()) return Status(StatusCode::kOutOfRange, split.status().message());
    fetched.wanted = *split;
  }
  std::vector<std::uint32_t> segments =
      missing_segments(model, fetched.variant, fetched.wanted.op_boundary);
  // The whole file, unless a precision was named.
  const bool every_variant = options.split == "all" && options.variant.empty();
  for (std::uint32_t v = 0; every_variant && v < variants.size(); ++v) {
    if (v == fetched.variant) continue;
    const auto more = missing_segments(model, v, variants.Get(v)->ops()->size());
    segments.insert(segments.end(), more.begin(), more.end());
  }
  return segments;
}

asio::awaitable<Status> fetch_all(FetchClient& client, const CommandOptions& options,
                                  const FetchOptions& fetch_options, ModelFetch& fetch,
                                  std::optional<ModelIdentity> identity, Fetched& fetched) {
  Status status;
  if (!identity) {
    status = co_await client.ensure_connected();
    if (!status.is_ok()) co_return status;
    identity = client.current_model();
  }
  status = co_await fetch.fetch_header(*identity);
  if (!status.is_ok()) co_return status;
  // With its header alone a model can be used already: everything is computed on the server.
  if (!read_model_folder_state(options.output).is_ok()) {
    status = write_model_folder_state(options.output, {.current = *identity});
    if (!status.is_ok()) co_return status;
  }
  auto model = ModelFile::open_held(options.output, *identity);
  if (!model.is_ok()) co_return model.status();
  fetched.model = std::move(model).value();
  status = check_name(options, *fetched.model);
  if (!status.is_ok()) co_return status;
  const auto segments = choose_segments(options, fetch_options.storage_bytes, fetched);
  if (!segments.is_ok()) co_return segments.status();
  status = co_await fetch.fetch_segments(*fetched.model, *segments);
  if (!status.is_ok()) co_return status;
  model = ModelFile::open_held(options.output, *identity);
  if (!model.is_ok()) co_return model.status();
  fetched.model = std::move(model).value();
  co_return status;
}

void report(const CommandOptions& options, const Fetched& fetched, const FetchProgress& progress,
            std::uint64_t storage_bytes) {
  const fbs::Model& header = fetched.model->header();
  const Split held = held_split(*fetched.model, fetched.variant);
  const std::string variant = header.variants()->Get(fetched.variant)->name()->str();
  if (options.json) {
    const Json json{{"folder", options.output},
                    {"name", header.name()->str()},
                    {"identity", to_hex(fetched.model->identity())},
                    {"variant", variant},
                    {"held_split", held.layers_on_device},
                    {"layers", header.layers()->size()},
                    {"whole", fetched.model->is_whole()},
                    {"bounded_by_storage", fetched.bounded},
                    {"stored_bytes", fetched.model->stored_bytes()},
                    {"file_bytes", fetched.model->file_bytes()},
                    {"storage_cap_bytes", storage_bytes},
                    {"received_bytes", progress.received_bytes},
                    {"resumed_bytes", progress.resumed_bytes},
                    {"retries", progress.retries},
                    {"spoiled", progress.spoiled}};
    std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  std::printf("%s: %s, %u of %u layers of %s, %s of %s; %s came over the link\n",
              options.output.c_str(), header.name()->c_str(), held.layers_on_device,
              header.layers()->size(), variant.c_str(),
              mebibytes_text(fetched.model->stored_bytes()).c_str(),
              mebibytes_text(fetched.model->file_bytes()).c_str(),
              mebibytes_text(progress.received_bytes).c_str());
  if (fetched.bounded) {
    std::printf("  the storage cap of %s leaves no room for deeper splits\n",
                mebibytes_text(storage_bytes).c_str());
  }
}

}  // namespace

int fetch_command(const CommandOptions& options) {
  const auto connection = server_options(options);
  if (!connection.is_ok()) {
    return fail(exit_code_of(connection.status()), connection.status().message());
  }
  const auto overrides = read_overrides(options.caps);
  if (!overrides.is_ok()) return fail(ExitCode::kUsage, overrides.status().message());
  const auto lock = FolderLock::take(options.output);
  if (!lock.is_ok()) return fail(ExitCode::kIo, lock.status().message());
  const auto identity = known_identity(options);
  if (!identity.is_ok()) return fail(exit_code_of(identity.status()), identity.status().message());
  const auto stored = model_folder_bytes(options.output);
  if (!stored.is_ok()) return fail(ExitCode::kIo, stored.status().message());
  FetchMeter meter(!options.json);
  const DeviceCaps caps = apply_overrides(detect_caps(options.output, *stored), *overrides);
  const FetchOptions fetch_options{
      .folder = options.output,
      .storage_bytes = caps.storage.bytes,
      .progress = [&](const FetchProgress& progress) { meter.show(progress); }};
  asio::io_context io(1);
  FetchClient client(io.get_executor(), *connection, *identity ? "" : options.model_name);
  ModelFetch fetch(client, fetch_options);
  Fetched fetched;
  Status status;
  const auto run = [&]() -> asio::awaitable<void> {
    status = co_await fetch_all(client, options, fetch_options, fetch, *identity, fetched);
    co_await client.close();
  };
  asio::co_spawn(io, run, [](std::exception_ptr error) {
    if (error != nullptr) std::rethrow_exception(error);
  });
  io.run();
  meter.clear();
  if (!status.is_ok()) return fail(fetch_exit_code(status), status.message());
  report(options, fetched, fetch.progress(), fetch_options.storage_bytes);
  return finish_output(ExitCode::kOk);
}

}  // namespace cleave::agent
