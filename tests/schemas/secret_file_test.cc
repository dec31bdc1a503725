// SPDX-License-Identifier: Apache-2.0
#include "schemas/secret_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

std::string write(const TemporaryFolder& folder, const std::string& content, mode_t mode) {
  const std::string path = folder / "secret";
  std::ofstream(path, std::ios::binary) << content;
  REQUIRE(chmod(path.c_str(), mode) == 0);
  return path;
}

const std::string kToken(kMinTokenBytes, 'x');

}  // namespace

TEST_CASE("a secret is read when its owner alone, or a group too, may read it") {
  for (const mode_t mode : {0600, 0400, 0640, 0440}) {
    CAPTURE(mode);
    const TemporaryFolder folder;
    const auto bytes = read_secret_file(write(folder, "abc", mode), 3);
    REQUIRE_MESSAGE(bytes.is_ok(), bytes.status().message());
    CHECK(bytes->size() == 3);
  }
}

TEST_CASE("a secret that others may read or change is refused, and how to mend it is said") {
  for (const mode_t mode : {0644, 0604, 0620, 0602, 0660, 0601, 0777}) {
    CAPTURE(mode);
    const TemporaryFolder folder;
    const std::string path = write(folder, "the secret", mode);
    const Status status = read_secret_file(path, 100).status();
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(status.message().find(path + ": ") == 0);
    CHECK(status.message().find("chmod 600") != std::string::npos);
    CHECK(status.message().find("the secret") == std::string::npos);
  }
}

TEST_CASE("what is no file of a proper size is no secret") {
  const TemporaryFolder folder;
  CHECK(read_secret_file(folder / "nothing", 9).status().code() == StatusCode::kNotFound);
  CHECK(read_secret_file(folder.path().string(), 9).status().code() ==
        StatusCode::kInvalidArgument);
  const std::string path = write(folder, "0123456789", 0600);
  CHECK(read_secret_file(path, 10).is_ok());
  CHECK(read_secret_file(path, 9).status().code() == StatusCode::kInvalidArgument);
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(read_secret_file(pipe, 9).status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("a token file holds one token") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return read_token_file(write(folder, content, 0600));
  };
  CHECK(*read(kToken) == kToken);
  CHECK(*read(kToken + "\n") == kToken);
  CHECK(*read(std::string(kMaxTokenBytes, '~') + "\n") == std::string(kMaxTokenBytes, '~'));
  for (const std::string& content :
       {std::string(), std::string("\n"), kToken.substr(1), kToken + "\n\n", kToken + " x",
        kToken + "\n" + kToken, kToken + "\r\n", " " + kToken, kToken + "\x7f",
        kToken + std::string(1, '\0'), std::string(kMaxTokenBytes + 1, 'x')}) {
    CAPTURE(content);
    const Status status = read(content).status();
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(status.message().find(kToken.substr(1)) == std::string::npos);
  }
}

TEST_CASE("comparison in constant time compares") {
  const std::vector<std::uint8_t> one{1, 2, 3}, same{1, 2, 3}, last{1, 2, 4}, longer{1, 2, 3, 4};
  CHECK(equal_in_constant_time(one, same));
  CHECK_FALSE(equal_in_constant_time(one, last));
  CHECK_FALSE(equal_in_constant_time(one, longer));
  CHECK(equal_in_constant_time({}, {}));
}

}  // namespace cleave::test
