// SPDX-License-Identifier: Apache-2.0
//
// Small model files for tests, in memory: a network is written down op by op, weights are seeded.
//
//   ModelBuilder builder({8, 8, 3});
//   auto x = builder.conv2d(builder.input(), 4, {.window = 3, .pad = 1});
//   builder.clamp_last(0, 6);                       // fused into the convolution
//   x = builder.max_pool2d(x, {.window = 2, .stride = 2});
//   x = builder.fully_connected(x, 5);
//   const std::vector<std::byte> file = builder.build();
//
// Each op is a layer of its own unless layers are set. The same calls give the same bytes on every
// machine. Misuse (a shape that does not go) throws std::logic_error, which fails the test.
// Tests of the reader change `draft()`, the whole header as plain structs, before build().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "schemas/generated/model_generated.h"

namespace cleave::test {

using Tensor = std::uint32_t;

// A square window, alike in both directions.
struct WindowSpec {
  std::uint32_t window = 1, stride = 1, dilation = 1, pad = 0;

  [[nodiscard]] fbs::Window to_window() const {
    return {window, window, stride, stride, dilation, dilation};
  }
  [[nodiscard]] fbs::Padding to_padding() const { return {pad, pad, pad, pad}; }
};

// Any window; a WindowSpec converts to it.
struct WindowPadding {
  fbs::Window window{1, 1, 1, 1, 1, 1};
  fbs::Padding padding{0, 0, 0, 0};

  WindowPadding() = default;
  WindowPadding(const WindowSpec& spec)  // NOLINT(google-explicit-constructor)
      : window(spec.to_window()), padding(spec.to_padding()) {}
  WindowPadding(const fbs::Window& w, const fbs::Padding& p) : window(w), padding(p) {}
};

class ModelBuilder {
 public:
  explicit ModelBuilder(fbs::Shape input, std::uint64_t seed = 1);

  [[nodiscard]] Tensor input() const { return 0; }
  [[nodiscard]] fbs::Shape shape(Tensor tensor) const;

  // Ops, appended in the order of the calls; each returns its output. Kernels are uniform with the
  // variance of He et al. 2015, biases uniform in [-0.1, 0.1).
  Tensor conv2d(Tensor x, std::uint32_t outputs, const WindowPadding& window,
                std::uint32_t groups = 1);
  Tensor depthwise_conv2d(Tensor x, const WindowPadding& window, std::uint32_t multiplier = 1);
  Tensor fully_connected(Tensor x, std::uint32_t outputs);
  Tensor max_pool2d(Tensor x, const WindowPadding& window);
  Tensor average_pool2d(Tensor x, const WindowPadding& window);
  Tensor global_average_pool(Tensor x);
  Tensor clamp(Tensor x, float minimum, float maximum = std::numeric_limits<float>::infinity());
  Tensor leaky_relu(Tensor x, float negative_slope);
  Tensor hard_swish(Tensor x);
  Tensor sigmoid(Tensor x);
  Tensor add(Tensor a, Tensor b);
  Tensor multiply(Tensor a, Tensor b);
  Tensor concat(const std::vector<Tensor>& inputs);
  Tensor pad(Tensor x, const fbs::Padding& padding, float value = 0);
  Tensor lrn(Tensor x, std::uint32_t size, float alpha, float beta, float bias);
  Tensor softmax(Tensor x);
  // To int8 of a scale, or to f32.
  Tensor to_int8(Tensor x, float scale, std::int32_t zero_point);
  Tensor to_f32(Tensor x);

  // Fuses a clamp into the op last appended.
  void clamp_last(float minimum, float maximum = std::numeric_limits<float>::infinity());
  // Takes the bias of the op last appended away.
  void drop_last_bias();
  // The op last appended computes int8; so do its inputs hold it already. Weights become integers
  // with a scale per output channel.
  void int8_last(float scale, std::int32_t zero_point);
  // Stores the kernel of the op last appended as F16, or as S8 with a scale per output channel.
  void store_last_kernel(fbs::DType dtype);

  void set_name(std::string name);
  void set_labels(std::vector<std::string> labels);
  void set_preprocessing(fbs::ColorOrder order, std::vector<float> mean,
                         std::vector<float> deviation);
  // Layers with their end ops, instead of one per op.
  struct LayerSpec {
    std::string name, kind;
    std::uint32_t end_op;
  };
  void set_layers(const std::vector<LayerSpec>& layers);

  // The header to be, for tests that spoil it; segments are placed and hashed by build().
  [[nodiscard]] fbs::ModelT& draft() { return draft_; }
  [[nodiscard]] fbs::VariantT& variant() { return *draft_.variants[0]; }
  [[nodiscard]] fbs::OpT& op(std::size_t index) { return *variant().ops[index]; }
  [[nodiscard]] std::vector<std::vector<std::byte>>& segments() { return segments_; }

  // The file. The output is the last op's unless the draft says otherwise. `spoil` is called after
  // segments are placed and hashed, and may change anything.
  [[nodiscard]] std::vector<std::byte> build(
      const std::function<void(fbs::ModelT&)>& spoil = nullptr);

 private:
  Tensor append(fbs::OpOptionsUnion options, std::vector<Tensor> inputs);
  Tensor append_weighted(fbs::OpOptionsUnion options, Tensor x, std::uint64_t kernel_elements,
                         std::uint64_t fan_in, std::uint32_t outputs);
  Tensor finish_op(fbs::OpT op);
  void hold_as_int8(Tensor tensor, float scale, std::int32_t zero_point);
  std::vector<float> uniform(std::uint64_t count, float bound);

  fbs::ModelT draft_;
  std::vector<std::vector<std::byte>> segments_;
  std::uint64_t random_state_;
  bool own_layers_ = false;
};

// The bytes of a header in FlatBuffer form, and a file around a header: preamble, segments where
// model_format.md puts them. `header` is taken as it is.
[[nodiscard]] std::vector<std::byte> pack_header(const fbs::ModelT& model);
[[nodiscard]] std::vector<std::byte> assemble_file(
    const std::vector<std::byte>& header, const std::vector<std::vector<std::byte>>& segments);

// Makes the preamble of a spoiled file right again: header hash, lengths, commit mark.
// REQUIRES: file has a preamble and a header of `header_bytes`.
void reseal(std::vector<std::byte>& file, std::uint64_t header_bytes);

// header_bytes of a well-formed file.
[[nodiscard]] std::uint64_t header_bytes_of(const std::vector<std::byte>& file);

}  // namespace cleave::test
