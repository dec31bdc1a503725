// SPDX-License-Identifier: Apache-2.0
//
// One message, without its frame: parsed, and everything in it read as a peer reads it.
#include "schemas/protocol.h"
#include "schemas/text_check.h"
#include "schemas/wire_reader.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace cleave;

void require_text(const flatbuffers::String* text) {
  if (text == nullptr) return;
  fuzz::require(check_text(text->string_view(), kMaxTextBytes).is_ok(), "texts are clean");
}

void walk(const fbs::Envelope& envelope) {
  if (const auto* hello = envelope.message_as_Hello()) {
    fuzz::require(hello->model_identity()->size() == 32, "an identity has 32 bytes");
    require_text(hello->device());
    require_text(hello->token());
    require_text(hello->model_name());
    const VersionRange offered =
        offered_versions(hello->protocol_version(), hello->lowest_version());
    fuzz::require(offered.lowest <= offered.highest, "a range of versions is one");
  } else if (const auto* welcome = envelope.message_as_Welcome()) {
    require_text(welcome->server());
    fuzz::require(welcome->current_model() == nullptr || welcome->current_model()->size() == 32,
                  "an identity has 32 bytes");
    if (welcome->profile() != nullptr) {
      fuzz::require(profile_from_message(*welcome->profile()).is_ok(), "a profile was checked");
    }
  } else if (const auto* request = envelope.message_as_Request()) {
    fuzz::require(request->request_id() != 0, "a request has an id");
    fuzz::require(request->codec() <= fbs::Codec::MAX, "a codec is known");
  } else if (const auto* answer = envelope.message_as_Answer()) {
    const std::vector<float> scores(answer->scores()->begin(), answer->scores()->end());
    fuzz::require(!scores.empty() && scores.size() <= kMaxScores, "scores are under the cap");
  } else if (const auto* error = envelope.message_as_Error()) {
    require_text(error->text());
  } else if (const auto* goodbye = envelope.message_as_Goodbye()) {
    require_text(goodbye->reason());
  } else if (const auto* cancel = envelope.message_as_Cancel()) {
    fuzz::require(cancel->request_id() != 0, "a request has an id");
  } else if (const auto* fetch = envelope.message_as_Fetch()) {
    fuzz::require(fetch->sha256()->size() == 32, "a digest has 32 bytes");
    fuzz::require(fetch->bytes() >= 1 && fetch->bytes() <= kMaxPieceBytes,
                  "a piece is under its cap");
  } else if (const auto* piece = envelope.message_as_Piece()) {
    fuzz::require(piece->fetch_id() != 0, "a piece is of a fetch");
  } else {
    fuzz::require(envelope.message_as_Ping() != nullptr || envelope.message_as_Pong() != nullptr,
                  "a message is of a known type");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
  const auto envelope = parse_message(bytes);
  if (envelope.is_ok()) {
    walk(**envelope);
  } else {
    fuzz::require_clean_error(envelope.status());
  }
  return 0;
}
