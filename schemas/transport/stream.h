// SPDX-License-Identifier: Apache-2.0
//
// What agent and server read from and write to: a TCP connection as it is, or TLS 1.3 over it.
// Which of them shows only where the connection begins; afterwards both look like Asio's own
// socket.
//
// One read and one write may be under way at a time. Everything runs on the executor's thread. A
// write over TLS ends with the record that the system took whole, so that it is progress in the
// sense of a deadline about every kRecordBytes.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "schemas/transport/net.h"
#include "schemas/transport/tls_context.h"
#include "schemas/transport/tls_error.h"

struct x509_store_ctx_st;

namespace cleave {

class Stream {
 public:
  using Socket = asio::ip::tcp::socket;
  // Largest piece that is encrypted as one. A reader gets nothing of a record before its end: on a
  // link of 1000 bytes a second this one is 8 s under way, within every stall timeout.
  static constexpr std::size_t kRecordBytes = 8 << 10;

  explicit Stream(const asio::any_io_executor& executor);  // not open: see tcp_socket()
  explicit Stream(Socket connected);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // To connect, to look at, to set options of, and to close. Not to read from or write to.
  [[nodiscard]] Socket& tcp_socket() { return socket_; }
  [[nodiscard]] asio::any_io_executor get_executor() { return socket_.get_executor(); }
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] int native_handle() { return socket_.native_handle(); }

  // From here on the connection speaks TLS; nothing has been read or written before. Ends when the
  // peer has proved who it is; the error otherwise is one of TlsError's, or the system's.
  // REQUIRES: open; not called before on this connection.
  asio::awaitable<error_code> accept_tls(std::shared_ptr<const TlsContext> context);
  // `server` is the name or address that the server's certificate must have.
  asio::awaitable<error_code> connect_tls(std::shared_ptr<const TlsContext> context,
                                          std::string server);
  [[nodiscard]] bool is_tls() const { return session_ != nullptr; }
  // The peer's own name (see peer_name() in tls_context.h); empty without a certificate of its.
  [[nodiscard]] const std::string& peer() const { return peer_; }
  // The name in a certificate that was refused: a claim, for logs. Empty: there was none.
  [[nodiscard]] const std::string& claimed_peer() const { return claimed_peer_; }
  // What `context` says of the peer's certificate today; no error when there is none to judge.
  [[nodiscard]] error_code judge_peer(const TlsContext& context) const;

  // As Asio's sockets do. The buffers must live until the end of the await.
  asio::awaitable<IoResult> async_read_some(asio::mutable_buffer buffer, AsResult token);
  asio::awaitable<IoResult> async_write_some(asio::const_buffer buffer, AsResult token);
  // In order, as many of their bytes as are taken at once.
  asio::awaitable<IoResult> async_write_some(std::span<const asio::const_buffer> buffers,
                                             AsResult token);

  // The peer is told of the end of what is sent, over TLS also by a word that nobody can forge, if
  // the system takes it at once.
  void shutdown(Socket::shutdown_type what, error_code& error);
  // What is under way ends with operation_aborted.
  void cancel(error_code& error) { socket_.cancel(error); }
  // What is under way ends likewise. The next connection starts as plain TCP again.
  void close(error_code& error);

 private:
  struct SslDeleter {
    void operator()(ssl_st* session) const;
  };

  struct Outcome {
    error_code error = {};  // else the call is worth repeating after
    Socket::wait_type wait = Socket::wait_read;
  };

  error_code begin_tls(std::shared_ptr<const TlsContext> context);
  asio::awaitable<error_code> shake_hands();
  Outcome outcome_of(int result);
  static int note_refused(int verified, x509_store_ctx_st* judge);
  // Also while an await was under way, it may have been closed.
  [[nodiscard]] bool can_talk() const {
    return session_ != nullptr && !broken_ && socket_.is_open();
  }
  // As one call of OpenSSL does, repeated until it moved something.
  template <typename Call>
  asio::awaitable<IoResult> move_tls(std::size_t bytes, Call call);
  asio::awaitable<IoResult> read_tls(asio::mutable_buffer buffer);
  asio::awaitable<IoResult> write_tls(asio::const_buffer buffer);

  Socket socket_;
  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<ssl_st, SslDeleter> session_;
  std::string peer_;
  std::string claimed_peer_;
  bool broken_ = false;    // nothing more can be said over TLS
  unsigned unwaited_ = 0;  // reads and writes over TLS, most of which end without a wait
};

}  // namespace cleave
