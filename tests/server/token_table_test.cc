// SPDX-License-Identifier: Apache-2.0
#include "server/token_table.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "server/peer_trust.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

using server::PeerTrust;
using server::TokenTable;

std::string line(std::string_view token, std::string_view device) {
  return to_hex(*server::token_hash(token)) + " " + std::string(device) + "\n";
}

}  // namespace

TEST_CASE("a device is admitted by its own tokens and by no other") {
  const auto table = TokenTable::parse("# fleet\n\n" + line("t1", "gate 2") + line("t2", "gate 2") +
                                       line("t3", "gate 2 b") + line("t4", "last"));
  REQUIRE_MESSAGE(table.is_ok(), table.status().message());
  CHECK(table->size() == 4);
  CHECK(table->admits("gate 2", "t1"));
  CHECK(table->admits("gate 2", "t2"));
  CHECK(table->admits("gate 2 b", "t3"));
  CHECK(table->admits("last", "t4"));
  CHECK_FALSE(table->admits("gate 2", "t3"));
  CHECK_FALSE(table->admits("gate 2 b", "t1"));
  CHECK_FALSE(table->admits("gate", "t1"));
  CHECK_FALSE(table->admits("gate 2", ""));
  CHECK_FALSE(table->admits("gate 2", "T1"));
  // The hash is no token.
  CHECK_FALSE(table->admits("gate 2", to_hex(*server::token_hash("t1"))));
}

TEST_CASE("a table without a newline at its end, and an empty one, are tables") {
  const std::string text = line("t", "d");
  CHECK(TokenTable::parse(text.substr(0, text.size() - 1))->admits("d", "t"));
  CHECK(TokenTable::parse("")->size() == 0);
  CHECK(TokenTable::parse("#\n")->size() == 0);
}

TEST_CASE("a line that is no line is named by its number, and not repeated") {
  const std::string good = line("t", "d");
  std::string upper = good, no_hex = good, no_space = good;
  upper[std::size_t{63}] = 'A';
  no_hex[0] = 'g';
  no_space[64] = '\t';
  const std::string hash = good.substr(0, 64);
  for (const std::string& bad : {upper, no_hex, no_space, hash + "\n", hash + " \n",
                                 hash.substr(1) + " d\n", hash + " d\r\n", hash + " \xff\n",
                                 hash + " a\x01\n", hash + " " + std::string(1025, 'x') + "\n"}) {
    CAPTURE(bad);
    const Status status = TokenTable::parse(good + bad).status();
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(status.message().find("line 2: ") == 0);
    CHECK(status.message().find(hash.substr(1, 8)) == std::string::npos);
  }
}

TEST_CASE("a table is a secret file") {
  const TemporaryFolder folder;
  const std::string path = folder / "tokens";
  std::ofstream(path) << line("t", "d");
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  CHECK(TokenTable::read(path).status().code() == StatusCode::kInvalidArgument);
  REQUIRE(chmod(path.c_str(), 0600) == 0);
  CHECK(TokenTable::read(path)->admits("d", "t"));
}

TEST_CASE("who is believed: by certificate, by token, or where nothing is demanded") {
  const auto tokens = std::make_shared<const TokenTable>(*TokenTable::parse(line("t", "d")));
  const auto none = std::shared_ptr<const TokenTable>();
  CHECK(PeerTrust{false, "", none}.refuse("anybody", "") == "");
  CHECK(PeerTrust{true, "d", none}.refuse("d", "") == "");
  CHECK(PeerTrust{true, "d", tokens}.refuse("d", "") == "");
  CHECK(PeerTrust{true, "", tokens}.refuse("d", "t") == "");
  CHECK(PeerTrust{true, "d", none}.refuse("e", "") != "");
  // A certificate of another is not made good by a token.
  CHECK(PeerTrust{true, "e", tokens}.refuse("d", "t") != "");
  CHECK(PeerTrust{true, "", none}.refuse("d", "t") == "this server demands a certificate");
  CHECK(PeerTrust{true, "", tokens}.refuse("d", "") == "this server demands a token");
  // An unknown device and a wrong token are told the same.
  CHECK(PeerTrust{true, "", tokens}.refuse("d", "u") ==
        PeerTrust{true, "", tokens}.refuse("e", "t"));
  CHECK(PeerTrust{true, "", tokens}.refuse("d", "u") != "");
}

}  // namespace cleave::test
