// SPDX-License-Identifier: Apache-2.0
#include "schemas/atomic_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(const Result<std::vector<std::byte>>& bytes) {
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_CASE("a file is replaced whole, and nothing is left beside it") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "state";
  REQUIRE(write_file_atomically(path, bytes_of("first and longer")).is_ok());
  REQUIRE(write_file_atomically(path, bytes_of("second")).is_ok());
  CHECK(text_of(read_file(path, 100)) == "second");
  REQUIRE(write_file_atomically(path, {}).is_ok());
  CHECK(read_file(path, 100)->empty());
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("what cannot be written is said with its path, and the old content stays") {
  const test::TemporaryFolder folder;
  const std::string missing = folder / "no/such/file";
  const Status status = write_file_atomically(missing, bytes_of("x"));
  CHECK(status.code() == StatusCode::kNotFound);
  CHECK(status.message().find(missing) == 0);
  // A folder cannot be renamed over: the write gets as far as it can and cleans up.
  fs::create_directories(folder / "taken/inside");
  CHECK(write_file_atomically(folder / "taken", bytes_of("x")).code() == StatusCode::kIo);
  CHECK(fs::is_directory(folder / "taken/inside"));
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a symbolic link stays a link, and what is no regular file stays what it is") {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "real");
  REQUIRE(write_file_atomically(folder / "real/file", bytes_of("old")).is_ok());
  fs::create_symlink("real/file", folder / "link");
  REQUIRE(write_file_atomically(folder / "link", bytes_of("new")).is_ok());
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(std::ranges::equal(*read_file(folder / "real/file", 100), bytes_of("new")));
  CHECK(entries(folder / "real") == 1);
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK_FALSE(write_file_atomically(folder / "dangling", bytes_of("x")).is_ok());
  CHECK(fs::is_symlink(folder / "dangling"));
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("pipe", folder / "to_pipe");
  for (const char* name : {"pipe", "to_pipe"}) {
    CAPTURE(name);
    const Status status = write_file_atomically(folder / name, bytes_of("x"));
    CHECK(status.code() == StatusCode::kIo);
    CHECK(status.message().find("no regular file") != std::string::npos);
  }
  CHECK(fs::is_fifo(pipe));
  CHECK(entries(folder.path()) == 5);
}

TEST_CASE("a file that is not committed leaves nothing") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "half";
  {
    auto file = AtomicFile::create(path);
    REQUIRE(file.is_ok());
    REQUIRE(file->write_at(bytes_of("half of it"), 0).is_ok());
    CHECK(!fs::exists(path));
    CHECK(entries(folder.path()) == 1);
  }
  CHECK(entries(folder.path()) == 0);
}

TEST_CASE("parts are written in any order, and moved files are committed once") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "parts";
  auto file = AtomicFile::create(path);
  REQUIRE(file.is_ok());
  AtomicFile moved = std::move(file).value();
  REQUIRE(moved.write_at(bytes_of("world"), 6).is_ok());
  REQUIRE(moved.write_at(bytes_of("hello "), 0).is_ok());
  REQUIRE(moved.commit().is_ok());
  CHECK(text_of(read_file(path, 100)) == "hello world");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a file can be private, and take its name without waiting for the disk") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "private";
  REQUIRE(write_file_atomically(path, bytes_of("old")).is_ok());
  auto file = AtomicFile::create(path, 0600);
  REQUIRE(file.is_ok());
  REQUIRE(file->write_at(bytes_of("new"), 0).is_ok());
  CHECK(text_of(read_file(path, 100)) == "old");
  REQUIRE(file->commit_unsynced().is_ok());
  CHECK(text_of(read_file(path, 100)) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("reading names what is wrong") {
  const test::TemporaryFolder folder;
  CHECK(read_file(folder / "nothing", 10).status().code() == StatusCode::kNotFound);
  CHECK(read_file(folder.path().string(), 10).status().code() == StatusCode::kCorrupt);
  REQUIRE(write_file_atomically(folder / "eleven", bytes_of("12345678901")).is_ok());
  CHECK(read_file(folder / "eleven", 10).status().code() == StatusCode::kOutOfRange);
  CHECK(read_file(folder / "eleven", 11)->size() == 11);
}

}  // namespace
}  // namespace cleave
