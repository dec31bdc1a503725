// SPDX-License-Identifier: Apache-2.0
#include "schemas/transport/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "schemas/transport/socket_bio.h"

namespace cleave {
namespace {

// Over TLS much may be done without waiting for the system; the executor's other work must not wait
// for all of it.
constexpr unsigned kMostUnwaited = 16;

IoResult io_error(error_code error) { return {error, 0}; }

bool name_server(SSL* session, const std::string& server) {
  error_code not_an_address;
  (void)asio::ip::make_address(server, not_an_address);
  if (!not_an_address) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), server.c_str()) == 1;
  }
  SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(session, server.c_str()) == 1 &&
         SSL_set_tlsext_host_name(session, server.c_str()) == 1;
}

}  // namespace

void Stream::SslDeleter::operator()(ssl_st* session) const { SSL_free(session); }

Stream::Stream(const asio::any_io_executor& executor) : socket_(executor) {}
Stream::Stream(Socket connected) : socket_(std::move(connected)) {}
Stream::~Stream() = default;

error_code Stream::begin_tls(std::shared_ptr<const TlsContext> context) {
  error_code error;
  socket_.native_non_blocking(true, error);
  if (error) return error;
  context_ = std::move(context);
  broken_ = false;
  peer_.clear();
  claimed_peer_.clear();
  ERR_clear_error();
  session_.reset(SSL_new(context_->handle()));
  BIO* bio = session_ == nullptr ? nullptr : new_socket_bio(socket_);
  if (bio == nullptr) return TlsError::kInternal;
  SSL_set_bio(session_.get(), bio, bio);
  SSL_set_app_data(session_.get(), this);
  SSL_set_verify(session_.get(), SSL_get_verify_mode(session_.get()), note_refused);
  return {};
}

// Called by OpenSSL for each certificate that it has judged; the verdict stays.
int Stream::note_refused(int verified, x509_store_ctx_st* judge) {
  const int index = SSL_get_ex_data_X509_STORE_CTX_idx();
  auto* session = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(judge, index));
  const X509* certificate = X509_STORE_CTX_get0_cert(judge);
  if (verified == 1 || session == nullptr || certificate == nullptr) return verified;
  if (auto name = peer_name(*certificate); name.is_ok()) {
    static_cast<Stream*>(SSL_get_app_data(session))->claimed_peer_ = std::move(name).value();
  }
  return verified;
}

asio::awaitable<error_code> Stream::accept_tls(std::shared_ptr<const TlsContext> context) {
  const error_code error = begin_tls(std::move(context));
  if (error) co_return error;
  SSL_set_accept_state(session_.get());
  co_return co_await shake_hands();
}

asio::awaitable<error_code> Stream::connect_tls(std::shared_ptr<const TlsContext> context,
                                                std::string server) {
  const error_code error = begin_tls(std::move(context));
  if (error) co_return error;
  if (!name_server(session_.get(), server)) co_return TlsError::kWrongName;
  SSL_set_connect_state(session_.get());
  co_return co_await shake_hands();
}

asio::awaitable<error_code> Stream::shake_hands() {
  for (;;) {
    if (!can_talk()) co_return asio::error::operation_aborted;
    ERR_clear_error();
    const int result = SSL_do_handshake(session_.get());
    if (result == 1) break;
    const Outcome next = outcome_of(result);
    if (next.error) co_return next.error;
    const auto [error] = co_await socket_.async_wait(next.wait, as_result);
    if (error) co_return error;
  }
  const X509* certificate = SSL_get0_peer_certificate(session_.get());
  if (certificate == nullptr) co_return error_code();
  auto name = peer_name(*certificate);
  if (name.is_ok()) {
    peer_ = std::move(name).value();
    co_return error_code();
  }
  // A server is known by the names that were compared already; a device by this one alone.
  if (context_->role() == TlsRole::kAgent) co_return error_code();
  broken_ = true;
  co_return TlsError::kBadCertificate;
}

// What a call that did not succeed waits for, or why it never will. Right after that call:
// OpenSSL's queue and errno are of the last.
Stream::Outcome Stream::outcome_of(int result) {
  const int system_error = errno;
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.wait = Socket::wait_read};
    case SSL_ERROR_WANT_WRITE:
      return {.wait = Socket::wait_write};
    case SSL_ERROR_ZERO_RETURN:
      return {.error = asio::error::eof};
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      if (system_error == 0) return {.error = TlsError::kTruncated};
      return {.error = error_code(system_error, boost::system::system_category())};
    default:
      break;
  }
  broken_ = true;
  const long verified = SSL_get_verify_result(session_.get());
  if (verified != X509_V_OK && !SSL_is_init_finished(session_.get())) {
    return {.error = tls_error_of_verification(verified)};
  }
  return {.error = tls_error_of_library(ERR_peek_error())};
}

error_code Stream::judge_peer(const TlsContext& context) const {
  X509* certificate = session_ == nullptr ? nullptr : SSL_get0_peer_certificate(session_.get());
  if (certificate == nullptr) return {};
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> judge(X509_STORE_CTX_new(),
                                                                              X509_STORE_CTX_free);
  const bool ready =
      judge != nullptr &&
      X509_STORE_CTX_init(judge.get(), SSL_CTX_get_cert_store(context.handle()), certificate,
                          SSL_get_peer_cert_chain(session_.get())) == 1 &&
      X509_STORE_CTX_set_default(
          judge.get(), context.role() == TlsRole::kServer ? "ssl_client" : "ssl_server") == 1;
  if (!ready) return TlsError::kInternal;
  if (X509_verify_cert(judge.get()) == 1) return {};
  return tls_error_of_verification(X509_STORE_CTX_get_error(judge.get()));
}

asio::awaitable<IoResult> Stream::async_read_some(asio::mutable_buffer buffer, AsResult token) {
  if (session_ == nullptr) return socket_.async_read_some(buffer, token);
  return read_tls(buffer);
}

asio::awaitable<IoResult> Stream::async_write_some(asio::const_buffer buffer, AsResult token) {
  if (session_ == nullptr) return socket_.async_write_some(buffer, token);
  return write_tls(buffer);
}

asio::awaitable<IoResult> Stream::async_write_some(std::span<const asio::const_buffer> buffers,
                                                   AsResult token) {
  if (session_ == nullptr) return socket_.async_write_some(buffers, token);
  const auto first = std::ranges::find_if(buffers, [](const auto& b) { return b.size() > 0; });
  return write_tls(first == buffers.end() ? asio::const_buffer() : *first);
}

asio::awaitable<IoResult> Stream::read_tls(asio::mutable_buffer buffer) {
  return move_tls(buffer.size(), [buffer](ssl_st* session, std::size_t* count) {
    return SSL_read_ex(session, buffer.data(), buffer.size(), count);
  });
}

// A record, once begun, is written to its end: OpenSSL takes nothing else before.
asio::awaitable<IoResult> Stream::write_tls(asio::const_buffer buffer) {
  return move_tls(buffer.size(), [buffer](ssl_st* session, std::size_t* count) {
    return SSL_write_ex(session, buffer.data(), buffer.size(), count);
  });
}

template <typename Call>
asio::awaitable<IoResult> Stream::move_tls(std::size_t bytes, Call call) {
  if (bytes == 0) co_return io_error({});
  for (;;) {
    if (!can_talk()) co_return io_error(asio::error::operation_aborted);
    ERR_clear_error();
    std::size_t count = 0;
    const int result = call(session_.get(), &count);
    if (result == 1) {
      if (++unwaited_ % kMostUnwaited == 0) {
        co_await asio::post(socket_.get_executor(), asio::use_awaitable);
      }
      co_return IoResult{error_code(), count};
    }
    const Outcome next = outcome_of(result);
    if (next.error) co_return io_error(next.error);
    const auto [error] = co_await socket_.async_wait(next.wait, as_result);
    if (error) co_return io_error(error);
  }
}

void Stream::close(error_code& error) {
  session_.reset();
  peer_.clear();
  socket_.close(error);
}

void Stream::shutdown(Socket::shutdown_type what, error_code& error) {
  if (can_talk() && what != Socket::shutdown_receive) {
    ERR_clear_error();
    (void)SSL_shutdown(session_.get());
  }
  socket_.shutdown(what, error);
}

}  // namespace cleave
