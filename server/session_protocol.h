// SPDX-License-Identifier: Apache-2.0
//
// What a session does about each message: the server's state machine of schemas/wire_format.md,
// free of sockets, clocks and threads, so that a fuzzer can drive it. The session brings messages
// and does as it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "schemas/protocol.h"
#include "schemas/wire_reader.h"
#include "server/model_store.h"
#include "server/peer_trust.h"
#include "server/server_options.h"

namespace cleave::server {

class SessionProtocol {
 public:
  enum class State {
    kGreeting,   // nothing but Hello
    kOpen,       // requests
    kDraining,   // our Goodbye was said: no new requests
    kFinishing,  // the agent's Goodbye was said: nothing is read any more
    kClosed      // refused: nothing is read any more
  };
  enum class Action {
    kWelcome,   // send Welcome
    kPong,      // send Pong
    kIgnore,    // nothing
    kRequest,   // it fits the model: take it
    kTurnDown,  // read its attachment away, then send Error(request_id, code), with a time to retry
    kCancel,    // of request_id
    kFetch,     // send a Piece, or Error(fetch_id, ...)
    kFinish,    // answer what is under way, then close
    kRefuse     // send Error(request_id, code, text), then close
  };
  struct Step {
    Action action = Action::kIgnore;
    fbs::ErrorCode code = fbs::ErrorCode::None;  // of kTurnDown and kRefuse
    std::uint64_t request_id = 0;                // 0: about the connection
    std::string text = {};
  };

  // Both must outlive it.
  SessionProtocol(const ModelStore& models, const ServerOptions& options)
      : models_(models), options_(options) {}

  // Whom the Hello must come from; before, everybody is believed.
  void expect(PeerTrust trust) { trust_ = std::move(trust); }

  // The next message of the agent. `under_way` is the number of its requests that have no reply
  // yet. REQUIRES: `message` came from parse_message(), check_attachment() was ok for it, and
  // state() is neither kFinishing nor kClosed.
  Step take(const fbs::Envelope& message, std::uint64_t attachment_bytes, std::size_t under_way);
  // Instead of a message: bytes that are no frame, or a frame that cannot be read, as `why` says.
  Step take_unreadable(const Status& why);
  // The server's end: from now on requests are turned down.
  void drain();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool ended() const {
    return state_ == State::kFinishing || state_ == State::kClosed;
  }
  // What a frame may announce now.
  [[nodiscard]] FrameLimits limits() const;

  // Of the Hello, as it came: empty before one.
  [[nodiscard]] const std::string& device() const { return device_; }
  // Of the token that the device was believed for; nothing when it was not a token.
  [[nodiscard]] const std::optional<Sha256Digest>& token() const { return token_; }
  // What was agreed on: nothing before Welcome.
  [[nodiscard]] bool welcomed() const { return version_ != 0; }
  // Null also for an agent that has no model yet, and may only fetch one.
  [[nodiscard]] const LoadedModel* model() const { return model_; }
  // The model that the agent should run instead of its own; null: its own, or the server has none.
  [[nodiscard]] const LoadedModel* current_model() const { return current_model_; }
  [[nodiscard]] std::uint16_t version() const { return version_; }
  [[nodiscard]] bool agreed(std::uint64_t feature) const { return (features_ & feature) != 0; }
  [[nodiscard]] std::uint64_t features() const { return features_; }
  // The most time between two signs of life, for Welcome; 0: none are asked for.
  [[nodiscard]] std::uint32_t heartbeat_ms() const;

 private:
  Step greet(const fbs::Hello& hello);
  // Why the device is not who it says, or empty.
  std::string authenticate(const fbs::Hello& hello);
  // Why there is no model for the agent, or empty.
  std::string choose_models(const fbs::Hello& hello);
  Step take_request(const fbs::Request& request, std::uint64_t attachment_bytes,
                    std::size_t under_way);
  Step refuse(fbs::ErrorCode code, std::string text, std::uint64_t request_id = 0);

  const ModelStore& models_;
  const ServerOptions& options_;
  State state_ = State::kGreeting;
  bool ending_ = false;  // drain() was called
  PeerTrust trust_;
  std::string device_;
  std::optional<Sha256Digest> token_;
  const LoadedModel* model_ = nullptr;
  const LoadedModel* current_model_ = nullptr;
  std::uint16_t version_ = 0;
  std::uint64_t features_ = 0;
};

}  // namespace cleave::server
