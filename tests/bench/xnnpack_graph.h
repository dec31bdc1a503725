// SPDX-License-Identifier: Apache-2.0
//
// A model file as an XNNPACK subgraph, built the way XNNPACK's users build one: XNNPACK alone plans
// memory, packs weights and chooses kernels.
#pragma once

#include <pthreadpool.h>
#include <xnnpack.h>

#include <memory>

#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave::bench {

inline constexpr std::uint32_t kXnnInputId = 0;
inline constexpr std::uint32_t kXnnOutputId = 1;

struct XnnSubgraphDelete {
  void operator()(xnn_subgraph_t subgraph) const { xnn_delete_subgraph(subgraph); }
};
using XnnSubgraph = std::unique_ptr<xnn_subgraph, XnnSubgraphDelete>;

// Variant 0 for one picture, f32. The subgraph looks at the model's weights. REQUIRES: XNNPACK is
// initialized. Errors: kUnsupported, naming the operator that the runtime is not given.
Result<XnnSubgraph> build_xnn_subgraph(const ModelFile& model);

[[nodiscard]] Status to_status(xnn_status status, const std::string& what);

}  // namespace cleave::bench
