// SPDX-License-Identifier: Apache-2.0
#include "tests/support/onnx_engine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/importer/importer.h"
#include "engine/weights.h"

namespace cleave::test {
namespace {

std::string tensor_name(const ModelFile& model, TensorId id) {
  const auto* name = first_variant(model).tensors()->Get(id)->name();
  return name != nullptr ? name->str() : std::string();
}

Status set_inputs(const ModelFile& model, const Executor& executor, const NamedTensors& inputs) {
  for (const BoundaryBuffer& buffer : executor.inputs()) {
    const std::string name = tensor_name(model, buffer.tensor);
    const auto found = inputs.find(name);
    if (found == inputs.end() || found->second.size() != buffer.elements) {
      return {StatusCode::kInvalidArgument, "no input \"" + name + "\" of the right size"};
    }
    std::copy(found->second.begin(), found->second.end(), buffer.f32().begin());
  }
  return Status::ok();
}

Result<NamedTensors> run_range(const ModelFile& model, Executor& executor, OpRange range,
                               const NamedTensors& inputs, std::uint32_t batch) {
  CLEAVE_RETURN_IF_ERROR(executor.prepare(range, batch));
  CLEAVE_RETURN_IF_ERROR(set_inputs(model, executor, inputs));
  CLEAVE_RETURN_IF_ERROR(executor.run());
  NamedTensors outputs;
  for (const BoundaryBuffer& buffer : executor.outputs()) {
    outputs[tensor_name(model, buffer.tensor)].assign(buffer.f32().begin(), buffer.f32().end());
  }
  return outputs;
}

Result<std::unique_ptr<Executor>> make_executor(const std::shared_ptr<const ModelFile>& model) {
  const OpRange all{0, first_variant(*model).ops()->size()};
  CLEAVE_ASSIGN_OR_RETURN(std::shared_ptr<const Weights> weights, Weights::create(model, 0, all));
  return Executor::create(std::move(weights), {.threads = 1});
}

bool same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Every tensor of `part` is in `all`, with the same bytes.
bool are_among(const NamedTensors& part, const NamedTensors& all) {
  return std::ranges::all_of(part, [&](const auto& tensor) {
    const auto found = all.find(tensor.first);
    return found != all.end() && same_bytes(tensor.second, found->second);
  });
}

bool same_bytes(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && are_among(a, b);
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> compile_graph(importer::Graph graph) {
  CLEAVE_RETURN_IF_ERROR(importer::compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, importer::build_model_file(graph));
  return ModelFile::from_bytes(bytes);
}

const fbs::Variant& first_variant(const ModelFile& model) {
  return *model.header().variants()->Get(0);
}

std::string input_name(const ModelFile& model) {
  return tensor_name(model, first_variant(model).input());
}

std::string output_name(const ModelFile& model) {
  return tensor_name(model, first_variant(model).output());
}

fbs::Shape shape_of(const ModelFile& model, const std::string& tensor) {
  const auto& tensors = *first_variant(model).tensors();
  for (TensorId id = 0; id < tensors.size(); ++id) {
    if (tensor_name(model, id) == tensor) return *tensors.Get(id)->shape();
  }
  return {};
}

Result<NamedTensors> run_ops(const std::shared_ptr<const ModelFile>& model, OpRange range,
                             const NamedTensors& inputs, std::uint32_t batch) {
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor, make_executor(model));
  return run_range(*model, *executor, range, inputs, batch);
}

Result<NamedTensors> run_every_cut(const std::shared_ptr<const ModelFile>& model,
                                   std::span<const float> input, std::uint32_t batch) {
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor, make_executor(model));
  NamedTensors all;
  NamedTensors boundary{{input_name(*model), {input.begin(), input.end()}}};
  for (OpIndex op = 0; op < first_variant(*model).ops()->size(); ++op) {
    CLEAVE_ASSIGN_OR_RETURN(boundary, run_range(*model, *executor, {op, op + 1}, boundary, batch));
    for (const auto& [name, data] : boundary) all[name] = data;
  }
  return all;
}

Result<EverySplit> compare_every_split(const std::shared_ptr<const ModelFile>& model,
                                       std::span<const float> input, std::uint32_t batch) {
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor, make_executor(model));
  CLEAVE_ASSIGN_OR_RETURN(NamedTensors known, run_every_cut(model, input, batch));
  const OpIndex last = first_variant(*model).ops()->size();
  const NamedTensors fed{{input_name(*model), {input.begin(), input.end()}}};
  known.insert(*fed.begin());
  CLEAVE_ASSIGN_OR_RETURN(const NamedTensors whole,
                          run_range(*model, *executor, {0, last}, fed, batch));
  EverySplit result;
  for (OpIndex cut = 0; cut <= last; ++cut, ++result.cuts) {
    CLEAVE_ASSIGN_OR_RETURN(const NamedTensors boundary,
                            run_range(*model, *executor, {0, cut}, fed, batch));
    CLEAVE_ASSIGN_OR_RETURN(const NamedTensors scores,
                            run_range(*model, *executor, {cut, last}, boundary, batch));
    const bool equal = same_bytes(scores, whole) && are_among(boundary, known);
    if (!equal) result.unequal.push_back(cut);
  }
  return result;
}

std::vector<float> nchw_to_nhwc(std::span<const float> data, const fbs::Shape& shape,
                                std::uint32_t batch) {
  const std::size_t pixels = std::size_t{shape.height()} * shape.width();
  const std::size_t channels = shape.channels();
  std::vector<float> out(data.size());
  for (std::size_t n = 0; n < batch; ++n) {
    const std::size_t base = n * pixels * channels;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < pixels; ++p) {
        out[base + p * channels + c] = data[base + c * pixels + p];
      }
    }
  }
  return out;
}

std::vector<float> nhwc_to_nchw(std::span<const float> data, const fbs::Shape& shape,
                                std::uint32_t batch) {
  const fbs::Shape transposed(shape.channels(), 1, shape.height() * shape.width());
  return nchw_to_nhwc(data, transposed, batch);
}

}  // namespace cleave::test
