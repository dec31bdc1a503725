// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <utility>

#include "engine/aligned_buffer.h"
#include "engine/codec/byte_planes.h"
#include "engine/codec/codec_factories.h"
#include "engine/codec/stored_tensors.h"
#include "engine/codec/zstd_frames.h"
#include "schemas/little_endian.h"

namespace cleave::codec {
namespace {

constexpr std::byte kAsItIs{0};
constexpr std::byte kPlanes{1};
// A plane of a piece has at most so many bytes: its length is two bytes, and a table of its own for
// each plane of each piece follows the values well.
constexpr std::size_t kPieceElements = 65536;
constexpr std::size_t kLengthBytes = 2;

Status cut_short() { return {StatusCode::kCorrupt, "a plane that is cut short"}; }

// Where the next bytes go; `fits` is false once they did not.
struct Sink {
  std::span<std::byte> room;
  std::size_t written = 0;
  bool fits = true;
};

class LosslessCodec final : public BoundaryCodec {
 public:
  LosslessCodec(const Boundary& boundary, std::unique_ptr<ZstdFrames> frames, AlignedBuffer planes)
      : boundary_(boundary),
        tensor_bytes_(bytes_of(boundary)),
        frames_(std::move(frames)),
        planes_(std::move(planes)) {}

  [[nodiscard]] std::size_t max_encoded_bytes() const override { return tensor_bytes_ + 1; }
  [[nodiscard]] std::size_t held_bytes() const override {
    return frames_->held_bytes() + planes_.capacity();
  }

  [[nodiscard]] std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                   std::span<std::byte> out) override {
    out[0] = kPlanes;
    // No longer than what storing takes: else that is done.
    Sink sink{.room = out.subspan(1, tensor_bytes_)};
    for (std::size_t i = 0; i < boundary_.size() && sink.fits; ++i) {
      encode_tensor(boundary_[i], tensors[i], sink);
    }
    if (sink.fits) return 1 + sink.written;
    out[0] = kAsItIs;
    return 1 + store_tensors(tensors, out.subspan(1));
  }

  [[nodiscard]] Status decode(std::span<const std::byte> bytes,
                              std::span<const std::span<std::byte>> tensors) override {
    if (bytes.empty()) return {StatusCode::kCorrupt, "no lossless stream"};
    const std::byte form = bytes[0];
    bytes = bytes.subspan(1);
    if (form == kAsItIs) return load_tensors(bytes, tensors);
    if (form != kPlanes) return {StatusCode::kCorrupt, "a form of lossless that is not known"};
    for (std::size_t i = 0; i < boundary_.size(); ++i) {
      CLEAVE_RETURN_IF_ERROR(decode_tensor(boundary_[i], tensors[i], bytes));
    }
    return bytes.empty() ? Status::ok()
                         : Status(StatusCode::kCorrupt, "bytes behind the last plane");
  }

 private:
  void encode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> values, Sink& sink);
  void encode_plane(std::span<const std::byte> plane, Sink& sink);
  Status decode_tensor(const BoundaryTensor& tensor, std::span<std::byte> values,
                       std::span<const std::byte>& bytes);
  Status decode_plane(std::span<std::byte> plane, std::span<const std::byte>& bytes);

  Boundary boundary_;
  std::size_t tensor_bytes_;
  std::unique_ptr<ZstdFrames> frames_;
  AlignedBuffer planes_;  // of one piece
};

void LosslessCodec::encode_tensor(const BoundaryTensor& tensor, std::span<const std::byte> values,
                                  Sink& sink) {
  const std::size_t width = tensor.is_f32() ? 4 : 1;
  for (std::size_t at = 0; at < tensor.elements() && sink.fits; at += kPieceElements) {
    const std::size_t count = std::min(kPieceElements, tensor.elements() - at);
    const auto piece = values.subspan(width * at, width * count);
    if (width == 1) {
      encode_plane(piece, sink);
      continue;
    }
    const std::span planes(planes_.data(), 4 * count);
    split_planes(piece, count, planes);
    for (std::size_t p = 0; p < 4 && sink.fits; ++p) {
      encode_plane(planes.subspan(p * count, count), sink);
    }
  }
}

// A plane that does not become smaller stands as it is, with the length 0.
void LosslessCodec::encode_plane(std::span<const std::byte> plane, Sink& sink) {
  const auto room = sink.room.subspan(sink.written);
  if (room.size() < kLengthBytes) {
    sink.fits = false;
    return;
  }
  const auto body = room.subspan(kLengthBytes);
  std::size_t length =
      frames_->compress(plane, body.first(std::min(body.size(), plane.size() - 1)));
  store_little_endian(room, 0, static_cast<std::uint16_t>(length));
  if (length == 0) {
    if (body.size() < plane.size()) {
      sink.fits = false;
      return;
    }
    std::ranges::copy(plane, body.begin());
    length = plane.size();
  }
  sink.written += kLengthBytes + length;
}

Status LosslessCodec::decode_tensor(const BoundaryTensor& tensor, std::span<std::byte> values,
                                    std::span<const std::byte>& bytes) {
  const std::size_t width = tensor.is_f32() ? 4 : 1;
  for (std::size_t at = 0; at < tensor.elements(); at += kPieceElements) {
    const std::size_t count = std::min(kPieceElements, tensor.elements() - at);
    const auto piece = values.subspan(width * at, width * count);
    if (width == 1) {
      CLEAVE_RETURN_IF_ERROR(decode_plane(piece, bytes));
      continue;
    }
    const std::span planes(planes_.data(), 4 * count);
    for (std::size_t p = 0; p < 4; ++p) {
      CLEAVE_RETURN_IF_ERROR(decode_plane(planes.subspan(p * count, count), bytes));
    }
    join_planes(planes, count, piece);
  }
  return Status::ok();
}

Status LosslessCodec::decode_plane(std::span<std::byte> plane, std::span<const std::byte>& bytes) {
  if (bytes.size() < kLengthBytes) return cut_short();
  const std::size_t length = load_little_endian<std::uint16_t>(bytes, 0);
  bytes = bytes.subspan(kLengthBytes);
  const std::size_t stands = length == 0 ? plane.size() : length;
  if (bytes.size() < stands) return cut_short();
  const auto body = bytes.first(stands);
  bytes = bytes.subspan(stands);
  if (length == 0) {
    std::ranges::copy(body, plane.begin());
    return Status::ok();
  }
  return frames_->decompress(body, plane)
             ? Status::ok()
             : Status(StatusCode::kCorrupt, "a plane that does not decompress");
}

}  // namespace

Created make_lossless_codec(const Boundary& boundary) {
  std::size_t plane = 1, planes = 0;
  for (const BoundaryTensor& tensor : boundary) {
    const std::size_t count = std::min(kPieceElements, tensor.elements());
    plane = std::max(plane, count);
    if (tensor.is_f32()) planes = std::max(planes, 4 * count);
  }
  CLEAVE_ASSIGN_OR_RETURN(auto frames, ZstdFrames::create(plane));
  AlignedBuffer scratch(planes);
  if (scratch.data() == nullptr) {
    return Status(StatusCode::kResourceExhausted, "no memory for the lossless codec");
  }
  return std::unique_ptr<BoundaryCodec>(
      std::make_unique<LosslessCodec>(boundary, std::move(frames), std::move(scratch)));
}

}  // namespace cleave::codec
