// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/ort_compare.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "engine/importer/importer.h"
#include "tests/support/graph_interpreter.h"
#include "tests/support/onnx_engine.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/ort_session.h"

namespace cleave::test {
namespace {

std::set<std::string> written_names(const onnx::GraphProto& graph) {
  std::set<std::string> names;
  for (const onnx::NodeProto& node : graph.node()) {
    names.insert(node.output().begin(), node.output().end());
  }
  return names;
}

// The input's extents as the model says them, its batch (which may have a name) being 1.
std::vector<std::int64_t> input_dims(const onnx::GraphProto& graph, const std::string& name) {
  std::vector<std::int64_t> dims;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (input.name() != name) continue;
    for (const auto& dim : input.type().tensor_type().shape().dim()) {
      dims.push_back(dims.empty() ? 1 : dim.dim_value());
    }
  }
  return dims;
}

Result<std::map<std::string, OrtTensor>> run_in_ort(onnx::ModelProto model,
                                                    const std::string& input, const OrtTensor& fed,
                                                    const std::vector<std::string>& names) {
  for (const std::string& name : names) add_output(*model.mutable_graph(), name);
  std::vector<std::byte> bytes = to_bytes(model);
  model.Clear();
  CLEAVE_ASSIGN_OR_RETURN(const std::unique_ptr<OrtSession> session, OrtSession::create(bytes));
  bytes = {};
  return session->run(input, fed, names);
}

// ONNX Runtime's tensor as height, width, channel. Its own extents say whether it is so already (a
// model turned from another framework); test shapes keep the two apart.
bool is_channels_last(const std::vector<std::int64_t>& dims, const fbs::Shape& shape) {
  const std::vector<std::int64_t> nhwc{1, shape.height(), shape.width(), shape.channels()};
  const std::vector<std::int64_t> nchw{1, shape.channels(), shape.height(), shape.width()};
  return dims == nhwc && dims != nchw;
}

std::vector<float> to_our_order(const OrtTensor& tensor, const fbs::Shape& shape) {
  const bool same_size = tensor.data.size() == element_count(shape);
  if (!same_size || is_channels_last(tensor.dims, shape)) return tensor.data;
  return nchw_to_nhwc(tensor.data, shape, 1);
}

double spread(const std::vector<float>& scores) {
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  return double{*high} - *low;
}

// What our engine gave. The compiled model is gone by then: a VGG's weights are half a gigabyte,
// and ONNX Runtime needs room for its own copies.
struct OurRun {
  std::string input, output;
  std::vector<float> fed;  // height, width, channel
  NamedTensors tensors;
  std::map<std::string, fbs::Shape> shapes;
};

Result<OurRun> run_ours(importer::Graph graph, std::uint64_t seed) {
  CLEAVE_ASSIGN_OR_RETURN(const auto compiled, compile_graph(std::move(graph)));
  OurRun run{input_name(*compiled), output_name(*compiled), {}, {}, {}};
  run.fed = seeded_values(element_count(shape_of(*compiled, run.input)), seed);
  CLEAVE_ASSIGN_OR_RETURN(run.tensors, run_every_cut(compiled, run.fed, 1));
  for (const auto& [name, data] : run.tensors) run.shapes[name] = shape_of(*compiled, name);
  run.shapes[run.input] = shape_of(*compiled, run.input);
  return run;
}

void add_tensor(OrtComparison& result, const OurRun& ours, const std::string& name,
                const OrtTensor& tensor) {
  const std::vector<float> expected = to_our_order(tensor, ours.shapes.at(name));
  const double error = relative_error(expected, ours.tensors.at(name));  // infinite: sizes differ
  ++result.tensors;
  if (error >= result.worst) {
    result.worst = error;
    result.worst_tensor = name;
  }
  if (name != ours.output) return;
  result.scores = error;
  result.scores_spread = spread(expected);
}

}  // namespace

Result<OrtComparison> compare_with_ort(onnx::ModelProto model, importer::Graph graph,
                                       std::uint64_t seed) {
  CLEAVE_ASSIGN_OR_RETURN(const OurRun ours, run_ours(std::move(graph), seed));
  OrtComparison result;
  const std::set<std::string> written = written_names(model.graph());
  std::vector<std::string> names;
  for (const auto& [name, data] : ours.tensors) {
    if (name != ours.input) (written.contains(name) ? names : result.absent).push_back(name);
  }
  OrtTensor fed{input_dims(model.graph(), ours.input), ours.fed};
  const fbs::Shape& shape = ours.shapes.at(ours.input);
  if (!is_channels_last(fed.dims, shape)) fed.data = nhwc_to_nchw(ours.fed, shape, 1);
  CLEAVE_ASSIGN_OR_RETURN(const auto theirs, run_in_ort(std::move(model), ours.input, fed, names));
  for (const auto& [name, tensor] : theirs) add_tensor(result, ours, name, tensor);
  return result;
}

Result<OrtComparison> compare_import_with_ort(const onnx::ModelProto& model, std::uint64_t seed) {
  CLEAVE_ASSIGN_OR_RETURN(importer::Graph graph, importer::read_onnx(to_bytes(model)));
  return compare_with_ort(model, std::move(graph), seed);
}

std::string to_text(const std::string& name, const OrtComparison& comparison) {
  char text[256];
  std::snprintf(text, sizeof(text), "%s: %zu tensors, scores %.1e, worst %.1e (%s)", name.c_str(),
                comparison.tensors, comparison.scores, comparison.worst,
                comparison.worst_tensor.c_str());
  return text;
}

}  // namespace cleave::test
