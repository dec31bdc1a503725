// SPDX-License-Identifier: Apache-2.0
//
// A picture for the pipeline: a file to be read, or one that was accepted before and waited, as its
// file or as what a head made of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/generated/wire_generated.h"

namespace cleave::agent {

// An activation, as a server is asked with it: what a Request says of its attachment.
struct ActivationForm {
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;
  std::uint32_t variant = 0;
  std::uint32_t cut = 0;
  std::uint64_t wire_id = 0;  // under which a server was asked with these bytes; 0: none was
};

// One that a picture may wait as. `parts` are its bytes, one part behind the other; they belong to
// whoever made them.
struct Activation {
  ActivationForm form;
  std::vector<std::span<const std::byte>> parts;
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& part : parts) sum += part.size();
    return sum;
  }
};

struct PictureTask {
  std::string image = {};
  // Of a picture that was accepted before; 0: it is accepted once its file has been read.
  std::uint64_t request_id = 0;
  // What was kept of it; empty: the file `image` is read.
  std::vector<std::byte> bytes = {};
  // What `bytes` are; without it, the picture's file.
  std::optional<ActivationForm> activation = {};
};

// A picture whose file was read is accepted; gives its request id, which is not 0.
using AcceptPicture =
    std::function<std::uint64_t(const std::string& image, std::span<const std::byte> file)>;

}  // namespace cleave::agent
