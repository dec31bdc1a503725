// SPDX-License-Identifier: Apache-2.0
//
// Quantities as people write them on a command line: a number, as in 12 or 0.5 and without an
// exponent, and its unit.
#pragma once

#include <cstdint>
#include <string>

#include "schemas/status.h"

namespace cleave::agent {

// Reads a size: a number with an optional suffix B, kB, MB, GB (powers of 1000) or KiB, MiB, GiB.
// Errors: kInvalidArgument with the form.
[[nodiscard]] Result<std::uint64_t> parse_bytes(const std::string& text);
// Reads a rate: a number with a suffix bit, kbit, mbit or gbit (per second; powers of 1000).
[[nodiscard]] Result<std::uint64_t> parse_bits_per_second(const std::string& text);
// Reads a time: a number with a suffix ns, us, ms or s. Gives nanoseconds.
[[nodiscard]] Result<std::uint64_t> parse_duration_ns(const std::string& text);
// Reads a frequency: a number with a suffix Hz, kHz, MHz or GHz. Gives kHz, as cpufreq has them; a
// frequency below 1 kHz or over 1000 GHz is refused.
[[nodiscard]] Result<std::uint32_t> parse_clock_khz(const std::string& text);
// Reads a power: a number with a suffix W, mW or uW. Gives microwatts.
[[nodiscard]] Result<std::uint64_t> parse_power_uw(const std::string& text);
// Reads an energy: a number with a suffix J, mJ, uJ, nJ or pJ. Gives picojoules.
[[nodiscard]] Result<std::uint64_t> parse_energy_pj(const std::string& text);
// Reads a share: a number with a suffix %. Gives parts per million, 1 to 1,000,000.
[[nodiscard]] Result<std::uint64_t> parse_share_ppm(const std::string& text);
// The same, or 0%.
[[nodiscard]] Result<std::uint64_t> parse_bound_ppm(const std::string& text);
// Reads an amount of money: a number, as in 0.0104, or with a suffix EUR. Gives millionths.
[[nodiscard]] Result<std::uint64_t> parse_micro_euro(const std::string& text);

}  // namespace cleave::agent
