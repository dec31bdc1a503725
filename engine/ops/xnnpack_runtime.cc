// SPDX-License-Identifier: Apache-2.0
#include "engine/ops/xnnpack_runtime.h"

#include <string>

#include "engine/memory/counting_allocator.h"

namespace cleave::ops {
namespace {

const xnn_allocator kAllocator{
    .context = nullptr,
    .allocate = [](void*, std::size_t bytes) { return counted_allocate(bytes); },
    .reallocate = [](void*, void* memory,
                     std::size_t bytes) { return counted_reallocate(memory, bytes); },
    .deallocate = [](void*, void* memory) { counted_free(memory); },
    // XNNPACK never asks for more than 64.
    .aligned_allocate = [](void*, std::size_t alignment, std::size_t bytes) -> void* {
      return alignment > 64 ? nullptr : counted_allocate(bytes);
    },
    .aligned_deallocate = [](void*, void* memory) { counted_free(memory); }};

StatusCode to_code(xnn_status status) {
  switch (status) {
    case xnn_status_out_of_memory:
      return StatusCode::kResourceExhausted;
    case xnn_status_unsupported_parameter:
    case xnn_status_unsupported_hardware:
      return StatusCode::kUnsupported;
    default:
      return StatusCode::kInternal;
  }
}

const char* to_text(xnn_status status) {
  switch (status) {
    case xnn_status_uninitialized:
      return "not initialized";
    case xnn_status_invalid_parameter:
      return "invalid parameter";
    case xnn_status_invalid_state:
      return "invalid state";
    case xnn_status_unsupported_parameter:
      return "unsupported parameter";
    case xnn_status_unsupported_hardware:
      return "this CPU lacks the instructions";
    case xnn_status_out_of_memory:
      return "out of memory";
    default:
      return "failed";
  }
}

}  // namespace

Status to_status(xnn_status status, const char* what) {
  if (status == xnn_status_success) return Status::ok();
  return {to_code(status), std::string("XNNPACK ") + what + ": " + to_text(status)};
}

Status initialize_xnnpack() {
  static const xnn_status status = xnn_initialize(&kAllocator);
  return to_status(status, "initialize");
}

}  // namespace cleave::ops
