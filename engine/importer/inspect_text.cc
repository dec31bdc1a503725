// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/importer/inspect.h"
#include "schemas/op_shape.h"

namespace cleave::importer {
namespace {

// Columns as wide as their widest cell; the first `left` of them aligned to the left.
class TextTable {
 public:
  TextTable(std::vector<std::string> header, std::size_t left) : left_(left) {
    add(std::move(header));
  }

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_[0].size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
    }
    std::string out;
    for (const auto& row : rows_) out += line(row, widths);
    return out;
  }

 private:
  [[nodiscard]] std::string line(const std::vector<std::string>& row,
                                 const std::vector<std::size_t>& widths) const {
    std::string out;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string fill(widths[c] - row[c].size(), ' ');
      out += (c == 0 ? "" : "  ") + (c < left_ ? row[c] + fill : fill + row[c]);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + '\n';
  }

  std::size_t left_;
  std::vector<std::vector<std::string>> rows_;
};

// Three digits and a unit: "15.5 M"; steps of 1000.
std::string scaled(std::uint64_t value, const std::array<const char*, 4>& units) {
  auto number = static_cast<double>(value);
  std::size_t unit = 0;
  for (; number >= 999.5 && unit + 1 < units.size(); ++unit) number /= 1000;
  const int decimals = unit == 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f%s", decimals, number, units[unit]);
  return text.data();
}

std::string counted(std::uint64_t n) { return n == 0 ? "-" : scaled(n, {"", " k", " M", " G"}); }
std::string bytes_text(std::uint64_t n) {
  return n == 0 ? "-" : scaled(n, {" B", " kB", " MB", " GB"});
}

// Long names of converted models keep their end, which tells them apart.
std::string shortened(const std::string& name) {
  constexpr std::size_t kShown = 40;
  if (name.size() <= kShown) return name;
  std::size_t start = name.size() - kShown + 3;
  while (start < name.size() && (static_cast<unsigned char>(name[start]) & 0xc0) == 0x80) ++start;
  return "..." + name.substr(start);
}

std::string range_text(const OpRange& ops) {
  if (ops.empty()) return "-";
  const std::string first = std::to_string(ops.first);
  return ops.last - ops.first == 1 ? first : first + ".." + std::to_string(ops.last - 1);
}

std::string numbers_text(const std::vector<float>& values) {
  std::string out;
  for (const float v : values) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%s%g", out.empty() ? "" : ",", double{v});
    out += text.data();
  }
  return out;
}

std::string ids_text(const std::vector<TensorId>& ids) {
  std::string out;
  for (const TensorId id : ids) out += (out.empty() ? "" : ",") + std::to_string(id);
  return out;
}

// One line a split: the layer it ends with, then the costs of having it on the device.
std::string layer_table(const VariantReport& variant) {
  TextTable table({"k", "layer", "kind", "ops", "output", "mul-adds", "weights", "boundary",
                   "tensors", "head weights", "head arena", "head memory"},
                  5);
  const CutReport& start = variant.cuts.front();
  table.add({"0", "(input)", "", "", shape_text(variant.input), "-", "-",
             bytes_text(start.cut.boundary_bytes), ids_text(start.cut.boundary_tensors), "-",
             bytes_text(start.head_memory.arena_bytes), bytes_text(start.head_memory.total())});
  for (std::size_t i = 0; i < variant.layers.size(); ++i) {
    const LayerReport& layer = variant.layers[i];
    const CutReport& cut = variant.cuts[layer.ops.last];
    const std::string output =
        layer.ops.last == 0 ? "" : shape_text(variant.ops[layer.ops.last - 1].output_shape);
    table.add({std::to_string(i + 1), shortened(layer.name), shortened(layer.kind),
               range_text(layer.ops), output, counted(layer.multiply_adds),
               bytes_text(layer.weight_bytes), bytes_text(cut.cut.boundary_bytes),
               ids_text(cut.cut.boundary_tensors), bytes_text(cut.head_weight_bytes),
               bytes_text(cut.head_memory.arena_bytes), bytes_text(cut.head_memory.total())});
  }
  return table.text();
}

std::string op_table(const VariantReport& variant) {
  TextTable table({"op", "name", "kind", "inputs", "output", "shape", "mul-adds", "weights",
                   "cut after: boundary", "tensors"},
                  6);
  for (std::size_t i = 0; i < variant.ops.size(); ++i) {
    const OpReport& op = variant.ops[i];
    const Cut& cut = variant.cuts[i + 1].cut;
    table.add({std::to_string(i), shortened(op.name), op.kind, ids_text(op.inputs),
               std::to_string(op.output), shape_text(op.output_shape), counted(op.multiply_adds),
               bytes_text(op.weight_bytes), bytes_text(cut.boundary_bytes),
               ids_text(cut.boundary_tensors)});
  }
  return table.text();
}

std::string share_text(const CodedFigures& level) {
  if (!level.allowed_ppm) return "not recorded";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g %%", *level.allowed_ppm / 1e4);
  return text.data();
}

// Empty for a variant without tables.
std::string coded_table(const VariantReport& variant) {
  TextTable table({"cut", "codec", "made for", "differing", "median", "p95"}, 2);
  bool is_empty = true;
  for (const CutReport& cut : variant.cuts) {
    for (std::size_t i = 0; i < cut.coded.size(); ++i) {
      const CodedFigures& level = cut.coded[i];
      is_empty = false;
      table.add({"op:" + std::to_string(cut.cut.op_boundary), "coded:" + std::to_string(i),
                 share_text(level),
                 std::to_string(level.differing_pictures) + " of " +
                     std::to_string(level.compared_pictures),
                 bytes_text(level.median_bytes), bytes_text(level.p95_bytes)});
    }
  }
  if (is_empty) return "";
  return "\nCodec coded: the share of other answers that each level was made for, and what its\n"
         "calibration found.\n" +
         table.text();
}

std::string variant_text(const VariantReport& v) {
  std::string out = "variant         " + v.name + ": " + std::to_string(v.layers.size()) +
                    " layers, " + std::to_string(v.ops.size()) + " ops, input " +
                    shape_text(v.input) + ", output " + shape_text(v.output) + "\n";
  out += "totals          " + counted(v.multiply_adds) + " multiply-adds, weights " +
         bytes_text(v.weight_bytes) + ", arena " + bytes_text(v.arena_bytes) + "\n";
  out += "\nLayers. Split k keeps layers 1..k on the device; its boundary crosses the link.\n";
  out += layer_table(v);
  return out + "\nOps (--split op:N keeps ops 0..N-1 on the device).\n" + op_table(v) +
         coded_table(v);
}

std::string preprocessing_text(const ModelReport& report) {
  std::string crop = "no crop";
  if (report.crop == "CenterSquare") {
    crop = "centre square of " + numbers_text({static_cast<float>(report.crop_ppm) / 1e6f}) +
           " of the shorter side";
  }
  return report.color_order + ", " + crop + ", mean " + numbers_text(report.mean) + ", std " +
         numbers_text(report.deviation) + " (pixels 0..255)";
}

// One line of a text that may have more.
std::string first_line(const std::string& text) {
  const std::size_t end = text.find('\n');
  return end == std::string::npos ? text : text.substr(0, end) + " ...";
}

}  // namespace

std::string report_text(const ModelReport& report) {
  std::string out = "name            " + report.name + "\n";
  out += "source          " + report.source_format + "\n";
  if (!report.licence.empty()) out += "licence         " + first_line(report.licence) + "\n";
  out += "identity        " + report.identity + "\n";
  out += "file            " + std::to_string(report.file_bytes) + " bytes\n";
  out += "preprocessing   " + preprocessing_text(report) + "\n";
  out += "labels          " +
         (report.labels.empty() ? std::string("none") : std::to_string(report.labels.size())) +
         "\n";
  out += std::string("self-test       ") + (report.has_self_test ? "yes" : "none") + "\n";
  out += std::string("memory          of runs that prefer ") + preference_name(report.preference) +
         "\n";
  for (const VariantReport& variant : report.variants) out += variant_text(variant);
  return out;
}

}  // namespace cleave::importer
