// SPDX-License-Identifier: Apache-2.0
//
// Accepts connections and owns the sessions. One network thread runs everything here; the tail pool
// has threads of its own.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "schemas/endpoint.h"
#include "schemas/status.h"
#include "server/doorman.h"
#include "server/net.h"
#include "server/payload_pool.h"
#include "server/session.h"

namespace cleave::server {

class Server {
 public:
  // `models` must outlive the server.
  Server(asio::io_context& io, const ModelStore& models, const ServerOptions& options);

  // Binds the first address of the name in `listen` that can be bound, and starts to accept.
  // Errors: kInvalidArgument (not an address, a payload budget that the largest request would
  // never fit, or trust that is not as it must be: see Trust::load()), kNotFound and kIo (of its
  // files), kUnavailable (the port is taken, or may not be used).
  Status listen();
  // The address really bound. REQUIRES: listen() was ok.
  [[nodiscard]] Endpoint local_endpoint() const;

  // Orderly end: no new connections, Goodbye to every session, what is under way is answered,
  // at most drain_timeout long. The io_context runs out of work when it is over. A second call
  // ends at once.
  void shutdown();

  // Called once when shutdown() is over.
  void on_drained(std::function<void()> callback) { on_drained_ = std::move(callback); }

  // Reads certificates, lists of the revoked and tokens anew; connections of those that are not
  // trusted any more end. After an error, which is counted and logged, everything is as it was.
  Status reload_credentials();
  // Whether connections are encrypted. REQUIRES: listen() was ok.
  [[nodiscard]] bool is_tls() const { return trust_.tls() != nullptr; }

  [[nodiscard]] ServerStats stats() const;

  // Where the tails are computed, also for jobs that came over no connection.
  [[nodiscard]] TailPool& tail_pool() { return pool_; }

 private:
  asio::awaitable<void> accept_loop();
  void admit(tcp::socket socket, AddressPass pass);
  // Whether the connection's address may have one more; counts and logs when not.
  [[nodiscard]] bool has_place(const tcp::socket& socket, AddressPass& pass);
  asio::awaitable<void> drain();
  void abort_all();
  void log_expiry();
  asio::awaitable<void> watch_expiry();
  [[nodiscard]] Status check_payload_budget() const;
  // Whether plain TCP is right where the server listens.
  [[nodiscard]] Status check_exposure() const;

  asio::io_context& io_;
  const ModelStore& models_;
  const ServerOptions options_;
  ServerStats stats_;
  std::shared_ptr<PayloadPool> payloads_;
  std::vector<std::byte> scrap_;
  TailPool pool_;
  RequestDesk desk_;
  DeviceLimiter devices_;
  AddressLimiter addresses_;
  Trust trust_;
  SessionContext context_;
  Doorman doorman_;
  tcp::acceptor acceptor_;
  asio::steady_timer drain_timer_;
  asio::steady_timer expiry_timer_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;
  std::uint64_t next_session_id_ = 1;
  bool shutting_down_ = false;
  std::function<void()> on_drained_ = [] {};
};

}  // namespace cleave::server
