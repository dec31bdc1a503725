// SPDX-License-Identifier: Apache-2.0
//
// The models a server holds: opened, packed and measured once at start, then shared read-only by
// every session and worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/cuts.h"
#include "engine/weights.h"
#include "schemas/model_reader.h"
#include "schemas/profile_reader.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave::server {

// A way in which boundary tensors may come, and the longest attachment of it.
struct CodecLimit {
  CodecChoice choice;
  std::uint64_t max_encoded_bytes = 0;
};

// One precision of one model, ready to run any tail.
struct LoadedVariant {
  std::shared_ptr<const Weights> weights;       // null: this build cannot run the precision
  std::vector<Cut> cuts;                        // by op boundary, 0..N
  std::vector<std::vector<CodecLimit>> codecs;  // by op boundary
  fbs::Shape input_shape;
  bool takes_pictures = false;  // the input is one

  // Null when this cut has no such codec. REQUIRES: a cut of this variant. Thread-safe.
  [[nodiscard]] const CodecLimit* find_codec(OpIndex cut, const CodecChoice& choice) const;
};

struct LoadedModel {
  std::shared_ptr<const ModelFile> file;
  std::vector<LoadedVariant> variants;
  ProfileData profile;   // this machine's own time per op, and for decoding each codec
  ProfileData op_times;  // the same without codecs, which agents of before these times refuse
  // Over all variants, cuts and codecs: of an attachment, and of what a request with it holds.
  std::uint64_t max_attachment_bytes = 0;
  std::uint64_t max_payload_bytes = 0;
};

// What an agent may fetch: a model's header, or one of its weight segments.
struct FetchableContent {
  const ModelFile* file = nullptr;  // null: there is none
  std::span<const std::byte> bytes;
};

class ModelStore {
 public:
  // Opens, packs and measures every file. Errors: as ModelFile::open and Weights::create, with the
  // path in front; kInvalidArgument when two files have one identity.
  static Result<std::unique_ptr<ModelStore>> load(std::span<const std::string> paths,
                                                  unsigned threads, unsigned profile_runs,
                                                  const WeightsOptions& weights = {});

  // Null when no such model is held. Thread-safe.
  [[nodiscard]] const LoadedModel* find(std::span<const std::uint8_t> identity) const;
  // The model that agents of this name should run: the last of the name that was loaded. Names
  // count as the wire carries them, cut to kMaxTextBytes. Null when none has the name. Thread-safe.
  [[nodiscard]] const LoadedModel* current(std::string_view name) const;
  // What has this SHA-256. Thread-safe.
  [[nodiscard]] FetchableContent find_content(std::span<const std::uint8_t, 32> sha256) const;
  [[nodiscard]] std::span<const std::unique_ptr<LoadedModel>> models() const { return models_; }

 private:
  void add(std::unique_ptr<LoadedModel> model);

  std::vector<std::unique_ptr<LoadedModel>> models_;
  std::map<Sha256Digest, FetchableContent> contents_;
};

}  // namespace cleave::server
