// SPDX-License-Identifier: Apache-2.0
//
// What a reader could not import, gathered so that one message names it all.
#pragma once

#include <cstddef>
#include <string>

#include "schemas/status.h"

namespace cleave::importer {

class Refusals {
 public:
  // `why` may be empty: the type itself is not known.
  void add(const std::string& type, const std::string& name, const std::string& why) {
    if (++count_ > kMaxNamed) return;
    if (!text_.empty()) text_ += "; ";
    text_ += type + " \"" + name + "\"";
    if (!why.empty()) text_ += ": " + why;
  }

  // kOk, or kUnsupported with everything added. `what`: "operators", "layers".
  [[nodiscard]] Status status(const std::string& what) const {
    if (count_ == 0) return Status::ok();
    std::string text = std::to_string(count_) + " " + what + " cannot be imported: " + text_;
    if (count_ > kMaxNamed) text += "; and " + std::to_string(count_ - kMaxNamed) + " more";
    return {StatusCode::kUnsupported, text};
  }

 private:
  static constexpr std::size_t kMaxNamed = 100;
  std::size_t count_ = 0;
  std::string text_;
};

}  // namespace cleave::importer
