// SPDX-License-Identifier: Apache-2.0
//
// What the pipeline computes, all of it on the compute thread: it alone has the runners, and of a
// picture in work what the coroutine that waits for it does not touch meanwhile.
#include <algorithm>

#include "agent/codec_option.h"
#include "agent/pipeline.h"
#include "planner/fixed_point.h"

namespace cleave::agent {

Status Pipeline::run_head(Work& work) {
  if (work.release_tail) tail_.release();
  make_room_for(work);
  work.encoded_bytes = 0;
  return work.split.op_boundary == 0 ? compute_input(work) : run_head_ops(work);
}

// A head that was deeper, and the tail of a fallback, keep their weights while there is room for
// them and this picture.
void Pipeline::make_room_for(const Work& work) {
  const std::uint64_t beside = planner::saturating_add(work.room.beside_bytes, work.file.size());
  const auto over_cap = [&](std::uint64_t ram_bytes) {
    return planner::saturating_add(ram_bytes, beside) > work.room.cap_bytes;
  };
  if (codec_cut_ != work.split.op_boundary || codec_choice_ != work.wanted_codec) release_codec();
  if (over_cap(ram_.at(work.split.op_boundary).finish)) tail_.release();
  for (OpIndex op = op_count_; op > work.split.op_boundary; --op) {
    if (!head_.holds_some_of({op - 1, op})) continue;
    if (over_cap(head_ram_bytes(op))) head_.release();
    return;
  }
}

Status Pipeline::prepare_input(Work& work, std::uint64_t ram_bytes, std::span<float> input) {
  const auto start = Clock::now();
  const fbs::Preprocessing& preprocessing = *model_->header().preprocessing();
  if (!work.has_pixels) {
    const std::uint64_t taken = planner::saturating_add(
        ram_bytes, planner::saturating_add(work.room.beside_bytes, work.file.size()));
    PictureLimits limits = options_.picture;
    limits.max_whole_picture_bytes = std::min(
        limits.max_whole_picture_bytes, work.room.cap_bytes - std::min(work.room.cap_bytes, taken));
    work.buffers.pixels.resize(element_count(input_shape_));
    const Status decoded =
        decode_to_model_size(work.file, preprocessing, input_shape_, limits, work.buffers.pixels);
    if (!decoded.is_ok()) return decoded.with_context(work.record.image);
    work.has_pixels = true;
  }
  if (!input.empty()) {
    normalize(work.buffers.pixels, preprocessing, input_shape_.channels(), input);
  }
  work.input_ns += ns_between(start, Clock::now());
  return Status::ok();
}

Status Pipeline::compute_input(Work& work) {
  const bool as_model_jpeg = is_model_jpeg(work.wanted_codec) && work.may_encode;
  // A JPEG may go as it came, if the server takes one so large; it decodes with the same code.
  if (work.is_jpeg && !work.as_pixels && !as_model_jpeg) return Status::ok();
  const Status decoded = prepare_input(work, head_ram_bytes(0), {});
  // What this device has no room to decode, the server may have.
  const bool no_room =
      decoded.code() == StatusCode::kOutOfRange || decoded.code() == StatusCode::kResourceExhausted;
  if (!no_room || !work.server_takes_file) return decoded;
  work.as_pixels = false;
  return Status::ok();
}

Status Pipeline::run_head_ops(Work& work) {
  const OpRange range{0, work.split.op_boundary};
  // Weights that a fallback left behind must not be held beside those of a deeper head.
  if (head_.must_pack(range)) tail_.release();
  CLEAVE_RETURN_IF_ERROR(head_.prepare(range));
  CLEAVE_RETURN_IF_ERROR(use_buffers(work));
  CLEAVE_RETURN_IF_ERROR(prepare_codec(range.last, work.wanted_codec));
  const BoundaryBuffer& input = head_.executor().inputs()[0];
  CLEAVE_RETURN_IF_ERROR(prepare_input(work, head_ram_bytes(range.last), input.f32()));
  const auto start = Clock::now();
  CLEAVE_RETURN_IF_ERROR(head_.executor().run());
  work.head_ns = ns_between(start, Clock::now());
  work.has_crossing = true;
  if (range.last == op_count_) {
    const BoundaryBuffer& scores = head_.executor().outputs()[0];
    work.record.scores.assign(scores.f32().begin(), scores.f32().end());
  }
  return Status::ok();
}

Status Pipeline::use_buffers(Work& work) {
  const auto outputs = head_.executor().outputs();
  PictureBuffers& buffers = work.buffers;
  buffers.boundary.resize(outputs.size());
  buffers.boundary_bytes.clear();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const std::size_t bytes = outputs[i].bytes();
    if (buffers.boundary[i].capacity() < bytes) {
      buffers.boundary[i] = AlignedBuffer();  // the old and the new are not held together
      buffers.boundary[i] = AlignedBuffer(bytes);
    }
    if (buffers.boundary[i].data() == nullptr) {
      return {StatusCode::kResourceExhausted,
              "no memory for the " + std::to_string(bytes) + " bytes that cross the cut"};
    }
    buffers.boundary_bytes.push_back(bytes);
    CLEAVE_RETURN_IF_ERROR(head_.executor().bind_output(i, buffers.boundary[i].data()));
  }
  return Status::ok();
}

// No op's weights are held twice: the plan counts each once.
Status Pipeline::prepare_tail(const Work& work) {
  const OpRange range{work.split.op_boundary, op_count_};
  // What the head computed is in buffers of the link. Its arena makes room for the packing, which
  // for a moment holds an op's weights as they are in the file as well.
  head_.release_executor();
  if (!head_.must_pack(range)) return tail_.prepare_with(head_, range);
  if (head_.holds_some_of(range)) head_.release();
  return tail_.prepare(range);
}

Status Pipeline::run_tail(Work& work) {
  if (work.waited_as) CLEAVE_RETURN_IF_ERROR(restore_tensors(work));
  CLEAVE_RETURN_IF_ERROR(prepare_tail(work));
  Executor& tail = tail_.executor();
  if (work.split.op_boundary == 0) {
    const BoundaryBuffer& input = tail.inputs()[0];
    CLEAVE_RETURN_IF_ERROR(prepare_input(work, ram_.at(0).finish, input.f32()));
  } else {
    for (std::size_t i = 0; i < work.buffers.boundary_bytes.size(); ++i) {
      CLEAVE_RETURN_IF_ERROR(tail.bind_input(i, work.buffers.boundary[i].data()));
    }
  }
  CLEAVE_RETURN_IF_ERROR(tail.run());
  const BoundaryBuffer& scores = tail.outputs()[0];
  work.record.scores.assign(scores.f32().begin(), scores.f32().end());
  return Status::ok();
}

}  // namespace cleave::agent
