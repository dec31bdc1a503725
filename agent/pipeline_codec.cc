// SPDX-License-Identifier: Apache-2.0
//
// What crosses the cut, in the codec that was asked for.
#include <algorithm>
#include <span>
#include <vector>

#include "agent/pipeline.h"

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

// With the head, before it is known whether the server decodes: one that does not gets the tensors.
Status Pipeline::encode(Work& work) {
  work.encoded_bytes = 0;
  if (codec_ == nullptr || !work.may_encode) return Status::ok();
  const auto start = Clock::now();
  AlignedBuffer& encoded = work.buffers.encoded;
  if (encoded.capacity() < codec_->max_encoded_bytes()) {
    encoded = AlignedBuffer();
    encoded = AlignedBuffer(codec_->max_encoded_bytes());
  }
  if (encoded.data() == nullptr) {
    return {StatusCode::kResourceExhausted, "no memory for the encoded tensors of the cut"};
  }
  work.encoded_bytes = codec_->encode(work.buffers.tensors(), {encoded.data(), encoded.capacity()});
  work.record.encode_ns += ns_between(start, Clock::now());
  return Status::ok();
}

}  // namespace cleave::agent
