// SPDX-License-Identifier: Apache-2.0
#include "agent/caps_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/caps_options.h"

namespace cleave::agent {
namespace {

using Json = nlohmann::ordered_json;

Json known(std::uint32_t khz) { return khz == 0 ? Json(nullptr) : Json(khz); }

Json clock_json(const ProcessorState& processor) {
  const ClockState& clock = processor.clock;
  return {{"source", processor_source_name(clock.source)},
          {"running_khz", known(running_clock_khz(processor))},
          {"current_khz", known(clock.current_khz)},
          {"limit_khz", known(clock.limit_khz)},
          {"lowest_khz", known(clock.lowest_khz)},
          {"hardware_khz", known(clock.hardware_khz)},
          {"governor", clock.governor}};
}

Json throttle_json(const ProcessorState& processor) {
  if (!processor.throttle) return nullptr;
  const ThrottleFlags& flags = *processor.throttle;
  const auto names = [](std::uint32_t bits) {
    return Json{{"under_voltage", (bits & kUnderVoltage) != 0},
                {"clock_capped", (bits & kClockCapped) != 0},
                {"throttled", (bits & kThrottled) != 0},
                {"soft_temperature_limit", (bits & kSoftTemperatureLimit) != 0}};
  };
  return {{"source", processor_source_name(flags.source)},
          {"flags", flags.bits},
          {"now", names(flags.now())},
          {"since_boot", names(flags.since_boot())}};
}

std::string degrees(std::int32_t millidegrees) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", static_cast<double>(millidegrees) / 1000);
  return text;
}

}  // namespace

Json cap_json(const Cap& cap) {
  return {{"source", cap_source_name(cap.source)},
          {"bytes", cap.source == CapSource::kUnknown ? Json(nullptr) : Json(cap.bytes)}};
}

Json processor_json(const ProcessorState& processor) {
  Json json{{"cores",
             {{"source", processor_source_name(processor.cores_source)},
              {"usable", processor.usable_cores},
              {"online", known(processor.online_cores)}}},
            {"clock", clock_json(processor)},
            {"thermal_zones", Json::array()},
            {"throttle", throttle_json(processor)}};
  for (const ThermalZone& zone : processor.zones) {
    json["thermal_zones"].push_back(
        {{"type", zone.type},
         {"millidegrees", zone.millidegrees},
         {"passive_millidegrees",
          zone.passive_millidegrees ? Json(*zone.passive_millidegrees) : Json(nullptr)}});
  }
  return json;
}

Json energy_json(const std::optional<EnergyConstants>& energy) {
  if (!energy) return nullptr;
  return {{"modelled", true},
          {"source", "given"},
          {"active_uw", energy->active_uw},
          {"idle_uw", energy->idle_uw},
          {"radio_pj_per_byte", energy->radio_pj_per_byte}};
}

std::string mebibytes_text(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

std::string cap_text(const Cap& cap) {
  const std::string source = cap_source_name(cap.source);
  if (cap.source == CapSource::kUnknown) return source;
  return mebibytes_text(cap.bytes) + " (" + source + ")";
}

std::string ram_text(const DeviceCaps& caps) {
  std::string text = cap_text(caps.ram);
  std::string others;
  for (const Cap& bound : caps.ram_bounds) {
    if (bound.source == caps.ram.source) continue;
    others += (others.empty() ? "; also found: " : ", ") + cap_text(bound);
  }
  return text + others;
}

std::string cores_text(const ProcessorState& processor) {
  std::string text = std::to_string(processor.usable_cores) + " usable (" +
                     processor_source_name(processor.cores_source) + ")";
  if (processor.online_cores != 0) {
    text += " of " + std::to_string(processor.online_cores) + " online";
  }
  return text;
}

std::string clock_state_text(const ProcessorState& processor) {
  const ClockState& clock = processor.clock;
  const std::string source = processor_source_name(clock.source);
  if (clock.source == ProcessorSource::kUnknown) return source + "; --clock states it";
  if (clock.source == ProcessorSource::kGiven) return clock_text(clock.limit_khz) + " (given)";
  if (clock.source == ProcessorSource::kCpuInfo) {
    return clock_text(clock.current_khz) + " at this moment (" + source +
           "); no cpufreq, so times are not scaled";
  }
  std::string text = clock_text(running_clock_khz(processor)) + " (" + source + "): now " +
                     clock_text(clock.current_khz) + ", limit " + clock_text(clock.limit_khz) +
                     ", hardware " + clock_text(clock.hardware_khz);
  if (!clock.governor.empty()) text += ", governor " + clock.governor;
  return text;
}

std::string zones_text(const ProcessorState& processor) {
  std::string text;
  for (const ThermalZone& zone : processor.zones) {
    text += (text.empty() ? "" : ", ") + zone.type + " " + degrees(zone.millidegrees) + " C";
    if (!zone.passive_millidegrees) continue;
    const bool over = zone.millidegrees >= *zone.passive_millidegrees;
    text += std::string(over ? ", AT OR OVER " : ", below ") + degrees(*zone.passive_millidegrees) +
            " C where the kernel slows down";
  }
  return text.empty() ? "not known" : text;
}

std::string throttle_state_text(const ProcessorState& processor) {
  if (!processor.throttle) return "not known (no Raspberry Pi firmware)";
  const ThrottleFlags& flags = *processor.throttle;
  const auto said = [](std::uint32_t bits) { return bits == 0 ? "nothing" : throttle_text(bits); };
  return "now: " + said(flags.now()) + "; since boot: " + said(flags.since_boot()) + " (" +
         processor_source_name(flags.source) + ")";
}

}  // namespace cleave::agent
