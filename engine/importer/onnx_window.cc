// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/onnx_window.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/importer/onnx_import.h"

namespace cleave::importer {
namespace {

// Far beyond any real network, and small enough that no sum below can overflow.
constexpr std::int64_t kMaxOnnxExtent = 1 << 20;

// One direction of the window; ONNX's lists name height first.
struct Direction {
  std::int64_t input, kernel, stride, dilation, before, after;
  std::int64_t overflow = 0;

  [[nodiscard]] std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
};

enum class AutoPad { kNotSet, kSameUpper, kSameLower, kValid };

Result<AutoPad> read_auto_pad(OnnxAttributes& attributes) {
  const std::string text = attributes.text("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return AutoPad::kNotSet;
  if (text == "SAME_UPPER") return AutoPad::kSameUpper;
  if (text == "SAME_LOWER") return AutoPad::kSameLower;
  if (text == "VALID") return AutoPad::kValid;
  return onnx_corrupt("auto_pad is \"" + text + "\"");
}

Status check_list(const std::vector<std::int64_t>& list, std::size_t size, std::int64_t low,
                  const char* what) {
  if (list.size() != size) {
    return onnx_unsupported(std::string(what) + " has " + std::to_string(list.size()) +
                            " entries; only windows over height and width are imported");
  }
  for (const std::int64_t entry : list) {
    if (entry < low && entry < 0) return onnx_unsupported(std::string("negative ") + what);
    if (entry < low || entry > kMaxOnnxExtent) {
      return onnx_corrupt(std::string(what) + " is out of range");
    }
  }
  return Status::ok();
}

void apply_auto_pad(Direction& d, AutoPad mode) {
  if (mode == AutoPad::kNotSet) return;
  d.before = d.after = 0;
  if (mode == AutoPad::kValid) return;
  const std::int64_t positions = (d.input + d.stride - 1) / d.stride;
  const std::int64_t total =
      std::max<std::int64_t>(0, (positions - 1) * d.stride + d.reach() - d.input);
  d.before = mode == AutoPad::kSameUpper ? total / 2 : total - total / 2;
  d.after = total - d.before;
}

// Rounds the number of positions up; a last window that would begin in the trailing padding is
// dropped (as PyTorch does, and ONNX since it said so).
void apply_ceil_mode(Direction& d) {
  const std::int64_t room = d.input + d.before + d.after - d.reach();
  if (room < 0) return;  // does not fit once: refused by the shape rule
  std::int64_t positions = (room + d.stride - 1) / d.stride + 1;
  if ((positions - 1) * d.stride >= d.input + d.before) --positions;
  d.overflow = std::max<std::int64_t>(0, (positions - 1) * d.stride - room);
}

std::uint32_t narrow(std::int64_t x) { return static_cast<std::uint32_t>(x); }

}  // namespace

Result<OnnxWindow> read_onnx_window(OnnxAttributes& attributes, const Hwc& input,
                                    std::vector<std::int64_t> kernel_extents) {
  const bool from_weights = !kernel_extents.empty();
  const std::vector<std::int64_t> kernel = attributes.integers("kernel_shape", kernel_extents);
  if (from_weights && kernel != kernel_extents) {
    return onnx_corrupt("kernel_shape does not agree with the weights");
  }
  const std::vector<std::int64_t> strides = attributes.integers("strides", {1, 1});
  const std::vector<std::int64_t> dilations = attributes.integers("dilations", {1, 1});
  const std::vector<std::int64_t> pads = attributes.integers("pads", {0, 0, 0, 0});
  const bool ceil_mode = attributes.integer("ceil_mode", 0) != 0;
  CLEAVE_ASSIGN_OR_RETURN(const AutoPad auto_pad, read_auto_pad(attributes));
  CLEAVE_RETURN_IF_ERROR(attributes.status());
  CLEAVE_RETURN_IF_ERROR(check_list(kernel, 2, 1, "kernel_shape"));
  CLEAVE_RETURN_IF_ERROR(check_list(strides, 2, 1, "strides"));
  CLEAVE_RETURN_IF_ERROR(check_list(dilations, 2, 1, "dilations"));
  CLEAVE_RETURN_IF_ERROR(check_list(pads, 4, 0, "pads"));

  std::array<Direction, 2> d{
      Direction{input.height, kernel[0], strides[0], dilations[0], pads[0], pads[2]},
      Direction{input.width, kernel[1], strides[1], dilations[1], pads[1], pads[3]}};
  for (Direction& direction : d) {
    apply_auto_pad(direction, auto_pad);
    if (ceil_mode && auto_pad == AutoPad::kNotSet) apply_ceil_mode(direction);
  }
  OnnxWindow result;
  result.window = {narrow(d[0].kernel), narrow(d[1].kernel),   narrow(d[0].stride),
                   narrow(d[1].stride), narrow(d[0].dilation), narrow(d[1].dilation)};
  result.padding = {narrow(d[0].before), narrow(d[1].after), narrow(d[0].after),
                    narrow(d[1].before)};
  result.overflow_bottom = narrow(d[0].overflow);
  result.overflow_right = narrow(d[1].overflow);
  return result;
}

}  // namespace cleave::importer
