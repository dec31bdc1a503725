// SPDX-License-Identifier: Apache-2.0
#include "tests/support/model_walk.h"

#include <cstddef>
#include <span>

namespace cleave::test {
namespace {

class Walk {
 public:
  explicit Walk(const ModelFile& file) : file_(file) {}

  std::uint64_t run() {
    const fbs::Model& model = file_.header();
    text(model.name());
    text(model.licence());
    if (model.labels() != nullptr) {
      for (const auto* label : *model.labels()) text(label);
    }
    for (const fbs::Layer* layer : *model.layers()) text(layer->name());
    for (const fbs::Variant* variant : *model.variants()) walk(*variant);
    for (const float mean : *model.preprocessing()->mean()) number(mean);
    return sum_;
  }

 private:
  void walk(const fbs::Variant& variant) {
    for (const fbs::Tensor* tensor : *variant.tensors()) {
      sum_ += std::uint64_t{tensor->shape()->height()} * tensor->shape()->width() *
              tensor->shape()->channels();
      quantization(tensor->quantization());
    }
    for (const fbs::Op* op : *variant.ops()) walk(variant, *op);
  }

  void walk(const fbs::Variant& variant, const fbs::Op& op) {
    text(op.name());
    for (const std::uint32_t input : *op.inputs()) {
      sum_ += variant.tensors()->Get(input)->shape()->channels();
    }
    sum_ += variant.tensors()->Get(op.output())->shape()->channels();
    if (const fbs::Conv2D* conv = op.options_as_Conv2D()) window(conv->window(), conv->padding());
    if (const fbs::MaxPool2D* pool = op.options_as_MaxPool2D()) {
      window(pool->window(), pool->padding());
    }
    if (op.segment() < 0) return;
    weights(op, *op.kernel());
    if (op.bias() != nullptr) weights(op, *op.bias());
  }

  void window(const fbs::Window* window, const fbs::Padding* padding) {
    sum_ += window->height() * 3 + window->stride_width() + padding->bottom();
  }

  void weights(const fbs::Op& op, const fbs::WeightView& view) {
    const std::span<const std::byte> bytes = file_.weight_bytes(op, view);
    sum_ += std::to_integer<std::uint64_t>(bytes.front());
    sum_ += std::to_integer<std::uint64_t>(bytes.back());
    quantization(view.quantization());
  }

  void quantization(const fbs::Quantization* parameters) {
    if (parameters == nullptr) return;
    for (const float scale : *parameters->scale()) number(scale);
    for (const std::int32_t zero : *parameters->zero_point()) number(static_cast<float>(zero));
  }

  void text(const flatbuffers::String* words) {
    if (words == nullptr) return;
    for (const char c : words->string_view()) sum_ = sum_ * 31 + static_cast<unsigned char>(c);
  }

  void number(float value) { sum_ += value > 1 ? 1 : 0; }

  const ModelFile& file_;
  std::uint64_t sum_ = 0;
};

}  // namespace

std::uint64_t walk_model(const ModelFile& file) { return Walk(file).run(); }

}  // namespace cleave::test
