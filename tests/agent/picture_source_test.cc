// SPDX-License-Identifier: Apache-2.0
#include "agent/picture_source.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace cleave::agent {

TEST_CASE("files as given, folders by extension in name order") {
  const test::TemporaryFolder folder;
  for (const char* name : {"b.JPG", "a.png", "c.txt", "d.jpeg", "z.dat"}) {
    std::ofstream(folder / name) << "x";
  }
  std::filesystem::create_directory(folder / "sub.png");
  const std::vector<std::string> arguments{folder / "z.dat", folder.path().string()};
  const auto pictures = list_pictures(arguments);
  REQUIRE(pictures.is_ok());
  CHECK(*pictures == std::vector<std::string>{folder / "z.dat", folder / "a.png", folder / "b.JPG",
                                              folder / "d.jpeg"});
}

TEST_CASE("what is not there is named") {
  const test::TemporaryFolder folder;
  const std::vector<std::string> missing{folder / "none.jpg"};
  CHECK(list_pictures(missing).status().code() == StatusCode::kNotFound);
  const std::vector<std::string> empty{folder.path().string()};
  const Status status = list_pictures(empty).status();
  CHECK(status.code() == StatusCode::kNotFound);
  CHECK(status.message().find(folder.path().string()) != std::string::npos);
}

}  // namespace cleave::agent
