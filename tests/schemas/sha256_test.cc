// SPDX-License-Identifier: Apache-2.0
//
// Expected digests: the examples of FIPS 180-2, appendix B, and of NIST's CAVP for the empty
// message.
#include "schemas/sha256.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace cleave {
namespace {

std::span<const std::byte> text_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string hex_of(std::string_view text) { return to_hex(*sha256(text_bytes(text))); }

TEST_CASE("SHA-256 gives the digests of the standard") {
  CHECK(hex_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("a stream gives the digest of its bytes, however it is divided") {
  const std::string million(1'000'000, 'a');
  for (const std::size_t piece : {std::size_t{1}, std::size_t{63}, std::size_t{4096}}) {
    Sha256 hash;
    for (std::size_t at = 0; at < million.size(); at += piece) {
      hash.update(text_bytes(std::string_view(million).substr(at, piece)));
    }
    CHECK(to_hex(*hash.finish()) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST_CASE("finish starts anew, and a hash can be moved") {
  Sha256 hash;
  hash.update(text_bytes("a"));
  Sha256 moved = std::move(hash);
  moved.update(text_bytes("bc"));
  CHECK(*moved.finish() == *sha256(text_bytes("abc")));
  CHECK(*moved.finish() == *sha256({}));
}

}  // namespace
}  // namespace cleave
