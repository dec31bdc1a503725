// SPDX-License-Identifier: Apache-2.0
//
// What all seeds of the fault suite share: two versions of a small model, another one, pictures,
// and the right answers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/programs.h"

namespace cleave::test {

enum class ModelVersion : std::uint8_t { kFirst, kSecond };

struct BenchPicture {
  std::string path{};
  bool is_damaged = false;  // no picture at all
  std::map<ModelVersion, nlohmann::json> scores{};
};

// A run of the agent that leaves its results, and what waits, in `folder`.
struct AgentSetting {
  std::string model{};
  std::string server{};  // address
  std::string folder{};
  std::string sync{};
  std::string timeout{};
  std::string split = "3";
  std::uint64_t cap_bytes = 0;  // --ram; 0: none
  bool has_spool = true;        // else --results alone
};
// `cleave-agent run --json --scores` so, without pictures.
[[nodiscard]] std::vector<std::string> words_for(const AgentSetting& setting);

class FaultBench {
 public:
  // Made once, by the programs themselves. REQUIREs that they do.
  FaultBench();

  [[nodiscard]] const std::string& model(ModelVersion version) const {
    return version == ModelVersion::kFirst ? first_ : second_;
  }
  [[nodiscard]] const std::string& other_model() const { return other_; }
  // A model folder that holds the whole first version, to be copied.
  [[nodiscard]] const std::string& folder() const { return folder_; }
  // Certificates for both ends, by toolchains/cleave-ca.sh: once, before the first run over TLS.
  void make_certificates();
  // What server and agent are given to use them.
  [[nodiscard]] const std::vector<std::string>& server_trust() const { return server_trust_; }
  [[nodiscard]] const std::vector<std::string>& agent_trust() const { return agent_trust_; }
  [[nodiscard]] ModelVersion version_of(const std::string& model) const;
  [[nodiscard]] const std::vector<BenchPicture>& pictures() const { return pictures_; }
  // With this --ram the device runs the head of every split that is used, and not the whole.
  [[nodiscard]] std::uint64_t cap_bytes() const { return cap_bytes_; }
  // Likewise of an agent that holds what TLS takes. REQUIRES: make_certificates().
  [[nodiscard]] std::uint64_t tls_cap_bytes() const { return tls_cap_bytes_; }
  // Agent and server are of a build with a sanitizer, whatever this program is.
  [[nodiscard]] bool is_instrumented() const { return is_instrumented_; }

 private:
  std::string import_version(const std::string& name, std::uint64_t seed) const;
  [[nodiscard]] std::uint64_t cap_with(const std::vector<std::string>& options) const;
  void make_pictures();
  void learn_answers(ModelVersion version);

  Workshop workshop_;
  std::string first_, second_, other_, folder_;
  std::string second_identity_;
  std::vector<BenchPicture> pictures_;
  std::vector<std::string> server_trust_, agent_trust_;
  std::uint64_t cap_bytes_ = 0, tls_cap_bytes_ = 0;
  bool is_instrumented_ = false;
};

}  // namespace cleave::test
