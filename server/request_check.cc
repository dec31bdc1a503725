// SPDX-License-Identifier: Apache-2.0
#include "server/request_check.h"

namespace cleave::server {

std::string check_request(const LoadedModel& model, const PictureLimits& picture,
                          const fbs::Request& request, std::uint64_t attachment_bytes) {
  if (request.variant() >= model.variants.size()) return "no such variant";
  const LoadedVariant& variant = model.variants[request.variant()];
  if (variant.weights == nullptr) return "this server cannot run that variant";
  if (request.cut() >= variant.cuts.size()) return "no such cut";
  switch (request.codec()) {
    case fbs::Codec::Raw:
      if (attachment_bytes == variant.cuts[request.cut()].boundary_bytes) return "";
      break;
    case fbs::Codec::PixelsU8:
      if (request.cut() != 0) return "pictures are for cut 0 only";
      if (attachment_bytes == element_count(variant.input_shape)) return "";
      break;
    case fbs::Codec::JpegModelSize:
      if (request.cut() != 0) return "pictures are for cut 0 only";
      if (!variant.takes_pictures) return "this model's input is no picture";
      // A longer one is not worth sending: the pixels are exact.
      if (attachment_bytes > 0 && attachment_bytes <= element_count(variant.input_shape)) return "";
      break;
    case fbs::Codec::Jpeg:
      if (request.cut() != 0) return "pictures are for cut 0 only";
      if (attachment_bytes > 0 && attachment_bytes <= picture.max_file_bytes) return "";
      break;
    case fbs::Codec::Lossless:
    case fbs::Codec::F16:
    case fbs::Codec::Int8:
    case fbs::Codec::Coded: {
      const CodecLimit* codec =
          variant.find_codec(request.cut(), {request.codec(), request.quality()});
      if (codec == nullptr) return "this cut has no such codec";
      if (attachment_bytes > 0 && attachment_bytes <= codec->max_encoded_bytes) return "";
      break;
    }
  }
  return "the attachment does not have the size of this cut";
}

RequestShape shape_of(const LoadedModel& model, const fbs::Request& request,
                      std::uint64_t attachment_bytes) {
  return {.model = model.file->identity(),
          .variant = request.variant(),
          .cut = request.cut(),
          .codec = request.codec(),
          .quality = request.quality(),
          .attachment_bytes = attachment_bytes};
}

}  // namespace cleave::server
