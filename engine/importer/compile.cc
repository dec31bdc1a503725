// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/importer.h"

namespace cleave::importer {

Status compile(Graph& graph) {
  CLEAVE_RETURN_IF_ERROR(validate(graph));
  assign_layers(graph);
  fuse(graph);
  return lower(graph);
}

}  // namespace cleave::importer
