// SPDX-License-Identifier: Apache-2.0
//
// The files of the weight cache: what is written is found, and nothing else is.
#include "engine/weight_cache_folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "engine/memory/weight_cache_entry.h"
#include "schemas/atomic_file.h"
#include "tests/support/temporary_folder.h"

namespace cleave {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

constexpr WeightCacheKey kKey{1, 2, 3};
constexpr WeightCacheKey kOther{4, 5, 6};

Bytes payload(std::size_t bytes, unsigned seed = 1) {
  Bytes made(bytes);
  std::uint32_t state = seed;
  for (std::byte& value : made) {
    state = state * 1664525 + 1013904223;
    value = static_cast<std::byte>(state >> 24);
  }
  return made;
}

Bytes copy_of(const std::optional<MappedWeights>& found) {
  return found ? Bytes(found->payload().begin(), found->payload().end()) : Bytes();
}

struct Cache {
  test::TemporaryFolder home;
  std::string path = home / "cache";
  std::shared_ptr<WeightCacheFolder> folder = open();

  [[nodiscard]] std::shared_ptr<WeightCacheFolder> open(std::uint64_t limit = 1 << 20) const {
    auto opened = WeightCacheFolder::open({.path = path, .limit_bytes = limit});
    REQUIRE_MESSAGE(opened.is_ok(), opened.status().message());
    return *opened;
  }
  [[nodiscard]] std::string file(const WeightCacheKey& key = kKey) const {
    return path + "/" + to_hex(key) + ".packed";
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  // That the file is refused, and that packing again puts it right.
  void check_refused(const Bytes& whole) const {
    const auto reader = open();
    CHECK_FALSE(reader->find(kKey).has_value());
    CHECK(reader->stats().refused == 1);
    CHECK(reader->stats().mapped == 0);
    CHECK(copy_of(reader->store(kKey, whole)) == whole);
    CHECK(copy_of(open()->find(kKey)) == whole);
  }
};

// In a process of its own, which ends with what `work` gives.
int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("the hash is the one that is written down") {
  // From another implementation of the same definition.
  CHECK(hash_payload({}) == 0xfa4c55b2c320565c);
  CHECK(hash_payload(Bytes(64)) == 0xd5cbdf34d6a807b7);
  Bytes counting(200);
  for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<std::byte>(i);
  CHECK(hash_payload(counting) == 0x56edca2b712593fe);
}

TEST_CASE("the hash notices every bit, a length, and words that trade places") {
  Bytes bytes = payload(1000);
  const std::uint64_t whole = hash_payload(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    CHECK(hash_payload(bytes) != whole);
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
  }
  CHECK(hash_payload(Bytes(100)) != hash_payload(Bytes(101)));
  // Sign bits of two numbers in one lane: a product with an odd number alone would not see them.
  bytes[7] ^= std::byte{0x80};
  bytes[7 + 64] ^= std::byte{0x80};
  CHECK(hash_payload(bytes) != whole);
  bytes = payload(1000);
  std::swap_ranges(bytes.begin(), bytes.begin() + 64, bytes.begin() + 64);
  CHECK(hash_payload(bytes) != whole);
}

TEST_CASE("the file of version 1 is found, and still written so") {
  WeightCacheKey key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  Bytes expected(200);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expected[i] = static_cast<std::byte>((i * 7 + 3) % 256);
  }
  const auto golden = read_file("tests/golden/weight_cache_v1/" + to_hex(key) + ".packed", 1 << 16);
  REQUIRE_MESSAGE(golden.is_ok(), golden.status().message());
  const auto checked = check_weight_cache_file(*golden, key, true);
  REQUIRE_MESSAGE(checked.is_ok(), checked.status().message());
  CHECK(Bytes(checked->begin(), checked->end()) == expected);
  const Cache cache;
  REQUIRE(cache.folder->store(key, expected).has_value());
  CHECK(*read_file(cache.file(key), 1 << 16) == *golden);
}

TEST_CASE("what is stored is found, aligned to a page, with room to read behind it") {
  const Cache cache;
  for (const std::size_t bytes : {1, 63, 4096, 100'000}) {
    CAPTURE(bytes);
    const Bytes whole = payload(bytes);
    CHECK(copy_of(cache.folder->store(kKey, whole)) == whole);
    const auto found = cache.open()->find(kKey);
    REQUIRE(found.has_value());
    CHECK(copy_of(found) == whole);
    CHECK(reinterpret_cast<std::uintptr_t>(found->payload().data()) % 4096 == 0);
    const std::byte zeros[128] = {};
    CHECK(std::memcmp(found->payload().data() + bytes, zeros, sizeof(zeros)) == 0);
    CHECK(cache.folder->usage().bytes == weight_cache_file_bytes(bytes));
  }
  CHECK(cache.entries() == 1);
  CHECK_FALSE(cache.folder->find(kOther).has_value());
  CHECK(cache.folder->stats().refused == 0);
  struct stat info {};
  REQUIRE(::stat(cache.file().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a file that is torn or too long is refused and replaced") {
  const Cache cache;
  const Bytes whole = payload(10'000);
  const std::uintmax_t bytes = weight_cache_file_bytes(whole.size());
  for (const std::uintmax_t length :
       {std::uintmax_t{0}, std::uintmax_t{1}, std::uintmax_t{71}, std::uintmax_t{4095},
        std::uintmax_t{4096}, std::uintmax_t{4097}, std::uintmax_t{8192}, bytes - 129, bytes - 128,
        bytes - 1, bytes + 1, bytes + 4096}) {
    CAPTURE(length);
    REQUIRE(cache.folder->store(kKey, whole).has_value());
    fs::resize_file(cache.file(), length);
    cache.check_refused(whole);
  }
}

TEST_CASE("a file with a changed bit, or zeros for a page, is refused and replaced") {
  const Cache cache;
  const Bytes whole = payload(10'000);
  const auto spoil = [&](std::size_t at, const Bytes& with) {
    CAPTURE(at);
    REQUIRE(cache.folder->store(kKey, whole).has_value());
    const int file = ::open(cache.file().c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(::pwrite(file, with.data(), with.size(), static_cast<off_t>(at)) ==
            static_cast<ssize_t>(with.size()));
    ::close(file);
    cache.check_refused(whole);
  };
  const Bytes file = [&] {
    REQUIRE(cache.folder->store(kKey, whole).has_value());
    return *read_file(cache.file(), 1 << 20);
  }();
  for (const std::size_t at : {0UL, 7UL, 8UL, 12UL, 16UL, 23UL, 24UL, 31UL, 32UL, 63UL, 64UL, 71UL,
                               4096UL, 9000UL, 14'095UL}) {
    for (const unsigned bit : {0U, 7U}) spoil(at, {file[at] ^ static_cast<std::byte>(1 << bit)});
  }
  spoil(8192, Bytes(4096));  // what a loss of power leaves of pages that were not written
  spoil(0, Bytes(4096));
}

TEST_CASE("a file of another key is refused under this one") {
  const Cache cache;
  const Bytes whole = payload(5000);
  REQUIRE(cache.folder->store(kOther, payload(5000, 2)).has_value());
  fs::copy_file(cache.file(kOther), cache.file());
  cache.check_refused(whole);
}

TEST_CASE("links, pipes and folders in a file's place are not followed") {
  const Cache cache;
  REQUIRE(cache.folder->store(kOther, payload(5000)).has_value());
  fs::create_symlink(cache.file(kOther), cache.file());
  CHECK_FALSE(cache.folder->find(kKey).has_value());
  fs::remove(cache.file());
  REQUIRE(::mkfifo(cache.file().c_str(), 0600) == 0);
  CHECK_FALSE(cache.folder->find(kKey).has_value());
  CHECK(cache.folder->stats().refused == 2);
  fs::remove(cache.file());
  fs::create_directory(cache.file());
  CHECK_FALSE(cache.folder->find(kKey).has_value());
  CHECK_FALSE(cache.folder->store(kKey, payload(10)).has_value());
  CHECK(cache.folder->status().code() == StatusCode::kIo);
}

TEST_CASE("what others may have written is not used") {
  const Cache cache;
  const Bytes whole = payload(5000);
  for (const mode_t mode : {0620U, 0602U}) {
    REQUIRE(cache.folder->store(kKey, whole).has_value());
    REQUIRE(::chmod(cache.file().c_str(), mode) == 0);
    cache.check_refused(whole);
  }
  for (const mode_t mode : {0770U, 0707U, 01777U}) {
    REQUIRE(::chmod(cache.path.c_str(), mode) == 0);
    const auto opened = WeightCacheFolder::open({.path = cache.path});
    CHECK(opened.status().code() == StatusCode::kInvalidArgument);
    CHECK(opened.status().message().find(cache.path + ": others may write") == 0);
  }
  REQUIRE(::chmod(cache.path.c_str(), 0755) == 0);
  if (::geteuid() != 0) {
    // Somebody else's folder that is there on every machine.
    CHECK(WeightCacheFolder::open({.path = "/"}).status().code() == StatusCode::kInvalidArgument);
    return;
  }
  REQUIRE(::chown(cache.file().c_str(), 1, 1) == 0);
  cache.check_refused(whole);
  REQUIRE(::chown(cache.path.c_str(), 1, 1) == 0);
  const auto opened = WeightCacheFolder::open({.path = cache.path});
  CHECK(opened.status().code() == StatusCode::kInvalidArgument);
  CHECK(opened.status().message().find("another user") != std::string::npos);
}

TEST_CASE("a folder that cannot be made is an error with its path") {
  const test::TemporaryFolder home;
  REQUIRE(write_file_atomically(home / "file", {}).is_ok());
  const auto opened = WeightCacheFolder::open({.path = home / "file/cache"});
  CHECK(opened.status().code() == StatusCode::kIo);
  CHECK(opened.status().message().find(home / "file/cache") == 0);
  CHECK(WeightCacheFolder::open({.path = home / "file"}).status().code() == StatusCode::kIo);
  REQUIRE(WeightCacheFolder::open({.path = home / "a/b/c"}).is_ok());
  CHECK((fs::status(home / "a/b").permissions() & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("writers at the same time, in threads and processes, never leave a mixture") {
  const Cache cache;
  const Bytes one = payload(300'000, 1), two = payload(300'000, 2);
  const auto write = [&](const Bytes& mine) {
    const auto folder = cache.open();
    for (int i = 0; i < 20; ++i) {
      if (!folder->store(kKey, mine)) return 1;
    }
    return 0;
  };
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(write(one));
  int found = 0;
  {
    const std::jthread first([&] { CHECK(write(one) == 0); });
    const std::jthread second([&] { CHECK(write(two) == 0); });
    for (int i = 0; i < 50; ++i) {
      const auto folder = cache.open();
      const Bytes bytes = copy_of(folder->find(kKey));
      CHECK(folder->stats().refused == 0);
      if (bytes.empty()) continue;
      ++found;
      CHECK((bytes == one || bytes == two));
    }
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(copy_of(cache.open()->find(kKey)).size() == one.size());
  CHECK(cache.entries() == 1);
}

TEST_CASE("a full disk means no file, a status, and nothing left behind") {
  const Cache cache;
  const int code = in_child([&] {
    const rlimit limit{.rlim_cur = 20'000, .rlim_max = 20'000};
    ::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    if (cache.folder->store(kKey, payload(50'000))) return 3;
    if (cache.folder->status().code() != StatusCode::kIo) return 4;
    if (cache.folder->stats().stored != 0) return 5;
    return cache.folder->store(kOther, payload(1000)) ? 0 : 6;
  });
  CHECK(code == 0);
  CHECK(cache.entries() == 1);
  CHECK_FALSE(cache.open()->find(kKey).has_value());
  CHECK(cache.open()->find(kOther).has_value());
}

TEST_CASE("a writer that is killed leaves nothing that is used") {
  const Cache cache;
  const Bytes whole = payload(900'000);
  bool left_half = false;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;) {
        if (!cache.folder->store(kKey, whole)) ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 700 * round));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    const auto reader = cache.open();
    const Bytes found = copy_of(reader->find(kKey));
    CHECK(reader->stats().refused == 0);
    CHECK((found.empty() || found == whole));
    for (const auto& entry : fs::directory_iterator(cache.path)) {
      if (entry.path().string().find(".tmp-") == std::string::npos) continue;
      left_half = true;
      // Fresh ones may be somebody's who is still writing; those that are old go.
      const timespec times[2] = {{.tv_sec = 1'000'000, .tv_nsec = 0},
                                 {.tv_sec = 1'000'000, .tv_nsec = 0}};
      REQUIRE(::utimensat(AT_FDCWD, entry.path().c_str(), times, 0) == 0);
    }
  }
  CHECK(left_half);
  CHECK(copy_of(cache.open(4 << 20)->store(kKey, whole)) == whole);
  CHECK(cache.entries() == 1);
}

TEST_CASE("over the limit goes what was not used for longest, but nothing of this process") {
  const Cache cache;
  const std::uint64_t each = weight_cache_file_bytes(1000);
  const auto key = [](std::uint8_t number) { return WeightCacheKey{number}; };
  for (std::uint8_t i = 0; i < 4; ++i) {
    REQUIRE(cache.folder->store(key(i), payload(1000, i)).has_value());
    const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                               {.tv_sec = 1'000'000 + i, .tv_nsec = 0}};
    REQUIRE(::utimensat(AT_FDCWD, cache.file(key(i)).c_str(), times, 0) == 0);
  }
  const auto folder = cache.open(4 * each);
  REQUIRE(folder->find(key(0)).has_value());  // the oldest, now used
  REQUIRE(folder->store(key(4), payload(1000)).has_value());
  CHECK(folder->usage().bytes == 4 * each);
  CHECK_FALSE(fs::exists(cache.file(key(1))));
  CHECK(fs::exists(cache.file(key(0))));
  REQUIRE(folder->store(key(5), payload(1000)).has_value());
  REQUIRE(folder->store(key(6), payload(1000)).has_value());
  CHECK_FALSE(fs::exists(cache.file(key(2))));
  CHECK_FALSE(fs::exists(cache.file(key(3))));
  CHECK(folder->status().is_ok());
  // All four are this process's now.
  CHECK_FALSE(folder->store(key(7), payload(1000)).has_value());
  CHECK(folder->status().code() == StatusCode::kResourceExhausted);
  CHECK(folder->usage().files == 4);
  CHECK(folder->find(key(0)).has_value());
}

TEST_CASE("what is mapped stays when its file is replaced or removed") {
  const Cache cache;
  const Bytes whole = payload(20'000);
  REQUIRE(cache.folder->store(kKey, whole).has_value());
  const auto mapped = cache.open()->find(kKey);
  REQUIRE(cache.folder->store(kKey, payload(500)).has_value());
  CHECK(copy_of(mapped) == whole);
  fs::remove(cache.file());
  CHECK(copy_of(mapped) == whole);
}

TEST_CASE("the default folder is the user's own, or there is none") {
  const auto with = [](const char* cache, const char* home) {
    const auto set = [](const char* name, const char* value) {
      value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
    };
    set("XDG_CACHE_HOME", cache);
    set("HOME", home);
    return default_weight_cache_path();
  };
  // In a child: the environment is the process's.
  CHECK(in_child([&] {
          if (with("/x", "/h/a") != "/x/cleave/weights") return 1;
          if (with("", "/h/a") != "/h/a/.cache/cleave/weights") return 2;
          if (with("relative", "/h/a") != "/h/a/.cache/cleave/weights") return 3;
          if (with(nullptr, "/h/a") != "/h/a/.cache/cleave/weights") return 4;
          return with(nullptr, nullptr).has_value() || with(nullptr, "").has_value() ? 5 : 0;
        }) == 0);
}

}  // namespace cleave
