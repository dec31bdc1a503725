// SPDX-License-Identifier: Apache-2.0
//
// Pictures that wait as what their head computed: offered when nobody answered, asked with again
// under the same id, finished on the device, and refused when they cannot be the model's.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <thread>

#include "agent/pipeline.h"
#include "engine/image/jpeg_encoder.h"
#include "schemas/atomic_file.h"
#include "tests/agent/scripted_server.h"
#include "tests/engine/image/test_pictures.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

using test::ScriptedPeer;
using test::ScriptedServer;

constexpr std::uint32_t kChannels = 96;
constexpr std::size_t kCrossingBytes = std::size_t{8} * 8 * kChannels * sizeof(float);

std::vector<std::byte> joined(const Activation& activation) {
  std::vector<std::byte> bytes;
  for (const auto& part : activation.parts) bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

// A convolution on the device, a fully connected layer behind the cut.
struct ActivationBench {
  test::TemporaryFolder folder;
  std::string picture = folder / "picture.jpg";
  std::size_t file_bytes = 0;
  std::shared_ptr<const ModelFile> model;
  std::optional<SplitPlanner> planner;
  PipelineOptions options;

  ActivationBench() {
    std::vector<std::uint8_t> rgb(std::size_t{64} * 48 * 3);
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
    const auto jpeg = encode_jpeg(rgb, 64, 48, 90);
    REQUIRE(jpeg.is_ok());
    file_bytes = jpeg->size();
    REQUIRE(write_file_atomically(picture, std::as_bytes(std::span(*jpeg))).is_ok());
    test::ModelBuilder builder({8, 8, 3});
    const test::Tensor x = builder.conv2d(builder.input(), kChannels,
                                          test::WindowSpec{.window = 3, .stride = 1, .pad = 1});
    builder.fully_connected(x, 3);
    auto file = ModelFile::from_bytes(builder.build());
    REQUIRE(file.is_ok());
    model = *file;
    auto made = SplitPlanner::create(*model, 0, 0);
    REQUIRE(made.is_ok());
    planner = std::move(made).value();
    options.fixed_split = Split{.layers_on_device = 1, .op_boundary = 1};
    options.offers_activations = true;
  }

  void replace_picture(std::span<const std::byte> file) {
    REQUIRE(write_file_atomically(picture, file).is_ok());
    file_bytes = file.size();
  }

  // Room for the head and its picture alone: without a server there is no answer.
  void allow_head_alone() {
    options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + file_bytes;
  }

  [[nodiscard]] ConnectionOptions link_to(const ScriptedServer& server) const {
    ConnectionOptions link;
    link.server = {"127.0.0.1", server.port()};
    link.model_identity = model->identity();
    link.score_count = 3;
    link.first_backoff = link.longest_backoff = std::chrono::milliseconds(1);
    return link;
  }

  struct Outcome {
    Record record;
    std::optional<ActivationForm> form;
    std::vector<std::byte> bytes;
    std::size_t file_bytes = 0;
  };
  [[nodiscard]] Outcome process(PictureTask task, const ScriptedServer* server) {
    asio::io_context io(1);
    std::optional<Connection> connection;
    if (server != nullptr) connection.emplace(io.get_executor(), link_to(*server));
    Pipeline pipeline(io.get_executor(), model, options, &*planner,
                      connection ? &*connection : nullptr);
    Processed done;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          done = co_await pipeline.process(std::move(task));
          if (connection) co_await connection->close();
        },
        asio::detached);
    io.run();
    Outcome outcome{
        .record = std::move(done.record), .form = {}, .bytes = {}, .file_bytes = done.file.size()};
    if (done.activation) {
      outcome.form = done.activation->form;
      outcome.bytes = joined(*done.activation);
    }
    return outcome;
  }
  [[nodiscard]] Outcome process_file(const ScriptedServer* server = nullptr) {
    return process({.image = picture}, server);
  }
  [[nodiscard]] Outcome process_activation(const ActivationForm& form, std::vector<std::byte> bytes,
                                           const ScriptedServer* server = nullptr) {
    return process(
        {.image = picture, .request_id = 5, .bytes = std::move(bytes), .activation = form}, server);
  }
};

}  // namespace

TEST_CASE("what waited is asked with again as it was, under the id that the server may know") {
  ActivationBench bench;
  bench.allow_head_alone();
  struct Seen {
    std::uint64_t id;
    std::uint32_t cut;
    fbs::Codec codec;
    std::size_t bytes;
  };
  std::vector<Seen> seen;
  bool answers = false;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, 2);
    while (const fbs::Envelope* envelope = peer.receive()) {
      const fbs::Request* request = envelope->message_as_Request();
      if (request == nullptr) continue;
      seen.push_back(
          {request->request_id(), request->cut(), request->codec(), peer.attachment_bytes()});
      if (!answers) return;
      peer.send(make_answer(request->request_id(), std::vector<float>{1, 2, 3}, {}));
    }
  });
  const auto first = bench.process_file(&server);
  CHECK(first.record.status.code() == StatusCode::kUnavailable);
  REQUIRE(first.form.has_value());
  CHECK(first.bytes.size() == kCrossingBytes);
  REQUIRE_FALSE(seen.empty());
  const std::size_t tries = seen.size();
  answers = true;
  const auto second = bench.process_activation(*first.form, first.bytes, &server);
  REQUIRE_MESSAGE(second.record.status.is_ok(), second.record.status.message());
  CHECK(second.record.scores == std::vector<float>{1, 2, 3});
  CHECK(second.record.drained);
  CHECK(second.record.split == 1);
  CHECK(second.record.sent == kSentTensors);
  REQUIRE(seen.size() == tries + 1);
  CHECK(seen.back().id == seen.front().id);
  CHECK(seen.back().cut == 1);
  CHECK(seen.back().codec == seen.front().codec);
  CHECK(seen.back().bytes == kCrossingBytes);
}

TEST_CASE("of a head that failed half-way nothing is kept but the picture's file") {
  ActivationBench bench;
  bench.allow_head_alone();
  const auto waits = bench.process_file();
  REQUIRE(waits.form.has_value());
  CHECK(waits.file_bytes == bench.file_bytes);
  // Both fail behind what prepares the head: its buffers are bound, and nothing is in them.
  std::vector<std::byte> file;
  SUBCASE("a picture that ends too early") {
    const auto whole = read_file(bench.picture, bench.file_bytes);
    REQUIRE(whole.is_ok());
    file.assign(whole->begin(), whole->begin() + static_cast<std::ptrdiff_t>(whole->size() / 2));
  }
  SUBCASE("one that has to be decoded whole, and there is no room for that") {
    const auto pixels = test::pattern(64, 48, 3, 1);
    const auto png = test::make_png({.width = 64, .height = 48, .interlaced = true},
                                    test::rows_of(pixels, 64, 3));
    file.assign(png.begin(), png.end());
  }
  bench.replace_picture(file);
  bench.allow_head_alone();
  const auto failed = bench.process_file();
  CHECK_FALSE(failed.record.status.is_ok());
  CHECK(failed.file_bytes == file.size());
  CHECK_FALSE(failed.form.has_value());
}

TEST_CASE("a server without codecs gets what waited decoded, under another id") {
  ActivationBench bench;
  bench.allow_head_alone();
  const auto waits = bench.process_file();
  REQUIRE(waits.form.has_value());
  auto codec = BoundaryCodec::create(*bench.model, 0, 1, {.codec = fbs::Codec::Lossless});
  REQUIRE(codec.is_ok());
  std::vector<std::byte> coded((*codec)->max_encoded_bytes());
  const std::span<const std::byte> tensor(waits.bytes);
  coded.resize((*codec)->encode(std::span(&tensor, 1), coded));
  std::uint64_t id = 0;
  std::size_t bytes = 0;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, 2);
    while (const fbs::Envelope* envelope = peer.receive()) {
      if (envelope->message_as_Request() == nullptr) continue;
      CHECK(envelope->message_as_Request()->codec() == fbs::Codec::Raw);
      id = envelope->message_as_Request()->request_id();
      bytes = peer.attachment_bytes();
      peer.send(make_answer(id, std::vector<float>{1, 2, 3}, {}));
    }
  });
  ActivationForm form{.codec = fbs::Codec::Lossless, .variant = 0, .cut = 1, .wire_id = 77};
  const auto answered = bench.process_activation(form, coded, &server);
  REQUIRE_MESSAGE(answered.record.status.is_ok(), answered.record.status.message());
  CHECK(bytes == kCrossingBytes);
  CHECK(id != 77);
  CHECK(answered.record.codec == "raw");
}

TEST_CASE("what waited is finished on a device that has room for the rest, to the same bits") {
  ActivationBench bench;
  const std::uint64_t room = bench.options.caps.ram_bytes;
  bench.allow_head_alone();
  const auto waits = bench.process_file();
  CHECK(waits.record.status.code() == StatusCode::kUnavailable);
  REQUIRE(waits.form.has_value());
  CHECK(waits.form->wire_id == 0);
  const auto again = bench.process_activation(*waits.form, waits.bytes);
  CHECK(again.record.status.code() == StatusCode::kUnavailable);
  CHECK_FALSE(again.form.has_value());  // it waits as that already
  bench.options.caps.ram_bytes = room;
  const auto finished = bench.process_activation(*waits.form, waits.bytes);
  REQUIRE_MESSAGE(finished.record.status.is_ok(), finished.record.status.message());
  CHECK_FALSE(finished.record.fallback.empty());
  CHECK(finished.record.scores == bench.process_file().record.scores);
}

TEST_CASE("an activation that cannot be the model's is refused before it is used") {
  ActivationBench bench;
  const auto refused = [&](const ActivationForm& form, std::size_t bytes) {
    const auto outcome = bench.process_activation(form, std::vector<std::byte>(bytes));
    const StatusCode code = outcome.record.status.code();
    return code == StatusCode::kCorrupt || code == StatusCode::kUnsupported ||
           code == StatusCode::kNotFound;
  };
  const ActivationForm raw{.codec = fbs::Codec::Raw, .variant = 0, .cut = 1};
  CHECK_FALSE(refused(raw, kCrossingBytes));
  CHECK(refused(raw, kCrossingBytes - 4));
  CHECK(refused(raw, kCrossingBytes + 4));
  CHECK(refused({.codec = fbs::Codec::Raw, .variant = 1, .cut = 1}, kCrossingBytes));
  CHECK(refused({.codec = fbs::Codec::Raw, .variant = 0, .cut = 0}, 8 * 8 * 3 * sizeof(float)));
  CHECK(refused({.codec = fbs::Codec::Raw, .variant = 0, .cut = 2}, 3 * sizeof(float)));
  CHECK(refused({.codec = fbs::Codec::Raw, .variant = 0, .cut = 1000}, kCrossingBytes));
  CHECK(refused({.codec = fbs::Codec::Jpeg, .variant = 0, .cut = 1}, kCrossingBytes));
  CHECK(refused({.codec = fbs::Codec::Coded, .quality = 3, .variant = 0, .cut = 1}, 50));
  CHECK(refused({.codec = fbs::Codec::Lossless, .variant = 0, .cut = 1}, kCrossingBytes + 65));
  // Right by its size, and not what an encoder writes.
  CHECK(refused({.codec = fbs::Codec::Lossless, .variant = 0, .cut = 1}, 40));
}

}  // namespace cleave::agent
