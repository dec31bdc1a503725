// SPDX-License-Identifier: Apache-2.0
//
// What crosses the cut, in the codec that was asked for, or of the picture's plan.
#include <algorithm>
#include <span>
#include <vector>

#include "agent/pipeline.h"

namespace cleave::agent {

void Pipeline::release_codec() {
  codec_.reset();
  encoded_ = AlignedBuffer();
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
  encoded_ = AlignedBuffer(codec_->max_encoded_bytes());
  if (encoded_.data() == nullptr) {
    release_codec();
    return {StatusCode::kResourceExhausted, "no memory for the encoded tensors of the cut"};
  }
  codec_cut_ = cut;
  codec_choice_ = choice;
  return Status::ok();
}

// Once a picture, however often the server is asked; but each server that is asked says anew
// whether it decodes.
void Pipeline::encode(Work& work) {
  if (work.split.op_boundary == 0 || work.waited_as) return;
  const bool coded = codec_ != nullptr && connection_->takes_codecs();
  work.codec = coded ? work.tensor_codec.codec : fbs::Codec::Raw;
  if (!coded || work.encoded_bytes > 0) return;
  work.encoded_bytes = codec_->encode(work.tensors, {encoded_.data(), encoded_.capacity()});
}

}  // namespace cleave::agent
