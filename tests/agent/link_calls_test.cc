// SPDX-License-Identifier: Apache-2.0
//
// What both ends of a link ask of the system: a frame leaves with one call, what is attached moves
// between the socket and the tensors themselves, and nothing waits for a fuller packet.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "agent/fetch_client.h"
#include "schemas/frame.h"
#include "tests/agent/fixture_link.h"
#include "tests/agent/pipeline_bench.h"
#include "tests/support/socket_calls.h"

namespace cleave::test {
namespace {

using agent::Connection;
using agent::ConnectionOptions;
using Bytes = std::span<const std::byte>;

bool overlap(Bytes one, Bytes other) {
  const std::less<const std::byte*> before;  // an order of pointers into different memory, too
  return before(one.data(), other.data() + other.size()) &&
         before(other.data(), one.data() + one.size());
}

bool has_no_delay(int socket) {
  int on = 0;
  socklen_t size = sizeof(on);
  REQUIRE(getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
  return on != 0;
}

// Of a cut that several tensors cross.
std::uint32_t wide_cut(const Fixture& fixture) {
  std::uint32_t cut = 0;
  while (fixture.cuts().at(cut).boundary_tensors.size() < 2) ++cut;
  return cut;
}

// The tensors of the cut, one behind the other in `values`.
std::vector<Bytes> parts_of(const Fixture& fixture, std::uint32_t cut,
                            const std::vector<float>& values) {
  const auto& tensors = *fixture.server.model().file->header().variants()->Get(0)->tensors();
  std::vector<Bytes> parts;
  Bytes rest = std::as_bytes(std::span(values));
  for (const TensorId id : fixture.cuts().at(cut).boundary_tensors) {
    parts.push_back(rest.first(tensor_bytes(*tensors.Get(id))));
    rest = rest.subspan(parts.back().size());
  }
  return parts;
}

}  // namespace

TEST_CASE("neither end waits for a fuller packet: TCP_NODELAY, of runs and of fetches") {
  Fixture fixture;
  asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(fixture));
  agent::FetchClient fetcher(io.get_executor(), options_for(fixture), "");
  run(io, [&]() -> asio::awaitable<void> {
    const Status ready = co_await connection.ensure_ready();
    CHECK_MESSAGE(ready.is_ok(), ready.message());
    const Status connected = co_await fetcher.ensure_connected();
    CHECK_MESSAGE(connected.is_ok(), connected.message());
    const std::vector<int> agents = sockets_to(fixture.server.port());
    const std::vector<int> servers = sockets_of(fixture.server.port());
    CHECK(agents.size() == 2);
    CHECK(servers.size() == 2);
    for (const int socket : agents) CHECK(has_no_delay(socket));
    for (const int socket : servers) CHECK(has_no_delay(socket));
    co_await fetcher.close();
    co_await connection.close();
  });
}

TEST_CASE("a request leaves with one call of the system, from where its tensors are") {
  Fixture fixture;
  const std::uint32_t cut = wide_cut(fixture);
  const std::vector<float> values = fixture.boundary(cut, 3);
  agent::Outgoing request;
  request.request_id = 7;
  request.cut = cut;
  request.attachment = parts_of(fixture, cut, values);
  asio::io_context io(1);
  Connection connection(io.get_executor(), options_for(fixture));
  agent::ServerAnswer answer;
  Status status;
  const SocketWatch watch;
  run(io, [&]() -> asio::awaitable<void> {
    status = co_await connection.exchange(request, answer);
    co_await connection.close();
  });
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(answer.scores == fixture.expected(cut, values));
  // Header and message, then each tensor: all of it, at once.
  const auto calls = SocketWatch::calls_at(std::as_bytes(std::span(values)));
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].sends);
  REQUIRE(calls[0].pieces.size() == 1 + request.attachment.size());
  CHECK(calls[0].pieces[0].size() == answer.frame_bytes_up - answer.attachment_bytes_up);
  for (std::size_t i = 0; i < request.attachment.size(); ++i) {
    CHECK(calls[0].pieces[i + 1].data() == request.attachment[i].data());
    CHECK(calls[0].pieces[i + 1].size() == request.attachment[i].size());
  }
  CHECK(calls[0].result == static_cast<std::ptrdiff_t>(calls[0].bytes()));
  CHECK(calls[0].bytes() == answer.frame_bytes_up);
}

TEST_CASE("the server receives each tensor of a request into memory of its own") {
  Fixture fixture;
  const std::uint32_t cut = wide_cut(fixture);
  const std::vector<float> values = fixture.boundary(cut, 3);
  const std::vector<Bytes> parts = parts_of(fixture, cut, values);
  RawClient client(fixture.server.port());
  fixture.greet(client);
  const std::vector<int> servers = sockets_of(fixture.server.port());
  REQUIRE(servers.size() == 1);
  const SocketWatch watch;
  REQUIRE(fixture.request(client, 1, cut, values));
  CHECK(scores_of(*receive_answer(client)) == fixture.expected(cut, values));
  std::vector<SocketCall> calls = SocketWatch::calls();
  std::erase_if(calls,
                [&](const SocketCall& call) { return call.sends || call.socket != servers[0]; });
  // Behind the header and the message: the bytes of one tensor are asked for, and no more.
  std::vector<Bytes> targets;
  std::size_t tensor = 0, received = 0;
  for (std::size_t i = 2; i < calls.size() && tensor < parts.size(); ++i) {
    REQUIRE(calls[i].pieces.size() == 1);
    const Bytes target = calls[i].pieces[0];
    CHECK(target.size() == parts[tensor].size() - received);
    if (received == 0) {
      CHECK(reinterpret_cast<std::uintptr_t>(target.data()) % 64 == 0);
      for (const Bytes before : targets) CHECK_FALSE(overlap(target, before));
      targets.push_back(target);
    } else {  // the rest of a tensor goes behind what there is of it
      CHECK(target.data() == targets.back().data() + received);
    }
    received += static_cast<std::size_t>(calls[i].result);
    if (received < parts[tensor].size()) continue;
    ++tensor;
    received = 0;
  }
  CHECK(tensor == parts.size());
}

TEST_CASE("a piece of a model leaves with one call, from the mapped file") {
  Fixture fixture;
  const Bytes content = fixture.server.models().find_content(fixture.identity()).bytes;
  REQUIRE_FALSE(content.empty());
  asio::io_context io(1);
  agent::FetchClient fetcher(io.get_executor(), options_for(fixture), "");
  std::vector<std::byte> fetched;
  Status status;
  const SocketWatch watch;
  run(io, [&]() -> asio::awaitable<void> {
    agent::FetchWanted wanted;
    wanted.sha256 = fixture.identity();
    wanted.max_total_bytes = 1 << 20;
    status = co_await fetcher.fetch(wanted, [&](std::uint64_t, Bytes bytes) {
      fetched.insert(fetched.end(), bytes.begin(), bytes.end());
      return Status::ok();
    });
    co_await fetcher.close();
  });
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  CHECK(std::ranges::equal(fetched, content));
  const auto calls = SocketWatch::calls_at(content);
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].sends);
  REQUIRE(calls[0].pieces.size() == 2);
  CHECK(calls[0].pieces[1].data() == content.data());
  CHECK(calls[0].pieces[1].size() == content.size());
  CHECK(calls[0].result == static_cast<std::ptrdiff_t>(calls[0].bytes()));
}

TEST_CASE("a picture's tensors are sent from the buffers in which its head computed them") {
  const agent::testing::PipelineBench bench(1, 16);
  agent::PipelineOptions options;
  options.offers_activations = true;
  options.fixed_split = Split{.layers_on_device = 1, .op_boundary = 1};
  auto planner = agent::SplitPlanner::create(*bench.model, 0, 0);
  REQUIRE(planner.is_ok());
  // Without room for the rest, what the head computed is given back when nobody answers.
  options.caps.ram_bytes = planner->cost_at(1).edge_ram_bytes + bench.file_bytes;
  const ScriptedServer server([&](ScriptedPeer& peer, int) {
    peer.greet(bench.model->identity(), 1 << 20, bench.ops);
    (void)peer.next_request();
  });
  ConnectionOptions link;
  link.server = {"127.0.0.1", server.port()};
  link.model_identity = bench.model->identity();
  link.score_count = 3;
  asio::io_context io(1);
  Connection connection(io.get_executor(), link);
  agent::Pipeline pipeline(io.get_executor(), bench.model, options, &*planner, &connection);
  agent::Processed done;
  const SocketWatch watch;
  run(io, [&]() -> asio::awaitable<void> {
    agent::PictureTask task{.image = bench.picture};
    done = co_await pipeline.process(std::move(task));
    co_await connection.close();
  });
  REQUIRE(done.activation.has_value());
  REQUIRE(done.activation->parts.size() == 1);
  const Bytes tensor = done.activation->parts[0];
  CHECK(tensor.data() == done.buffers.boundary[0].data());
  CHECK(tensor.size() == 8 * 8 * 16 * sizeof(float));
  const auto calls = SocketWatch::calls_at(tensor);
  REQUIRE_FALSE(calls.empty());
  for (const SocketCall& call : calls) {
    CHECK(call.sends);
    REQUIRE(call.pieces.size() == 2);
    CHECK(call.pieces[1].data() == tensor.data());
    CHECK(call.pieces[1].size() == tensor.size());
  }
}

}  // namespace cleave::test
