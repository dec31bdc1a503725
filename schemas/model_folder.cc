// SPDX-License-Identifier: Apache-2.0
#include "schemas/model_folder.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include "schemas/atomic_file.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"

namespace cleave {
namespace {

constexpr std::string_view kFirstLine = "cleave-models 1";
// A line for each refusal, and a few more, of at most 90 bytes.
constexpr std::size_t kMaxStateBytes = 16u << 10;

constexpr std::string_view kHeaderEnding = ".header";
constexpr std::string_view kSegmentEnding = ".segment";
constexpr std::string_view kPartEnding = ".part";

std::string named(const std::string& folder, const Sha256Digest& sha256, std::string_view ending) {
  return folder + "/" + to_hex(sha256) + std::string(ending);
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

// "trial 1 <hex>" without its first word.
Status read_trial(std::string_view rest, ModelFolderState& state) {
  const std::size_t space = rest.find(' ');
  ModelFolderState::Trial trial;
  const char* const end = rest.data() + std::min(space, rest.size());
  const auto [parsed, error] = std::from_chars(rest.data(), end, trial.starts);
  if (space == std::string_view::npos || error != std::errc() || parsed != end) {
    return corrupt("a trial that cannot be read");
  }
  CLEAVE_ASSIGN_OR_RETURN(trial.identity, parse_sha256(rest.substr(space + 1)));
  state.trial = trial;
  return Status::ok();
}

Status read_line(std::string_view line, ModelFolderState& state, bool& has_current) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  const std::string_view rest = space == std::string_view::npos ? "" : line.substr(space + 1);
  if (word == "trial") return read_trial(rest, state);
  CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest identity, parse_sha256(rest));
  if (word == "current") {
    state.current = identity;
    has_current = true;
  } else if (word == "previous") {
    state.previous = identity;
  } else if (word == "refused") {
    if (state.refused.size() == kMaxRefusedModels) return corrupt("too many refused models");
    state.refused.push_back(identity);
  } else {
    return corrupt("a line that is not known: written by a later version?");
  }
  return Status::ok();
}

// The names, without folder, of all files that a held model needs.
void add_needed(const std::string& folder, const ModelIdentity& model,
                std::set<std::string>& needed) {
  needed.insert(to_hex(model) + std::string(kHeaderEnding));
  needed.insert(to_hex(model) + std::string(kPartEnding));
  const auto file = ModelFile::open_held(folder, model);
  if (!file.is_ok() || (*file)->header().segments() == nullptr) return;
  for (const fbs::Segment* segment : *(*file)->header().segments()) {
    const std::string name = to_hex(segment_sha256(*segment));
    needed.insert(name + std::string(kSegmentEnding));
    needed.insert(name + std::string(kPartEnding));
  }
}

bool is_content(const std::string& name) {
  for (const std::string_view ending : {kHeaderEnding, kSegmentEnding, kPartEnding}) {
    if (name.size() == 64 + ending.size() && name.ends_with(ending)) return true;
  }
  // What an AtomicFile left behind when its writer was killed.
  return name.find(".tmp-") != std::string::npos;
}

std::vector<std::filesystem::path> unneeded_files(const std::string& folder,
                                                  const ModelFolderState& state,
                                                  std::span<const ModelIdentity> also_kept) {
  std::set<std::string> needed;
  add_needed(folder, state.current, needed);
  if (state.previous) add_needed(folder, *state.previous, needed);
  for (const ModelIdentity& model : also_kept) add_needed(folder, model, needed);
  std::error_code error;
  std::vector<std::filesystem::path> unneeded;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (is_content(name) && !needed.contains(name)) unneeded.push_back(entry->path());
  }
  return unneeded;
}

}  // namespace

std::string model_header_path(const std::string& folder, const ModelIdentity& model) {
  return named(folder, model, kHeaderEnding);
}

std::string model_segment_path(const std::string& folder, const Sha256Digest& sha256) {
  return named(folder, sha256, kSegmentEnding);
}

std::string model_part_path(const std::string& folder, const Sha256Digest& sha256) {
  return named(folder, sha256, kPartEnding);
}

std::string model_state_path(const std::string& folder) { return folder + "/state"; }

std::string model_lock_path(const std::string& folder) { return folder + "/lock"; }

Result<ModelFolderState> parse_model_folder_state(std::span<const std::byte> bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty() || text.back() != '\n') return corrupt("is cut short");
  if (next_line(text) != kFirstLine) return corrupt("is not the state of a model folder");
  ModelFolderState state;
  bool has_current = false;
  while (!text.empty()) {
    const Status status = read_line(next_line(text), state, has_current);
    if (!status.is_ok()) return corrupt(status.message());
  }
  if (!has_current) return corrupt("names no current model");
  return state;
}

std::string format_model_folder_state(const ModelFolderState& state) {
  std::string text = std::string(kFirstLine) + "\ncurrent " + to_hex(state.current) + "\n";
  if (state.previous) text += "previous " + to_hex(*state.previous) + "\n";
  if (state.trial) {
    text +=
        "trial " + std::to_string(state.trial->starts) + " " + to_hex(state.trial->identity) + "\n";
  }
  const std::size_t kept = std::min(state.refused.size(), kMaxRefusedModels);
  for (const ModelIdentity& identity : std::span(state.refused).last(kept)) {
    text += "refused " + to_hex(identity) + "\n";
  }
  return text;
}

Result<ModelFolderState> read_model_folder_state(const std::string& folder) {
  const std::string path = model_state_path(folder);
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(path, kMaxStateBytes));
  auto state = parse_model_folder_state(bytes);
  if (!state.is_ok()) return state.status().with_context(path);
  return state;
}

Status write_model_folder_state(const std::string& folder, const ModelFolderState& state) {
  const std::string text = format_model_folder_state(state);
  return write_file_atomically(model_state_path(folder), std::as_bytes(std::span(text)));
}

Result<std::uint64_t> model_file_bytes(std::span<const std::byte> header) {
  if (header.size() > kMaxModelHeaderBytes) return corrupt("the header is too long");
  return checked_model_file_bytes(header);
}

Status store_model_header(const std::string& folder, const ModelIdentity& model,
                          std::span<const std::byte> header) {
  CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest found, sha256(header));
  if (found != model) return corrupt("the header has another SHA-256 than it should have");
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t file_bytes, model_file_bytes(header));
  const auto preamble = encode_model_preamble(
      {.header_bytes = header.size(), .file_bytes = file_bytes, .header_sha256 = model});
  CLEAVE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(model_header_path(folder, model)));
  CLEAVE_RETURN_IF_ERROR(file.write_at(preamble, 0));
  CLEAVE_RETURN_IF_ERROR(file.write_at(header, preamble.size()));
  return file.commit();
}

Sha256Digest segment_sha256(const fbs::Segment& segment) {
  Sha256Digest digest;
  std::ranges::copy(*segment.sha256(), digest.begin());
  return digest;
}

Result<Sha256Digest> parse_sha256(std::string_view hex) {
  const auto failed = [] {
    return Status(StatusCode::kInvalidArgument, "not a SHA-256: 64 hexadecimal digits are wanted");
  };
  Sha256Digest digest;
  if (hex.size() != 2 * digest.size()) return failed();
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* const begin = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, digest[i], 16);
    if (error != std::errc() || end != begin + 2) return failed();
  }
  return digest;
}

Result<std::uint64_t> model_folder_bytes(const std::string& folder) {
  std::error_code error;
  std::uint64_t bytes = 0;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;  // another process may have removed it meanwhile
    const std::uintmax_t size = entry->file_size(gone);
    if (!gone) bytes += size;
  }
  if (!error) return bytes;
  const bool missing = error == std::errc::no_such_file_or_directory;
  return Status(missing ? StatusCode::kNotFound : StatusCode::kIo, folder + ": " + error.message());
}

std::uint64_t unneeded_model_bytes(const std::string& folder, const ModelFolderState& state,
                                   std::span<const ModelIdentity> also_kept) {
  std::uint64_t bytes = 0;
  for (const std::filesystem::path& path : unneeded_files(folder, state, also_kept)) {
    std::error_code unknown;
    const std::uintmax_t size = std::filesystem::file_size(path, unknown);
    if (!unknown) bytes += size;
  }
  return bytes;
}

std::uint64_t prune_model_folder(const std::string& folder, const ModelFolderState& state,
                                 std::span<const ModelIdentity> also_kept) {
  std::uint64_t removed = 0;
  for (const std::filesystem::path& path : unneeded_files(folder, state, also_kept)) {
    std::error_code ignored;
    const std::uintmax_t bytes = std::filesystem::file_size(path, ignored);
    const bool known = !ignored;
    if (std::filesystem::remove(path, ignored) && known) removed += bytes;
  }
  return removed;
}

}  // namespace cleave
