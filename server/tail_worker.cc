// SPDX-License-Identifier: Apache-2.0
#include "server/tail_worker.h"

#include <span>

namespace cleave::server {
namespace {

fbs::ErrorCode wire_code(StatusCode code) {
  switch (code) {
    case StatusCode::kCorrupt:
    case StatusCode::kUnsupported:
    case StatusCode::kOutOfRange:
      return fbs::ErrorCode::BadPicture;
    case StatusCode::kResourceExhausted:
      return fbs::ErrorCode::Busy;
    default:
      return fbs::ErrorCode::Internal;
  }
}

}  // namespace

Result<TailWorker::Prepared*> TailWorker::prepare(const TailJob& job) {
  const LoadedVariant& variant = job.model->variants[job.variant];
  Prepared& prepared = prepared_[{job.model, job.variant}];
  if (prepared.executor == nullptr) {
    prepared.pixels.resize(element_count(variant.input_shape));
    prepared.input = AlignedBuffer(f32_bytes(variant.input_shape));
    if (prepared.input.data() == nullptr) {
      return Status(StatusCode::kResourceExhausted, "no memory for the input tensor");
    }
    // Last: with an executor the rest is taken to be there.
    CLEAVE_ASSIGN_OR_RETURN(prepared.executor,
                            Executor::create(variant.weights, {.threads = threads_}));
    prepared.range = {};
  }
  const OpRange range{job.cut, static_cast<OpIndex>(variant.cuts.size() - 1)};
  if (!(prepared.range == range)) {
    prepared.range = {};
    CLEAVE_RETURN_IF_ERROR(prepared.executor->prepare(range, 1));
    prepared.range = range;
  }
  return &prepared;
}

Status TailWorker::decode_picture(const TailJob& job, Prepared& prepared) {
  const fbs::Model& model = job.model->file->header();
  const fbs::Shape& shape = job.model->variants[job.variant].input_shape;
  std::span<const std::byte> attachment(job.payload.buffers()[0].data(), job.attachment_bytes);
  std::span<const std::uint8_t> pixels(reinterpret_cast<const std::uint8_t*>(attachment.data()),
                                       attachment.size());
  if (job.codec == fbs::Codec::Jpeg) {
    CLEAVE_RETURN_IF_ERROR(
        decode_to_model_size(attachment, *model.preprocessing(), shape, limits_, prepared.pixels));
    pixels = prepared.pixels;
  } else if (job.codec == fbs::Codec::JpegModelSize) {
    CLEAVE_RETURN_IF_ERROR(
        decode_at_model_size(attachment, *model.preprocessing(), shape, prepared.pixels));
    pixels = prepared.pixels;
  }
  normalize(pixels, *model.preprocessing(), shape.channels(),
            std::span(prepared.input.f32(), pixels.size()));
  return Status::ok();
}

// Into the payload's buffers behind the attachment.
Status TailWorker::decode_tensors(TailJob& job, Prepared& prepared) {
  const CodecChoice choice{job.codec, job.quality};
  if (prepared.codec == nullptr || prepared.codec_cut != job.cut ||
      prepared.codec_choice != choice) {
    prepared.codec.reset();  // its memory first
    CLEAVE_ASSIGN_OR_RETURN(prepared.codec,
                            BoundaryCodec::create(*job.model->file, job.variant, job.cut, choice));
    prepared.codec_cut = job.cut;
    prepared.codec_choice = choice;
  }
  const std::span<AlignedBuffer> buffers = job.payload.buffers();
  const auto inputs = prepared.executor->inputs();
  std::vector<std::span<std::byte>> tensors;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    tensors.emplace_back(buffers[i + 1].data(), inputs[i].bytes());
  }
  return prepared.codec->decode({buffers[0].data(), job.attachment_bytes}, tensors);
}

Status TailWorker::bind_inputs(TailJob& job, Prepared& prepared) {
  if (job.is_picture()) {
    CLEAVE_RETURN_IF_ERROR(decode_picture(job, prepared));
    return prepared.executor->bind_input(0, prepared.input.data());
  }
  std::span<AlignedBuffer> tensors = job.payload.buffers();
  if (job.codec != fbs::Codec::Raw) {
    CLEAVE_RETURN_IF_ERROR(decode_tensors(job, prepared));
    tensors = tensors.subspan(1);
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CLEAVE_RETURN_IF_ERROR(prepared.executor->bind_input(i, tensors[i].data()));
  }
  return Status::ok();
}

std::span<const BoundaryBuffer> TailWorker::inputs(const TailJob& job) const {
  const auto at = prepared_.find({job.model, job.variant});
  if (at == prepared_.end() || at->second.executor == nullptr) return {};
  return at->second.executor->inputs();
}

void TailWorker::compute(TailJob& job) {
  const auto started = Clock::now();
  job.queue_ns = nanoseconds_between(job.arrived, started);
  if (job.deadline && started >= *job.deadline) {
    job.fail(fbs::ErrorCode::DeadlineExceeded, "the time left was used up in the queue");
    return;
  }
  auto prepared = prepare(job);
  Status status = prepared.status();
  if (status.is_ok()) status = bind_inputs(job, **prepared);
  const auto decoded = Clock::now();
  job.decode_ns = nanoseconds_between(started, decoded);
  if (status.is_ok()) status = (*prepared)->executor->run();
  job.compute_ns = nanoseconds_between(decoded, Clock::now());
  if (!status.is_ok()) {
    job.fail(wire_code(status.code()), status.message());
    return;
  }
  const BoundaryBuffer& scores = (*prepared)->executor->outputs()[0];
  job.scores.assign(scores.f32().begin(), scores.f32().end());
}

}  // namespace cleave::server
