// SPDX-License-Identifier: Apache-2.0
#include "engine/image/jpeg_error.h"

extern "C" {
#include <jerror.h>
}

#include <string>

namespace cleave {
namespace {

[[noreturn]] void leave(j_common_ptr codec) {
  auto* error = reinterpret_cast<JpegError*>(codec->err);
  codec->err->format_message(codec, error->text.data());
  std::longjmp(error->target, 1);
}

// libjpeg goes on after damage and fills in gray; these are the warnings that say it is doing so.
// The others are about oddities that leave the pixels well defined.
bool is_damage(int code) {
  switch (code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      return true;
    default:
      return false;
  }
}

void on_message(j_common_ptr codec, int level) {
  const bool is_warning = level < 0;
  if (is_warning && is_damage(codec->err->msg_code)) leave(codec);
}

void print_nothing(j_common_ptr) {}

StatusCode code_of(int message) {
  switch (message) {
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
      return StatusCode::kUnsupported;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
      return StatusCode::kOutOfRange;
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
      return StatusCode::kResourceExhausted;
    default:
      return StatusCode::kCorrupt;
  }
}

}  // namespace

jpeg_error_mgr* JpegError::install() {
  jpeg_std_error(&manager);
  manager.error_exit = leave;
  manager.emit_message = on_message;
  manager.output_message = print_nothing;
  return &manager;
}

Status JpegError::status() const {
  return {code_of(manager.msg_code), std::string("JPEG: ") + text.data()};
}

}  // namespace cleave
