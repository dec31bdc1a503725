// SPDX-License-Identifier: Apache-2.0
#include "schemas/status.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "schemas/exit_code.h"

namespace cleave {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return Status(StatusCode::kInvalidArgument, "odd");
  return value / 2;
}

Result<int> quarter(int value) {
  CLEAVE_ASSIGN_OR_RETURN(const int once, half(value));
  CLEAVE_ASSIGN_OR_RETURN(const int twice, half(once));
  return twice;
}

Status check_even(int value) {
  CLEAVE_RETURN_IF_ERROR(half(value).status());
  return Status::ok();
}

TEST_CASE("context is put before the message, and an ok status stays ok") {
  const Status status = Status(StatusCode::kIo, "disk full").with_context("model.cleave");
  CHECK(status.code() == StatusCode::kIo);
  CHECK(status.message() == "model.cleave: disk full");
  CHECK(Status::ok().with_context("anything").is_ok());
  CHECK(Status::ok().with_context("anything").message().empty());
}

TEST_CASE("errors come out of the macros unchanged") {
  CHECK(*quarter(8) == 2);
  CHECK(quarter(6).status().message() == "odd");
  CHECK(quarter(5).status().code() == StatusCode::kInvalidArgument);
  CHECK(check_even(4).is_ok());
  CHECK_FALSE(check_even(3).is_ok());
}

TEST_CASE("a result holds a value that can only be moved") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  REQUIRE(result.is_ok());
  const std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

TEST_CASE("every code has a name of its own") {
  std::string names;
  for (int code = 0; code <= static_cast<int>(StatusCode::kInternal); ++code) {
    const auto name = std::string(status_code_name(static_cast<StatusCode>(code)));
    CHECK(name != "unknown");
    CHECK(names.find("|" + name + "|") == std::string::npos);
    names += "|" + name + "|";
  }
}

TEST_CASE("the help lists every exit code once") {
  const std::string help(exit_code_help());
  for (int code = 0; code <= static_cast<int>(ExitCode::kSelfTestFailed); ++code) {
    const std::string number = std::to_string(code);
    const std::string start = "\n" + std::string(4 - number.size(), ' ') + number + "  ";
    const std::size_t first = help.find(start);
    CHECK_MESSAGE(first != std::string::npos, "code " << code);
    CHECK(help.find(start, first + 1) == std::string::npos);
  }
}

}  // namespace
}  // namespace cleave
