// SPDX-License-Identifier: Apache-2.0
//
// A server inside the test's process, on a free loopback port and a thread of its own.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "server/server.h"

namespace cleave::test {

// Holds one worker of a pool, as a long computation would, until the end of its life.
class HeldWorker {
 public:
  // Returns when the worker is held. REQUIRES: room in the queue.
  explicit HeldWorker(server::TailPool& pool);
  ~HeldWorker() { release(); }
  HeldWorker(const HeldWorker&) = delete;
  HeldWorker& operator=(const HeldWorker&) = delete;

  void release();

 private:
  std::promise<void> released_;
  bool held_ = true;
};

class ServerThread {
 public:
  // `adjust` may change the options before the start. The model is `model_bytes`, written to a
  // temporary file.
  explicit ServerThread(std::span<const std::byte> model_bytes,
                        const std::function<void(server::ServerOptions&)>& adjust = {});
  ~ServerThread();  // stop()

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const server::LoadedModel& model() const { return *models_->models()[0]; }
  [[nodiscard]] const server::ModelStore& models() const { return *models_; }
  // Runs `action` between two handlers of the server, and waits for it.
  void on_network_thread(const std::function<void()>& action);
  // On the network thread only, or after stop().
  [[nodiscard]] server::ServerStats stats() const { return server_->stats(); }
  // On the network thread only.
  [[nodiscard]] server::Server& server() { return *server_; }
  // Thread-safe, like the pool itself.
  [[nodiscard]] server::TailPool& tail_pool() { return server_->tail_pool(); }
  // Starts the orderly end without waiting for it.
  void begin_shutdown();
  // Orderly end; waits. The counters are then final.
  server::ServerStats stop();

 private:
  std::unique_ptr<server::ModelStore> models_;
  server::ServerOptions options_;
  server::asio::io_context io_{1};
  std::unique_ptr<server::Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace cleave::test
