// SPDX-License-Identifier: Apache-2.0
#include "schemas/op_shape.h"

#include <algorithm>
#include <utility>

namespace cleave {
namespace {

Result<fbs::Shape> checked(const fbs::Shape& shape) {
  CLEAVE_RETURN_IF_ERROR(check_shape(shape).with_context("output"));
  return shape;
}

bool in_extent(std::uint32_t value) { return value >= 1 && value <= kMaxWindowExtent; }

// True when each window has an element that is not padding. Only windows that start before the
// input, and the last one, can miss it.
bool every_window_meets_input(const WindowAxis& axis, std::uint32_t output) {
  for (std::uint64_t start = 0; start < axis.before; start += axis.stride) {
    if (start / axis.stride >= output) break;
    const std::uint64_t missing = axis.before - start;
    const std::uint64_t first_tap = (missing + axis.dilation - 1) / axis.dilation;
    const std::uint64_t position = first_tap * axis.dilation - missing;
    if (first_tap >= axis.window || position >= axis.input) return false;
  }
  const std::uint64_t last_start = std::uint64_t{output - 1} * axis.stride;
  return last_start < std::uint64_t{axis.before} + axis.input;
}

struct WindowAxes {
  WindowAxis height, width;
};

Result<WindowAxes> window_axes(const fbs::Window* window, const fbs::Padding* padding,
                               const fbs::Shape& input) {
  if (window == nullptr || padding == nullptr) return corrupt("window or padding is missing");
  return WindowAxes{{.input = input.height(),
                     .window = window->height(),
                     .stride = window->stride_height(),
                     .dilation = window->dilation_height(),
                     .before = padding->top(),
                     .after = padding->bottom()},
                    {.input = input.width(),
                     .window = window->width(),
                     .stride = window->stride_width(),
                     .dilation = window->dilation_width(),
                     .before = padding->left(),
                     .after = padding->right()}};
}

Result<fbs::Shape> slide_window(const WindowAxes& axes, std::uint32_t channels) {
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t height, window_output_extent(axes.height));
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t width, window_output_extent(axes.width));
  return checked({height, width, channels});
}

// Output channels of an op whose kernel has `per_output` elements for each.
Result<std::uint32_t> outputs_of_kernel(const fbs::Op& op, std::uint64_t per_output) {
  if (op.kernel() == nullptr) return corrupt("kernel is missing");
  const std::uint64_t bytes_per_output = per_output * dtype_bytes(op.kernel()->dtype());
  const std::uint64_t bytes = op.kernel()->bytes();
  if (bytes == 0 || bytes % bytes_per_output != 0 || bytes / bytes_per_output > kMaxDimension) {
    return corrupt("a kernel of " + std::to_string(bytes) + " bytes is not 1.." +
                   std::to_string(kMaxDimension) + " outputs of " +
                   std::to_string(bytes_per_output) + " bytes");
  }
  return static_cast<std::uint32_t>(bytes / bytes_per_output);
}

Result<fbs::Shape> conv2d_shape(const fbs::Op& op, const fbs::Shape& input) {
  const fbs::Conv2D& conv = *op.options_as_Conv2D();
  CLEAVE_ASSIGN_OR_RETURN(const WindowAxes axes, window_axes(conv.window(), conv.padding(), input));
  if (conv.groups() == 0 || input.channels() % conv.groups() != 0) {
    return corrupt(std::to_string(conv.groups()) + " groups do not divide " +
                   std::to_string(input.channels()) + " input channels");
  }
  CLEAVE_ASSIGN_OR_RETURN(const fbs::Shape one_channel, slide_window(axes, 1));
  const std::uint64_t per_output =
      std::uint64_t{axes.height.window} * axes.width.window * (input.channels() / conv.groups());
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t outputs, outputs_of_kernel(op, per_output));
  if (outputs % conv.groups() != 0) {
    return corrupt(std::to_string(conv.groups()) + " groups do not divide " +
                   std::to_string(outputs) + " output channels");
  }
  return checked({one_channel.height(), one_channel.width(), outputs});
}

Result<fbs::Shape> depthwise_conv2d_shape(const fbs::Op& op, const fbs::Shape& input) {
  const fbs::DepthwiseConv2D& conv = *op.options_as_DepthwiseConv2D();
  CLEAVE_ASSIGN_OR_RETURN(const WindowAxes axes, window_axes(conv.window(), conv.padding(), input));
  if (conv.multiplier() == 0 || conv.multiplier() > kMaxDimension / input.channels()) {
    return corrupt("multiplier " + std::to_string(conv.multiplier()) + " is 0 or too large");
  }
  return slide_window(axes, input.channels() * conv.multiplier());
}

Result<fbs::Shape> pool_shape(const fbs::Window* window, const fbs::Padding* padding,
                              const fbs::Shape& input) {
  CLEAVE_ASSIGN_OR_RETURN(const WindowAxes axes, window_axes(window, padding, input));
  CLEAVE_ASSIGN_OR_RETURN(const fbs::Shape output, slide_window(axes, input.channels()));
  if (!every_window_meets_input(axes.height, output.height()) ||
      !every_window_meets_input(axes.width, output.width())) {
    return corrupt("a window lies wholly in the padding");
  }
  return output;
}

Result<fbs::Shape> average_pool2d_shape(const fbs::AveragePool2D& pool, const fbs::Shape& input) {
  if (pool.window() != nullptr &&
      (pool.window()->dilation_height() != 1 || pool.window()->dilation_width() != 1)) {
    return corrupt("dilation must be 1");
  }
  return pool_shape(pool.window(), pool.padding(), input);
}

Result<fbs::Shape> fully_connected_shape(const fbs::Op& op, const fbs::Shape& input) {
  const std::uint64_t per_output = std::uint64_t{input.height()} * input.width() * input.channels();
  CLEAVE_ASSIGN_OR_RETURN(const std::uint32_t outputs, outputs_of_kernel(op, per_output));
  return checked({1, 1, outputs});
}

Result<fbs::Shape> broadcast_shape(const fbs::Shape& first, const fbs::Shape& second) {
  if (same_shape(second, first) || same_shape(second, fbs::Shape(1, 1, first.channels()))) {
    return first;
  }
  return corrupt("a second input of " + shape_text(second) + " does not go with " +
                 shape_text(first) + ": it must be of that shape or 1x1x" +
                 std::to_string(first.channels()));
}

Result<fbs::Shape> concat_shape(std::span<const fbs::Shape> inputs) {
  std::uint64_t channels = 0;
  for (const fbs::Shape& input : inputs) {
    if (input.height() != inputs[0].height() || input.width() != inputs[0].width()) {
      return corrupt("inputs of " + shape_text(inputs[0]) + " and " + shape_text(input) +
                     " differ in height or width");
    }
    channels += input.channels();
  }
  if (channels > kMaxDimension) return corrupt("too many channels: " + std::to_string(channels));
  return checked({inputs[0].height(), inputs[0].width(), static_cast<std::uint32_t>(channels)});
}

Result<fbs::Shape> pad_shape(const fbs::Pad& pad, const fbs::Shape& input) {
  if (pad.padding() == nullptr) return corrupt("padding is missing");
  const fbs::Padding& padding = *pad.padding();
  const std::uint32_t largest =
      std::max({padding.top(), padding.right(), padding.bottom(), padding.left()});
  if (largest > kMaxWindowExtent)
    return corrupt("padding over " + std::to_string(kMaxWindowExtent));
  return checked({input.height() + padding.top() + padding.bottom(),
                  input.width() + padding.left() + padding.right(), input.channels()});
}

Status check_input_count(const fbs::Op& op, std::size_t count) {
  std::size_t least = 1, most = 1;
  switch (op.options_type()) {
    case fbs::OpOptions::Add:
    case fbs::OpOptions::Multiply:
      least = most = 2;
      break;
    case fbs::OpOptions::Concat:
      least = 2;
      most = kMaxConcatInputs;
      break;
    default:
      break;
  }
  if (count >= least && count <= most) return Status::ok();
  return corrupt(std::to_string(count) + " inputs, must be " + std::to_string(least) +
                 (least == most ? "" : ".." + std::to_string(most)));
}

}  // namespace

const char* op_kind_name(const fbs::Op& op) {
  const fbs::OpOptions type = op.options_type();
  const bool known = type > fbs::OpOptions::NONE && type <= fbs::OpOptions::MAX;
  return known ? fbs::EnumNameOpOptions(type) : "unknown operator";
}

std::uint32_t dtype_bytes(fbs::DType dtype) {
  switch (dtype) {
    case fbs::DType::F16:
      return 2;
    case fbs::DType::S8:
    case fbs::DType::U8:
      return 1;
    case fbs::DType::F32:
    case fbs::DType::S32:
      break;
  }
  return 4;
}

std::string shape_text(const fbs::Shape& shape) {
  return std::to_string(shape.height()) + "x" + std::to_string(shape.width()) + "x" +
         std::to_string(shape.channels());
}

Status check_shape(const fbs::Shape& shape) {
  const std::uint32_t least = std::min({shape.height(), shape.width(), shape.channels()});
  const std::uint32_t most = std::max({shape.height(), shape.width(), shape.channels()});
  if (least < 1 || most > kMaxDimension) {
    return corrupt("shape " + shape_text(shape) + ": a dimension is not 1.." +
                   std::to_string(kMaxDimension));
  }
  if (std::uint64_t{shape.height()} * shape.width() * shape.channels() > kMaxTensorElements) {
    return corrupt("shape " + shape_text(shape) + " has more than 2^31 elements");
  }
  return Status::ok();
}

Result<std::uint32_t> window_output_extent(const WindowAxis& axis) {
  if (!in_extent(axis.window) || !in_extent(axis.stride) || !in_extent(axis.dilation)) {
    return corrupt("window, stride or dilation is not 1.." + std::to_string(kMaxWindowExtent));
  }
  if (std::max(axis.before, axis.after) > kMaxWindowExtent) {
    return corrupt("padding over " + std::to_string(kMaxWindowExtent));
  }
  const std::uint64_t padded = std::uint64_t{axis.input} + axis.before + axis.after;
  const std::uint64_t reach = std::uint64_t{axis.window - 1} * axis.dilation + 1;
  if (reach > padded) {
    return corrupt("a window of " + std::to_string(reach) + " does not fit the padded input of " +
                   std::to_string(padded));
  }
  return static_cast<std::uint32_t>((padded - reach) / axis.stride + 1);
}

Result<fbs::Shape> infer_op_shape(const fbs::Op& op, std::span<const fbs::Shape> inputs) {
  CLEAVE_RETURN_IF_ERROR(check_input_count(op, inputs.size()));
  const fbs::Shape& input = inputs[0];
  switch (op.options_type()) {
    case fbs::OpOptions::Conv2D:
      return conv2d_shape(op, input);
    case fbs::OpOptions::DepthwiseConv2D:
      return depthwise_conv2d_shape(op, input);
    case fbs::OpOptions::FullyConnected:
      return fully_connected_shape(op, input);
    case fbs::OpOptions::MaxPool2D: {
      const fbs::MaxPool2D& pool = *op.options_as_MaxPool2D();
      return pool_shape(pool.window(), pool.padding(), input);
    }
    case fbs::OpOptions::AveragePool2D:
      return average_pool2d_shape(*op.options_as_AveragePool2D(), input);
    case fbs::OpOptions::GlobalAveragePool:
      return fbs::Shape(1, 1, input.channels());
    case fbs::OpOptions::ClampOnly:
    case fbs::OpOptions::LeakyRelu:
    case fbs::OpOptions::HardSwish:
    case fbs::OpOptions::Sigmoid:
    case fbs::OpOptions::Lrn:
    case fbs::OpOptions::Softmax:
    case fbs::OpOptions::Convert:
      return input;
    case fbs::OpOptions::Add:
    case fbs::OpOptions::Multiply:
      return broadcast_shape(inputs[0], inputs[1]);
    case fbs::OpOptions::Concat:
      return concat_shape(inputs);
    case fbs::OpOptions::Pad:
      return pad_shape(*op.options_as_Pad(), input);
    case fbs::OpOptions::NONE:
      break;
  }
  return corrupt("unknown operator");
}

}  // namespace cleave
