// SPDX-License-Identifier: Apache-2.0
#include "tests/server/server_thread.h"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <fstream>
#include <utility>

#include "tests/support/temporary_folder.h"

namespace cleave::test {

HeldWorker::HeldWorker(server::TailPool& pool) {
  auto started = std::make_shared<std::promise<void>>();
  auto job = std::make_unique<server::TailJob>();
  job->deadline = server::Clock::now();  // nothing to compute
  job->done = [started, released = released_.get_future().share()](
                  std::unique_ptr<server::TailJob>&& finished) {
    finished.reset();
    started->set_value();
    released.wait();
  };
  REQUIRE(pool.try_submit(job));
  started->get_future().wait();
}

void HeldWorker::release() {
  if (std::exchange(held_, false)) released_.set_value();
}

ServerThread::ServerThread(std::span<const std::byte> model_bytes,
                           const std::function<void(server::ServerOptions&)>& adjust) {
  spdlog::set_level(spdlog::level::err);
  const TemporaryFolder folder;
  const std::string path = folder / "model.cleave";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(model_bytes.data()),
             static_cast<std::streamsize>(model_bytes.size()));
  const std::vector<std::string> paths{path};
  auto models = server::ModelStore::load(paths, 1, 1);
  REQUIRE_MESSAGE(models.is_ok(), models.status().message());
  models_ = std::move(models).value();
  options_.listen = "127.0.0.1:0";
  if (adjust) adjust(options_);
  server_ = std::make_unique<server::Server>(io_, *models_, options_);
  const Status listening = server_->listen();
  REQUIRE_MESSAGE(listening.is_ok(), listening.message());
  port_ = server_->local_endpoint().port;
  thread_ = std::thread([this] { io_.run(); });
}

ServerThread::~ServerThread() { stop(); }

void ServerThread::on_network_thread(const std::function<void()>& action) {
  std::promise<void> done;
  boost::asio::post(io_, [&] {
    action();
    done.set_value();
  });
  done.get_future().wait();
}

void ServerThread::begin_shutdown() {
  boost::asio::post(io_, [this] { server_->shutdown(); });
}

server::ServerStats ServerThread::stop() {
  if (thread_.joinable()) {
    begin_shutdown();
    thread_.join();
  }
  return server_->stats();
}

}  // namespace cleave::test
