// SPDX-License-Identifier: Apache-2.0
#include "tests/hil/literal_study.h"

#include <limits>
#include <utility>

namespace cleave::study {
namespace {

using planner::Candidate;
using planner::CandidateIndex;
using planner::Score;

// The planner's input and output for one network on one platform.
struct Problem {
  std::vector<Candidate> candidates;  // one a split, by k
  std::vector<Score> scores;
  std::vector<CandidateIndex> front;
  planner::Decision decision;
};

std::vector<Candidate> candidates_of(const NetworkTable& network, const Platform& platform) {
  const std::size_t layers = network.layers.size();
  std::vector<std::uint64_t> multiply_adds, edge_ns(layers), server_ns(layers);
  for (const LayerCost& layer : network.layers) multiply_adds.push_back(layer.multiply_adds);
  planner::literal_op_ns(multiply_adds, platform.edge, edge_ns);
  planner::literal_op_ns(multiply_adds, platform.server, server_ns);
  std::vector<planner::CutCost> cuts;
  for (std::size_t k = 0; k <= layers; ++k) {
    planner::CutCost cut;
    cut.op_boundary = static_cast<std::uint32_t>(k);
    cut.split = static_cast<std::uint16_t>(k);
    cut.boundary_bytes = k == 0 ? network.input_bytes : network.layers[k - 1].boundary_bytes;
    cut.edge_memory_bytes = cut.edge_storage_bytes = network.head_memory_bytes(k);
    cuts.push_back(cut);
  }
  planner::CostTable table;
  table.edge_op_ns = edge_ns;
  table.server_op_ns = server_ns;
  table.cuts = cuts;
  std::vector<Candidate> candidates(cuts.size());
  candidates.resize(planner::build_candidates(table, candidates).count);
  return candidates;
}

Problem solve(const NetworkTable& network, const Platform& platform, const Chooser& chooser) {
  Problem problem;
  problem.candidates = candidates_of(network, platform);
  if (chooser.must_split) problem.candidates.pop_back();
  problem.scores.resize(problem.candidates.size());
  problem.front.resize(problem.candidates.size());
  planner::Link link;
  link.bandwidth_bps = platform.bandwidth_bps;
  link.available = true;
  planner::Caps caps;
  caps.storage_bytes = platform.edge_storage_bytes;
  problem.decision =
      planner::plan(problem.candidates, {.link = link, .caps = caps}, chooser.request,
                    {.scores = problem.scores, .front = problem.front});
  problem.front.resize(problem.decision.front_size);
  return problem;
}

Outcome outcome_of(const Problem& problem, CandidateIndex index) {
  const Candidate& candidate = problem.candidates[index];
  const Score& score = problem.scores[index];
  return {.feasible = score.broken == planner::kBoundNone,
          .k = candidate.split,
          .edge_ns = candidate.edge_latency_ns,
          .tx_ns = score.tx_ns,
          .server_ns = candidate.server_latency_ns,
          .latency_ns = score.latency_ns,
          .memory_bytes = score.memory_bytes,
          .sent_bytes = candidate.boundary_bytes};
}

}  // namespace

Chooser literal() {
  Chooser chooser{.name = "literal", .request = {}};
  chooser.request.rank = planner::Rank::kLiteral;
  return chooser;
}

Chooser literal_split() {
  Chooser chooser = literal();
  chooser.name = "literal, k < L";
  chooser.must_split = true;
  return chooser;
}

Chooser within(std::uint32_t n, std::uint32_t d) {
  Chooser chooser;
  chooser.name = "within " + std::to_string(n) + (d == 1 ? "" : "/" + std::to_string(d));
  chooser.request.rank = planner::Rank::kWithinFactor;
  chooser.request.factor = {n, d};
  return chooser;
}

Chooser baseline(planner::Policy policy, std::uint64_t seed) {
  Chooser chooser;
  chooser.request.policy = policy;
  chooser.request.seed = seed;
  return chooser;
}

Outcome choose(const NetworkTable& network, const Platform& platform, const Chooser& chooser) {
  const Problem problem = solve(network, platform, chooser);
  if (problem.decision.status != planner::PlanStatus::kOk) return {};
  return outcome_of(problem, problem.decision.index);
}

std::vector<Outcome> all_splits(const NetworkTable& network, const Platform& platform) {
  const Problem problem = solve(network, platform, literal());
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < problem.candidates.size(); ++i) {
    outcomes.push_back(outcome_of(problem, static_cast<CandidateIndex>(i)));
  }
  return outcomes;
}

std::vector<Outcome> pareto_front(const NetworkTable& network, const Platform& platform) {
  const Problem problem = solve(network, platform, literal());
  std::vector<Outcome> outcomes;
  for (const CandidateIndex index : problem.front) outcomes.push_back(outcome_of(problem, index));
  return outcomes;
}

}  // namespace cleave::study
