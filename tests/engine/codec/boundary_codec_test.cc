// SPDX-License-Identifier: Apache-2.0
//
// What every codec keeps, whatever its form.
#include "engine/codec/boundary_codec.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "schemas/atomic_file.h"
#include "tests/engine/codec/codec_fixture.h"
#include "tests/engine/counting_new.h"

namespace cleave::test {
namespace {

using fbs::Codec;

constexpr Codec kAll[] = {Codec::Raw, Codec::Lossless, Codec::F16, Codec::Int8, Codec::Coded};

std::vector<Codec> names(const std::vector<CodecChoice>& choices) {
  std::vector<Codec> codecs;
  for (const CodecChoice& choice : choices) codecs.push_back(choice.codec);
  return codecs;
}

StatusCode refused(const ModelFile& model, std::uint32_t variant, OpIndex cut, CodecChoice choice) {
  return BoundaryCodec::create(model, variant, cut, choice).status().code();
}

// Bytes that a seed decides, which no encoder wrote.
Bytes noise(std::size_t count, std::uint64_t seed) {
  Bytes bytes(count);
  for (std::byte& byte : bytes) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(seed >> 56);
  }
  return bytes;
}

// Whatever it makes of them, it ends with the tensors' memory alone touched (sanitizers look).
void decode_anything(BoundaryCodec& codec, std::span<const std::byte> bytes, Crossing& crossing) {
  const Bytes exact(bytes.begin(), bytes.end());  // with nothing readable behind it
  const Status status = decode(codec, exact, crossing);
  CHECK((status.is_ok() || status.code() == StatusCode::kCorrupt));
}

}  // namespace

TEST_CASE("the codecs of a cut follow from the dtypes that cross it") {
  const auto model = codec_model();
  std::vector<Codec> every(std::begin(kAll), std::end(kAll));
  every.push_back(Codec::Coded);  // the second level
  CHECK(names(codecs_at(*model, 0, 1)) == every);
  CHECK(names(codecs_at(*model, 0, 2)) == every);
  CHECK(names(codecs_at(*model, 0, 6)) == every);
  ModelBuilder builder({4, 4, 2});
  builder.to_f32(builder.to_int8(builder.input(), 0.1F, 0));
  const auto int8_only = open_model(builder);
  CHECK(names(codecs_at(*int8_only, 0, 1)) == std::vector<Codec>{Codec::Raw, Codec::Lossless});
  CHECK(refused(*int8_only, 0, 1, {.codec = Codec::F16}) == StatusCode::kUnsupported);
  CHECK(refused(*int8_only, 0, 1, {.codec = Codec::Int8}) == StatusCode::kUnsupported);
}

TEST_CASE("what is no codec of the cut is refused") {
  const auto model = codec_model();
  CHECK(refused(*model, 0, 1, {.codec = Codec::Jpeg}) == StatusCode::kUnsupported);
  CHECK(refused(*model, 0, 1, {.codec = Codec::PixelsU8}) == StatusCode::kUnsupported);
  CHECK(refused(*model, 0, 1, {.codec = static_cast<Codec>(99)}) == StatusCode::kUnsupported);
  CHECK(refused(*model, 0, 1, {.codec = Codec::Int8, .quality = 1}) == StatusCode::kUnsupported);
  CHECK(refused(*model, 0, 1, {.codec = Codec::Coded, .quality = 2}) == StatusCode::kNotFound);
  CHECK(refused(*model, 0, 0, {.codec = Codec::Coded}) == StatusCode::kNotFound);
  CHECK(refused(*model, 1, 1, {}) == StatusCode::kOutOfRange);
  CHECK(refused(*model, 0, 8, {}) == StatusCode::kOutOfRange);
}

TEST_CASE("raw and lossless give every bit back") {
  const auto model = codec_model();
  for (const OpIndex cut : {1U, 2U, 3U, 5U, 6U}) {
    for (const Codec codec : {Codec::Raw, Codec::Lossless}) {
      CAPTURE(cut);
      CAPTURE(static_cast<int>(codec));
      const auto made = make_codec(*model, cut, codec);
      const Crossing seeded = seeded_crossing(*model, cut, 7);
      CHECK(carried(*made, seeded) == seeded);
      Crossing any = seeded;  // NaN, infinities and subnormals among them
      for (Bytes& tensor : any.tensors) tensor = noise(tensor.size(), cut);
      CHECK(carried(*made, any) == any);
    }
  }
}

TEST_CASE("no stream is longer than promised, and lossless not by more than 64 bytes") {
  for (const auto& model : {codec_model(), large_model()}) {
    const std::size_t ops = op_count(*model);
    for (OpIndex cut = 0; cut <= ops; ++cut) {
      for (const CodecChoice& choice : codecs_at(*model, 0, cut)) {
        const auto codec = make_codec(*model, cut, choice.codec, choice.quality);
        Crossing crossing = seeded_crossing(*model, cut, 3);
        CHECK(encoded(*codec, crossing).size() <= codec->max_encoded_bytes());
        CHECK(codec->max_encoded_bytes() <= crossing.bytes() + 64);
        for (Bytes& tensor : crossing.tensors) tensor = noise(tensor.size(), 5);
        // encoded() resizes a buffer of that size: a longer stream would show under sanitizers.
        CHECK(encoded(*codec, crossing).size() <= codec->max_encoded_bytes());
      }
    }
  }
}

TEST_CASE("encoding and decoding allocate nothing") {
  const auto model = large_model();
  const Crossing crossing = seeded_crossing(*model, 1, 3);
  Crossing arrived = empty_crossing(*model, 1);
  const auto from = crossing.read();
  const auto to = arrived.write();
  for (const Codec choice : kAll) {
    const auto codec = make_codec(*model, 1, choice);
    Bytes out(codec->max_encoded_bytes());
    const std::uint64_t news = operator_new_calls();
    const std::size_t length = codec->encode(from, out);
    const bool decoded = codec->decode(std::span(out).first(length), to).is_ok();
    CHECK(operator_new_calls() == news);
    CHECK(decoded);
  }
}

TEST_CASE("a stream that is cut short or goes on is refused by all") {
  const auto model = codec_model();
  for (const OpIndex cut : {2U, 6U}) {
    Crossing arrived = empty_crossing(*model, cut);
    for (const Codec choice : kAll) {
      CAPTURE(cut);
      CAPTURE(static_cast<int>(choice));
      const auto codec = make_codec(*model, cut, choice);
      const Bytes stream = encoded(*codec, seeded_crossing(*model, cut, 9));
      for (std::size_t length = 0; length < stream.size(); ++length) {
        const Bytes exact(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(length));
        REQUIRE(decode(*codec, exact, arrived).code() == StatusCode::kCorrupt);
      }
      Bytes longer = stream;
      longer.push_back(std::byte{0});
      CHECK(decode(*codec, longer, arrived).code() == StatusCode::kCorrupt);
    }
  }
}

TEST_CASE("spoilt streams and noise end, in bounds") {
  const auto model = codec_model();
  for (const OpIndex cut : {2U, 5U}) {
    Crossing arrived = empty_crossing(*model, cut);
    for (const Codec choice : kAll) {
      const auto codec = make_codec(*model, cut, choice);
      const Bytes stream = encoded(*codec, seeded_crossing(*model, cut, 9));
      for (std::size_t bit = 0; bit < 8 * stream.size(); bit += bit < 512 ? 1 : 13) {
        Bytes spoilt = stream;
        spoilt[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        decode_anything(*codec, spoilt, arrived);
      }
      for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Bytes any = noise(seed % 3 == 0 ? stream.size() : seed * stream.size() / 300, seed);
        if (!any.empty() && seed % 2 == 0) any[0] = std::byte{1};
        decode_anything(*codec, any, arrived);
      }
      // It is as good as new after all that.
      CHECK(decode(*codec, stream, arrived).is_ok());
    }
  }
}

// CLEAVE_ACCEPT_CODECS=1 writes them anew, for a new version of the wire. The bytes of lossless may
// change with libzstd; what they decode to may not.
TEST_CASE("streams of version 1 are read, and f16, int8 and coded written, as they were") {
  const auto model = codec_model();
  const Crossing seeded = seeded_crossing(*model, 2, 42);
  const std::pair<Codec, std::string> golden[] = {{Codec::Lossless, "lossless"},
                                                  {Codec::F16, "f16"},
                                                  {Codec::Int8, "int8"},
                                                  {Codec::Coded, "coded"}};
  for (const auto& [choice, form] : golden) {
    const std::string& name = form;  // clang 14 captures no binding
    CAPTURE(name);
    const std::string path = "tests/golden/codec_v1/" + name;
    const auto codec = make_codec(*model, 2, choice);
    const Bytes stream = encoded(*codec, seeded);
    const Crossing arrived = carried(*codec, seeded);
    Bytes tensors;
    for (const Bytes& tensor : arrived.tensors) {
      tensors.insert(tensors.end(), tensor.begin(), tensor.end());
    }
    if (std::getenv("CLEAVE_ACCEPT_CODECS") != nullptr) {
      require_ok(write_file_atomically(path + ".stream", stream));
      require_ok(write_file_atomically(path + ".tensors", tensors));
    }
    const auto frozen = read_file(path + ".stream", 1 << 20);
    const auto expected = read_file(path + ".tensors", 1 << 20);
    require_ok(frozen.status());
    require_ok(expected.status());
    CHECK(tensors == *expected);
    if (choice != Codec::Lossless) CHECK(stream == *frozen);
    Crossing read = empty_crossing(*model, 2);
    require_ok(decode(*codec, *frozen, read));
    CHECK(read == arrived);
  }
}

}  // namespace cleave::test
