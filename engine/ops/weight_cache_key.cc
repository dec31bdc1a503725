// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/weight_cache_key.h"

#include <flatbuffers/flatbuffers.h>
#include <xnnpack.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "engine/ops/int8_depthwise_conv2d.h"
#include "engine/ops/int8_im2col_conv2d.h"
#include "engine/ops/kernel_set.h"
#include "engine/ops/op.h"
#include "engine/ops/winograd_conv2d.h"

namespace cleave::ops {
namespace {

// To be raised with every change of what our own packing writes (winograd_weights.cc,
// int8_im2col_conv2d.cc, int8_depthwise_conv2d.cc).
constexpr std::string_view kPackingVersion = "cleave packing 3";

// Pieces with their lengths, so that no two sequences of pieces are the same bytes.
class KeyHash {
 public:
  void add(std::span<const std::byte> piece) {
    const std::uint64_t bytes = piece.size();
    hash_.update(std::as_bytes(std::span(&bytes, 1)));
    hash_.update(piece);
  }
  void add(std::string_view piece) { add(std::as_bytes(std::span(piece))); }
  // A table of the model file, re-encoded without what surrounds it there.
  template <typename Table>
  void add(const typename Table::NativeTableType& table) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(Table::Pack(builder, &table));
    add(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
  }
  Result<Sha256Digest> finish() { return hash_.finish(); }

 private:
  Sha256 hash_;
};

void add_tensor(KeyHash& hash, const fbs::Variant& variant, TensorId id) {
  fbs::TensorT tensor;
  variant.tensors()->Get(id)->UnPackTo(&tensor);
  tensor.name.clear();
  hash.add<fbs::Tensor>(tensor);
}

void add_op(KeyHash& hash, const fbs::Variant& variant, const fbs::Op& op) {
  fbs::OpT table;
  op.UnPackTo(&table);
  table.name.clear();
  std::ranges::fill(table.inputs, 0U);
  table.output = 0;
  table.segment = -1;
  hash.add<fbs::Op>(table);
  for (const TensorId input : *op.inputs()) add_tensor(hash, variant, input);
  add_tensor(hash, variant, op.output());
}

// Who packs the op, as each has a layout of its own.
std::string_view packer_of(const OpSpec& spec) {
  const kernels::KernelTable& table = kernels::active_kernels();
  if (winograd_pays(spec, table)) return "winograd";
  if (int8_im2col_pays(spec, table)) return "int8 im2col";
  return int8_depthwise_pays(spec, table) ? "int8 depthwise" : "XNNPACK";
}

}  // namespace

Result<WeightCacheKey> weight_cache_key(const fbs::Model& model, const fbs::Variant& variant,
                                        OpIndex index, Preference preference) {
  const fbs::Op& op = *variant.ops()->Get(index);
  KeyHash hash;
  hash.add(kPackingVersion);
  hash.add(std::string_view(static_cast<const char*>(xnn_experimental_get_build_identifier_data()),
                            xnn_experimental_get_build_identifier_size()));
  hash.add(std::string_view(CLEAVE_DEPENDENCIES_KEY));
  hash.add(packing_kernels());
  hash.add(packer_of(make_op_spec(variant, index, preference)));
  const auto& digest = *model.segments()->Get(static_cast<std::uint32_t>(op.segment()))->sha256();
  hash.add(std::as_bytes(std::span(digest.data(), digest.size())));
  add_op(hash, variant, op);
  return hash.finish();
}

Status check_segment(const ModelFile& model, std::uint32_t index) {
  const auto& stated = *model.header().segments()->Get(index)->sha256();
  CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest found, sha256(model.segment(index)));
  if (std::ranges::equal(found, std::span(stated.data(), stated.size()))) return Status::ok();
  return {StatusCode::kCorrupt, model.path() + ": weight segment " + std::to_string(index) +
                                    " does not match its SHA-256, so what is packed from it is "
                                    "not kept; check the file"};
}

}  // namespace cleave::ops
