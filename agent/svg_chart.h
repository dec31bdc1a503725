// SPDX-License-Identifier: Apache-2.0
//
// Charts as SVG text: lines, dots and bars with axes, ticks, units and a legend, one or several on
// a page. For `plan --plot` and the studies in tests/hil.
//
// The same charts give the same bytes on every machine: numbers are printed by std::to_chars, and
// nothing is computed by a library function whose last bit may differ. Pure: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace cleave::agent {

enum class AxisScale : std::uint8_t {
  kLinear,       // of values up, always from 0
  kLogarithmic,  // values of 0 and less are left out
};

struct ChartAxis {
  std::string title = {};  // with the unit: "latency, ms"
  AxisScale scale = AxisScale::kLinear;
};

struct ChartPoint {
  double x = 0;
  double y = 0;
};

enum class SeriesMark : std::uint8_t { kLine, kDots, kLineAndDots, kSteps };

// A point that is not finite, or that its axis cannot show, is left out and ends the line there.
struct ChartSeries {
  std::string name = {};  // in the legend
  std::vector<ChartPoint> points = {};
  SeriesMark mark = SeriesMark::kLineAndDots;
};

struct XyChart {
  std::string title = {};
  ChartAxis x = {}, y = {};
  std::vector<ChartSeries> series = {};
};

struct BarSeries {
  std::string name = {};            // in the legend
  std::vector<double> values = {};  // one a category; what is missing or below 0 has no bar
};

// Bars beside each other, or on top of each other.
struct BarChart {
  std::string title = {};
  std::string x_title = {};
  ChartAxis y = {};  // a logarithmic one starts below the least value; REQUIRES: linear if stacked
  std::vector<std::string> categories = {};  // labels are thinned out when they do not fit
  std::vector<BarSeries> series = {};
  bool stacked = false;
  std::optional<std::size_t> highlighted = std::nullopt;  // a category with a band behind it
};

using Chart = std::variant<XyChart, BarChart>;

struct ChartPage {
  std::string title = {};
  std::vector<std::string> notes = {};  // lines of small print below the charts
  std::size_t columns = 2;              // 0 counts as 1
  std::vector<Chart> charts = {};       // left to right, then down
};

// A complete SVG document, UTF-8, ended by '\n'. Texts are escaped.
[[nodiscard]] std::string render_svg(const ChartPage& page);

}  // namespace cleave::agent
