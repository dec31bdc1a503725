// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/exit_code.h"
#include "schemas/uninterrupted.h"
#include "server/event_log.h"
#include "server/server.h"

namespace cleave::server {
namespace {

struct Arguments {
  ServerOptions options;
  bool json = false;
  std::string log_level = "info";
  std::uint64_t max_picture_mib = 64;
  std::uint64_t max_megapixels = 100;
  std::uint64_t payload_budget_mib = 1024;
  bool no_cache = false;
  bool log_json = false;
  std::uint32_t heartbeat_ms = 5'000;
  std::uint32_t drain_seconds = 10;
  std::uint64_t answers_mib = 64;
  std::uint32_t answers_seconds = 600;
};

// An agent sends no second Ping before the first is answered: with a shorter heartbeat a round trip
// over a slow link is as long as the silence that ends a connection.
constexpr std::uint32_t kShortestHeartbeatMs = 1'000;
constexpr std::uint32_t kLongestHeartbeatMs = 600'000;

CLI::Validator heartbeat_range() {
  const std::string range = "0 or in [" + std::to_string(kShortestHeartbeatMs) + " - " +
                            std::to_string(kLongestHeartbeatMs) + "]";
  const auto why_not = [range](const std::string& text) -> std::string {
    std::uint32_t ms = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    const bool fits = ms == 0 || (ms >= kShortestHeartbeatMs && ms <= kLongestHeartbeatMs);
    return is_number && fits ? "" : "Value " + text + " is not " + range + " ms";
  };
  return {why_not, "UINT " + range};
}

// What strangers, and single devices, may take of the server.
void define_limits(CLI::App& app, Arguments& arguments) {
  ServerOptions& options = arguments.options;
  const CLI::Range any_count(0U, 1'000'000U);
  app.add_option(
         "--address-rate", options.address.connections_per_second,
         "Connections a second from one address (IPv6: a /64), four seconds' worth at once; "
         "more are closed without a word; 0: no limit, as behind a proxy")
      ->check(any_count)
      ->capture_default_str();
  app.add_option("--address-handshakes", options.address.max_handshakes,
                 "Connections of one address that have not been welcomed yet; 0: no limit")
      ->check(any_count)
      ->capture_default_str();
  app.add_option("--address-connections", options.address.max_connections,
                 "Connections of one address; 0: no limit")
      ->check(any_count)
      ->capture_default_str();
  const CLI::Range any_rate(std::uint64_t{0}, TokenBucket::kMostUnits);
  app.add_option("--device-rate", options.device.requests_per_second,
                 "Requests and pieces of a model a second of one device, a second's worth at once; "
                 "more are answered Busy; 0: no limit")
      ->check(any_rate)
      ->capture_default_str();
  app.add_option("--device-bytes", options.device.bytes_per_second,
                 "Attachment bytes a second, from and to one device, likewise; 0: no limit")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->check(any_rate)
      ->type_name("SIZE")
      ->capture_default_str();
  app.add_option("--device-inflight", options.device.max_inflight,
                 "Requests of one device under way, over all its connections; 0: no limit")
      ->check(any_count)
      ->capture_default_str();
  app.add_option("--answers", options.answers.max_entries,
                 "Answers kept for agents that resend a request; 0: none")
      ->check(CLI::Range(0U, 10'000'000U))
      ->capture_default_str();
  app.add_option("--answers-bytes", arguments.answers_mib, "Memory of these answers, MiB")
      ->check(CLI::Range(1U, 1U << 20))
      ->capture_default_str();
  app.add_option("--answers-ttl", arguments.answers_seconds, "How long they are kept, seconds")
      ->check(CLI::Range(1U, 86'400U))
      ->capture_default_str();
  app.add_option("--heartbeat", arguments.heartbeat_ms,
                 "How often an agent that can gives a sign of life, ms; one that was silent for "
                 "three times as long is taken for gone; 0: none is asked for")
      ->check(heartbeat_range())
      ->capture_default_str();
  app.add_option("--drain-timeout", arguments.drain_seconds,
                 "How long after SIGTERM what is under way may take to be answered, seconds; then "
                 "its connections are closed")
      ->check(CLI::Range(1U, 86'400U))
      ->capture_default_str();
}

constexpr const char* kSignalHelp =
    "Signals: SIGTERM and SIGINT end in order: no new connections or requests, what is under way "
    "is answered within --drain-timeout, then exit 0; a second one waits for no answer. SIGHUP "
    "reads certificates, lists of the revoked and tokens anew. SIGUSR1 logs all counters.\n"
    "Timeouts that are fixed: a connection must be welcomed within 5 s; within a frame, and while "
    "an agent does not read, 15 s may pass without a byte; an agent without heartbeats may be "
    "silent for 60 s while nothing of it is under way.\n\n";

// Who may use the server, and how it is known to them.
void define_trust(CLI::App& app, TrustOptions& trust) {
  const auto add_file = [&](const char* name, std::string& path, const char* help) {
    app.add_option(name, path, help)->type_name("FILE");
  };
  add_file("--tls-cert", trust.tls.certificate,
           "The server's certificate in PEM, then those between it and its CA: connections are "
           "TLS 1.3");
  add_file("--tls-key", trust.tls.key, "Its private key; a file that others may read is refused");
  add_file("--tls-ca", trust.tls.ca,
           "CA of the devices' certificates: each must show one, unless it has a token; its name "
           "is the certificate's common name");
  add_file("--tls-crl", trust.tls.crl, "Lists of revoked certificates, of every CA that signs any");
  add_file("--tokens", trust.tokens,
           "Tokens of devices: a line `SHA256-OF-TOKEN NAME` each (toolchains/cleave-ca.sh token)");
  app.add_flag("--allow-plain", trust.allow_plain,
               "Listen beyond loopback without TLS: everybody there is believed");
}

void define_options(CLI::App& app, Arguments& arguments) {
  ServerOptions& options = arguments.options;
  app.add_option("--model", options.model_paths, "Model file to serve; may be given several times")
      ->required()
      ->type_name("FILE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option(
         "--listen", options.listen,
         "Address to listen on: the first that can be had of those a name has; port 0 takes any "
         "free port")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Pictures computed at the same time")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads of one computation")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--prefer",
         [&options](const std::string& text) {
           if (const auto parsed = parse_preference(text); parsed.is_ok()) {
             options.preference = *parsed;
           }
         },
         "speed: the fastest form of every op; memory: the smaller one where there is a choice, at "
         "the price of time")
      ->check(CLI::IsMember({"memory", "speed"}))
      ->default_str("speed");
  app.add_option("--queue", options.queue_capacity,
                 "Requests that may wait for a worker; more are answered Busy")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--max-connections", options.max_connections, "Agents connected at the same time")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--max-inflight", options.max_inflight,
                 "Requests of one agent under way; more are answered Busy")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--payload-budget", arguments.payload_budget_mib,
                 "Request payloads held at the same time, over all agents, MiB; more are answered "
                 "Busy")
      ->check(CLI::Range(1U, 1U << 20))
      ->capture_default_str();
  app.add_option("--max-picture", arguments.max_picture_mib, "Largest picture file accepted, MiB")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--max-megapixels", arguments.max_megapixels, "Largest picture decoded")
      ->check(CLI::Range(1U, 10'000U))
      ->capture_default_str();
  auto* const cache =
      app.add_option("--cache", options.cache_path,
                     "Folder that keeps packed weights, so that the next start maps them (default: "
                     "$XDG_CACHE_HOME/cleave/weights or ~/.cache/cleave/weights)")
          ->type_name("DIR");
  app.add_flag("--no-cache", arguments.no_cache, "Keep no packed weights")->excludes(cache);
  app.add_option("--cache-limit", options.cache_limit_bytes,
                 "Most bytes in that folder: what was not used for longest goes first (default: "
                 "1GiB)")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true))
      ->type_name("SIZE");
  app.add_option("--log-level", arguments.log_level, "What is logged on standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.add_flag("--log-json", arguments.log_json, "The log as JSON lines");
  app.add_flag("--json", arguments.json, "Events on standard output as JSON lines");
  define_trust(app, options.trust);
  define_limits(app, arguments);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", "", "Read options from a file of `name = value` lines");
}

int fail(ExitCode code, const std::string& message) {
  std::fprintf(stderr, "cleave-server: %s\n", message.c_str());
  return static_cast<int>(code);
}

ExitCode exit_code_of_load(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case StatusCode::kCorrupt:
    case StatusCode::kUnsupported:
      return ExitCode::kCorruptModel;
    case StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    case StatusCode::kResourceExhausted:
      return ExitCode::kCapTooSmall;
    case StatusCode::kIo:
      return ExitCode::kIo;
    default:
      return ExitCode::kInternal;
  }
}

ExitCode exit_code_of_listen(const Status& status) {
  if (status.code() == StatusCode::kInvalidArgument) return ExitCode::kUsage;
  if (status.code() == StatusCode::kResourceExhausted) return ExitCode::kCapTooSmall;
  if (status.code() == StatusCode::kNotFound) return ExitCode::kNotFound;
  if (status.code() == StatusCode::kIo) return ExitCode::kIo;
  return ExitCode::kPortUnavailable;
}

// Each connection is a descriptor, and the usual soft limit is 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::shared_ptr<WeightCacheFolder> open_cache(const ServerOptions& options) {
  if (options.cache_path.empty()) return nullptr;
  auto cache = WeightCacheFolder::open(
      {.path = options.cache_path, .limit_bytes = options.cache_limit_bytes});
  if (cache.is_ok()) return std::move(cache).value();
  log_event(LogLevel::kWarn, "weight_cache_unused", {{"why", cache.status().message()}});
  return nullptr;
}

nlohmann::ordered_json cache_json(const WeightCacheFolder* cache) {
  if (cache == nullptr) return nullptr;
  const WeightCacheStats stats = cache->stats();
  return {{"folder", cache->path()},
          {"ops_mapped", stats.mapped},
          {"ops_packed", stats.missing},
          {"files_refused", stats.refused},
          {"files_written", stats.stored}};
}

void announce(const Arguments& arguments, const ModelStore& models, const WeightCacheFolder* cache,
              const Server& server) {
  const Endpoint endpoint = server.local_endpoint();
  if (arguments.json) {
    nlohmann::ordered_json line{
        {"event", "listening"}, {"address", to_string(endpoint)}, {"tls", server.is_tls()}};
    for (const auto& model : models.models()) {
      line["models"].push_back({{"name", model->file->header().name()->str()},
                                {"identity", to_hex(model->file->identity())}});
    }
    line["weight_cache"] = cache_json(cache);
    std::printf("%s\n", dump(line).c_str());
  } else {
    for (const auto& model : models.models()) {
      std::printf("model %s %s\n", model->file->header().name()->c_str(),
                  to_hex(model->file->identity()).substr(0, 16).c_str());
    }
    std::printf("listening on %s%s\n", to_string(endpoint).c_str(),
                server.is_tls() ? ", TLS 1.3" : "");
  }
  std::fflush(stdout);
}

nlohmann::ordered_json counters_json(std::string_view event, const ServerStats& stats) {
  nlohmann::ordered_json line{{"event", event}};
  for (const ServerCounter& counter : kServerCounters) {
    line[std::string(counter.name)] = stats.*counter.value;
  }
  return line;
}

void report(const Arguments& arguments, const ServerStats& stats) {
  if (arguments.json) {
    std::printf("%s\n", dump(counters_json("stopped", stats)).c_str());
  } else {
    std::printf(
        "stopped after %llu connections, %llu answers, %llu busy, %llu errors; at most %llu bytes "
        "of requests at once\n",
        static_cast<unsigned long long>(stats.connections),
        static_cast<unsigned long long>(stats.answers), static_cast<unsigned long long>(stats.busy),
        static_cast<unsigned long long>(stats.errors),
        static_cast<unsigned long long>(stats.peak_payload_bytes));
  }
}

int serve(const Arguments& arguments) {
  // Signals from here on wait until they can be answered in order.
  asio::io_context io(1);
  asio::signal_set signals(io, SIGINT, SIGTERM);
  asio::signal_set queries(io, SIGUSR1);
  asio::signal_set reloads(io, SIGHUP);
  for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) restart_calls_after(number);
  const std::shared_ptr<WeightCacheFolder> cache = open_cache(arguments.options);
  auto models = ModelStore::load(arguments.options.model_paths, arguments.options.threads,
                                 arguments.options.profile_runs,
                                 {.cache = cache, .preference = arguments.options.preference});
  if (!models.is_ok()) {
    return fail(exit_code_of_load(models.status()), models.status().message());
  }
  if (cache != nullptr && !cache->status().is_ok()) {
    log_event(LogLevel::kWarn, "weight_cache_not_filled", {{"why", cache->status().message()}});
  }
  Server server(io, **models, arguments.options);
  if (const Status status = server.listen(); !status.is_ok()) {
    return fail(exit_code_of_listen(status), status.message());
  }
  announce(arguments, **models, cache.get(), server);
  bool drained = false;  // a signal that is already on its way when the drain ends has no error
  std::function<void()> wait_for_signal = [&] {
    signals.async_wait([&](const error_code& error, int) {
      if (error || drained) return;
      wait_for_signal();  // first: without connections shutdown() drains, and cancels, at once
      server.shutdown();
    });
  };
  wait_for_signal();
  std::function<void()> wait_for_query = [&] {
    queries.async_wait([&](const error_code& error, int) {
      if (error || drained) return;
      wait_for_query();
      log_counters(server.stats());
    });
  };
  wait_for_query();
  std::function<void()> wait_for_reload = [&] {
    reloads.async_wait([&](const error_code& error, int) {
      if (error || drained) return;
      wait_for_reload();
      (void)server.reload_credentials();  // which has told the log
    });
  };
  wait_for_reload();
  server.on_drained([&] {
    drained = true;
    signals.cancel();
    queries.cancel();
    reloads.cancel();
  });
  io.run();
  log_counters(server.stats());
  report(arguments, server.stats());
  hold_back({SIGINT, SIGTERM, SIGUSR1, SIGHUP});
  return static_cast<int>(ExitCode::kOk);
}

int run(int argc, char** argv) {
  CLI::App app{
      "cleave-server: runs the tail of split networks for cleave agents.\n\n"
      "  cleave-server --model mobilenet_v2.cleave --listen 0.0.0.0:7433\n"};
  Arguments arguments;
  define_options(app, arguments);
  app.footer(kSignalHelp + std::string(exit_code_help()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  if (arguments.options.cache_path.empty() && !arguments.no_cache) {
    arguments.options.cache_path = default_weight_cache_path().value_or("");
  }
  arguments.options.heartbeat = std::chrono::milliseconds(arguments.heartbeat_ms);
  arguments.options.drain_timeout = std::chrono::seconds(arguments.drain_seconds);
  arguments.options.answers.max_bytes = arguments.answers_mib << 20;
  arguments.options.answers.time_to_live = std::chrono::seconds(arguments.answers_seconds);
  arguments.options.picture.max_file_bytes = arguments.max_picture_mib << 20;
  arguments.options.payload_budget_bytes = arguments.payload_budget_mib << 20;
  arguments.options.picture.max_pixels = arguments.max_megapixels * 1'000'000;
  start_log(arguments.log_json ? LogFormat::kJson : LogFormat::kText, arguments.log_level);
  raise_descriptor_limit();
  return serve(arguments);
}

}  // namespace
}  // namespace cleave::server

int main(int argc, char** argv) {
  try {
    return cleave::server::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleave-server: internal error: %s\n", error.what());
    return static_cast<int>(cleave::ExitCode::kInternal);
  }
}
