// SPDX-License-Identifier: Apache-2.0
//
// The photos of ../shared/data, when they are there.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tests/engine/image/test_pictures.h"
#include "tests/support/shared_data.h"

namespace cleave::test {
namespace {

std::vector<std::filesystem::path> pictures_under(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".png" || extension == ".jpg") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One hash over every pixel of every picture, in the order of their names.
std::uint64_t hash_of_all(const std::vector<std::filesystem::path>& files, std::uint32_t side) {
  Pixels hashes;
  for (const auto& path : files) {
    CAPTURE(path.string());
    const auto file = read_picture_file(path.string(), {});
    REQUIRE(file.is_ok());
    const auto pixels = decode(*file, side, side);
    REQUIRE(pixels.is_ok());
    const std::uint64_t hash = fnv1a(*pixels);
    for (int shift = 0; shift < 64; shift += 8) {
      hashes.push_back(static_cast<std::uint8_t>(hash >> shift));
    }
  }
  return fnv1a(hashes);
}

// The hashes are of Pillow 9.4.0: Image.open(f).convert("RGB").resize((side, side), BILINEAR).
TEST_CASE("the photos of ../shared/data are the pixels that Pillow gives") {
  const auto data = shared_data();
  if (!data) return;
  struct Set {
    const char* folder;
    std::size_t count;
    std::uint32_t side;
    std::uint64_t hash;
  };
  for (const Set& set : {
           Set{"imagenet", 150, 224, 0x6db1f112f3ae5585u},
           Set{"imagenet", 150, 227, 0x49e85426ba20214du},
           Set{"trashnet", 48, 224, 0x510265dd3d73bb20u},
           Set{"cifar10", 100, 32, 0xcf7ed3bd4f1583feu},
       }) {
    CAPTURE(set.folder);
    const auto files = pictures_under(*data / "images" / set.folder);
    REQUIRE(files.size() == set.count);
    CHECK(hash_of_all(files, set.side) == set.hash);
    std::printf("%zu pictures of %s at %u x %u: equal to Pillow's\n", files.size(), set.folder,
                set.side, set.side);
  }
}

}  // namespace
}  // namespace cleave::test
