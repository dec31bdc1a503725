// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace cleave::test {
namespace {

// One picture's tensor with its shape; outside of the picture there is nothing.
struct Picture {
  fbs::Shape shape;
  Values values;

  explicit Picture(const fbs::Shape& s)
      : shape(s), values(std::size_t{s.height()} * s.width() * s.channels()) {}
  Picture(const fbs::Shape& s, Values v) : shape(s), values(std::move(v)) {}

  bool holds(std::int64_t y, std::int64_t x) const {
    return y >= 0 && y < shape.height() && x >= 0 && x < shape.width();
  }
  float& at(std::int64_t y, std::int64_t x, std::size_t c) {
    const auto pixel = static_cast<std::size_t>(y) * shape.width() + static_cast<std::size_t>(x);
    return values[pixel * shape.channels() + c];
  }
  double at(std::int64_t y, std::int64_t x, std::size_t c) const {
    return const_cast<Picture*>(this)->at(y, x, c);
  }
};

// All that the operators below compute from.
struct Context {
  const fbs::Op& op;
  std::vector<Picture> inputs;
  Values kernel;
  Values bias;  // empty: zero
  Picture output;
};

std::int64_t tap_row(const fbs::Window& w, const fbs::Padding& p, std::int64_t y,
                     std::int64_t tap) {
  return y * w.stride_height() + tap * w.dilation_height() - p.top();
}

std::int64_t tap_column(const fbs::Window& w, const fbs::Padding& p, std::int64_t x,
                        std::int64_t tap) {
  return x * w.stride_width() + tap * w.dilation_width() - p.left();
}

// Sets each element of the output to value(y, x, c).
template <typename Value>
void fill(Picture& output, const Value& value) {
  for (std::uint32_t y = 0; y < output.shape.height(); ++y) {
    for (std::uint32_t x = 0; x < output.shape.width(); ++x) {
      for (std::uint32_t c = 0; c < output.shape.channels(); ++c) {
        output.at(y, x, c) = static_cast<float>(value(y, x, c));
      }
    }
  }
}

// Calls visit(tap_y, tap_x, y, x) for the taps of output pixel (oy, ox) that lie in the input.
template <typename Visit>
void for_each_tap(const Picture& input, const fbs::Window& w, const fbs::Padding& p,
                  std::uint32_t oy, std::uint32_t ox, const Visit& visit) {
  for (std::uint32_t ky = 0; ky < w.height(); ++ky) {
    for (std::uint32_t kx = 0; kx < w.width(); ++kx) {
      const std::int64_t y = tap_row(w, p, oy, ky);
      const std::int64_t x = tap_column(w, p, ox, kx);
      if (input.holds(y, x)) visit(ky, kx, y, x);
    }
  }
}

double bias_of(const Context& context, std::size_t channel) {
  return context.bias.empty() ? 0.0 : double{context.bias[channel]};
}

void conv2d(Context& context) {
  const fbs::Conv2D& conv = *context.op.options_as_Conv2D();
  const fbs::Window& w = *conv.window();
  const Picture& input = context.inputs[0];
  const std::size_t group_inputs = input.shape.channels() / conv.groups();
  const std::size_t group_outputs = context.output.shape.channels() / conv.groups();
  fill(context.output, [&](std::uint32_t oy, std::uint32_t ox, std::size_t o) {
    const std::size_t first = o / group_outputs * group_inputs;
    double sum = bias_of(context, o);
    for_each_tap(input, w, *conv.padding(), oy, ox,
                 [&](std::size_t ky, std::size_t kx, std::int64_t y, std::int64_t x) {
                   for (std::size_t i = 0; i < group_inputs; ++i) {
                     const std::size_t weight =
                         ((o * w.height() + ky) * w.width() + kx) * group_inputs + i;
                     sum += input.at(y, x, first + i) * double{context.kernel[weight]};
                   }
                 });
    return sum;
  });
}

void depthwise_conv2d(Context& context) {
  const fbs::DepthwiseConv2D& conv = *context.op.options_as_DepthwiseConv2D();
  const fbs::Window& w = *conv.window();
  const Picture& input = context.inputs[0];
  const std::size_t outputs = context.output.shape.channels();
  fill(context.output, [&](std::uint32_t oy, std::uint32_t ox, std::size_t o) {
    double sum = bias_of(context, o);
    for_each_tap(input, w, *conv.padding(), oy, ox,
                 [&](std::size_t ky, std::size_t kx, std::int64_t y, std::int64_t x) {
                   sum += input.at(y, x, o / conv.multiplier()) *
                          double{context.kernel[(ky * w.width() + kx) * outputs + o]};
                 });
    return sum;
  });
}

void fully_connected(Context& context) {
  const Values& input = context.inputs[0].values;
  fill(context.output, [&](std::uint32_t, std::uint32_t, std::size_t o) {
    double sum = bias_of(context, o);
    for (std::size_t i = 0; i < input.size(); ++i) {
      sum += double{input[i]} * double{context.kernel[o * input.size() + i]};
    }
    return sum;
  });
}

void max_pool2d(Context& context) {
  const fbs::MaxPool2D& pool = *context.op.options_as_MaxPool2D();
  const Picture& input = context.inputs[0];
  fill(context.output, [&](std::uint32_t oy, std::uint32_t ox, std::size_t c) {
    double most = -std::numeric_limits<double>::infinity();
    for_each_tap(input, *pool.window(), *pool.padding(), oy, ox,
                 [&](std::size_t, std::size_t, std::int64_t y, std::int64_t x) {
                   most = std::max(most, input.at(y, x, c));
                 });
    return most;
  });
}

void average_pool2d(Context& context) {
  const fbs::AveragePool2D& pool = *context.op.options_as_AveragePool2D();
  const Picture& input = context.inputs[0];
  fill(context.output, [&](std::uint32_t oy, std::uint32_t ox, std::size_t c) {
    double sum = 0;
    int count = 0;
    for_each_tap(input, *pool.window(), *pool.padding(), oy, ox,
                 [&](std::size_t, std::size_t, std::int64_t y, std::int64_t x) {
                   sum += input.at(y, x, c);
                   ++count;
                 });
    return sum / count;
  });
}

void global_average_pool(Context& context) {
  const Picture& input = context.inputs[0];
  fill(context.output, [&](std::uint32_t, std::uint32_t, std::size_t c) {
    double sum = 0;
    for (std::uint32_t y = 0; y < input.shape.height(); ++y) {
      for (std::uint32_t x = 0; x < input.shape.width(); ++x) sum += input.at(y, x, c);
    }
    return sum / (double{1} * input.shape.height() * input.shape.width());
  });
}

template <typename Function>
void map_elements(Context& context, const Function& function) {
  std::transform(context.inputs[0].values.begin(), context.inputs[0].values.end(),
                 context.output.values.begin(),
                 [&](float x) { return static_cast<float>(function(double{x})); });
}

// The second input may be 1 x 1 x channels.
template <typename Function>
void combine(Context& context, const Function& function) {
  const Picture& second = context.inputs[1];
  const bool broadcast = second.values.size() != context.inputs[0].values.size();
  fill(context.output, [&](std::uint32_t y, std::uint32_t x, std::size_t c) {
    return function(context.inputs[0].at(y, x, c),
                    broadcast ? second.at(0, 0, c) : second.at(y, x, c));
  });
}

void concat(Context& context) {
  std::size_t offset = 0;
  for (const Picture& input : context.inputs) {
    for (std::uint32_t y = 0; y < input.shape.height(); ++y) {
      for (std::uint32_t x = 0; x < input.shape.width(); ++x) {
        for (std::uint32_t c = 0; c < input.shape.channels(); ++c) {
          context.output.at(y, x, offset + c) = static_cast<float>(input.at(y, x, c));
        }
      }
    }
    offset += input.shape.channels();
  }
}

void pad(Context& context) {
  const fbs::Pad& options = *context.op.options_as_Pad();
  const Picture& input = context.inputs[0];
  fill(context.output, [&](std::uint32_t oy, std::uint32_t ox, std::size_t c) {
    const std::int64_t y = std::int64_t{oy} - options.padding()->top();
    const std::int64_t x = std::int64_t{ox} - options.padding()->left();
    return input.holds(y, x) ? input.at(y, x, c) : double{options.value()};
  });
}

void lrn(Context& context) {
  const fbs::Lrn& options = *context.op.options_as_Lrn();
  const Picture& input = context.inputs[0];
  const std::int64_t before = (std::int64_t{options.size()} - 1) / 2;
  const std::int64_t channels = input.shape.channels();
  fill(context.output, [&](std::uint32_t y, std::uint32_t x, std::size_t c) {
    double squares = 0;
    const std::int64_t first = static_cast<std::int64_t>(c) - before;
    for (std::int64_t i = first; i < first + options.size(); ++i) {
      if (i < 0 || i >= channels) continue;
      const double value = input.at(y, x, static_cast<std::size_t>(i));
      squares += value * value;
    }
    const double scaled = double{options.alpha()} / options.size() * squares;
    return input.at(y, x, c) / std::pow(double{options.bias()} + scaled, double{options.beta()});
  });
}

void softmax(Context& context) {
  const Picture& input = context.inputs[0];
  fill(context.output, [&](std::uint32_t y, std::uint32_t x, std::size_t c) {
    double most = -std::numeric_limits<double>::infinity();
    double sum = 0;
    for (std::size_t i = 0; i < input.shape.channels(); ++i)
      most = std::max(most, input.at(y, x, i));
    for (std::size_t i = 0; i < input.shape.channels(); ++i)
      sum += std::exp(input.at(y, x, i) - most);
    return std::exp(input.at(y, x, c) - most) / sum;
  });
}

double hard_swish(double x) { return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0; }

void compute(Context& context) {
  switch (context.op.options_type()) {
    case fbs::OpOptions::Conv2D:
      return conv2d(context);
    case fbs::OpOptions::DepthwiseConv2D:
      return depthwise_conv2d(context);
    case fbs::OpOptions::FullyConnected:
      return fully_connected(context);
    case fbs::OpOptions::MaxPool2D:
      return max_pool2d(context);
    case fbs::OpOptions::AveragePool2D:
      return average_pool2d(context);
    case fbs::OpOptions::GlobalAveragePool:
      return global_average_pool(context);
    case fbs::OpOptions::ClampOnly:
      return map_elements(context, [](double x) { return x; });
    case fbs::OpOptions::LeakyRelu:
      return map_elements(context, [&](double x) {
        return x < 0 ? x * double{context.op.options_as_LeakyRelu()->negative_slope()} : x;
      });
    case fbs::OpOptions::HardSwish:
      return map_elements(context, hard_swish);
    case fbs::OpOptions::Sigmoid:
      return map_elements(context, [](double x) { return 1.0 / (1.0 + std::exp(-x)); });
    case fbs::OpOptions::Add:
      return combine(context, [](double a, double b) { return a + b; });
    case fbs::OpOptions::Multiply:
      return combine(context, [](double a, double b) { return a * b; });
    case fbs::OpOptions::Concat:
      return concat(context);
    case fbs::OpOptions::Pad:
      return pad(context);
    case fbs::OpOptions::Lrn:
      return lrn(context);
    case fbs::OpOptions::Softmax:
      return softmax(context);
    case fbs::OpOptions::Convert:
      return map_elements(context, [](double x) { return x; });
    case fbs::OpOptions::NONE:
      break;
  }
  throw std::logic_error("reference_ops: an operator without a reference");
}

template <typename Stored>
std::vector<Stored> read_as(const ModelFile& model, const fbs::Op& op,
                            const fbs::WeightView& view) {
  const std::span<const std::byte> bytes = model.weight_bytes(op, view);
  std::vector<Stored> stored(bytes.size() / sizeof(Stored));
  std::memcpy(stored.data(), bytes.data(), bytes.size());
  return stored;
}

// By its definition: 2^(exponent - 15) * 1.mantissa, or 2^-14 * 0.mantissa.
float half_value(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const double mantissa = (half & 1023) / 1024.0;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -14) : std::ldexp(1 + mantissa, exponent - 15);
  return static_cast<float>((half & 0x8000) != 0 ? -magnitude : magnitude);
}

// Of output channel `channel`.
float kernel_scale(const fbs::Op& op, std::size_t channel) {
  const auto& scales = *op.kernel()->quantization()->scale();
  return scales.Get(scales.size() == 1 ? 0 : static_cast<flatbuffers::uoffset_t>(channel));
}

Values read_kernel(const ModelFile& model, const fbs::Op& op, std::size_t channels) {
  if (op.kernel() == nullptr) return {};
  if (op.kernel()->dtype() == fbs::DType::F32) return read_as<float>(model, op, *op.kernel());
  Values values;
  if (op.kernel()->dtype() == fbs::DType::F16) {
    for (const std::uint16_t half : read_as<std::uint16_t>(model, op, *op.kernel())) {
      values.push_back(half_value(half));
    }
    return values;
  }
  const auto integers = read_as<std::int8_t>(model, op, *op.kernel());
  const bool channel_last = op.options_type() == fbs::OpOptions::DepthwiseConv2D;
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const std::size_t channel = channel_last ? i % channels : i / (integers.size() / channels);
    values.push_back(static_cast<float>(integers[i]) * kernel_scale(op, channel));
  }
  return values;
}

Values read_bias(const ModelFile& model, const fbs::Variant& variant, const fbs::Op& op) {
  if (op.bias() == nullptr) return {};
  if (op.bias()->dtype() == fbs::DType::F32) return read_as<float>(model, op, *op.bias());
  const fbs::Tensor& input = *variant.tensors()->Get(op.inputs()->Get(0));
  Values values;
  for (const std::int32_t integer : read_as<std::int32_t>(model, op, *op.bias())) {
    const double unit =
        double{input.quantization()->scale()->Get(0)} * double{kernel_scale(op, values.size())};
    values.push_back(static_cast<float>(integer * unit));
  }
  return values;
}

}  // namespace

Values reference_op(const ModelFile& model, const fbs::Variant& variant, std::uint32_t index,
                    const std::vector<Values>& inputs) {
  const fbs::Op& op = *variant.ops()->Get(index);
  const fbs::Shape& output = *variant.tensors()->Get(op.output())->shape();
  Context context{.op = op,
                  .inputs = {},
                  .kernel = read_kernel(model, op, output.channels()),
                  .bias = read_bias(model, variant, op),
                  .output = Picture(output)};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::uint32_t tensor = op.inputs()->Get(static_cast<flatbuffers::uoffset_t>(i));
    context.inputs.emplace_back(*variant.tensors()->Get(tensor)->shape(), inputs[i]);
  }
  compute(context);
  if (op.clamp() != nullptr) {
    for (float& value : context.output.values) {
      value = std::min(std::max(value, op.clamp()->minimum()), op.clamp()->maximum());
    }
  }
  return context.output.values;
}

std::map<std::uint32_t, Values> reference_run(const ModelFile& model, const fbs::Variant& variant,
                                              const Values& input) {
  std::map<std::uint32_t, Values> tensors{{variant.input(), input}};
  for (std::uint32_t index = 0; index < variant.ops()->size(); ++index) {
    const fbs::Op& op = *variant.ops()->Get(index);
    std::vector<Values> inputs;
    for (const std::uint32_t tensor : *op.inputs()) inputs.push_back(tensors.at(tensor));
    tensors[op.output()] = reference_op(model, variant, index, inputs);
  }
  return tensors;
}

}  // namespace cleave::test
