// SPDX-License-Identifier: Apache-2.0
#include "agent/svg_chart.h"

#include <algorithm>
#include <array>

#include "agent/svg_axis.h"

namespace cleave::agent {
namespace {

constexpr double kPanelWidth = 480, kPanelHeight = 330;
constexpr double kLeft = 68, kRight = 18, kBottom = 52;
constexpr double kTitleHeight = 26, kLegendRow = 17;
constexpr double kPageTop = 40, kPageBottom = 12, kNoteHeight = 16;
constexpr double kFontSize = 11, kCharacterWidth = 6.4;  // of a sans-serif font at that size
constexpr double kDotRadius = 2.6;

// Okabe and Ito's colors, which those who do not see red and green apart can tell apart; lines
// differ by their dashes too.
constexpr std::array<const char*, 8> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#e69f00", "#56b4e9", "#000000", "#8c6d31"};
constexpr std::array<const char*, 4> kDashes = {"", "7 3", "2 3", "9 3 2 3"};

const char* color_of(std::size_t series) { return kColors[series % kColors.size()]; }

std::string px(double value) { return number_text(value, 1); }

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        // XML has no control characters.
        result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return result;
}

// UTF-8: bytes that do not continue a character.
double text_width(const std::string& text) {
  const auto characters = std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  return static_cast<double>(characters) * kCharacterWidth;
}

struct Rectangle {
  double left = 0, top = 0, right = 0, bottom = 0;
};

enum class LegendMark : std::uint8_t { kLine, kDot, kBox };
struct LegendEntry {
  std::string name;
  LegendMark mark = LegendMark::kLine;
};

// Where one chart goes, and the text of the document so far.
class Panel {
 public:
  Panel(std::string& out, double left, double top) : out_(out), left_(left), top_(top) {}

  void text(double x, double y, const std::string& content, const char* attributes) {
    out_ += "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\"" + attributes + ">" + escaped(content) +
            "</text>\n";
  }
  void line(double x1, double y1, double x2, double y2, const char* attributes) {
    out_ += "<line x1=\"" + px(x1) + "\" y1=\"" + px(y1) + "\" x2=\"" + px(x2) + "\" y2=\"" +
            px(y2) + "\"" + attributes + "/>\n";
  }
  void box(const Rectangle& r, const std::string& attributes) {
    out_ += "<rect x=\"" + px(r.left) + "\" y=\"" + px(r.top) + "\" width=\"" +
            px(r.right - r.left) + "\" height=\"" + px(r.bottom - r.top) + "\" " + attributes +
            "/>\n";
  }
  void dot(double x, double y, const char* color) {
    out_ += "<circle cx=\"" + px(x) + "\" cy=\"" + px(y) + "\" r=\"" + px(kDotRadius) +
            "\" fill=\"" + color + "\"/>\n";
  }
  void path(const std::string& moves, std::size_t series) {
    if (moves.empty()) return;
    out_ += "<path d=\"" + moves + "\" fill=\"none\" stroke-width=\"1.7\" stroke=\"" +
            color_of(series) + "\"" + dashes(series) + "/>\n";
  }

  // Title and legend; returns where the plot itself goes.
  Rectangle begin(const std::string& title, const std::vector<LegendEntry>& entries) {
    text(left_ + kLeft, top_ + 17, title, " class=\"t\"");
    double x = left_ + kLeft;
    double y = top_ + kTitleHeight + kLegendRow / 2;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const double width = 30 + text_width(entries[i].name) + 12;
      if (x + width > left_ + kPanelWidth && x > left_ + kLeft) {
        x = left_ + kLeft;
        y += kLegendRow;
      }
      draw_entry(x, y, entries[i], i);
      x += width;
    }
    return {left_ + kLeft, y + kLegendRow, left_ + kPanelWidth - kRight,
            top_ + kPanelHeight - kBottom};
  }

  void draw_y_axis(const Rectangle& plot, const PixelAxis& axis, const std::string& title) {
    for (const double tick : axis.ticks()) {
      const double y = axis.pixel(tick);
      line(plot.left, y, plot.right, y, " class=\"g\"");
      text(plot.left - 6, y + 4, number_text(tick, 6), " text-anchor=\"end\"");
    }
    line(plot.left, plot.top, plot.left, plot.bottom, " class=\"a\"");
    const std::string middle = px((plot.top + plot.bottom) / 2);
    const std::string x = px(left_ + 14);
    out_ += "<text text-anchor=\"middle\" transform=\"translate(" + x + " " + middle +
            ") rotate(-90)\">" + escaped(title) + "</text>\n";
  }

  void draw_x_title(const Rectangle& plot, const std::string& title) {
    line(plot.left, plot.bottom, plot.right, plot.bottom, " class=\"a\"");
    text((plot.left + plot.right) / 2, plot.bottom + 36, title, " text-anchor=\"middle\"");
  }

  void draw_x_tick(const Rectangle& plot, double x, const std::string& label) {
    line(x, plot.bottom, x, plot.bottom + 4, " class=\"a\"");
    text(x, plot.bottom + 17, label, " text-anchor=\"middle\"");
  }

 private:
  static std::string dashes(std::size_t series) {
    const std::string pattern = kDashes[series % kDashes.size()];
    return pattern.empty() ? "" : " stroke-dasharray=\"" + pattern + "\"";
  }

  void draw_entry(double x, double y, const LegendEntry& entry, std::size_t i) {
    if (entry.mark == LegendMark::kLine) path("M" + px(x) + " " + px(y) + "H" + px(x + 24), i);
    if (entry.mark == LegendMark::kDot) dot(x + 13, y, color_of(i));
    if (entry.mark == LegendMark::kBox) {
      box({x + 6, y - 5, x + 20, y + 5}, std::string("fill=\"") + color_of(i) + "\"");
    }
    text(x + 30, y + 4, entry.name, "");
  }

  std::string& out_;
  double left_, top_;
};

std::vector<LegendEntry> legend_of(const XyChart& chart) {
  std::vector<LegendEntry> legend;
  for (const ChartSeries& series : chart.series) {
    const bool dots = series.mark == SeriesMark::kDots;
    legend.push_back({series.name, dots ? LegendMark::kDot : LegendMark::kLine});
  }
  return legend;
}

std::vector<LegendEntry> legend_of(const BarChart& chart) {
  std::vector<LegendEntry> legend;
  for (const BarSeries& series : chart.series) legend.push_back({series.name, LegendMark::kBox});
  return legend;
}

struct PlotAxes {
  const ValueRange& x_range;
  const ValueRange& y_range;
  const PixelAxis& x;
  const PixelAxis& y;
};

void draw_series(Panel& panel, const ChartSeries& series, std::size_t index, const PlotAxes& axes) {
  std::string moves;
  bool pen_down = false;
  for (const ChartPoint& point : series.points) {
    if (!axes.x_range.shows(point.x) || !axes.y_range.shows(point.y)) {
      pen_down = false;
      continue;
    }
    const double x = axes.x.pixel(point.x);
    const double y = axes.y.pixel(point.y);
    const std::string at = px(x) + " " + px(y);
    const bool steps = series.mark == SeriesMark::kSteps && pen_down;
    moves += steps ? "H" + px(x) + "V" + px(y) : (pen_down ? "L" : "M") + at;
    pen_down = true;
    const bool dots = series.mark == SeriesMark::kDots || series.mark == SeriesMark::kLineAndDots;
    if (dots) panel.dot(x, y, color_of(index));
  }
  if (series.mark != SeriesMark::kDots) panel.path(moves, index);
}

void draw(Panel panel, const XyChart& chart) {
  const Rectangle plot = panel.begin(chart.title, legend_of(chart));
  ValueRange x_range(chart.x.scale), y_range(chart.y.scale);
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (!x_range.shows(point.x) || !y_range.shows(point.y)) continue;
      x_range.include(point.x);
      y_range.include(point.y);
    }
  }
  const PixelAxis x(x_range, plot.left, plot.right, false);
  const PixelAxis y(y_range, plot.bottom, plot.top, true);
  panel.draw_y_axis(plot, y, chart.y.title);
  for (const double tick : x.ticks()) panel.draw_x_tick(plot, x.pixel(tick), number_text(tick, 6));
  panel.draw_x_title(plot, chart.x.title);
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    draw_series(panel, chart.series[i], i, {x_range, y_range, x, y});
  }
}

double value_of(const BarSeries& series, std::size_t category) {
  return category < series.values.size() ? series.values[category] : 0;
}

ValueRange bar_range(const BarChart& chart) {
  ValueRange range(chart.y.scale);
  for (std::size_t c = 0; c < chart.categories.size(); ++c) {
    double sum = 0;
    for (const BarSeries& series : chart.series) {
      const double value = value_of(series, c);
      if (!range.shows(value) || value < 0) continue;
      sum = chart.stacked ? sum + value : value;
      range.include(sum);
    }
  }
  // A bar has a length on a logarithmic axis only if the axis starts below it.
  if (chart.y.scale == AxisScale::kLogarithmic) range.include(range.low() / 2);
  return range;
}

void draw_bars(Panel& panel, const BarChart& chart, const ValueRange& range, const PixelAxis& y,
               const Rectangle& slot, std::size_t category) {
  const double inset = (slot.right - slot.left) * 0.1;
  const double across = slot.right - slot.left - 2 * inset;
  const auto count = static_cast<double>(std::max<std::size_t>(1, chart.series.size()));
  const double width = chart.stacked ? across : across / count;
  double base = slot.bottom;
  double sum = 0;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const double value = value_of(chart.series[i], category);
    if (!range.shows(value) || value <= 0) continue;
    sum = chart.stacked ? sum + value : value;
    const double top = y.pixel(sum);
    const double left = slot.left + inset + (chart.stacked ? 0 : width * static_cast<double>(i));
    panel.box({left, top, left + width, chart.stacked ? base : slot.bottom},
              std::string("fill=\"") + color_of(i) + "\"");
    base = top;
  }
}

// Whether every `stride`th label has room between its neighbours.
bool labels_fit(const BarChart& chart, double slot_width, std::size_t stride) {
  constexpr double kGap = 4;
  const double room = slot_width * static_cast<double>(stride);
  for (std::size_t c = 0; c + stride < chart.categories.size(); c += stride) {
    const double both = text_width(chart.categories[c]) + text_width(chart.categories[c + stride]);
    if (both / 2 + kGap > room) return false;
  }
  return true;
}

// How many categories share one label.
std::size_t label_stride(const BarChart& chart, double slot_width) {
  std::size_t stride = 1;
  while (!labels_fit(chart, slot_width, stride)) ++stride;
  return stride;
}

void draw(Panel panel, const BarChart& chart) {
  const Rectangle plot = panel.begin(chart.title, legend_of(chart));
  const ValueRange range = bar_range(chart);
  const PixelAxis y(range, plot.bottom, plot.top, true);
  const double slot_width = (plot.right - plot.left) /
                            static_cast<double>(std::max<std::size_t>(1, chart.categories.size()));
  const auto slot_left = [&](std::size_t c) {
    return plot.left + slot_width * static_cast<double>(c);
  };
  if (chart.highlighted && *chart.highlighted < chart.categories.size()) {
    const double left = slot_left(*chart.highlighted);
    panel.box({left, plot.top, left + slot_width, plot.bottom}, "fill=\"#fff0b3\"");
  }
  panel.draw_y_axis(plot, y, chart.y.title);
  const std::size_t stride = label_stride(chart, slot_width);
  for (std::size_t c = 0; c < chart.categories.size(); ++c) {
    const double left = slot_left(c);
    draw_bars(panel, chart, range, y, {left, plot.top, left + slot_width, plot.bottom}, c);
    if (c % stride == 0) panel.draw_x_tick(plot, left + slot_width / 2, chart.categories[c]);
  }
  panel.draw_x_title(plot, chart.x_title);
}

std::string begin_document(double width, double height) {
  const std::string size = px(width) + "\" height=\"" + px(height);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + size + "\" viewBox=\"0 0 " +
         px(width) + " " + px(height) + "\" font-family=\"sans-serif\" font-size=\"" +
         px(kFontSize) +
         "\">\n<style>.t{font-size:13px;font-weight:bold}.h{font-size:16px;font-weight:bold}"
         ".g{stroke:#ddd}.a{stroke:#333}</style>\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
}

}  // namespace

std::string render_svg(const ChartPage& page) {
  const std::size_t columns =
      std::clamp<std::size_t>(page.columns, 1, std::max<std::size_t>(1, page.charts.size()));
  const std::size_t rows = (page.charts.size() + columns - 1) / columns;
  const double charts_bottom = kPageTop + static_cast<double>(rows) * kPanelHeight;
  const double height =
      charts_bottom + static_cast<double>(page.notes.size()) * kNoteHeight + kPageBottom;
  std::string out = begin_document(static_cast<double>(columns) * kPanelWidth, height);
  Panel whole(out, 0, 0);
  whole.text(kRight, 25, page.title, " class=\"h\"");
  for (std::size_t i = 0; i < page.charts.size(); ++i) {
    const Panel panel(out, static_cast<double>(i % columns) * kPanelWidth,
                      kPageTop + static_cast<double>(i / columns) * kPanelHeight);
    std::visit([&](const auto& chart) { draw(panel, chart); }, page.charts[i]);
  }
  for (std::size_t i = 0; i < page.notes.size(); ++i) {
    whole.text(kRight, charts_bottom + (static_cast<double>(i) + 0.6) * kNoteHeight, page.notes[i],
               "");
  }
  return out + "</svg>\n";
}

}  // namespace cleave::agent
