// SPDX-License-Identifier: Apache-2.0
#include "agent/picture_source.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <string_view>

namespace cleave::agent {
namespace {

namespace fs = std::filesystem;

bool has_picture_extension(const fs::path& path) {
  static constexpr std::array<std::string_view, 3> kExtensions{".jpg", ".jpeg", ".png"};
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

Status append_folder(const std::string& folder, std::vector<std::string>& pictures) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && has_picture_extension(entry->path())) {
      found.push_back(entry->path().string());
    }
  }
  if (error) return {StatusCode::kIo, folder + ": " + error.message()};
  if (found.empty()) return {StatusCode::kNotFound, folder + ": no .jpg, .jpeg or .png file in it"};
  std::ranges::sort(found);
  pictures.insert(pictures.end(), found.begin(), found.end());
  return Status::ok();
}

}  // namespace

Result<std::vector<std::string>> list_pictures(std::span<const std::string> arguments) {
  std::vector<std::string> pictures;
  for (const std::string& argument : arguments) {
    std::error_code error;
    const fs::file_status status = fs::status(argument, error);
    if (!fs::exists(status)) {
      return Status(StatusCode::kNotFound, argument + ": no such file or folder");
    }
    if (fs::is_directory(status)) {
      CLEAVE_RETURN_IF_ERROR(append_folder(argument, pictures));
    } else if (fs::is_regular_file(status)) {
      pictures.push_back(argument);
    } else {
      return Status(StatusCode::kUnsupported, argument + ": not a regular file");
    }
  }
  return pictures;
}

Result<std::vector<std::byte>> read_picture_within(const std::string& path, PictureLimits limits,
                                                   std::uint64_t room_bytes) {
  const bool room_bounds = room_bytes < limits.max_file_bytes;
  if (room_bounds) limits.max_file_bytes = room_bytes;
  auto file = read_picture_file(path, limits);
  if (file.status().code() != StatusCode::kOutOfRange || !room_bounds) return file;
  return Status(StatusCode::kResourceExhausted,
                file.status().message() + ", which is all that the RAM cap leaves");
}

}  // namespace cleave::agent
