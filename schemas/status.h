// SPDX-License-Identifier: Apache-2.0
//
// Errors as values. Every library of cleave reports failure by returning a Status or a Result<T>;
// none of them prints, throws or aborts for bad input. The programs turn a Status into one line on
// standard error and an exit code (schemas/exit_code.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace cleave {

// What went wrong, coarse enough to choose an exit code or a wire error from.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument,    // the caller's argument or option is wrong
  kNotFound,           // no such file, model, layer or variant
  kCorrupt,            // bytes from disk or network that do not check
  kUnsupported,        // well formed, but not something this build can do
  kOutOfRange,         // a split, index or size beyond what exists
  kResourceExhausted,  // a memory, storage or size cap would be exceeded
  kMismatch,           // the two ends do not hold the same model or protocol
  kUnavailable,        // the peer, link or port cannot be had now; trying again may help
  kDeadlineExceeded,   // the time given was used up
  kIo,                 // the operating system refused a read, write or map
  kInternal,           // a broken promise of our own; always a bug
};

// Short lower-case name of a code ("corrupt"); static storage.
std::string_view status_code_name(StatusCode code);

// A code and, unless it is kOk, one line for a person: what, where, what to do. No newline.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() { return {}; }

  [[nodiscard]] bool is_ok() const { return code_ == StatusCode::kOk; }
  [[nodiscard]] StatusCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

  // The same code with `context` and ": " put before the message; an ok status is unchanged.
  [[nodiscard]] Status with_context(std::string_view context) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

// For bytes that do not check: kCorrupt.
inline Status corrupt(std::string message) { return {StatusCode::kCorrupt, std::move(message)}; }

// Either a T or the Status that says why there is none. REQUIRES for value(): is_ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status)
      : state_(std::in_place_index<1>, std::move(status)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool is_ok() const { return state_.index() == 0; }
  [[nodiscard]] T& value() & { return *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& { return *std::get_if<0>(&state_); }
  [[nodiscard]] T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  [[nodiscard]] Status status() const { return is_ok() ? Status::ok() : *std::get_if<1>(&state_); }

  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace cleave

#define CLEAVE_CONCAT_INNER(a, b) a##b
#define CLEAVE_CONCAT(a, b) CLEAVE_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` (a Status) is not ok.
#define CLEAVE_RETURN_IF_ERROR(expr)                                                              \
  do {                                                                                            \
    if (::cleave::Status cleave_status_ = (expr); !cleave_status_.is_ok()) return cleave_status_; \
  } while (false)

// `lhs` becomes the value of `expr` (a Result<T>); returns its status when there is none.
#define CLEAVE_ASSIGN_OR_RETURN(lhs, expr) \
  CLEAVE_ASSIGN_OR_RETURN_IMPL(CLEAVE_CONCAT(cleave_result_, __LINE__), lhs, expr)
#define CLEAVE_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                 \
  if (!result.is_ok()) return result.status();          \
  lhs = std::move(result).value()
