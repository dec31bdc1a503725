// SPDX-License-Identifier: Apache-2.0
#include "schemas/text_check.h"

#include <doctest/doctest.h>

#include <string>

namespace cleave {
namespace {

TEST_CASE("UTF-8 of every length is a text") {
  for (const char* text : {"", "plain", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x8c\xb2",
                           "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xc2\xa0"}) {
    CAPTURE(text);
    CHECK(check_text(text, 100).is_ok());
    CHECK(clean_text(text, 100) == text);
  }
}

TEST_CASE("malformed UTF-8 is refused and cleaned") {
  struct Case {
    const char* text;
    const char* clean;
  };
  for (const Case& c :
       {Case{"a\x80", "a?"}, Case{"\xc3", "?"}, Case{"\xc0\xaf", "??"}, Case{"\xe0\x80\xaf", "???"},
        Case{"\xed\xa0\x80", "???"}, Case{"\xf4\x90\x80\x80", "????"}, Case{"\xff", "?"},
        Case{"\xe2\x82", "??"}, Case{"\xc3z", "?z"}}) {
    CHECK(check_text(c.text, 100).message() == "text is not UTF-8");
    CHECK(clean_text(c.text, 100) == c.clean);
  }
}

TEST_CASE("control characters are refused, those of C1 too") {
  for (const char* text : {"\x1b[2J", "a\nb", "\t", "\x7f", "\xc2\x9b", "\r"}) {
    CHECK(check_text(text, 100).message() == "text has a control character");
    CHECK(check_text(clean_text(text, 100), 100).is_ok());
  }
  CHECK(check_text(std::string_view("\0", 1), 100).message() == "text has a control character");
  CHECK(check_text("a\n\tb", 100, TextLines::kMany).is_ok());
  CHECK_FALSE(check_text("a\r\nb", 100, TextLines::kMany).is_ok());
}

TEST_CASE("a text over the cap is refused, and cut between characters") {
  CHECK(check_text("abcd", 4).is_ok());
  CHECK_FALSE(check_text("abcde", 4).is_ok());
  CHECK(clean_text("abcde", 4) == "abcd");
  CHECK(clean_text("abc\xc3\xbc", 4) == "abc");
  CHECK(clean_text("ab\xc3\xbc", 4) == "ab\xc3\xbc");
}

}  // namespace
}  // namespace cleave
