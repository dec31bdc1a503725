// SPDX-License-Identifier: Apache-2.0
#include "agent/units.h"

#include <doctest/doctest.h>

#include "agent/energy_constants.h"

namespace cleave::agent {
namespace {

constexpr std::uint64_t kMebi = 1024 * 1024;

}  // namespace

TEST_CASE("sizes, rates and times as people write them") {
  CHECK(*parse_bytes("64MiB") == 64 * kMebi);
  CHECK(*parse_bytes("500 MB") == 500'000'000);
  CHECK(*parse_bytes("1.5kib") == 1536);
  CHECK(*parse_bytes("7") == 7);
  CHECK(*parse_bits_per_second("10mbit") == 10'000'000);
  CHECK(*parse_bits_per_second("500kbit") == 500'000);
  CHECK(*parse_duration_ns("40ms") == 40'000'000);
  CHECK(*parse_duration_ns("2s") == 2'000'000'000);
  for (const char* bad : {"", "x", "-1MiB", "10 parsec", "1e30GiB"}) {
    CAPTURE(bad);
    CHECK(parse_bytes(bad).status().code() == StatusCode::kInvalidArgument);
  }
  // A rate without a unit could be bytes or bits: refused.
  CHECK(parse_bits_per_second("10").status().code() == StatusCode::kInvalidArgument);
  CHECK(parse_duration_ns("10").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("clocks, powers and energies as people write them") {
  CHECK(*parse_clock_khz("1500MHz") == 1'500'000);
  CHECK(*parse_clock_khz("1.8 GHz") == 1'800'000);
  CHECK(*parse_clock_khz("600000khz") == 600'000);
  CHECK(*parse_power_uw("3.5W") == 3'500'000);
  CHECK(*parse_power_uw("450 mW") == 450'000);
  CHECK(*parse_energy_pj("120nJ") == 120'000);
  CHECK(*parse_energy_pj("2uJ") == 2'000'000);
  CHECK(*parse_energy_pj("0pJ") == 0);
  // Without a unit, below a kilohertz, out of all reason.
  for (const char* bad : {"1500", "0MHz", "999Hz", "2000GHz", "-1GHz", "fast"}) {
    CAPTURE(bad);
    CHECK(parse_clock_khz(bad).status().code() == StatusCode::kInvalidArgument);
  }
  CHECK(parse_power_uw("3.5").status().code() == StatusCode::kInvalidArgument);
  CHECK(parse_energy_pj("1kWh").status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("money is a bare number of euros, or one with EUR after it") {
  CHECK(*parse_micro_euro("0.0104") == 10'400);
  CHECK(*parse_micro_euro("0.0104EUR") == 10'400);
  CHECK(*parse_micro_euro(" 0.0104 eur ") == 10'400);
  CHECK(*parse_micro_euro("7.527") == 7'527'000);
  CHECK(*parse_micro_euro(".5") == 500'000);
  CHECK(*parse_micro_euro("0") == 0);
  CHECK(*parse_micro_euro("0.0000004") == 0);
  CHECK(*parse_micro_euro("0.0000005") == 1);
  for (const char* bad : {"", " ", "EUR", "-1", "-0", "+1", "1 USD", "1.2.3", "1,5", "1e-3", "0x10",
                          "nan", "inf", "1EUR2", "18000000000001"}) {
    CAPTURE(bad);
    CHECK(parse_micro_euro(bad).status().code() == StatusCode::kInvalidArgument);
  }
  const std::string endless(400, '9');  // beyond any double
  CHECK(parse_micro_euro(endless).status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("shares are above nothing and at most the whole") {
  CHECK(*parse_share_ppm("95%") == 950'000);
  CHECK(*parse_share_ppm("12.5 %") == 125'000);
  CHECK(*parse_share_ppm("100%") == 1'000'000);
  CHECK(*parse_share_ppm("0.0001%") == 1);
  for (const char* bad : {"95", "0.95", "0%", "0.00001%", "100.0001%", "-5%", "%", "95%%"}) {
    CAPTURE(bad);
    CHECK(parse_share_ppm(bad).status().code() == StatusCode::kInvalidArgument);
  }
}

TEST_CASE("energy is modelled from all three constants, or not at all") {
  const auto none = read_energy({});
  REQUIRE(none.is_ok());
  CHECK_FALSE(none->has_value());
  CHECK(energy_text(*none).starts_with("not modelled"));

  const auto pi = read_energy({.active = "5.1W", .idle = "1900mW", .radio = "120nJ"});
  REQUIRE_MESSAGE(pi.is_ok(), pi.status().message());
  CHECK(**pi == EnergyConstants{5'100'000, 1'900'000, 120'000});
  CHECK(energy_text(*pi) == "modelled: 5.1 W active, 1.9 W idle, 120 nJ a byte sent");

  struct Bad {
    EnergyTexts texts;
    const char* says;
  };
  for (const Bad& bad :
       {Bad{{"5W", "", "1nJ"}, "all three"}, Bad{{"", "", "1nJ"}, "all three"},
        Bad{{"5", "1W", "1nJ"}, "--power-active: '5'"},
        Bad{{"5W", "1J", "1nJ"}, "--power-idle: '1J'"},
        Bad{{"5W", "1W", "1W"}, "--radio-energy: '1W'"},
        Bad{{"1001W", "1W", "1nJ"}, "at most 1000W"}, Bad{{"5W", "1W", "1.1J"}, "at most 1J"},
        Bad{{"1W", "5W", "1nJ"}, "more than --power-active"}}) {
    CAPTURE(bad.says);
    const Status status = read_energy(bad.texts).status();
    CHECK(status.code() == StatusCode::kInvalidArgument);
    CHECK(status.message().find(bad.says) != std::string::npos);
  }
}

}  // namespace cleave::agent
