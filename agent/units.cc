// SPDX-License-Identifier: Apache-2.0
#include "agent/units.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <string_view>
#include <system_error>

namespace cleave::agent {
namespace {

struct Unit {
  const char* suffix;
  std::uint64_t factor;
};

std::string_view trim(std::string_view text) {
  constexpr const char* kSpaces = " \t\n\v\f\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

template <std::size_t N>
Result<std::uint64_t> parse_with_units(const std::string& text, const Unit (&units)[N],
                                       const char* form) {
  const Status bad(StatusCode::kInvalidArgument, "'" + text + "' is not " + form);
  const std::string_view trimmed = trim(text);
  // A digit or a point: from_chars would also take a minus, "inf" and "nan".
  if (trimmed.empty() || trimmed.find_first_of("0123456789.") != 0) return bad;
  double number = 0;
  // Fixed: of "0.1EUR" the E begins the suffix, not an exponent.
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number,
                                            std::chars_format::fixed);
  if (error != std::errc{}) return bad;
  std::string suffix(trim({end, trimmed.data() + trimmed.size()}));
  std::ranges::transform(suffix, suffix.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Unit& unit : units) {
    if (suffix != unit.suffix) continue;
    const double value = number * static_cast<double>(unit.factor);
    if (value >= 1.8e19) return bad;
    return static_cast<std::uint64_t>(value + 0.5);
  }
  return bad;
}

}  // namespace

Result<std::uint64_t> parse_bytes(const std::string& text) {
  static constexpr Unit kUnits[] = {{"", 1},
                                    {"b", 1},
                                    {"kb", 1000},
                                    {"mb", 1000'000},
                                    {"gb", 1000'000'000},
                                    {"kib", 1024},
                                    {"mib", 1024 * 1024},
                                    {"gib", 1024ULL * 1024 * 1024}};
  return parse_with_units(text, kUnits, "a size; write for example 64MiB or 500MB");
}

Result<std::uint64_t> parse_bits_per_second(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"bit", 1}, {"kbit", 1000}, {"mbit", 1000'000}, {"gbit", 1000'000'000}};
  return parse_with_units(text, kUnits, "a rate; write for example 10mbit or 500kbit");
}

Result<std::uint64_t> parse_duration_ns(const std::string& text) {
  static constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000'000}, {"s", 1000'000'000}};
  return parse_with_units(text, kUnits, "a time; write for example 40ms or 2s");
}

Result<std::uint32_t> parse_clock_khz(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"hz", 1}, {"khz", 1000}, {"mhz", 1000'000}, {"ghz", 1000'000'000}};
  constexpr std::uint64_t kMaxHz = 1000'000'000'000;
  static constexpr const char* kForm = "a clock; write for example 1500MHz or 1.8GHz";
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t hz, parse_with_units(text, kUnits, kForm));
  if (hz < 1000 || hz > kMaxHz) {
    return Status(StatusCode::kInvalidArgument, "'" + text + "' is not " + kForm);
  }
  return static_cast<std::uint32_t>(hz / 1000);
}

Result<std::uint64_t> parse_power_uw(const std::string& text) {
  static constexpr Unit kUnits[] = {{"uw", 1}, {"mw", 1000}, {"w", 1000'000}};
  return parse_with_units(text, kUnits, "a power; write for example 3.5W or 450mW");
}

Result<std::uint64_t> parse_energy_pj(const std::string& text) {
  static constexpr Unit kUnits[] = {
      {"pj", 1}, {"nj", 1000}, {"uj", 1000'000}, {"mj", 1000'000'000}, {"j", 1000'000'000'000}};
  return parse_with_units(text, kUnits, "an energy; write for example 120nJ or 2uJ");
}

Result<std::uint64_t> parse_share_ppm(const std::string& text) {
  static constexpr Unit kUnits[] = {{"%", 10'000}};
  static constexpr const char* kForm = "a share above 0% and up to 100%; write for example 95%";
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t ppm, parse_with_units(text, kUnits, kForm));
  if (ppm > 0 && ppm <= 1'000'000) return ppm;
  return Status(StatusCode::kInvalidArgument, "'" + text + "' is not " + kForm);
}

Result<std::uint64_t> parse_bound_ppm(const std::string& text) {
  static constexpr Unit kUnits[] = {{"%", 10'000}};
  static constexpr const char* kForm = "a share from 0% to 100%; write for example 2%";
  CLEAVE_ASSIGN_OR_RETURN(const std::uint64_t ppm, parse_with_units(text, kUnits, kForm));
  if (ppm <= 1'000'000) return ppm;
  return Status(StatusCode::kInvalidArgument, "'" + text + "' is not " + kForm);
}

Result<std::uint64_t> parse_micro_euro(const std::string& text) {
  static constexpr Unit kUnits[] = {{"", 1'000'000}, {"eur", 1'000'000}};
  return parse_with_units(text, kUnits, "an amount of money; write for example 0.0104");
}

}  // namespace cleave::agent
