// SPDX-License-Identifier: Apache-2.0
//
// libzstd's one-call compression in memory that is taken once.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "schemas/status.h"

namespace cleave::codec {

class ZstdFrames {
 public:
  // For inputs of at most `most_bytes`. Errors: kResourceExhausted.
  static Result<std::unique_ptr<ZstdFrames>> create(std::size_t most_bytes);
  virtual ~ZstdFrames() = default;
  ZstdFrames(const ZstdFrames&) = delete;
  ZstdFrames& operator=(const ZstdFrames&) = delete;

  [[nodiscard]] virtual std::size_t held_bytes() const = 0;

  // One frame; gives its length, or 0 when it does not fit into `out`.
  // REQUIRES: bytes.size() <= most_bytes.
  [[nodiscard]] virtual std::size_t compress(std::span<const std::byte> bytes,
                                             std::span<std::byte> out) = 0;

  // Whether `frame`, which may be hostile, held exactly as many bytes as `out` has.
  [[nodiscard]] virtual bool decompress(std::span<const std::byte> frame,
                                        std::span<std::byte> out) = 0;

 protected:
  ZstdFrames() = default;
};

}  // namespace cleave::codec
