// SPDX-License-Identifier: Apache-2.0
//
// When a run asks a server for what waits in its spool: after a wait of its own wherever many
// devices could come at once, and without one where nobody is asked.
#include "agent/picture_run.h"

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "schemas/atomic_file.h"
#include "tests/agent/pipeline_bench.h"

namespace cleave::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ScriptedPeer;
using test::ScriptedServer;

constexpr milliseconds kLongestWait{400};
constexpr seconds kAnHour{3600};
constexpr seconds kEndsWithin{30};

// One that waits long enough to be seen, first.
std::uint64_t patient_seed() {
  std::uint64_t seed = 1;
  while (DrainJitter(seed, kLongestWait).next() < kLongestWait / 2) ++seed;
  return seed;
}

// Answers all requests but the first `busy`, and notes when each came.
class Clockwork {
 public:
  explicit Clockwork(const ModelIdentity& identity, std::size_t busy = 0)
      : server_([this, identity, busy](ScriptedPeer& peer, int) {
          peer.greet(identity);
          while (const std::uint64_t id = peer.next_request()) {
            if (note() < busy) {
              peer.send(make_error(id, fbs::ErrorCode::Busy, "full"));
            } else {
              peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
            }
          }
        }) {}

  [[nodiscard]] std::vector<Clock::time_point> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

 private:
  std::size_t note() {
    const std::lock_guard lock(mutex_);
    requests_.push_back(Clock::now());
    return requests_.size() - 1;
  }

  mutable std::mutex mutex_;
  std::vector<Clock::time_point> requests_;
  const ScriptedServer server_;
};

// A device that has the head of a model and no room for the rest.
struct RunBench {
  testing::PipelineBench bench{/*convolutions=*/1, /*channels=*/96};
  std::optional<SplitPlanner> planner;
  PipelineOptions options;
  std::unique_ptr<Delivery> delivery;

  RunBench() {
    auto made = SplitPlanner::create(*bench.model, 0, 0);
    REQUIRE(made.is_ok());
    planner = std::move(made).value();
    options.fixed_split = Split{.layers_on_device = 1, .op_boundary = 1};
    options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;
    DeliveryTexts texts;
    texts.results = bench.folder / "results.jsonl";
    texts.spool = bench.folder / "spool";
    texts.spool_form = "picture";
    auto opened = Delivery::open(texts, bench.model->identity(), [](const Dropped&) {});
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
    delivery = std::move(opened).value();
    options.accept = [this](const std::string& image, std::span<const std::byte> file) {
      return delivery->accept(image, file);
    };
  }

  // One picture waits.
  void keep_one() {
    const auto file = read_file(bench.picture, 1 << 20);
    REQUIRE(file.is_ok());
    Record record;
    record.image = bench.picture;
    record.request_id = delivery->accept(bench.picture, *file);
    record.status = Status(StatusCode::kUnavailable, "no server");
    const auto fields = [](const Record&) { return std::string(); };
    REQUIRE(delivery->finish(record, *file, nullptr, fields).is_ok());
    REQUIRE(delivery->ledger().waiting() == 1);
  }

  // All of `pictures`; stopped after `stop_after`.
  Tally run(const Clockwork* server, const std::vector<std::string>& pictures,
            const DrainJitter& jitter, std::optional<milliseconds> stop_after = {}) {
    asio::io_context io(1);
    std::optional<Connection> connection;
    if (server != nullptr) {
      ConnectionOptions link;
      link.server = {"127.0.0.1", server->port()};
      link.model_identity = bench.model->identity();
      link.score_count = 3;
      connection.emplace(io.get_executor(), link);
    }
    Connection* const used = connection ? &*connection : nullptr;
    Pipeline pipeline(io.get_executor(), bench.model, options, &*planner, used);
    CapsWatch watch(
        {}, [] { return DeviceCaps{}; }, kAnHour);
    PictureRun run(io.get_executor(), 1, pipeline, used, delivery.get(), bench.model->header(),
                   ReportOptions{}, watch, nullptr, jitter);
    PictureQueue queue(io.get_executor(), 8, QueueFull::kBlock, nullptr);
    queue.fill(pictures);
    asio::steady_timer stop(io);
    if (stop_after) {
      stop.expires_after(*stop_after);
      stop.async_wait([&run](const error_code& error) {
        if (!error) run.stop();
      });
    }
    const auto all = [&]() -> asio::awaitable<void> {
      co_await run.run(queue, 0);
      stop.cancel();
    };
    asio::co_spawn(io, all, [](std::exception_ptr error) { REQUIRE(error == nullptr); });
    io.run();
    return run.tally();
  }
};

}  // namespace

TEST_CASE("a wait before a drain is a seed's own, within its bound, and spread over it") {
  std::set<milliseconds> firsts;
  milliseconds shortest = kAnHour, longest{0};
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) {
    DrainJitter jitter(seed), again(seed);
    const milliseconds first = jitter.next();
    CHECK(first == again.next());
    firsts.insert(first);
    shortest = std::min(shortest, first);
    longest = std::max(longest, first);
  }
  CHECK(shortest >= milliseconds(0));
  CHECK(shortest < milliseconds(100));
  CHECK(longest > milliseconds(900));
  CHECK(longest <= DrainJitter::kLongest);
  CHECK(firsts.size() > 500);  // of a thousand devices no crowd comes in one millisecond
}

TEST_CASE("what waits is asked for after a wait of the device's own") {
  RunBench device;
  const std::uint64_t seed = patient_seed();
  const milliseconds wait = DrainJitter(seed, kLongestWait).next();
  const DrainJitter jitter(seed, kLongestWait);
  const auto start = Clock::now();
  SUBCASE("when a run begins") {
    device.keep_one();
    const Clockwork server(device.bench.model->identity());
    CHECK(device.run(&server, {}, jitter).answered == 1);
    REQUIRE(server.requests().size() == 1);
    CHECK(server.requests()[0] - start >= wait);
  }
  SUBCASE("when the server answers again after an outage") {
    const Clockwork server(device.bench.model->identity(), /*busy=*/1);
    const std::string& picture = device.bench.picture;
    CHECK(device.run(&server, {picture, picture}, jitter).answered == 2);
    REQUIRE(server.requests().size() == 3);
    CHECK(server.requests()[2] - server.requests()[1] >= wait);
  }
  SUBCASE("when a run ends") {
    const Clockwork server(device.bench.model->identity(), /*busy=*/1);
    CHECK(device.run(&server, {device.bench.picture}, jitter).answered == 1);
    REQUIRE(server.requests().size() == 2);
    CHECK(server.requests()[1] - server.requests()[0] >= wait);
  }
  CHECK(device.delivery->ledger().waiting() == 0);
}

TEST_CASE("nobody waits where nothing is asked for") {
  RunBench device;
  const Clockwork server(device.bench.model->identity());
  // The first wait, were there one.
  const DrainJitter jitter(patient_seed(), kAnHour);
  const auto start = Clock::now();
  SUBCASE("nothing waits") {
    CHECK(device.run(&server, {device.bench.picture}, jitter).answered == 1);
  }
  SUBCASE("there is no server to ask") {
    device.keep_one();
    CHECK(device.run(nullptr, {}, jitter).answered == 0);
    CHECK(device.delivery->ledger().waiting() == 1);
  }
  SUBCASE("the run is stopped meanwhile") {
    device.keep_one();
    CHECK(device.run(&server, {}, jitter, milliseconds(50)).answered == 0);
    CHECK(server.requests().empty());
    CHECK(device.delivery->ledger().waiting() == 1);
  }
  CHECK(Clock::now() - start < kEndsWithin);
}

}  // namespace cleave::agent
