// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/tfjs_topology.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace cleave::importer {
namespace {

// Nested models called again and again multiply: this bounds the work of a small hostile file.
constexpr std::size_t kMaxApplied = 20'000;
constexpr std::size_t kMaxLayers = 4096;

std::string type_of(const Json& layer) {
  const std::string* type = json_text(json_member(layer, "class_name"));
  return type == nullptr ? std::string() : type->substr(0, 64);
}

// The name stands in the config; Functional models repeat it outside.
std::string name_of(const Json& layer) {
  const Json* config = json_member(layer, "config");
  const std::string* name = json_text(config == nullptr ? nullptr : json_member(*config, "name"));
  if (name == nullptr) name = json_text(json_member(layer, "name"));
  return name == nullptr ? type_of(layer) : name->substr(0, 200);
}

bool is_functional(const std::string& type) { return type == "Functional" || type == "Model"; }
bool is_model(const std::string& type) { return type == "Sequential" || is_functional(type); }

// The layers of a model; old files of a Sequential have the bare list as its config.
const Json* layers_of(const Json& model) {
  const Json* config = json_member(model, "config");
  if (config == nullptr) return nullptr;
  return config->is_array() ? config : json_member(*config, "layers");
}

// [null, height, width, channels] as an input layer, or the first layer of a Sequential, says it.
const Json* batch_shape_of(const Json& layer) {
  const Json* config = json_member(layer, "config");
  if (config == nullptr) return nullptr;
  const Json* shape = json_member(*config, "batch_input_shape");
  return shape != nullptr ? shape : json_member(*config, "batch_shape");
}

// [["name", 0, 0]], or ["name", 0, 0] as newer files write a single one.
const Json* single_endpoint(const Json& model, const char* key) {
  const Json* config = json_member(model, "config");
  const Json* list = config == nullptr ? nullptr : json_member(*config, key);
  if (json_size(list) == 0) return nullptr;
  if (json_text(&json_at(*list, 0)) != nullptr) return list;
  return json_size(list) == 1 ? &json_at(*list, 0) : nullptr;
}

// The layer that says the model's input shape: one level down for each nested model.
const Json* input_layer(const Json& model) {
  const Json* layers = layers_of(model);
  if (json_size(layers) == 0) return nullptr;
  if (!is_functional(type_of(model))) {
    const Json& first = json_at(*layers, 0);
    return is_model(type_of(first)) ? input_layer(first) : &first;
  }
  const Json* endpoint = single_endpoint(model, "input_layers");
  const std::string* name = json_size(endpoint) == 0 ? nullptr : json_text(&json_at(*endpoint, 0));
  for (std::size_t i = 0; name != nullptr && i < json_size(layers); ++i) {
    if (name_of(json_at(*layers, i)) == *name) return &json_at(*layers, i);
  }
  return nullptr;
}

}  // namespace

void TfjsTopology::list_unknown(const Json& model) {
  const Json* layers = layers_of(model);
  for (std::size_t i = 0; i < json_size(layers); ++i) {
    const Json& layer = json_at(*layers, i);
    const std::string type = type_of(layer);
    if (is_model(type)) {
      list_unknown(layer);
    } else if (type != "InputLayer" && find_tfjs_handler(type) == nullptr) {
      refusals_.add(type, name_of(layer), "");
    }
  }
}

Status TfjsTopology::import_model(const Json& model) {
  if (!is_model(type_of(model))) return corrupt("the model is neither Sequential nor Functional");
  list_unknown(model);
  CLEAVE_RETURN_IF_ERROR(refusals_.status("layers"));
  const Json* first = input_layer(model);
  const Json* shape = first == nullptr ? nullptr : batch_shape_of(*first);
  if (shape == nullptr) {
    return {StatusCode::kUnsupported, "the model does not have exactly one input of known shape"};
  }
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<std::int64_t> batch_shape, json_integers(*shape));
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, import_->add_input(name_of(*first), batch_shape));
  import_->graph().name = name_of(model);
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor output, apply(model, std::span(&input, 1)));
  CLEAVE_RETURN_IF_ERROR(refusals_.status("layers"));
  import_->graph().output = output.value;
  return Status::ok();
}

Result<TfjsTensor> TfjsTopology::apply(const Json& layer, std::span<const TfjsTensor> inputs) {
  if (++applied_ > kMaxApplied) {
    return Status(StatusCode::kResourceExhausted, "the model has too many layers");
  }
  if (inputs.empty()) return corrupt("\"" + name_of(layer) + "\" has no inputs");
  if (std::any_of(inputs.begin(), inputs.end(),
                  [](const TfjsTensor& input) { return input.is_poisoned(); })) {
    return TfjsTensor{};
  }
  const std::string type = type_of(layer);
  if (type == "InputLayer") return single_input(inputs);
  if (!is_model(type)) return apply_layer(layer, type, inputs);
  CLEAVE_ASSIGN_OR_RETURN(const TfjsTensor input, single_input(inputs));
  return is_functional(type) ? apply_functional(layer, input) : apply_sequential(layer, input);
}

Result<TfjsTensor> TfjsTopology::apply_layer(const Json& layer, const std::string& type,
                                             std::span<const TfjsTensor> inputs) {
  const TfjsHandler handler = find_tfjs_handler(type);
  if (handler == nullptr) return Status(StatusCode::kInternal, "layer " + type + " was not listed");
  const TfjsLayer view{name_of(layer), type, TfjsConfig(json_member(layer, "config"))};
  Result<TfjsTensor> output = handler(*import_, view, inputs);
  if (output.is_ok()) return output;
  if (output.status().code() != StatusCode::kUnsupported) {
    return output.status().with_context(type + " \"" + view.name + "\"");
  }
  refusals_.add(type, view.name, output.status().message());
  return TfjsTensor{};
}

Result<TfjsTensor> TfjsTopology::apply_sequential(const Json& model, const TfjsTensor& input) {
  TfjsTensor current = input;
  const Json* layers = layers_of(model);
  for (std::size_t i = 0; i < json_size(layers); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(current, apply(json_at(*layers, i), std::span(&current, 1)));
  }
  return current;
}

// A reference names a layer and which of its calls. Nested models count the call that made them as
// their first, which the file does not list.
Result<std::pair<std::size_t, std::size_t>> TfjsTopology::read_reference(
    const Functional& model, const Json& reference) const {
  const std::string* name = json_size(&reference) < 3 ? nullptr : json_text(&json_at(reference, 0));
  if (name == nullptr) return corrupt("an inbound node is not [layer, node, tensor]");
  const auto found = model.index.find(*name);
  if (found == model.index.end()) return corrupt("there is no layer \"" + *name + "\"");
  CLEAVE_ASSIGN_OR_RETURN(std::int64_t call, json_integer(json_at(reference, 1)));
  CLEAVE_ASSIGN_OR_RETURN(const std::int64_t tensor, json_integer(json_at(reference, 2)));
  if (is_model(type_of(json_at(*model.layers, found->second))) && call > 0) --call;
  const auto calls = static_cast<std::int64_t>(model.calls[found->second].size());
  if (call < 0 || call >= calls || tensor != 0) {
    return corrupt("layer \"" + *name + "\" has no such output");
  }
  return std::pair(found->second, static_cast<std::size_t>(call));
}

Status TfjsTopology::read_calls(Functional& model, std::size_t layer) const {
  const Json* nodes = json_member(json_at(*model.layers, layer), "inbound_nodes");
  for (std::size_t n = 0; n < json_size(nodes); ++n) {
    const Json& node = json_at(*nodes, n);
    if (!node.is_array()) {
      return {StatusCode::kUnsupported,
              "the model is in Keras 3's form; save it with Keras 2 (tf_keras)"};
    }
    const bool bare = json_size(&node) > 0 && json_text(&json_at(node, 0)) != nullptr;
    for (std::size_t i = 0; i < (bare ? 1 : json_size(&node)); ++i) {
      CLEAVE_ASSIGN_OR_RETURN(const auto reference,
                              read_reference(model, bare ? node : json_at(node, i)));
      model.calls[layer][n].inputs.push_back(reference);
    }
  }
  return Status::ok();
}

Result<TfjsTopology::Functional> TfjsTopology::read_functional(const Json& model) const {
  Functional result;
  result.layers = layers_of(model);
  const std::size_t count = json_size(result.layers);
  if (count == 0 || count > kMaxLayers) return corrupt("the model has no layers, or too many");
  for (std::size_t i = 0; i < count; ++i) {
    const Json& layer = json_at(*result.layers, i);
    if (!result.index.emplace(name_of(layer), i).second) {
      return corrupt("two layers are named \"" + name_of(layer) + "\"");
    }
    // An input layer is not called; it has the one output that it is.
    const std::size_t nodes = json_size(json_member(layer, "inbound_nodes"));
    if (nodes > kMaxLayers) return corrupt("a layer is called too often");
    result.calls.emplace_back(type_of(layer) == "InputLayer" ? 1 : nodes);
  }
  for (std::size_t i = 0; i < count; ++i) CLEAVE_RETURN_IF_ERROR(read_calls(result, i));
  return result;
}

// Whether any call could be made: the file's order of layers need not be one they can run in.
Result<bool> TfjsTopology::run_ready_calls(Functional& model) {
  bool progress = false;
  for (std::size_t layer = 0; layer < model.calls.size(); ++layer) {
    for (Call& call : model.calls[layer]) {
      if (call.done) continue;
      std::vector<TfjsTensor> inputs;
      for (const auto& [from, index] : call.inputs) {
        const Call& source = model.calls[from][index];
        if (source.done) inputs.push_back(source.output);
      }
      if (inputs.size() != call.inputs.size()) continue;
      CLEAVE_ASSIGN_OR_RETURN(call.output, apply(json_at(*model.layers, layer), inputs));
      call.done = progress = true;
    }
  }
  return progress;
}

Result<TfjsTensor> TfjsTopology::apply_functional(const Json& model, const TfjsTensor& input) {
  CLEAVE_ASSIGN_OR_RETURN(Functional calls, read_functional(model));
  const Json* begin = single_endpoint(model, "input_layers");
  const Json* end = single_endpoint(model, "output_layers");
  if (begin == nullptr || end == nullptr) {
    return Status(StatusCode::kUnsupported,
                  "\"" + name_of(model) + "\" does not have exactly one input and one output");
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto first, read_reference(calls, *begin));
  CLEAVE_ASSIGN_OR_RETURN(const auto last, read_reference(calls, *end));
  Call& start = calls.calls[first.first][first.second];
  start.output = input;
  start.done = true;
  for (bool progress = true; progress;) {
    CLEAVE_ASSIGN_OR_RETURN(progress, run_ready_calls(calls));
  }
  const Call& result = calls.calls[last.first][last.second];
  if (!result.done) return corrupt("the layers of \"" + name_of(model) + "\" go in a circle");
  return result.output;
}

}  // namespace cleave::importer
