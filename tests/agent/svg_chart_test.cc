// SPDX-License-Identifier: Apache-2.0
#include "agent/svg_chart.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "agent/svg_axis.h"

using namespace cleave::agent;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::size_t count_parts(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

ValueRange range_of(AxisScale scale, std::initializer_list<double> values) {
  ValueRange range(scale);
  for (const double value : values) range.include(value);
  return range;
}

std::vector<double> ticks(AxisScale scale, std::initializer_list<double> values, bool widen) {
  return PixelAxis(range_of(scale, values), 0, 100, widen).ticks();
}

XyChart lines(std::vector<ChartPoint> points, SeriesMark mark = SeriesMark::kLineAndDots) {
  return {.title = "t", .x = {"x"}, .y = {"y"}, .series = {{"s", std::move(points), mark}}};
}

std::string render(Chart chart) { return render_svg({.title = "page", .charts = {chart}}); }

// Bars are the filled boxes of the series' color, one of them in the legend.
std::size_t bars(const std::string& svg, const char* color) {
  return count_parts(svg, std::string("fill=\"") + color + "\"/>") - 1;
}

}  // namespace

TEST_CASE("ticks are round numbers that cover the values") {
  CHECK(ticks(AxisScale::kLinear, {3, 47}, true) == std::vector<double>{0, 10, 20, 30, 40, 50});
  CHECK(ticks(AxisScale::kLinear, {1.5, 2.0}, false).size() == 6);  // 1.5, 1.6 ... 2.0
  CHECK(ticks(AxisScale::kLogarithmic, {1, 200}, false) ==
        std::vector<double>{1, 2, 5, 10, 20, 50, 100, 200});
  CHECK(ticks(AxisScale::kLogarithmic, {1, 1e6}, false).size() == 7);  // powers of ten only
  CHECK(ticks(AxisScale::kLogarithmic, {3, 40}, true) == std::vector<double>{2, 5, 10, 20, 50});
}

TEST_CASE("ticks of no value, of one, and of extreme ones are few") {
  for (const AxisScale scale : {AxisScale::kLinear, AxisScale::kLogarithmic}) {
    for (const bool widen : {true, false}) {
      for (const double value : {0.0, 5e-324, 1e-300, 1e-30, 7.0, -7.0, 1e30, 1e308, kNan}) {
        CAPTURE(value);
        CHECK(ticks(scale, {value}, widen).size() <= 70);
        CHECK(ticks(scale, {0.0, value}, widen).size() <= 70);
      }
      CHECK(ticks(scale, {}, widen).size() <= 70);
    }
  }
}

TEST_CASE("a logarithmic axis gives equal ratios equal room") {
  const PixelAxis axis(range_of(AxisScale::kLogarithmic, {1, 100}), 0, 200, false);
  CHECK(axis.pixel(1) == doctest::Approx(0));
  CHECK(axis.pixel(10) == doctest::Approx(100));
  CHECK(axis.pixel(100) == doctest::Approx(200));
  CHECK(axis.pixel(3) == doctest::Approx(100 * std::log10(3.0)));
}

TEST_CASE("numbers have no trailing zeros") {
  CHECK(number_text(0.1 + 0.2, 6) == "0.3");
  CHECK(number_text(100, 6) == "100");
  CHECK(number_text(-0.01, 1) == "0");
  CHECK(number_text(12.25, 1) == "12.2");
}

TEST_CASE("points that cannot be shown are left out and end the line") {
  const std::string svg = render(lines({{0, 1}, {1, 2}, {2, kNan}, {3, 4}, {4, 5}}));
  CHECK(count_parts(svg, "<circle") == 4);
  const std::size_t path = svg.rfind("<path d=\"");
  CHECK(count_parts(svg.substr(path, svg.find("fill", path) - path), "M") == 2);
  XyChart chart = lines({{0, 1}, {1, 10}, {10, 100}});
  chart.x.scale = AxisScale::kLogarithmic;
  CHECK(count_parts(render(chart), "<circle") == 2);
  CHECK(count_parts(render(lines({{0, 1}, {1, 2}}, SeriesMark::kLine)), "<circle") == 0);
}

TEST_CASE("bars stand beside or on top of each other") {
  BarChart chart;
  chart.categories = {"a", "b"};
  chart.series = {{"one", {1, 2}}, {"two", {3}}};
  CHECK(bars(render(chart), "#0072b2") == 2);
  CHECK(bars(render(chart), "#d55e00") == 1);
  // 0..5 in whole steps: 4 = 1 + 3 is the largest stack.
  chart.stacked = true;
  CHECK(count_parts(render(chart), ">4</text>") == 1);
  chart.stacked = false;
  CHECK(count_parts(render(chart), ">4</text>") == 0);
  CHECK(count_parts(render(chart), "#fff0b3") == 0);
  chart.highlighted = 1;
  CHECK(count_parts(render(chart), "#fff0b3") == 1);
}

TEST_CASE("labels that do not fit are thinned out") {
  BarChart chart;
  for (int i = 0; i < 200; ++i) chart.categories.push_back("c" + std::to_string(1000 + i));
  chart.series = {{"one", std::vector<double>(200, 1.0)}};
  const std::string svg = render(chart);
  CHECK(bars(svg, "#0072b2") == 200);
  CHECK(count_parts(svg, ">c1") >= 5);
  CHECK(count_parts(svg, ">c1") <= 20);
}

TEST_CASE("texts are escaped") {
  XyChart chart = lines({{0, 1}});
  chart.title = "<script>&\"\n\x01";
  const std::string svg = render(chart);
  CHECK(count_parts(svg, "<script>") == 0);
  CHECK(count_parts(svg, "&lt;script&gt;&amp;&quot;  ") == 1);
}

TEST_CASE("every element is closed, and empty charts are charts") {
  for (const Chart& chart : {Chart(XyChart{}), Chart(BarChart{}), Chart(lines({{1, 1}}))}) {
    const std::string svg = render(chart);
    CHECK(count_parts(svg, "<") == count_parts(svg, ">"));
    CHECK(count_parts(svg, "<text") == count_parts(svg, "</text>"));
    CHECK(svg.ends_with("</svg>\n"));
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
  }
  CHECK(render_svg({.title = "none", .columns = 0}).ends_with("</svg>\n"));
}
