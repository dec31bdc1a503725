// SPDX-License-Identifier: Apache-2.0
#include "tests/support/graph_interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cleave::test {
namespace {

using importer::Graph;
using importer::Hwc;
using importer::Node;
using importer::NodeKind;

std::size_t elements(const Hwc& s) { return std::size_t{s.height} * s.width * s.channels; }

struct Image {
  const Hwc& shape;
  const std::vector<float>& data;

  [[nodiscard]] bool inside(std::int64_t y, std::int64_t x) const {
    return y >= 0 && x >= 0 && y < shape.height && x < shape.width;
  }
  [[nodiscard]] float at(std::int64_t y, std::int64_t x, std::size_t c) const {
    return data[(static_cast<std::size_t>(y) * shape.width + static_cast<std::size_t>(x)) *
                    shape.channels +
                c];
  }
};

// Calls f(tap, y, x) for every tap of the window at output (oy, ox), in and out of the image.
template <typename F>
void for_each_tap(const Node& n, std::size_t oy, std::size_t ox, F f) {
  std::size_t tap = 0;
  for (std::uint32_t ky = 0; ky < n.window.height; ++ky) {
    for (std::uint32_t kx = 0; kx < n.window.width; ++kx, ++tap) {
      f(tap,
        static_cast<std::int64_t>(oy * n.window.stride_height + ky * n.window.dilation_height) -
            n.padding.top,
        static_cast<std::int64_t>(ox * n.window.stride_width + kx * n.window.dilation_width) -
            n.padding.left);
    }
  }
}

double convolve_at(const Node& n, const Image& in, const Hwc& out, std::size_t y, std::size_t x,
                   std::size_t o) {
  const std::size_t inputs = in.shape.channels / n.groups;
  const std::size_t first = o / (out.channels / n.groups) * inputs;
  const std::size_t taps = std::size_t{n.window.height} * n.window.width;
  double sum = 0;
  for_each_tap(n, y, x, [&](std::size_t tap, std::int64_t iy, std::int64_t ix) {
    if (!in.inside(iy, ix)) return;
    for (std::size_t i = 0; i < inputs; ++i) {
      sum += double{n.kernel[(o * taps + tap) * inputs + i]} * in.at(iy, ix, first + i);
    }
  });
  return sum;
}

double depthwise_at(const Node& n, const Image& in, const Hwc& out, std::size_t y, std::size_t x,
                    std::size_t o) {
  double sum = 0;
  for_each_tap(n, y, x, [&](std::size_t tap, std::int64_t iy, std::int64_t ix) {
    if (in.inside(iy, ix)) {
      sum += double{n.kernel[tap * out.channels + o]} * in.at(iy, ix, o / n.multiplier);
    }
  });
  return sum;
}

double fully_connected_at(const Node& n, const Image& in, std::size_t o) {
  double sum = 0;
  for (std::size_t i = 0; i < in.data.size(); ++i) {
    sum += double{n.kernel[o * in.data.size() + i]} * in.data[i];
  }
  return sum;
}

double max_pool_at(const Node& n, const Image& in, std::size_t y, std::size_t x, std::size_t c) {
  double best = -std::numeric_limits<double>::infinity();
  for_each_tap(n, y, x, [&](std::size_t, std::int64_t iy, std::int64_t ix) {
    if (in.inside(iy, ix)) best = std::max(best, double{in.at(iy, ix, c)});
  });
  return best;
}

double average_pool_at(const Node& n, const Image& in, std::size_t y, std::size_t x,
                       std::size_t c) {
  double sum = 0;
  int counted = 0;
  for_each_tap(n, y, x, [&](std::size_t, std::int64_t iy, std::int64_t ix) {
    if (!in.inside(iy, ix)) return;
    sum += in.at(iy, ix, c);
    ++counted;
  });
  return sum / counted;
}

double global_average_at(const Image& in, std::size_t c) {
  double sum = 0;
  for (std::size_t i = c; i < in.data.size(); i += in.shape.channels) sum += in.data[i];
  return sum / (double{1} * in.shape.height * in.shape.width);
}

// The window covers (size - 1) / 2 channels before and size / 2 after, as ONNX says.
double lrn_at(const Node& n, const Image& in, std::size_t y, std::size_t x, std::size_t c) {
  const auto iy = static_cast<std::int64_t>(y), ix = static_cast<std::int64_t>(x);
  const std::size_t before = std::min<std::size_t>(c, (n.size - 1) / 2);
  const std::size_t last = std::min<std::size_t>(in.shape.channels - 1, c + n.size / 2);
  double squares = 0;
  for (std::size_t i = c - before; i <= last; ++i) {
    squares += double{in.at(iy, ix, i)} * in.at(iy, ix, i);
  }
  return in.at(iy, ix, c) / std::pow(n.bias_k + double{n.alpha} / n.size * squares, n.beta);
}

double softmax_at(const Image& in, std::size_t y, std::size_t x, std::size_t c) {
  const auto iy = static_cast<std::int64_t>(y), ix = static_cast<std::int64_t>(x);
  double peak = in.at(iy, ix, 0), sum = 0;
  for (std::size_t i = 1; i < in.shape.channels; ++i)
    peak = std::max<double>(peak, in.at(iy, ix, i));
  for (std::size_t i = 0; i < in.shape.channels; ++i) sum += std::exp(in.at(iy, ix, i) - peak);
  return std::exp(in.at(iy, ix, c) - peak) / sum;
}

double concat_at(const std::vector<Image>& in, std::size_t y, std::size_t x, std::size_t c) {
  std::size_t part = 0;
  while (c >= in[part].shape.channels) c -= in[part++].shape.channels;
  return in[part].at(static_cast<std::int64_t>(y), static_cast<std::int64_t>(x), c);
}

double pad_at(const Node& n, const Image& in, std::size_t y, std::size_t x, std::size_t c) {
  const std::int64_t iy = static_cast<std::int64_t>(y) - n.padding.top;
  const std::int64_t ix = static_cast<std::int64_t>(x) - n.padding.left;
  return in.inside(iy, ix) ? in.at(iy, ix, c) : n.pad_value;
}

// The second operand of a binary node; one pixel is spread over the picture.
double second_at(const Image& in, std::size_t y, std::size_t x, std::size_t c) {
  const bool spread = in.shape.height == 1 && in.shape.width == 1;
  return spread ? in.data[c] : in.at(static_cast<std::int64_t>(y), static_cast<std::int64_t>(x), c);
}

double compute_at(const Node& n, const std::vector<Image>& in, const Hwc& out, std::size_t y,
                  std::size_t x, std::size_t c) {
  const auto here = [&] {
    return double{in[0].at(static_cast<std::int64_t>(y), static_cast<std::int64_t>(x), c)};
  };
  switch (n.kind) {
    case NodeKind::kConv2D:
      return convolve_at(n, in[0], out, y, x, c);
    case NodeKind::kDepthwiseConv2D:
      return depthwise_at(n, in[0], out, y, x, c);
    case NodeKind::kFullyConnected:
      return fully_connected_at(n, in[0], c);
    case NodeKind::kMaxPool2D:
      return max_pool_at(n, in[0], y, x, c);
    case NodeKind::kAveragePool2D:
      return average_pool_at(n, in[0], y, x, c);
    case NodeKind::kGlobalAveragePool:
      return global_average_at(in[0], c);
    case NodeKind::kLeakyRelu:
      return here() < 0 ? here() * n.alpha : here();
    case NodeKind::kHardSwish:
      return here() * std::clamp(here() + 3.0, 0.0, 6.0) / 6.0;
    case NodeKind::kSigmoid:
      return 1.0 / (1.0 + std::exp(-here()));
    case NodeKind::kAdd:
      return here() + second_at(in[1], y, x, c);
    case NodeKind::kMultiply:
      return here() * second_at(in[1], y, x, c);
    case NodeKind::kConcat:
      return concat_at(in, y, x, c);
    case NodeKind::kSelectChannels:
      return in[0].at(static_cast<std::int64_t>(y), static_cast<std::int64_t>(x), n.channels[c]);
    case NodeKind::kPad:
      return pad_at(n, in[0], y, x, c);
    case NodeKind::kLrn:
      return lrn_at(n, in[0], y, x, c);
    case NodeKind::kSoftmax:
      return softmax_at(in[0], y, x, c);
    case NodeKind::kAffine:
      return here() * n.kernel[c];
    case NodeKind::kClamp:
    case NodeKind::kMarker:
    case NodeKind::kConvert:
      return here();
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<float> run_node(const Graph& graph, const Node& n,
                            const std::vector<std::vector<float>>& data) {
  std::vector<Image> in;
  for (const importer::ValueId v : n.inputs) in.push_back({graph.values[v].shape, data[v]});
  const Hwc& out = graph.values[n.output].shape;
  std::vector<float> result(elements(out));
  std::size_t i = 0;
  for (std::size_t y = 0; y < out.height; ++y) {
    for (std::size_t x = 0; x < out.width; ++x) {
      for (std::size_t c = 0; c < out.channels; ++c, ++i) {
        const double sum = compute_at(n, in, out, y, x, c) + (n.bias.empty() ? 0 : n.bias[c]);
        result[i] =
            static_cast<float>(std::min<double>(std::max<double>(sum, n.clamp_min), n.clamp_max));
      }
    }
  }
  return result;
}

}  // namespace

std::vector<std::vector<float>> interpret_all(const Graph& graph, std::span<const float> input) {
  std::vector<std::vector<float>> data(graph.values.size());
  data[graph.input].assign(input.begin(), input.end());
  for (const Node& n : graph.nodes) data[n.output] = run_node(graph, n, data);
  return data;
}

std::vector<float> interpret(const Graph& graph, std::span<const float> input) {
  return interpret_all(graph, input)[graph.output];
}

std::uint64_t multiply_adds(const Graph& graph) {
  std::uint64_t total = 0;
  for (const Node& n : graph.nodes) {
    const Hwc& out = graph.values[n.output].shape;
    const std::uint64_t pixels = std::uint64_t{out.height} * out.width;
    const bool weighted = n.kind == NodeKind::kConv2D || n.kind == NodeKind::kDepthwiseConv2D ||
                          n.kind == NodeKind::kFullyConnected;
    if (weighted) total += pixels * n.kernel.size();
  }
  return total;
}

std::uint64_t parameter_count(const Graph& graph) {
  std::uint64_t total = 0;
  for (const Node& n : graph.nodes) total += n.kernel.size() + n.bias.size();
  return total;
}

std::vector<float> seeded_values(std::size_t count, std::uint64_t seed) {
  std::vector<float> values(count);
  std::uint64_t state = seed * 2 + 1;
  for (float& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<float>(static_cast<std::int32_t>(state >> 32)) / 2147483648.0f;
  }
  return values;
}

double relative_error(std::span<const float> expected, std::span<const float> actual) {
  if (expected.size() != actual.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, scale = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(double{expected[i]} - actual[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
    scale = std::max(scale, std::abs(double{expected[i]}));
  }
  return worst / (scale > 0 ? scale : 1);
}

}  // namespace cleave::test
