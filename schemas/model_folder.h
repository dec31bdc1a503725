// SPDX-License-Identifier: Apache-2.0
//
// A folder that holds models in parts (schemas/model_format.md, "The model folder"): headers and
// weight segments, each a file of its own named by its SHA-256, and a state file that names the
// model in use. What has its final name is whole and was checked; so the folder itself is the map
// of what is held, versions of a model share the segments that did not change, and every change is
// one rename.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/model_reader.h"
#include "schemas/sha256.h"
#include "schemas/status.h"

namespace cleave {

inline constexpr std::size_t kMaxRefusedModels = 64;

struct ModelFolderState {
  // A model whose self-test was begun and has not ended.
  struct Trial {
    ModelIdentity identity{};
    std::uint32_t starts = 0;  // how often it was begun
  };
  ModelIdentity current{};
  std::optional<ModelIdentity> previous = std::nullopt;
  std::optional<Trial> trial = std::nullopt;
  std::vector<ModelIdentity> refused = {};  // not to be tried again, oldest first
};

// Paths in `folder`: preamble and header of a model; a weight segment; what has arrived so far of
// either; the state; a file that whoever changes the folder has locked.
[[nodiscard]] std::string model_header_path(const std::string& folder, const ModelIdentity& model);
[[nodiscard]] std::string model_segment_path(const std::string& folder, const Sha256Digest& sha256);
[[nodiscard]] std::string model_part_path(const std::string& folder, const Sha256Digest& sha256);
[[nodiscard]] std::string model_state_path(const std::string& folder);
[[nodiscard]] std::string model_lock_path(const std::string& folder);

// The state of `folder`. Errors: kNotFound (it has none yet), kIo, kCorrupt.
[[nodiscard]] Result<ModelFolderState> read_model_folder_state(const std::string& folder);
// Replaces it, durably, at once; refusals beyond kMaxRefusedModels are forgotten, oldest first.
// Errors: as AtomicFile.
[[nodiscard]] Status write_model_folder_state(const std::string& folder,
                                              const ModelFolderState& state);
// For the two above and for tests. Errors: kCorrupt.
[[nodiscard]] Result<ModelFolderState> parse_model_folder_state(std::span<const std::byte> text);
[[nodiscard]] std::string format_model_folder_state(const ModelFolderState& state);

// The length of the whole model file that a header is of: where its last segment ends. For a header
// that has just arrived. REQUIRES: aligned to 8. Errors: kCorrupt, kUnsupported; it is checked
// wholly.
[[nodiscard]] Result<std::uint64_t> model_file_bytes(std::span<const std::byte> header);

// Stores `header`, whose SHA-256 is `model`, durably. Errors: as model_file_bytes and AtomicFile;
// kCorrupt when it has another SHA-256.
[[nodiscard]] Status store_model_header(const std::string& folder, const ModelIdentity& model,
                                        std::span<const std::byte> header);

// The SHA-256 that the header states of a segment.
[[nodiscard]] Sha256Digest segment_sha256(const fbs::Segment& segment);

// 64 hexadecimal digits. Errors: kInvalidArgument.
[[nodiscard]] Result<Sha256Digest> parse_sha256(std::string_view hex);

// Bytes of all files in `folder`. Errors: kNotFound, kIo.
[[nodiscard]] Result<std::uint64_t> model_folder_bytes(const std::string& folder);

// Bytes of what neither `state.current`, `state.previous` nor the models in `also_kept` need.
[[nodiscard]] std::uint64_t unneeded_model_bytes(const std::string& folder,
                                                 const ModelFolderState& state,
                                                 std::span<const ModelIdentity> also_kept = {});

// Removes what neither `state.current`, `state.previous` nor the models in `also_kept` need,
// arrived parts included. What cannot be read or removed stays. Gives how many bytes were removed.
std::uint64_t prune_model_folder(const std::string& folder, const ModelFolderState& state,
                                 std::span<const ModelIdentity> also_kept = {});

}  // namespace cleave
