// SPDX-License-Identifier: Apache-2.0
//
// Files and frames of every version that was ever released, in both directions: they must still be
// read, and what is written today must be the same bytes. When one of these fails, the format has
// changed: see "Rule for change" in schemas/model_format.md and schemas/wire_format.md.
#include <doctest/doctest.h>

#include <filesystem>
#include <iterator>
#include <set>

#include "schemas/atomic_file.h"
#include "schemas/frame.h"
#include "schemas/model_reader.h"
#include "schemas/protocol.h"
#include "tests/support/model_walk.h"
#include "tests/support/sample_frames.h"
#include "tests/support/sample_models.h"

namespace cleave {
namespace {

// Tests run in the source tree.
std::vector<std::byte> golden(const std::string& name) {
  const auto bytes = read_file("tests/golden/" + name, 1u << 20);
  REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
  return *bytes;
}

TEST_CASE("the model file of version 1 opens, and is still written so") {
  const std::vector<std::byte> bytes = golden("model_v1.cleave");
  const auto file = ModelFile::from_bytes(bytes, {.verify_segments = true});
  REQUIRE_MESSAGE(file.is_ok(), file.status().message());
  const fbs::Model& model = (*file)->header();
  CHECK(model.name()->str() == "full");
  CHECK(model.preprocessing()->crop_ppm() == 875000);
  CHECK(model.labels()->Get(0)->str() == "one");
  CHECK(model.layers()->Get(1)->name()->str() == "classifier");
  CHECK(model.self_test()->scores()->Get(1) == 0.5f);
  CHECK(model.codec_tables()->Get(0)->data()->size() == 3);
  const fbs::Op& classifier = *model.variants()->Get(0)->ops()->Get(1);
  CHECK(classifier.kernel()->quantization()->scale()->Get(2) == 0.03f);
  CHECK(test::full_header_model().build() == bytes);
}

TEST_CASE("the frames of version 2 parse, and are still written so") {
  for (const test::SampleFrame& sample : test::sample_frames()) {
    CAPTURE(sample.name);
    const std::vector<std::byte> bytes = golden("wire_v2/" + sample.name + ".frame");
    const auto header = decode_frame_header(std::span(bytes).first<kFrameHeaderBytes>(),
                                            {.max_attachment_bytes = 1u << 20});
    REQUIRE(header.is_ok());
    CHECK(header->message_bytes + kFrameHeaderBytes == bytes.size());
    CHECK(parse_message(std::span(bytes).subspan(kFrameHeaderBytes)).is_ok());
    CHECK(sample.bytes == bytes);
  }
  const std::filesystem::directory_iterator files("tests/golden/wire_v2");
  CHECK(test::sample_frames().size() ==
        static_cast<std::size_t>(std::distance(begin(files), end(files))));
}

// Whoever adds to the protocol adds a frame to sample_frames(); cleave_make_seeds writes it.
TEST_CASE("each message, codec, error code and feature of version 2 is in one of its frames") {
  std::set<fbs::Message> messages{fbs::Message::NONE};
  std::set<fbs::Codec> codecs;
  std::set<fbs::ErrorCode> errors{fbs::ErrorCode::None};
  std::uint64_t offered = 0;
  std::uint64_t agreed = 0;
  for (const test::SampleFrame& sample : test::sample_frames()) {
    const auto parsed = parse_message(std::span(sample.bytes).subspan(kFrameHeaderBytes));
    REQUIRE(parsed.is_ok());
    const fbs::Envelope& message = **parsed;
    messages.insert(message.message_type());
    if (message.message_as_Request() != nullptr) {
      codecs.insert(message.message_as_Request()->codec());
    }
    if (message.message_as_Error() != nullptr) errors.insert(message.message_as_Error()->code());
    if (message.message_as_Hello() != nullptr) offered |= message.message_as_Hello()->features();
    if (message.message_as_Welcome() != nullptr) agreed |= message.message_as_Welcome()->features();
  }
  for (const fbs::Message type : fbs::EnumValuesMessage()) {
    CHECK_MESSAGE(messages.contains(type), fbs::EnumNameMessage(type));
  }
  for (const fbs::Codec codec : fbs::EnumValuesCodec()) {
    CHECK_MESSAGE(codecs.contains(codec), fbs::EnumNameCodec(codec));
  }
  for (const fbs::ErrorCode code : fbs::EnumValuesErrorCode()) {
    CHECK_MESSAGE(errors.contains(code), fbs::EnumNameErrorCode(code));
  }
  CHECK((offered & kKnownFeatures) == kKnownFeatures);
  CHECK((agreed & kKnownFeatures) == kKnownFeatures);
}

TEST_CASE("the frames of version 1 are known for what they are, and not read") {
  std::size_t frames = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/wire_v1")) {
    CAPTURE(entry.path().string());
    const std::vector<std::byte> bytes = golden("wire_v1/" + entry.path().filename().string());
    const auto header = decode_frame_header(std::span(bytes).first<kFrameHeaderBytes>(),
                                            {.max_attachment_bytes = 1u << 20});
    CHECK(header.status().code() == StatusCode::kMismatch);
    CHECK(header.status().message() == "frame: the peer speaks protocol version 1, this build 2");
    // Tables only grow.
    CHECK(parse_message(std::span(bytes).subspan(kFrameHeaderBytes)).is_ok());
    ++frames;
  }
  CHECK(frames == 12);
}

TEST_CASE("profiles of each version are read, and what a version holds is still written so") {
  const std::pair<const char*, ProfileData> versions[] = {
      {"profile_v1.clvp", test::sample_profile()},
      {"profile_v2.clvp", test::sample_profile_v2()},
      {"profile_v3.clvp", test::sample_profile_v3()},
      {"profile_v4.clvp", test::sample_profile_v4()}};
  for (const auto& [file, content] : versions) {
    const char* const name = file;  // clang 14 captures no binding
    CAPTURE(name);
    const std::vector<std::byte> expected = golden(name);
    const auto profile = parse_profile(expected);
    REQUIRE_MESSAGE(profile.is_ok(), profile.status().message());
    CHECK(*profile == content);
    flatbuffers::FlatBufferBuilder builder;
    fbs::FinishProfileBuffer(builder, build_profile(builder, content));
    const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
    CHECK(std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end()));
  }
}

}  // namespace
}  // namespace cleave
