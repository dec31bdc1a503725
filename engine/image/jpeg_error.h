// SPDX-License-Identifier: Apache-2.0
//
// libjpeg's error manager for hostile files: quiet, and leaving by a jump.
#pragma once

#include <array>
#include <csetjmp>
#include <cstdio>

extern "C" {
#include <jpeglib.h>
}

#include "schemas/status.h"

namespace cleave {

// REQUIRES: every call into libjpeg runs inside run_guarded(error.target, ...), and the object
// stays where it is while libjpeg points at it.
struct JpegError {
  jpeg_error_mgr manager{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf target{};
  std::array<char, JMSG_LENGTH_MAX> text{};

  // What jpeg_decompress_struct::err or jpeg_compress_struct::err has to point at.
  jpeg_error_mgr* install();
  // The error that was left by, with a code made from libjpeg's.
  [[nodiscard]] Status status() const;
};

}  // namespace cleave
