// SPDX-License-Identifier: Apache-2.0
//
// The device changes between two pictures: the second is cut where it is best then.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <functional>

#include "agent/pipeline.h"
#include "engine/image/jpeg_encoder.h"
#include "tests/agent/scripted_server.h"
#include "tests/support/fake_system.h"
#include "tests/support/model_builder.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;

constexpr std::size_t kOps = 3;
constexpr std::uint64_t kOpNs = 1'000'000;  // at 1500 MHz
constexpr const char* kPlenty = "MemAvailable: 1000000 kB\n";

// A board, a network whose input and activations are larger than the picture's file, and a server
// that always answers. The device takes 3 ms at 1500 MHz, the server with its link 5 ms.
struct ReplanBench {
  test::FakeSystem system;
  std::string picture = system.folder / "picture.jpg";
  std::uint64_t file_bytes = 0;
  std::shared_ptr<const ModelFile> model;

  ReplanBench() {
    test::ModelBuilder builder({64, 64, 3});
    test::Tensor x = builder.input();
    for (const std::uint32_t stride : {8U, 1U}) {
      x = builder.conv2d(x, 96, test::WindowSpec{.window = 3, .stride = stride, .pad = 1});
    }
    builder.fully_connected(x, 3);
    model = *ModelFile::from_bytes(builder.build());
    std::vector<std::uint8_t> rgb(std::size_t{64} * 48 * 3);
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
    const auto jpeg = encode_jpeg(rgb, 64, 48, 90);
    REQUIRE(jpeg.is_ok());
    file_bytes = jpeg->size();
    std::ofstream(picture, std::ios::binary)
        .write(reinterpret_cast<const char*>(jpeg->data()),
               static_cast<std::streamsize>(jpeg->size()));
    system.write("proc/meminfo", kPlenty);
    system.write_clock(1'500'000);
    system.write_throttled("0");
  }

  [[nodiscard]] DeviceCaps detect() const { return detect_caps(picture, 0, system.root()); }

  [[nodiscard]] SplitPlanner make_planner() const {
    auto planner = SplitPlanner::create(*model, 0, 0);
    REQUIRE(planner.is_ok());
    ProfileData profile;
    profile.variants.push_back(
        {"f32", 1, 1, std::vector(kOps, kOpNs), std::vector(kOps, kOpNs), {}, {}});
    profile.clock_khz = 1'500'000;
    REQUIRE(planner->set_edge_profile(profile).is_ok());
    planner->set_device_speed(speed_now(detect().processor));
    return *planner;
  }

  // The layers on the device for each picture; `changes[i]` is done to the board before picture i.
  [[nodiscard]] std::vector<std::uint32_t> run(const std::vector<std::function<void()>>& changes,
                                               std::chrono::nanoseconds period,
                                               planner::Policy policy) const {
    const ScriptedServer server([&](ScriptedPeer& peer, int) {
      peer.greet(model->identity(), 1 << 20, kOps);
      while (const fbs::Envelope* envelope = peer.receive()) {
        const fbs::Request* request = envelope->message_as_Request();
        if (request == nullptr) continue;
        peer.send(make_answer(request->request_id(), std::vector<float>{1, 2, 3}, {}));
      }
    });
    asio::io_context io(1);
    ConnectionOptions link;
    link.server = {"127.0.0.1", server.port()};
    link.model_identity = model->identity();
    link.score_count = 3;
    Connection connection(io.get_executor(), link);
    SplitPlanner planner = make_planner();
    PipelineOptions options;
    options.online.request.policy = policy;
    options.online.initial_link = {
        .bandwidth_bps = file_bytes * 8 * 200, .rtt_ns = 0, .available = true};
    options.online.keep_link = options.online.keep_rtt = true;
    const DeviceCaps first = detect();
    options.caps = {.ram_bytes = first.ram.bytes, .storage_bytes = first.storage.bytes};
    options.watch = std::make_shared<CapsWatch>(
        first, [this] { return detect(); }, period);
    Pipeline pipeline(io.get_executor(), model, options, &planner, &connection);
    std::vector<std::uint32_t> splits;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          for (const auto& change : changes) {
            change();
            PictureTask task{.image = picture};
            const Processed done = co_await pipeline.process(std::move(task));
            const Record& record = done.record;
            CHECK_MESSAGE(record.status.is_ok(), record.status.message());
            CHECK(record.fallback.empty());
            splits.push_back(record.planned_split);
          }
          co_await connection.close();
        },
        asio::detached);
    io.run();
    return splits;
  }
};

using Splits = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE(
    "the clock falls, the firmware throttles, memory is taken: each picture is planned anew") {
  const ReplanBench bench;
  const auto planner = bench.make_planner();
  REQUIRE(planner.cost_at(1).edge_ram_bytes > planner.cost_at(0).edge_ram_bytes + 16384);
  const std::string little =
      std::to_string((planner.cost_at(0).edge_ram_bytes + bench.file_bytes) / 1024 + 8);
  const std::vector<std::function<void()>> changes = {
      [] {},
      [&] { bench.system.write_clock(600'000); },
      [&] { bench.system.write_clock(1'500'000); },
      [&] { bench.system.write_throttled("50005"); },
      [&] { bench.system.write_throttled("50000"); },
      [&] { bench.system.write("proc/meminfo", "MemAvailable: " + little + " kB\n"); },
      [&] { bench.system.write("proc/meminfo", kPlenty); }};
  // 3 ms on the device at 1500 MHz, 7.5 ms at 600 MHz, which is where throttling has it. When
  // memory is back, the split that had to be taken is kept for a while: nothing became slower by
  // it.
  CHECK(bench.run(changes, std::chrono::nanoseconds(0), planner::Policy::kLatencyOnly) ==
        Splits{3, 0, 3, 0, 3, 0, 0});
}

TEST_CASE("lmos, which holds on to a split for a while, does not at another clock") {
  const ReplanBench bench;
  const std::vector<std::function<void()>> changes = {[] {},
                                                      [&] { bench.system.write_clock(600'000); },
                                                      [&] { bench.system.write_clock(1'500'000); }};
  CHECK(bench.run(changes, std::chrono::nanoseconds(0), planner::Policy::kLmos) == Splits{3, 0, 3});
}

TEST_CASE("within the period nothing is looked at") {
  const ReplanBench bench;
  const std::vector<std::function<void()>> changes = {
      [] {}, [&] { bench.system.write_clock(600'000); }, [] {}};
  CHECK(bench.run(changes, std::chrono::hours(1), planner::Policy::kLatencyOnly) ==
        Splits{3, 3, 3});
}

}  // namespace cleave::agent
