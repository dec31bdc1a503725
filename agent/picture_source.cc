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

}  // namespace cleave::agent
