// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/zoo.h"

#include <algorithm>
#include <utility>

#include "schemas/op_shape.h"

namespace cleave::importer {
namespace {

constexpr std::uint32_t kMaxInput = 1024;
constexpr std::uint32_t kMaxClasses = kMaxDimension;

bool is_mobilenet(const std::string& name) { return name.starts_with("mobilenet"); }

Status invalid_zoo(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}

Status check_options(const std::string& name, const ZooOptions& options) {
  if (options.input < 32 || options.input > kMaxInput) {
    return invalid_zoo("--input must be 32 to " + std::to_string(kMaxInput) + " pixels");
  }
  if (options.classes == 0 || options.classes > kMaxClasses) {
    return invalid_zoo("--classes must be 1 to " + std::to_string(kMaxClasses));
  }
  if (!is_mobilenet(name)) {
    return options.width == 1.0 ? Status::ok()
                                : invalid_zoo("--width is for MobileNets, not " + name);
  }
  if (options.input % 32 != 0) return invalid_zoo("--input must be a multiple of 32 for " + name);
  if (!(options.width >= 0.1 && options.width <= 2.0))
    return invalid_zoo("--width must be 0.1 to 2");
  return Status::ok();
}

std::string joined_names() {
  std::string all;
  for (const std::string& name : zoo_names()) all += (all.empty() ? "" : ", ") + name;
  return all;
}

}  // namespace

std::uint32_t scaled_channels(std::uint32_t channels, double width) {
  const double exact = channels * width;
  const auto rounded = std::max<std::uint32_t>(8, static_cast<std::uint32_t>(exact + 4) / 8 * 8);
  return rounded < 0.9 * exact ? rounded + 8 : rounded;
}

std::vector<std::string> zoo_names() {
  return {"alexnet",  "vgg11",    "vgg13",    "vgg16",        "vgg19",       "vgg11_bn",
          "vgg13_bn", "vgg16_bn", "vgg19_bn", "mobilenet_v1", "mobilenet_v2"};
}

Result<Graph> make_zoo_model(const std::string& name, const ZooOptions& options) {
  const std::vector<std::string> names = zoo_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return Status{StatusCode::kNotFound,
                  "no zoo network is called \"" + name + "\"; there are " + joined_names()};
  }
  CLEAVE_RETURN_IF_ERROR(check_options(name, options));
  if (name == "alexnet") return make_alexnet(options);
  if (name == "mobilenet_v1") return make_mobilenet_v1(options);
  if (name == "mobilenet_v2") return make_mobilenet_v2(options);
  return make_vgg(name, options);
}

}  // namespace cleave::importer
