// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/onnx_families.h"

#include <array>
#include <utility>

#include "tests/support/onnx_network.h"

namespace cleave::test {
namespace {

constexpr int kClasses = 10;

// A convolution's window: kernel and padding of height, then width.
struct Window {
  std::int64_t height = 1, width = 1, stride = 1, pad_height = 0, pad_width = 0;
};

constexpr Window square(std::int64_t size, std::int64_t stride = 1) {
  return {size, size, stride, size / 2, size / 2};
}

// A network under construction: `OnnxNetwork` that knows how many channels each tensor has.
class Family {
 public:
  struct Tensor {
    std::string name;
    std::int64_t channels = 0, height = 0, width = 0;
  };

  Family(std::int64_t height, std::int64_t width)
      : net_(13, {1, 3, height, width}), input_{"x", 3, height, width} {}

  [[nodiscard]] const Tensor& input() const { return input_; }

  Tensor conv(const Tensor& x, std::int64_t outputs, const Window& window, std::int64_t groups = 1,
              bool with_bias = false) {
    std::vector<std::string> inputs{
        x.name, net_.he_weights({outputs, x.channels / groups, window.height, window.width})};
    if (with_bias) inputs.push_back(net_.scaled_weights({outputs}, 0.1, 0));
    const std::string name = net_.node("Conv", inputs, [&](onnx::NodeProto& n) {
      set_window(n, window);
      set_int(n, "group", groups);
    });
    return slid(x, name, outputs, window);
  }

  Tensor batch_norm(const Tensor& x) {
    const OnnxNetwork::Dims dims{x.channels};
    return like(
        x, net_.node("BatchNormalization",
                     {x.name, net_.scaled_weights(dims, 0.3, 1), net_.scaled_weights(dims, 0.2, 0),
                      net_.scaled_weights(dims, 0.2, 0), net_.scaled_weights(dims, 0.4, 1)}));
  }

  Tensor relu(const Tensor& x) { return like(x, net_.node("Relu", {x.name})); }

  Tensor conv_bn(const Tensor& x, std::int64_t outputs, const Window& window,
                 std::int64_t groups = 1) {
    return batch_norm(conv(x, outputs, window, groups));
  }

  Tensor conv_bn_relu(const Tensor& x, std::int64_t outputs, const Window& window,
                      std::int64_t groups = 1) {
    return relu(conv_bn(x, outputs, window, groups));
  }

  Tensor bn_relu_conv(const Tensor& x, std::int64_t outputs, const Window& window) {
    return conv(relu(batch_norm(x)), outputs, window);
  }

  Tensor max_pool(const Tensor& x, const Window& window) {
    return slid(x,
                net_.node("MaxPool", {x.name}, [&](onnx::NodeProto& n) { set_window(n, window); }),
                x.channels, window);
  }

  Tensor average_pool(const Tensor& x, const Window& window, bool count_padding) {
    const std::string name = net_.node("AveragePool", {x.name}, [&](onnx::NodeProto& n) {
      set_window(n, window);
      set_int(n, "count_include_pad", count_padding ? 1 : 0);
    });
    return slid(x, name, x.channels, window);
  }

  Tensor lrn(const Tensor& x) {
    return like(x, net_.node("LRN", {x.name}, [](onnx::NodeProto& n) {
      set_int(n, "size", 5);
      set_float(n, "alpha", 0.5f);  // large enough to be seen
      set_float(n, "beta", 0.75f);
      set_float(n, "bias", 2.0f);
    }));
  }

  Tensor add(const Tensor& a, const Tensor& b) {
    return like(a, net_.node("Add", {a.name, b.name}));
  }

  Tensor concat(const std::vector<Tensor>& parts) {
    std::vector<std::string> names;
    Tensor joined = parts.front();
    joined.channels = 0;
    for (const Tensor& part : parts) {
      names.push_back(part.name);
      joined.channels += part.channels;
    }
    joined.name = net_.node("Concat", names, [](onnx::NodeProto& n) { set_int(n, "axis", 1); });
    return joined;
  }

  std::array<Tensor, 2> halves(const Tensor& x) {
    const std::vector<std::string> names =
        net_.nodes("Split", {x.name, net_.ints({x.channels / 2, x.channels / 2})}, 2,
                   [](onnx::NodeProto& n) { set_int(n, "axis", 1); });
    std::array<Tensor, 2> halves{x, x};
    for (std::size_t i = 0; i < 2; ++i) {
      halves[i].name = names[i];
      halves[i].channels /= 2;
    }
    return halves;
  }

  // Groups x members to members x groups, as every framework without an operator for it writes it.
  Tensor shuffle(const Tensor& x, std::int64_t groups) {
    const std::string split = net_.node(
        "Reshape", {x.name, net_.ints({1, groups, x.channels / groups, x.height, x.width})});
    const std::string turned = net_.node("Transpose", {split}, [](onnx::NodeProto& n) {
      set_ints(n, "perm", {0, 2, 1, 3, 4});
    });
    return like(x, net_.node("Reshape", {turned, net_.ints({1, -1, x.height, x.width})}));
  }

  Tensor fully_connected(const Tensor& x, std::int64_t outputs) {
    const std::string flat = net_.node("Flatten", {x.name});
    const std::int64_t inputs = x.channels * x.height * x.width;
    const std::string name = net_.node(
        "Gemm", {flat, net_.he_weights({outputs, inputs}), net_.scaled_weights({outputs}, 0.1, 0)},
        [](onnx::NodeProto& n) { set_int(n, "transB", 1); });
    return {name, outputs, 1, 1};
  }

  onnx::ModelProto finish_pooled(const Tensor& x) {
    const Tensor pooled{net_.node("GlobalAveragePool", {x.name}), x.channels, 1, 1};
    return net_.finish(fully_connected(pooled, kClasses).name);
  }

  onnx::ModelProto finish_softmax(const Tensor& x) {
    return net_.finish(net_.node("Softmax", {x.name}));
  }

 private:
  static Tensor like(const Tensor& x, std::string name) {
    return {std::move(name), x.channels, x.height, x.width};
  }

  static Tensor slid(const Tensor& x, std::string name, std::int64_t channels, const Window& w) {
    return {std::move(name), channels, (x.height + 2 * w.pad_height - w.height) / w.stride + 1,
            (x.width + 2 * w.pad_width - w.width) / w.stride + 1};
  }

  static void set_window(onnx::NodeProto& n, const Window& w) {
    set_ints(n, "kernel_shape", {w.height, w.width});
    set_ints(n, "strides", {w.stride, w.stride});
    set_ints(n, "pads", {w.pad_height, w.pad_width, w.pad_height, w.pad_width});
  }

  OnnxNetwork net_;
  Tensor input_;
};

using Tensor = Family::Tensor;

constexpr Window kPool3{3, 3, 2, 0, 0}, kPool2{2, 2, 2, 0, 0}, kPool3Padded{3, 3, 2, 1, 1};

Tensor basic_block(Family& f, const Tensor& x, std::int64_t channels, std::int64_t stride) {
  const Tensor y = f.conv_bn(f.conv_bn_relu(x, channels, square(3, stride)), channels, square(3));
  const bool same = stride == 1 && x.channels == channels;
  return f.relu(f.add(y, same ? x : f.conv_bn(x, channels, square(1, stride))));
}

Tensor bottleneck_block(Family& f, const Tensor& x, std::int64_t narrow, std::int64_t stride,
                        std::int64_t groups) {
  Tensor y = f.conv_bn_relu(x, narrow, square(1));
  y = f.conv_bn(f.conv_bn_relu(y, narrow, square(3, stride), groups), 4 * narrow, square(1));
  const bool same = stride == 1 && x.channels == 4 * narrow;
  return f.relu(f.add(y, same ? x : f.conv_bn(x, 4 * narrow, square(1, stride))));
}

Tensor dense_layer(Family& f, const Tensor& x, std::int64_t growth) {
  const Tensor narrow = f.bn_relu_conv(x, 2 * growth, square(1));
  return f.concat({x, f.bn_relu_conv(narrow, growth, square(3))});
}

Tensor inception_a(Family& f, const Tensor& x) {
  const Tensor wide = f.conv_bn_relu(f.conv_bn_relu(x, 6, square(1)), 8, square(5));
  Tensor twice = f.conv_bn_relu(f.conv_bn_relu(x, 8, square(1)), 10, square(3));
  twice = f.conv_bn_relu(twice, 10, square(3));
  const Tensor pooled = f.conv_bn_relu(f.average_pool(x, square(3), true), 5, square(1));
  return f.concat({f.conv_bn_relu(x, 8, square(1)), wide, twice, pooled});
}

Tensor inception_reduction(Family& f, const Tensor& x) {
  const Window halve{3, 3, 2, 0, 0};
  Tensor twice = f.conv_bn_relu(f.conv_bn_relu(x, 8, square(1)), 12, square(3));
  twice = f.conv_bn_relu(twice, 12, halve);
  return f.concat({f.conv_bn_relu(x, 16, halve), twice, f.max_pool(x, halve)});
}

Tensor inception_c(Family& f, const Tensor& x) {
  const Window row{1, 7, 1, 0, 3}, column{7, 1, 1, 3, 0};
  Tensor once = f.conv_bn_relu(f.conv_bn_relu(x, 6, square(1)), 6, row);
  once = f.conv_bn_relu(once, 9, column);
  Tensor twice = f.conv_bn_relu(f.conv_bn_relu(x, 6, square(1)), 6, column);
  twice = f.conv_bn_relu(f.conv_bn_relu(twice, 6, row), 6, column);
  twice = f.conv_bn_relu(twice, 9, row);
  const Tensor pooled = f.conv_bn_relu(f.average_pool(x, square(3), false), 9, square(1));
  return f.concat({f.conv_bn_relu(x, 9, square(1)), once, twice, pooled});
}

// Two branches that part once more and are joined where they stand.
Tensor inception_e(Family& f, const Tensor& x) {
  const Window row{1, 3, 1, 0, 1}, column{3, 1, 1, 1, 0};
  const Tensor fork = f.conv_bn_relu(x, 10, square(1));
  const Tensor forked = f.concat({f.conv_bn_relu(fork, 7, row), f.conv_bn_relu(fork, 7, column)});
  return f.concat({f.conv_bn_relu(x, 8, square(1)), forked, f.max_pool(x, square(3))});
}

// With stride 2 the input goes on pooled, and what is computed is joined to it, not added.
Tensor shuffle_unit_v1(Family& f, const Tensor& x, std::int64_t outputs, std::int64_t stride,
                       std::int64_t groups, bool first_grouped = true) {
  const std::int64_t computed = stride == 2 ? outputs - x.channels : outputs;
  const std::int64_t narrow = outputs / 4;
  Tensor y = f.conv_bn_relu(x, narrow, square(1), first_grouped ? groups : 1);
  y = f.conv_bn(f.shuffle(y, groups), narrow, square(3, stride), narrow);
  y = f.conv_bn(y, computed, square(1), groups);
  if (stride == 1) return f.relu(f.add(x, y));
  return f.relu(f.concat({f.average_pool(x, kPool3Padded, true), y}));
}

Tensor shuffle_branch_v2(Family& f, const Tensor& x, std::int64_t outputs, std::int64_t stride) {
  const Tensor narrow = f.conv_bn_relu(x, outputs, square(1));
  return f.conv_bn_relu(f.conv_bn(narrow, outputs, square(3, stride), outputs), outputs, square(1));
}

Tensor shuffle_unit_v2(Family& f, const Tensor& x, std::int64_t outputs, std::int64_t stride) {
  if (stride == 1) {
    const auto [kept, changed] = f.halves(x);
    return f.shuffle(f.concat({kept, shuffle_branch_v2(f, changed, outputs / 2, 1)}), 2);
  }
  const Tensor shortcut =
      f.conv_bn_relu(f.conv_bn(x, x.channels, square(3, 2), x.channels), outputs / 2, square(1));
  return f.shuffle(f.concat({shortcut, shuffle_branch_v2(f, x, outputs / 2, 2)}), 2);
}

}  // namespace

onnx::ModelProto make_grouped_alexnet() {
  Family f(67, 75);
  Tensor x = f.relu(f.conv(f.input(), 12, {11, 11, 4, 0, 0}, 1, true));
  x = f.max_pool(f.lrn(x), kPool3);
  x = f.max_pool(f.lrn(f.relu(f.conv(x, 16, square(5), 2, true))), kPool3);
  x = f.relu(f.conv(x, 24, square(3), 1, true));
  x = f.relu(f.conv(x, 24, square(3), 2, true));
  x = f.max_pool(f.relu(f.conv(x, 16, square(3), 2, true)), kPool3);
  x = f.relu(f.fully_connected(x, 32));
  return f.finish_softmax(f.fully_connected(f.relu(f.fully_connected(x, 32)), kClasses));
}

onnx::ModelProto make_vgg_bn() {
  Family f(64, 32);
  Tensor x = f.input();
  for (const auto& [channels, convolutions] :
       {std::pair{8, 1}, {12, 1}, {16, 2}, {20, 2}, {20, 2}}) {
    for (int i = 0; i < convolutions; ++i) {
      x = f.relu(f.batch_norm(f.conv(x, channels, square(3), 1, true)));
    }
    x = f.max_pool(x, kPool2);
  }
  x = f.relu(f.fully_connected(x, 32));
  return f.finish_softmax(f.fully_connected(x, kClasses));
}

onnx::ModelProto make_resnet_basic() {
  Family f(56, 40);
  Tensor x = f.max_pool(f.conv_bn_relu(f.input(), 8, square(7, 2)), kPool3Padded);
  x = basic_block(f, basic_block(f, x, 8, 1), 8, 1);
  x = basic_block(f, basic_block(f, x, 12, 2), 12, 1);
  return f.finish_pooled(basic_block(f, x, 16, 2));
}

onnx::ModelProto make_resnet_bottleneck(std::int64_t groups) {
  Family f(40, 56);
  Tensor x = f.max_pool(f.conv_bn_relu(f.input(), 8, square(7, 2)), kPool3Padded);
  x = bottleneck_block(f, bottleneck_block(f, x, 8, 1, groups), 8, 1, groups);
  x = bottleneck_block(f, bottleneck_block(f, x, 12, 2, groups), 12, 1, groups);
  return f.finish_pooled(x);
}

onnx::ModelProto make_densenet() {
  Family f(48, 40);
  Tensor x = f.max_pool(f.conv_bn_relu(f.input(), 8, square(7, 2)), kPool3Padded);
  for (int layer = 0; layer < 3; ++layer) x = dense_layer(f, x, 5);
  x = f.average_pool(f.bn_relu_conv(x, x.channels / 2, square(1)), kPool2, false);
  for (int layer = 0; layer < 3; ++layer) x = dense_layer(f, x, 5);
  return f.finish_pooled(f.relu(f.batch_norm(x)));
}

onnx::ModelProto make_inception() {
  Family f(47, 39);
  Tensor x = f.conv_bn_relu(f.input(), 8, {3, 3, 2, 0, 0});
  x = f.conv_bn_relu(x, 12, square(3));
  x = inception_reduction(f, inception_a(f, x));
  return f.finish_pooled(inception_e(f, inception_c(f, x)));
}

onnx::ModelProto make_shufflenet_v1(std::int64_t groups) {
  Family f(56, 40);
  Tensor x = f.max_pool(f.conv_bn_relu(f.input(), 12, square(3, 2)), kPool3Padded);
  x = shuffle_unit_v1(f, x, 48, 2, groups, false);
  x = shuffle_unit_v1(f, x, 48, 1, groups);
  x = shuffle_unit_v1(f, x, 96, 2, groups);
  return f.finish_pooled(shuffle_unit_v1(f, x, 96, 1, groups));
}

onnx::ModelProto make_shufflenet_v2() {
  Family f(40, 56);
  Tensor x = f.max_pool(f.conv_bn_relu(f.input(), 8, square(3, 2)), kPool3Padded);
  x = shuffle_unit_v2(f, shuffle_unit_v2(f, x, 20, 2), 20, 1);
  x = shuffle_unit_v2(f, shuffle_unit_v2(f, x, 32, 2), 32, 1);
  return f.finish_pooled(f.conv_bn_relu(x, 40, square(1)));
}

std::vector<FamilyNetwork> family_networks() {
  std::vector<FamilyNetwork> networks;
  networks.push_back({"AlexNet with groups and LRN", make_grouped_alexnet()});
  networks.push_back({"VGG with batch norm", make_vgg_bn()});
  networks.push_back({"ResNet, basic blocks", make_resnet_basic()});
  networks.push_back({"ResNet, bottlenecks", make_resnet_bottleneck(1)});
  networks.push_back({"ResNeXt, 4 groups", make_resnet_bottleneck(4)});
  networks.push_back({"DenseNet", make_densenet()});
  networks.push_back({"Inception", make_inception()});
  networks.push_back({"ShuffleNet V1, 2 groups", make_shufflenet_v1(2)});
  networks.push_back({"ShuffleNet V1, 3 groups", make_shufflenet_v1(3)});
  networks.push_back({"ShuffleNet V2", make_shufflenet_v2()});
  return networks;
}

}  // namespace cleave::test
