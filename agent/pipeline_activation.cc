// SPDX-License-Identifier: Apache-2.0
//
// Pictures that wait, or waited, as what their head computed.
#include <algorithm>
#include <string>
#include <vector>

#include "agent/pipeline.h"
#include "engine/cuts.h"
#include "engine/tensor.h"

namespace cleave::agent {
namespace {

// The layers that ended at or before the cut.
std::uint32_t layers_before(const fbs::Model& model, std::uint32_t variant, OpIndex cut) {
  std::uint32_t layers = 0;
  for (const Split& split : list_splits(model, variant)) {
    if (split.op_boundary <= cut) layers = split.layers_on_device;
  }
  return layers;
}

}  // namespace

// It comes from a disk: nothing of it is used before the model has said that it can be its own.
Status Pipeline::take_activation(Work& work) const {
  const ActivationForm& form = *work.waited_as;
  const auto& variants = *model_->header().variants();
  if (form.variant >= variants.size() || form.cut == 0 ||
      form.cut >= variants.Get(form.variant)->ops()->size()) {
    return {StatusCode::kCorrupt, work.record.image +
                                      ": what waited is of a cut that the model "
                                      "does not have"};
  }
  auto codec = BoundaryCodec::create(*model_, form.variant, form.cut,
                                     {.codec = form.codec, .quality = form.quality});
  if (!codec.is_ok()) return codec.status().with_context(work.record.image);
  const std::size_t most = (*codec)->max_encoded_bytes();
  const bool fits =
      form.codec == fbs::Codec::Raw ? work.file.size() == most : work.file.size() <= most;
  if (!fits) {
    return {StatusCode::kCorrupt, work.record.image + ": what waited has " +
                                      std::to_string(work.file.size()) + " bytes and its cut " +
                                      std::to_string(most)};
  }
  work.its_codec = std::move(codec).value();
  work.crossing_bytes = find_cuts(model_->header(), form.variant)[form.cut].boundary_bytes;
  work.split = {.layers_on_device = layers_before(model_->header(), form.variant, form.cut),
                .op_boundary = form.cut};
  work.record.split = work.record.planned_split = work.split.layers_on_device;
  if (form.wire_id == 0) return Status::ok();
  work.wire_id = form.wire_id;
  work.sent_as = form.codec;
  return Status::ok();
}

// As it is, and for a server without codecs decoded.
asio::awaitable<Status> Pipeline::choose_form_of_activation(Work& work) {
  const bool as_it_is = work.waited_as->codec == fbs::Codec::Raw || connection_->takes_codecs();
  work.codec = as_it_is ? work.waited_as->codec : fbs::Codec::Raw;
  Status status;
  if (as_it_is) co_return status;
  co_await compute_.run([&] { status = restore_tensors(work); }, ComputeThread::Urgency::kFirst);
  co_return status;
}

// Into the buffers that a head would have written. The compute thread's.
Status Pipeline::restore_tensors(Work& work) const {
  PictureBuffers& buffers = work.buffers;
  if (!buffers.boundary_bytes.empty()) return Status::ok();
  const ActivationForm& form = *work.waited_as;
  const fbs::Variant& variant = *model_->header().variants()->Get(form.variant);
  const std::vector<Cut> cuts = find_cuts(model_->header(), form.variant);
  const std::vector<TensorId>& crossing = cuts[form.cut].boundary_tensors;
  buffers.boundary.resize(crossing.size());
  std::vector<std::span<std::byte>> tensors;
  for (std::size_t i = 0; i < crossing.size(); ++i) {
    const std::size_t bytes = tensor_bytes(*variant.tensors()->Get(crossing[i]));
    AlignedBuffer& buffer = buffers.boundary[i];
    if (buffer.capacity() < bytes) {
      buffer = AlignedBuffer();  // the old and the new are not held together
      buffer = AlignedBuffer(bytes);
    }
    if (buffer.data() == nullptr) {
      return {StatusCode::kResourceExhausted,
              "no memory for the " + std::to_string(bytes) + " bytes that cross the cut"};
    }
    tensors.emplace_back(buffer.data(), bytes);
  }
  CLEAVE_RETURN_IF_ERROR(
      work.its_codec->decode(work.file, tensors).with_context(work.record.image));
  for (const auto& tensor : tensors) buffers.boundary_bytes.push_back(tensor.size());
  return Status::ok();
}

// In the form that was sent or, when no server was reached yet, in the one that would be.
std::optional<Activation> Pipeline::activation_of(const Work& work) const {
  const bool has_one =
      options_.offers_activations && work.has_crossing && work.split.op_boundary < op_count_;
  if (!has_one) return std::nullopt;
  const bool never_reached = connection_ == nullptr || connection_->handshakes() == 0;
  const bool coded = work.encoded_bytes > 0 && (never_reached || connection_->takes_codecs());
  Activation activation;
  activation.form = {.codec = coded ? work.wanted_codec.codec : fbs::Codec::Raw,
                     .quality = coded ? work.wanted_codec.quality : std::uint8_t{0},
                     .variant = options_.variant,
                     .cut = work.split.op_boundary};
  if (work.sent_as == activation.form.codec) activation.form.wire_id = work.wire_id;
  if (coded) {
    activation.parts.emplace_back(work.buffers.encoded.data(), work.encoded_bytes);
  } else {
    activation.parts = work.buffers.tensors();
  }
  return activation;
}

}  // namespace cleave::agent
