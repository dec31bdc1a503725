// SPDX-License-Identifier: Apache-2.0
//
// What crosses the cut, in the codec that was asked for.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "agent/codec_option.h"
#include "agent/pipeline.h"
#include "engine/image/jpeg_encoder.h"

namespace cleave::agent {

void Pipeline::release_codec() {
  codec_.reset();
  codec_cut_ = 0;
}

Status Pipeline::prepare_codec(OpIndex cut, const CodecChoice& choice) {
  if (codec_cut_ == cut && codec_choice_ == choice) return Status::ok();
  release_codec();
  const bool crosses = connection_ != nullptr && cut < op_count_;
  if (!crosses || choice.codec == fbs::Codec::Raw) return Status::ok();
  const std::vector<CodecChoice> applying = codecs_at(*model_, options_.variant, cut);
  if (std::ranges::find(applying, choice) == applying.end()) return Status::ok();
  CLEAVE_ASSIGN_OR_RETURN(codec_, BoundaryCodec::create(*model_, options_.variant, cut, choice));
  codec_cut_ = cut;
  codec_choice_ = choice;
  return Status::ok();
}

// Whether a server that is not known yet might as well.
bool Pipeline::server_may_take(const CodecChoice& codec) const {
  if (connection_ == nullptr) return false;
  if (!connection_->is_open()) return true;
  return is_model_jpeg(codec) ? connection_->takes_model_jpegs() : connection_->takes_codecs();
}

Status Pipeline::make_room_for_encoded(Work& work, std::size_t bytes) {
  AlignedBuffer& encoded = work.buffers.encoded;
  if (encoded.capacity() < bytes) {
    encoded = AlignedBuffer();  // the old and the new are not held together
    encoded = AlignedBuffer(bytes);
  }
  if (encoded.data() != nullptr) return Status::ok();
  return {StatusCode::kResourceExhausted,
          "no memory for the " + std::to_string(bytes) + " bytes of what is encoded"};
}

// Before it is known whether the server decodes: one that does not gets the tensors.
Status Pipeline::encode(Work& work) {
  return work.split.op_boundary == 0 ? encode_picture(work) : encode_tensors(work);
}

Status Pipeline::encode_tensors(Work& work) {
  if (codec_ == nullptr) return Status::ok();
  const auto start = Clock::now();
  CLEAVE_RETURN_IF_ERROR(make_room_for_encoded(work, codec_->max_encoded_bytes()));
  AlignedBuffer& encoded = work.buffers.encoded;
  work.encoded_bytes = codec_->encode(work.buffers.tensors(), {encoded.data(), encoded.capacity()});
  work.record.encode_ns += ns_between(start, Clock::now());
  return Status::ok();
}

// The pixels as a JPEG. One of more bytes than they have is none: the server gets something exact.
Status Pipeline::encode_picture(Work& work) {
  if (!is_model_jpeg(work.wanted_codec) || !work.has_pixels) return Status::ok();
  const auto start = Clock::now();
  const std::size_t most = work.buffers.pixels.size();
  CLEAVE_RETURN_IF_ERROR(make_room_for_encoded(work, most));
  const auto bytes = encode_jpeg_into(
      work.buffers.pixels, input_shape_, model_->header().preprocessing()->color_order(),
      work.wanted_codec.quality, {work.buffers.encoded.data(), most});
  if (bytes.is_ok()) work.encoded_bytes = *bytes;
  work.record.encode_ns += ns_between(start, Clock::now());
  return Status::ok();
}

}  // namespace cleave::agent
