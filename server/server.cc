// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "server/listen.h"

namespace cleave::server {
namespace {

// Out of descriptors, say: accepting again at once would only spin.
constexpr std::chrono::milliseconds kAcceptPause{100};

// All sessions read what nobody wants into the same bytes; the size only saves system calls.
constexpr std::size_t kScrapBytes = 64 * 1024;

AddressKey key_of(const asio::ip::address& address) {
  const auto v6 = address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4())
                                  : address.to_v6();
  const auto bytes = v6.to_bytes();
  AddressKey whole{};
  std::copy(bytes.begin(), bytes.end(), whole.begin());
  return address_key(whole);
}

void log_refused(const asio::ip::address& address, std::string_view why) {
  log_event(LogLevel::kInfo, "refused_connection", {{"peer", address.to_string()}, {"why", why}});
}

// Without its acceptor a server is deaf: better an end that is seen.
void rethrow(std::exception_ptr error) {
  if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace

Server::Server(asio::io_context& io, const ModelStore& models, const ServerOptions& options)
    : io_(io),
      models_(models),
      options_(options),
      payloads_(PayloadPool::create(options_.payload_budget_bytes)),
      scrap_(kScrapBytes),
      pool_(options_),
      desk_(io.get_executor(), pool_, stats_, options_.answers),
      devices_(options_.device),
      addresses_(options_.address),
      context_{models, pool_, options_, stats_, *payloads_, desk_, devices_, trust_, scrap_},
      doorman_(scrap_),
      acceptor_(io),
      drain_timer_(io),
      expiry_timer_(io) {}

// A request that could never be taken would be told to come back for ever.
Status Server::check_payload_budget() const {
  std::uint64_t largest = options_.picture.max_file_bytes;
  for (const auto& model : models_.models()) {
    largest = std::max(largest, model->max_payload_bytes);
  }
  if (largest <= options_.payload_budget_bytes) return Status::ok();
  return {StatusCode::kInvalidArgument,
          "--payload-budget is " + std::to_string(options_.payload_budget_bytes) +
              " bytes, and one request may have " + std::to_string(largest) +
              "; give it more, or lower --max-picture"};
}

ServerStats Server::stats() const {
  ServerStats stats = stats_;
  stats.peak_payload_bytes = payloads_->peak_held_bytes();
  stats.answers_evicted = desk_.answers().evicted();
  return stats;
}

Status Server::listen() {
  CLEAVE_RETURN_IF_ERROR(check_payload_budget());
  CLEAVE_RETURN_IF_ERROR(trust_.load(options_.trust));
  CLEAVE_RETURN_IF_ERROR(pool_.start());
  CLEAVE_ASSIGN_OR_RETURN(const Endpoint wanted, parse_endpoint(options_.listen));
  const auto failed = [&](const error_code& error) {
    return Status(StatusCode::kUnavailable, "cannot listen on " + to_string(wanted) + ": " +
                                                error.message() + "; choose another --listen");
  };
  error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(wanted.host, std::to_string(wanted.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error) return failed(error);
  const std::vector<tcp::endpoint> addresses(found.begin(), found.end());
  error = listen_on_first(acceptor_, addresses);
  if (error) return failed(error);
  if (const Status exposed = check_exposure(); !exposed.is_ok()) {
    acceptor_.close(error);
    return exposed;
  }
  log_expiry();
  asio::co_spawn(
      io_, [this]() { return watch_expiry(); }, rethrow);
  asio::co_spawn(
      io_, [this]() { return accept_loop(); }, rethrow);
  return Status::ok();
}

Status Server::check_exposure() const {
  error_code ignored;
  if (trust_.tls() != nullptr || acceptor_.local_endpoint(ignored).address().is_loopback()) {
    return Status::ok();
  }
  const std::string where = to_string(local_endpoint());
  if (!options_.trust.tokens.empty()) {
    return {StatusCode::kInvalidArgument,
            where +
                " is beyond loopback, and --tokens without TLS would show every token to who "
                "listens in: give --tls-cert and --tls-key"};
  }
  if (!options_.trust.allow_plain) {
    return {StatusCode::kInvalidArgument,
            where +
                " is beyond loopback, and plain TCP is open to everybody: give --tls-cert, "
                "--tls-key and --tls-ca or --tokens, or --allow-plain on a network that you "
                "trust"};
  }
  log_event(LogLevel::kWarn, "unencrypted",
            {{"why",
              "--allow-plain: everybody who reaches this address may read, change and use "
              "what it serves"}});
  return Status::ok();
}

Status Server::reload_credentials() {
  ++stats_.reloads;
  if (Status status = trust_.reload(); !status.is_ok()) {
    ++stats_.reload_errors;
    log_event(LogLevel::kError, "not_reloaded", {{"why", status.message()}});
    return status;
  }
  log_event(LogLevel::kInfo, "reloaded", {});
  log_expiry();
  auto sessions = sessions_;
  for (auto& [id, session] : sessions) session->judge_again();
  return Status::ok();
}

void Server::log_expiry() {
  if (trust_.log_expiry()) ++stats_.expiry_warnings;
}

// A server runs for longer than a list of the revoked is good.
asio::awaitable<void> Server::watch_expiry() {
  while (acceptor_.is_open()) {
    expiry_timer_.expires_after(options_.expiry_check);
    const auto [error] = co_await expiry_timer_.async_wait(as_result);
    if (error) break;  // shutdown() cancels it
    log_expiry();
  }
}

Endpoint Server::local_endpoint() const {
  error_code ignored;
  const tcp::endpoint endpoint = acceptor_.local_endpoint(ignored);
  return {endpoint.address().to_string(), endpoint.port()};
}

asio::awaitable<void> Server::accept_loop() {
  while (acceptor_.is_open()) {
    auto [error, socket] = co_await acceptor_.async_accept(as_result);
    if (error) {
      if (!acceptor_.is_open()) break;
      log_event(LogLevel::kWarn, "cannot_accept", {{"why", error.message()}});
      asio::steady_timer pause(io_, kAcceptPause);
      co_await pause.async_wait(as_result);
      continue;
    }
    AddressPass pass;
    if (!has_place(socket, pass)) continue;  // the socket closes here
    if (sessions_.size() >= options_.max_connections) {
      ++stats_.refused_connections;
      log_event(LogLevel::kInfo, "refused_connection", {{"why", "over --max-connections"}});
      // Over TLS a word would cost as much as a place; the socket closes here.
      if (trust_.tls() == nullptr) doorman_.turn_away(std::move(socket));
      continue;
    }
    admit(std::move(socket), std::move(pass));
  }
}

bool Server::has_place(const tcp::socket& socket, AddressPass& pass) {
  error_code error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error) return false;  // gone already
  try {
    switch (addresses_.admit(key_of(address), Clock::now(), pass)) {
      case AddressLimiter::Limit::kNone:
        return true;
      case AddressLimiter::Limit::kRate:
        ++stats_.refused_address_rate;
        log_refused(address, "over --address-rate");
        break;
      case AddressLimiter::Limit::kHandshakes:
        ++stats_.refused_address_handshakes;
        log_refused(address, "over --address-handshakes");
        break;
      case AddressLimiter::Limit::kConnections:
        ++stats_.refused_address_connections;
        log_refused(address, "over --address-connections");
        break;
    }
  } catch (const std::exception&) {
    ++stats_.out_of_memory;
    log_event(LogLevel::kError, "out_of_memory", {});
  }
  return false;
}

void Server::admit(tcp::socket socket, AddressPass pass) {
  ++stats_.connections;
  const std::uint64_t id = next_session_id_++;
  try {
    auto session = std::make_shared<Session>(std::move(socket), id, context_);
    sessions_.emplace(id, session);
    session->start(
        [this](std::uint64_t closed) {
          sessions_.erase(closed);
          if (shutting_down_ && sessions_.empty()) drain_timer_.cancel();
        },
        std::move(pass));
  } catch (const std::exception&) {
    ++stats_.out_of_memory;
    log_event(LogLevel::kError, "out_of_memory", {{"session", id}});
  }
}

void Server::shutdown() {
  if (shutting_down_) return abort_all();
  shutting_down_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  expiry_timer_.cancel();
  doorman_.end();
  log_event(LogLevel::kInfo, "shutting_down", {{"connections", sessions_.size()}});
  // drain() may end a session at once and so change the map.
  auto sessions = sessions_;
  for (auto& [id, session] : sessions) session->drain("the server is shutting down");
  asio::co_spawn(
      io_, [this]() { return drain(); }, rethrow);
}

asio::awaitable<void> Server::drain() {
  drain_timer_.expires_after(options_.drain_timeout);
  while (!sessions_.empty() && Clock::now() < drain_timer_.expiry()) {
    co_await drain_timer_.async_wait(as_result);  // cancelled when the last session ends
  }
  if (!sessions_.empty()) {
    log_event(LogLevel::kWarn, "drain_timeout", {{"connections", sessions_.size()}});
    abort_all();
  }
  on_drained_();
}

void Server::abort_all() {
  auto sessions = sessions_;
  for (auto& [id, session] : sessions) session->abort();
  pool_.abandon();
  drain_timer_.cancel();
}

}  // namespace cleave::server
