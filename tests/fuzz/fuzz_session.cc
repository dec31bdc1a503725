// SPDX-License-Identifier: Apache-2.0
//
// The server's side of a session: a stream of frames from a hostile agent, each parsed as a server
// does and given to the state machine. Attachments are not part of the input, so that it stays
// small. An identity that starts with 0, 1 stands for the model that is held, which no fuzzer would
// guess; a Ping with the nonce kDrain is the server's own end. Each stream is heard twice: by a
// server that believes everybody, and by one that demands a token.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>

#include "schemas/atomic_file.h"
#include "server/request_check.h"
#include "server/session_protocol.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/sample_models.h"

namespace {

using namespace cleave;
using server::SessionProtocol;
using Action = SessionProtocol::Action;
using State = SessionProtocol::State;

constexpr std::uint64_t kDrain = 0xD;
constexpr std::string_view kDevice = "d", kToken = "t";  // short, so that a fuzzer finds them

std::unique_ptr<server::ModelStore> load_models() {
  const auto path = std::filesystem::temp_directory_path() /
                    ("cleave_fuzz_session_" + std::to_string(getpid()) + ".cleave");
  const Status written = write_file_atomically(path.string(), test::all_ops_model().build());
  fuzz::require(written.is_ok(), "the model can be written");
  const std::vector<std::string> paths{path.string()};
  auto models = server::ModelStore::load(paths, 1, 1);
  std::filesystem::remove(path);
  fuzz::require(models.is_ok(), "the model can be loaded");
  return std::move(models).value();
}

const server::ModelStore& models() {
  static const std::unique_ptr<server::ModelStore> loaded = load_models();
  return *loaded;
}

std::shared_ptr<const server::TokenTable> tokens() {
  static const auto table = std::make_shared<const server::TokenTable>(
      *server::TokenTable::parse(to_hex(*server::token_hash(kToken)) + " " + std::string(kDevice)));
  return table;
}

// `message` is bytes of ours. True when it was changed.
bool put_in_identity(const fbs::Envelope& message) {
  const fbs::Hello* hello = message.message_as_Hello();
  if (hello == nullptr || hello->model_identity()->Get(0) != 0) return false;
  if (hello->model_identity()->Get(1) != 1) return false;
  const auto& identity = models().models()[0]->file->identity();
  std::ranges::copy(identity, const_cast<std::uint8_t*>(hello->model_identity()->data()));
  return true;
}

class Peer {
 public:
  explicit Peer(bool demanding) : demanding_(demanding) {
    if (demanding) protocol_.expect({true, "", tokens()});
  }

  // Bytes used of `stream`, or 0 when the session is over.
  std::size_t take_frame(std::span<std::byte> stream) {
    if (stream.size() < kFrameHeaderBytes) return 0;
    const auto header = decode_frame_header(stream.first<kFrameHeaderBytes>(), protocol_.limits());
    if (!header.is_ok()) return take_unreadable(header.status());
    const std::size_t bytes = kFrameHeaderBytes + header->message_bytes;
    if (stream.size() < bytes) return 0;
    const auto text = stream.subspan(kFrameHeaderBytes, header->message_bytes);
    std::vector<std::byte> message(text.begin(), text.end());
    auto envelope = parse_message(message);
    if (!envelope.is_ok()) return take_unreadable(envelope.status());
    // Other fields may lie in the same bytes.
    if (put_in_identity(**envelope)) envelope = parse_message(message);
    if (!envelope.is_ok()) return take_unreadable(envelope.status());
    const Status attachment = check_attachment(**envelope, header->attachment_bytes);
    if (!attachment.is_ok()) return take_unreadable(attachment);
    take(**envelope, header->attachment_bytes);
    return protocol_.ended() ? 0 : bytes;
  }

 private:
  void take(const fbs::Envelope& message, std::uint64_t attachment_bytes) {
    const State before = protocol_.state();
    const auto step = protocol_.take(message, attachment_bytes, under_way_);
    if (before == State::kGreeting) {
      fuzz::require(step.action == Action::kWelcome || step.action == Action::kRefuse,
                    "before Welcome nothing else happens");
    }
    switch (step.action) {
      case Action::kWelcome:
        check_welcome(*message.message_as_Hello(), before);
        break;
      case Action::kRequest:
        check_taken(*message.message_as_Request(), attachment_bytes, before);
        break;
      case Action::kTurnDown:
        fuzz::require(step.request_id != 0 &&
                          (before == State::kDraining || under_way_ >= options_.max_inflight),
                      "a request is turned down for a reason");
        break;
      case Action::kCancel:
        fuzz::require(step.request_id != 0, "a cancelled request has an id");
        under_way_ -= under_way_ > 0 ? 1 : 0;
        break;
      case Action::kFetch:
        fuzz::require(message.message_as_Fetch() != nullptr, "who fetches has asked for it");
        break;
      case Action::kPong:
        if (message.message_as_Ping()->nonce() == kDrain) protocol_.drain();
        break;
      case Action::kIgnore:
        fuzz::require(message.message_as_Pong() != nullptr, "nothing but a Pong is ignored");
        break;
      case Action::kFinish:
        fuzz::require(message.message_as_Goodbye() != nullptr, "an agent ends with Goodbye");
        break;
      case Action::kRefuse:
        check_refused(step);
        break;
    }
    const bool ends = step.action == Action::kFinish || step.action == Action::kRefuse;
    fuzz::require(protocol_.ended() == ends, "a session ends when it is told to");
  }

  void check_welcome(const fbs::Hello& hello, State before) const {
    fuzz::require(before == State::kGreeting && protocol_.state() == State::kOpen,
                  "a session is welcomed once");
    fuzz::require(
        !demanding_ || (hello.device()->string_view() == kDevice && hello.token() != nullptr &&
                        hello.token()->string_view() == kToken),
        "who is demanded a token has shown it");
    const auto& identity = *hello.model_identity();
    const bool only_fetches = std::ranges::count(identity, 0) == std::ssize(identity);
    fuzz::require((protocol_.model() == nullptr) == only_fetches,
                  "a session has a model, unless it only fetches one");
    fuzz::require(protocol_.version() >= hello.lowest_version() &&
                      protocol_.version() <= hello.protocol_version() &&
                      protocol_.version() >= kLowestProtocolVersion &&
                      protocol_.version() <= kProtocolVersion,
                  "both speak the version agreed on");
    fuzz::require((protocol_.features() & ~(hello.features() & kKnownFeatures)) == 0,
                  "both have the features agreed on");
  }

  void check_taken(const fbs::Request& request, std::uint64_t attachment_bytes, State before) {
    const auto& model = *protocol_.model();
    fuzz::require(before == State::kOpen && under_way_ < options_.max_inflight,
                  "requests are taken while there is room for them");
    fuzz::require(server::check_request(model, options_.picture, request, attachment_bytes).empty(),
                  "a request that is taken fits the model");
    fuzz::require(request.codec() != fbs::Codec::JpegModelSize ||
                      (protocol_.agreed(kFeatureJpegModelSize) && request.cut() == 0),
                  "a JPEG at model size was agreed on");
    fuzz::require(attachment_bytes <= protocol_.limits().max_attachment_bytes,
                  "an attachment is within its limit");
    ++under_way_;
  }

  static void check_refused(const SessionProtocol::Step& step) {
    fuzz::require(step.code != fbs::ErrorCode::None && !step.text.empty(),
                  "who is refused is told why");
    fuzz::require((step.request_id != 0) == (step.code == fbs::ErrorCode::BadRequest),
                  "only a bad request is refused as one");
  }

  std::size_t take_unreadable(const Status& why) {
    fuzz::require_clean_error(why);
    const auto step = protocol_.take_unreadable(why);
    fuzz::require(step.action == Action::kRefuse && protocol_.ended(), "no frame, no session");
    check_refused(step);
    return 0;
  }

  bool demanding_;
  server::ServerOptions options_;
  SessionProtocol protocol_{models(), options_};
  std::size_t under_way_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool demanding : {false, true}) {
    std::vector<std::byte> bytes = fuzz::aligned_copy(data, size);
    Peer peer(demanding);
    std::span<std::byte> stream(bytes);
    while (const std::size_t used = peer.take_frame(stream)) stream = stream.subspan(used);
  }
  return 0;
}
