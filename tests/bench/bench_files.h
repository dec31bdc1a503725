// SPDX-License-Identifier: Apache-2.0
//
// The files that the contenders read: one network as a model file and as ONNX, and an input.
#pragma once

#include <string>
#include <vector>

#include "engine/importer/importer.h"
#include "engine/tensor.h"
#include "schemas/status.h"

namespace cleave::bench {

struct BenchFiles {
  std::string name;                     // for people: "vgg16 224"
  std::string model_path;               // cleave model file
  std::string onnx_path;                // empty: there is none
  std::string input_path;               // f32, height x width x channels, seeded
  std::string input_name, output_name;  // in the ONNX file
  fbs::Shape input;
  std::vector<std::string> variants;  // of the model file
};

// Writes all three into `folder`, from one seeded zoo network; f16 and int8 variants (calibrated on
// generated pictures) if `reduced`. Needs memory for the weights three times, and has given it back
// when it returns. Errors: as make_zoo_model and compile; kIo.
Result<BenchFiles> write_zoo_files(const std::string& zoo_name, const importer::ZooOptions& options,
                                   bool reduced, const std::string& folder);

// Only an input, for a model file that exists. Errors: as ModelFile::open; kIo.
Result<BenchFiles> write_input_for(const std::string& model_path, const std::string& folder);

// Reads the files once, so that their pages are in memory.
[[nodiscard]] Status warm_pages(const BenchFiles& files);

}  // namespace cleave::bench
