// SPDX-License-Identifier: Apache-2.0
//
// A picture for the pipeline: a file to be read, or one that was accepted before and waited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cleave::agent {

struct PictureTask {
  std::string image = {};
  // Of a picture that was accepted before; 0: it is accepted once its file has been read.
  std::uint64_t request_id = 0;
  // What was kept of its file; empty: the file `image` is read.
  std::vector<std::byte> bytes = {};
};

// A picture whose file was read is accepted; gives its request id, which is not 0.
using AcceptPicture =
    std::function<std::uint64_t(const std::string& image, std::span<const std::byte> file)>;

}  // namespace cleave::agent
