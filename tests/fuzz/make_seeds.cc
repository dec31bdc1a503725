// SPDX-License-Identifier: Apache-2.0
//
// Writes tests/golden and the seeds of tests/fuzz/corpus from the sample models and frames:
//   cleave_make_seeds tests
// Golden files of a released version are never written again; this is how a new version's are made.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "agent/spool/crc32.h"
#include "agent/spool/result_line.h"
#include "agent/spool/spool_format.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/tensor.h"
#include "schemas/atomic_file.h"
#include "schemas/frame.h"
#include "schemas/protocol.h"
#include "schemas/sha256.h"
#include "tests/fuzz/agent_session.h"
#include "tests/fuzz/codec_boundary.h"
#include "tests/support/sample_frames.h"
#include "tests/support/sample_models.h"
#include "tests/support/sample_spool.h"

namespace {

using namespace cleave;
using Bytes = std::vector<std::byte>;

class Folder {
 public:
  explicit Folder(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
  }
  void write(const std::string& name, std::span<const std::byte> bytes) {
    const Status status = write_file_atomically((path_ / name).string(), bytes);
    if (!status.is_ok()) throw std::runtime_error(status.message());
  }

 private:
  std::filesystem::path path_;
};

Bytes profile_bytes(const ProfileData& profile) {
  flatbuffers::FlatBufferBuilder builder;
  fbs::FinishProfileBuffer(builder, build_profile(builder, profile));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

void write_golden(const std::filesystem::path& tests) {
  Folder golden(tests / "golden");
  golden.write("model_v1.cleave", test::full_header_model().build());
  golden.write("profile_v1.clvp", profile_bytes(test::sample_profile()));
  golden.write("profile_v2.clvp", profile_bytes(test::sample_profile_v2()));
  golden.write("profile_v3.clvp", profile_bytes(test::sample_profile_v3()));
  golden.write("profile_v4.clvp", profile_bytes(test::sample_profile_v4()));
  Folder wire(tests / "golden/wire_v2");
  for (const auto& sample : test::sample_frames()) wire.write(sample.name + ".frame", sample.bytes);
  Folder spool(tests / "golden/spool_v1");
  test::ForgetfulFolder sample_spool;
  test::write_sample_spool(sample_spool);
  const auto names = sample_spool.names();
  for (const std::string& name : *names) {
    spool.write(name, sample_spool.content(name));
  }
}

// Preamble and header are all that the reader's checks depend on; the target makes up the weights.
Bytes without_segments(Bytes file) {
  file.resize(64 + test::header_bytes_of(file));
  return file;
}

// The first once more, on the same segments.
void add_variant(fbs::ModelT& model) {
  model.variants.push_back(std::make_unique<fbs::VariantT>(*model.variants[0]));
  model.variants[1]->name = "other";
}

void write_seeds(const std::filesystem::path& tests) {
  Folder models(tests / "fuzz/corpus/fuzz_model_reader");
  models.write("all_ops", without_segments(test::all_ops_model().build()));
  models.write("full_header", without_segments(test::full_header_model().build()));
  models.write("two_variants", without_segments(test::full_header_model().build(add_variant)));
  models.write("weightless", test::weightless_model().build());
  models.write("cut_short", Bytes(40, std::byte{0x89}));
  Folder profiles(tests / "fuzz/corpus/fuzz_profile");
  profiles.write("two_variants", profile_bytes(test::sample_profile()));
  profiles.write("version_2", profile_bytes(test::sample_profile_v2()));
  profiles.write("version_3", profile_bytes(test::sample_profile_v3()));
  profiles.write("version_4", profile_bytes(test::sample_profile_v4()));
  ProfileData coded_only = test::sample_profile();
  coded_only.coded = test::sample_profile_v2().coded;
  profiles.write("coded_only", profile_bytes(coded_only));
  Folder frames(tests / "fuzz/corpus/fuzz_frame");
  Folder messages(tests / "fuzz/corpus/fuzz_wire");
  Bytes stream;
  for (const auto& sample : test::sample_frames()) {
    frames.write(sample.name, sample.bytes);
    messages.write(sample.name, std::span(sample.bytes).subspan(kFrameHeaderBytes));
    if (sample.name.find("request") != 0 && sample.name != "piece") {
      stream.insert(stream.end(), sample.bytes.begin(), sample.bytes.end());
    }
  }
  frames.write("stream", stream);
}

// Values as after ReLU, the same everywhere: half of them zero, and a table of codec Coded.
void write_codec_seeds(const std::filesystem::path& tests) {
  Folder seeds(tests / "fuzz/corpus/fuzz_codec");
  std::vector<Bytes> tensors;
  std::uint32_t state = 1;
  for (const codec::BoundaryTensor& tensor : fuzz::kBoundary) {
    Bytes& bytes = tensors.emplace_back(tensor.bytes());
    for (std::size_t i = 0; i < tensor.elements(); ++i) {
      state = state * 1664525 + 1013904223;
      const float value = static_cast<float>(std::max<int>(static_cast<int>(state >> 24) - 128, 0));
      if (tensor.is_f32()) {
        const float scaled = value / 16;
        std::memcpy(bytes.data() + 4 * i, &scaled, 4);
      } else {
        bytes[i] = static_cast<std::byte>(static_cast<int>(value) - 7);
      }
    }
  }
  const std::vector<std::span<const std::byte>> all(tensors.begin(), tensors.end());
  const auto write_stream = [&](const char* name, std::uint8_t choice, std::uint8_t codec_number,
                                const codec::CodedQuality& quality) {
    auto codec = fuzz::make(codec_number, quality);
    if (!codec.is_ok()) throw std::runtime_error(codec.status().message());
    Bytes seed(1 + (*codec)->max_encoded_bytes());
    seed[0] = std::byte{choice};
    seed.resize(1 + (*codec)->encode(all, std::span(seed).subspan(1)));
    seeds.write(name, seed);
  };
  const char* names[] = {"raw", "lossless", "f16", "int8", "coded"};
  for (std::uint8_t choice = 0; choice < std::size(names); ++choice) {
    write_stream(names[choice], choice, choice, fuzz::flat_quality());
  }
  write_stream("coded_turned", 6, 4, fuzz::turned_quality());
  write_stream("coded_chosen", 7, 4, fuzz::chosen(fuzz::flat_quality()));
  write_stream("coded_turned_chosen", 8, 4, fuzz::chosen(fuzz::turned_quality()));
  const auto write_table = [&](const char* name, const codec::CodedQuality& quality) {
    Bytes table{std::byte{5}};
    for (const std::uint8_t byte : codec::write_coded_table({&quality, 1})) {
      table.push_back(std::byte{byte});
    }
    seeds.write(name, table);
  };
  // Those of version 2 are what it once wrote.
  write_table("coded_table_v3", fuzz::chosen(fuzz::flat_quality()));
  write_table("coded_table_turned_v3", fuzz::chosen(fuzz::turned_quality()));
}

// One segment of a spool, and a result log.
class SpoolSeed {
 public:
  SpoolSeed() {
    const auto header = agent::write_segment_header({.number = 1, .salt = kSalt});
    bytes_.assign(header.begin(), header.end());
    const std::vector<std::byte> opened = agent::write_opened({.boot_ns = 5});
    add(agent::SpoolRecordType::kOpened, 0, opened);
  }

  void add(agent::SpoolRecordType type, std::uint64_t request_id, Bytes body,
           const std::string& payload = "") {
    for (const char letter : payload) body.push_back(static_cast<std::byte>(letter));
    const agent::SpoolRecordHeader header{
        .type = type,
        .sequence = ++sequence_,
        .request_id = request_id,
        .spool_ns = 10 * sequence_,
        .wall_ns = 1'790'000'000'000'000'000,
        .body_bytes = static_cast<std::uint32_t>(body.size()),
        .body_crc = agent::crc32_of(body, agent::body_crc_start(kSalt))};
    const auto head = agent::write_record_header(header, kSalt);
    bytes_.insert(bytes_.end(), head.begin(), head.end());
    bytes_.insert(bytes_.end(), body.begin(), body.end());
    bytes_.resize(bytes_.size() + agent::record_bytes(body.size()) - head.size() - body.size());
  }

  // All of it segment; checksums are made right once more when `repaired`.
  [[nodiscard]] Bytes seed(bool repaired) const {
    Bytes seed{std::byte{255}, std::byte{repaired}};
    seed.insert(seed.end(), bytes_.begin(), bytes_.end());
    return seed;
  }

 private:
  static constexpr std::uint64_t kSalt = 0x5a17;
  Bytes bytes_;
  std::uint64_t sequence_ = 0;
};

void write_spool_seeds(const std::filesystem::path& tests) {
  using agent::SpoolRecordType;
  Folder seeds(tests / "fuzz/corpus/fuzz_spool");
  const agent::AcceptedBody source{.file_bytes = 9, .name = "a.jpg", .path = "/a.jpg"};
  const agent::PayloadHead activation{.form = agent::PayloadHead::Form::kActivation,
                                      .codec = 3,
                                      .variant = 1,
                                      .cut = 4,
                                      .wire_id = 7};
  SpoolSeed spool;
  spool.add(SpoolRecordType::kAccepted, 2, agent::write_accepted(source));
  spool.add(SpoolRecordType::kPayload, 2, agent::write_payload_head({}), "the file");
  SpoolSeed file = spool;
  file.add(SpoolRecordType::kReleased, 2, {});
  file.add(SpoolRecordType::kClosed, 0, {});
  seeds.write("file_released", file.seed(false));
  SpoolSeed replaced = spool;
  replaced.add(SpoolRecordType::kReplaced, 2, agent::write_replaced({2, 20, source, activation}),
               "less");
  seeds.write("replaced", replaced.seed(false));
  seeds.write("replaced_repaired", replaced.seed(true));
  SpoolSeed alone;  // what it takes the place of is gone
  alone.add(SpoolRecordType::kPayload, 3, agent::write_payload_head(activation), "an activation");
  alone.add(SpoolRecordType::kReplaced, 2, agent::write_replaced({1, 9, {}, activation}), "less");
  seeds.write("activations", alone.seed(true));
  Bytes log{std::byte{0}, std::byte{0}};
  const std::string lines =
      agent::result_log_start() + agent::result_line(2, "\"state\":\"answered\"");
  for (const char letter : lines) log.push_back(static_cast<std::byte>(letter));
  seeds.write("log", log);
  Bytes both = spool.seed(true);
  const std::size_t log_bytes = log.size() - 2;
  // Zeros that belong to no record, until the first byte can say where the log begins.
  while (both[0] == std::byte{255}) {
    both.push_back(std::byte{0});
    const std::size_t segment_bytes = both.size() - 2;
    const std::size_t share =
        (segment_bytes * 255 + segment_bytes + log_bytes - 1) / (segment_bytes + log_bytes);
    if ((segment_bytes + log_bytes) * share / 255 == segment_bytes) {
      both[0] = static_cast<std::byte>(share);
    }
  }
  both.insert(both.end(), log.begin() + 2, log.end());
  seeds.write("both", both);
}

// A JPEG of the size that its first byte says (fuzz_picture.cc).
void write_pictures(const std::filesystem::path& tests) {
  constexpr std::uint8_t kChoice = 0xF9;  // RGB, 8 x 28
  const fbs::Shape shape(8, 28, 3);
  std::vector<std::uint8_t> pixels(element_count(shape));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 3);
  Bytes file(4096);
  const std::size_t bytes =
      *encode_jpeg_into(pixels, shape, fbs::ColorOrder::RGB, 90, std::span(file).subspan(1));
  file[0] = std::byte{kChoice};
  file.resize(bytes + 1);
  Folder(tests / "fuzz/corpus/fuzz_picture").write("jpeg_model_size", file);
}

// Whole conversations of an agent; attachments are not part of the fuzzer's input.
void write_sessions(const std::filesystem::path& tests) {
  Folder sessions(tests / "fuzz/corpus/fuzz_session");
  const Sha256Digest identity =
      test::sample_identity();  // starts with 0, 1: the model that is held
  const Bytes hello =
      make_hello({.device = "d", .model_identity = identity, .lowest_version = 2, .features = 7});
  const Bytes request = make_request({.request_id = 1, .codec = fbs::Codec::Jpeg}, 1000);
  const Bytes drain = make_ping(0xD);
  const auto session = [](std::initializer_list<Bytes> frames) {
    Bytes all;
    for (const Bytes& frame : frames) all.insert(all.end(), frame.begin(), frame.end());
    return all;
  };
  sessions.write("answered", session({hello, request, make_ping(1), make_goodbye("done")}));
  // Agreed on, and not.
  const Bytes jpeg = make_request({.request_id = 3, .codec = fbs::Codec::JpegModelSize}, 40);
  const Bytes hello_jpeg = make_hello({.device = "d",
                                       .model_identity = identity,
                                       .lowest_version = 2,
                                       .features = 7 | kFeatureJpegModelSize});
  sessions.write("jpeg_model_size", session({hello_jpeg, jpeg, make_cancel(3), jpeg}));
  sessions.write("jpeg_not_agreed", session({hello, jpeg}));
  sessions.write(
      "jpeg_too_long",
      session({hello_jpeg,
               make_request({.request_id = 3, .codec = fbs::Codec::JpegModelSize}, 100'000)}));
  sessions.write("busy", session({hello, request, request, request, request, request}));
  sessions.write("cancelled", session({hello, request, make_cancel(1), make_cancel(2), request}));
  sessions.write("draining", session({hello, request, drain, request, make_cancel(1)}));
  sessions.write("hello_twice", session({hello, make_pong(1), hello}));
  sessions.write("no_hello", session({make_ping(1), hello}));
  sessions.write("bad_request",
                 session({hello, make_request({.request_id = 2, .cut = 3}, 12), make_ping(1)}));
  sessions.write(
      "fetch",
      session({hello, make_fetch({.fetch_id = 1, .sha256 = identity, .bytes = kMaxPieceBytes})}));
  const Sha256Digest none{};
  const Bytes without_model =
      make_hello({.device = "d", .model_identity = none, .model_name = "test"});
  sessions.write("only_fetches",
                 session({without_model,
                          make_fetch({.fetch_id = 1, .sha256 = identity, .bytes = 1}), request}));
  sessions.write("other_model", make_hello({.device = "d", .model_identity = *sha256(request)}));
}

// What a server says, in two parts: at once, and when the agent's first question has ended.
void write_agent_sessions(const std::filesystem::path& tests) {
  Folder seeds(tests / "fuzz/corpus/fuzz_agent_session");
  using Frames = std::vector<Bytes>;
  const auto write = [&](const char* name, std::uint8_t flags, const Frames& first,
                         const Frames& rest) {
    Bytes stream;
    for (const Bytes& frame : first) stream.insert(stream.end(), frame.begin(), frame.end());
    const std::size_t first_bytes = stream.size();
    for (const Bytes& frame : rest) stream.insert(stream.end(), frame.begin(), frame.end());
    seeds.write(name, fuzz::agent_session_input(flags, first_bytes, stream));
  };
  const Sha256Digest identity = test::sample_identity();
  const ProfileData profile = test::sample_profile_v4();
  const std::vector<float> scores(fuzz::kAgentScores, 0.5f);
  const auto welcome = [&](std::uint64_t features, const ProfileData* table) {
    return make_welcome({.server = "s",
                         .session_id = 1,
                         .max_inflight = 2,
                         .max_picture_bytes = 1000,
                         .profile = table,
                         .features = features,
                         .current_model = identity});
  };
  const Bytes plain = welcome(0x2e, nullptr);
  const Bytes gives_models = welcome(kFeatureFetch, nullptr);
  const Bytes pongs[] = {make_pong(1), make_pong(2), make_pong(3)};
  const auto answer = [&](std::uint64_t id) { return make_answer(id, scores, {.compute_ns = 1}); };
  const auto piece = [](std::uint64_t fetch_id, std::uint64_t offset) {
    Bytes frame = make_piece(fetch_id, 300, static_cast<std::uint32_t>(300 - offset));
    frame.resize(frame.size() + 300 - offset, std::byte{9});
    return frame;
  };
  const auto busy = [](std::uint64_t id) {
    return make_error(id, fbs::ErrorCode::Busy, "full", 1000);
  };
  write("answered", 0,
        {welcome(0x2e, &profile), pongs[0], pongs[1], pongs[2], answer(1), answer(2)}, {answer(3)});
  write("pinged", 0,
        {make_ping(9), plain, pongs[0], make_ping(8), pongs[1], pongs[2], make_ping(7)},
        {answer(3), answer(2), answer(1), answer(9)});
  write("late", fuzz::kAgentIsLeftWaiting, {plain, pongs[0], pongs[1], pongs[2]},
        {answer(1), make_error(2, fbs::ErrorCode::Cancelled, "as asked"), answer(3)});
  write("busy", 0, {plain, pongs[0], pongs[1], pongs[2], busy(1), busy(2)}, {answer(3)});
  write("goodbye", 0, {plain, pongs[0], pongs[1], pongs[2], make_goodbye("soon"), answer(2)},
        {answer(1)});
  write("bad_request", 0,
        {plain, pongs[0], pongs[1], pongs[2],
         make_error(2, fbs::ErrorCode::BadRequest, "no such cut"), answer(1)},
        {});
  write("refused", 0, {make_error(0, fbs::ErrorCode::VersionMismatch, "versions 7 to 9")}, {});
  write("other_version", 0, {make_welcome({.server = "s", .protocol_version = 7})}, {});
  write("wrong_pong", 0, {plain, pongs[1]}, {});
  write("fetched", fuzz::kAgentFetches, {gives_models, piece(1, 0)}, {piece(2, 10)});
  write("fetched_by_name", fuzz::kAgentFetches | fuzz::kAgentNamesModel,
        {gives_models, make_ping(1), piece(1, 0)}, {piece(2, 10)});
  write("not_found", fuzz::kAgentFetches,
        {gives_models, make_error(1, fbs::ErrorCode::NotFound, "not held")}, {piece(2, 10)});
  write("wrong_piece", fuzz::kAgentFetches, {gives_models, piece(1, 1)},
        {gives_models, piece(2, 10)});
  // Of the third question 16 are under way: Busy, and behind it pieces and more of that.
  Frames busy_in_turn{piece(2, 10)};
  for (std::uint64_t id = 3; id < 19; ++id) {
    const bool is_piece = id % 4 == 0;
    busy_in_turn.push_back(is_piece ? piece(id, 290) : busy(id));
  }
  busy_in_turn.push_back(busy(19));
  write("busy_in_turn", fuzz::kAgentFetches, {gives_models, piece(1, 0)}, busy_in_turn);
  write("no_models", fuzz::kAgentFetches, {plain}, {gives_models});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: cleave_make_seeds TESTS_FOLDER\n");
    return 2;
  }
  try {
    write_golden(argv[1]);
    write_seeds(argv[1]);
    write_sessions(argv[1]);
    write_pictures(argv[1]);
    write_agent_sessions(argv[1]);
    write_codec_seeds(argv[1]);
    write_spool_seeds(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleave_make_seeds: %s\n", error.what());
    return 1;
  }
  return 0;
}
