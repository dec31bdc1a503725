// SPDX-License-Identifier: Apache-2.0
//
// Walks Keras' model configurations: Sequential is a list of layers, Functional (also "Model") a
// graph of calls to them, and either may stand as a layer inside another. Private to tfjs_*.cc.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/importer/tf_refusals.h"
#include "engine/importer/tfjs_import.h"

namespace cleave::importer {

class TfjsTopology {
 public:
  explicit TfjsTopology(TfjsImport& import) : import_(&import) {}

  // Appends the whole model (a {"class_name", "config"} object) with an input of its own and sets
  // the graph's output. Errors: kCorrupt, or kUnsupported naming every layer that cannot be
  // imported.
  [[nodiscard]] Status import_model(const Json& model);

 private:
  // One use of a layer in a Functional model; inputs are (layer, call) pairs.
  struct Call {
    std::size_t layer = 0;
    std::vector<std::pair<std::size_t, std::size_t>> inputs;
    bool done = false;
    TfjsTensor output;
  };
  struct Functional {
    const Json* layers = nullptr;
    std::map<std::string, std::size_t> index;  // layer name -> position
    std::vector<std::vector<Call>> calls;      // by layer
  };

  void list_unknown(const Json& model);
  [[nodiscard]] Result<TfjsTensor> apply(const Json& layer, std::span<const TfjsTensor> inputs);
  [[nodiscard]] Result<TfjsTensor> apply_layer(const Json& layer, const std::string& type,
                                               std::span<const TfjsTensor> inputs);
  [[nodiscard]] Result<TfjsTensor> apply_sequential(const Json& model, const TfjsTensor& input);
  [[nodiscard]] Result<TfjsTensor> apply_functional(const Json& model, const TfjsTensor& input);
  [[nodiscard]] Result<Functional> read_functional(const Json& model) const;
  [[nodiscard]] Status read_calls(Functional& model, std::size_t layer) const;
  [[nodiscard]] Result<std::pair<std::size_t, std::size_t>> read_reference(
      const Functional& model, const Json& reference) const;
  [[nodiscard]] Result<bool> run_ready_calls(Functional& model);

  TfjsImport* import_;
  Refusals refusals_;
  std::size_t applied_ = 0;
};

}  // namespace cleave::importer
