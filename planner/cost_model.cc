// SPDX-License-Identifier: Apache-2.0
#include "planner/cost_model.h"

#include "planner/fixed_point.h"

namespace cleave::planner {
namespace {

BuildStatus check_table(const CostTable& table) {
  const std::size_t ops = table.edge_op_ns.size();
  if (table.server_op_ns.size() != ops) return BuildStatus::kOpCountMismatch;
  for (std::size_t i = 0; i < table.cuts.size(); ++i) {
    if (table.cuts[i].op_boundary > ops) return BuildStatus::kCutOutOfRange;
    if (i > 0 && table.cuts[i].op_boundary <= table.cuts[i - 1].op_boundary) {
      return BuildStatus::kNotAscending;
    }
  }
  for (std::size_t i = 0; i < table.codings.size(); ++i) {
    if (table.codings[i].cut_index >= table.cuts.size()) return BuildStatus::kCutOutOfRange;
    if (i > 0 && table.codings[i].cut_index < table.codings[i - 1].cut_index) {
      return BuildStatus::kNotAscending;
    }
  }
  return BuildStatus::kOk;
}

// Appends candidates while `edge_ns` follows the cuts upward.
class Writer {
 public:
  Writer(const CostTable& table, std::span<Candidate> out) : table_(table), out_(out) {}

  // The coding's bytes and times, or the cut's own bytes for `coding` null. False when full.
  bool append(const CutCost& cut, const Coding* coding, bool needs_server) {
    if (count_ >= out_.size() || count_ >= kMaxCandidates) return false;
    advance(cut.op_boundary);
    Candidate& c = out_[count_++];
    c = Candidate{};
    c.cut = cut.op_boundary;
    c.split = cut.split;
    c.variant = table_.variant;
    c.disagreement_ppm = table_.disagreement_ppm;
    c.needs_server = needs_server;
    c.edge_latency_ns = saturating_add(cut.edge_fixed_ns, edge_ns_);
    c.edge_memory_bytes = cut.edge_memory_bytes;
    c.edge_ram_bytes = cut.edge_ram_bytes;
    c.edge_storage_bytes = cut.edge_storage_bytes;
    if (!needs_server) return true;
    c.boundary_bytes = c.boundary_bytes_p95 = cut.boundary_bytes;
    c.server_latency_ns = table_.server_fixed_ns;
    if (coding != nullptr) apply(*coding, c);
    return true;
  }

  std::size_t count() const { return count_; }

 private:
  static void apply(const Coding& coding, Candidate& c) {
    c.codec = coding.codec;
    c.sends_jpeg = coding.is_jpeg;
    if (coding.disagreement_ppm > c.disagreement_ppm) c.disagreement_ppm = coding.disagreement_ppm;
    c.edge_ram_bytes = saturating_add(c.edge_ram_bytes, coding.edge_ram_bytes);
    c.boundary_bytes = coding.coded_bytes;
    c.boundary_bytes_p95 =
        coding.coded_bytes_p95 > coding.coded_bytes ? coding.coded_bytes_p95 : coding.coded_bytes;
    c.edge_latency_ns = saturating_add(c.edge_latency_ns, coding.encode_ns);
    c.server_latency_ns = saturating_add(c.server_latency_ns, coding.decode_ns);
  }

  void advance(std::uint32_t op_boundary) {
    for (; op_ < op_boundary; ++op_) edge_ns_ = saturating_add(edge_ns_, table_.edge_op_ns[op_]);
  }

  const CostTable& table_;
  std::span<Candidate> out_;
  std::size_t count_ = 0;
  std::size_t op_ = 0;
  std::uint64_t edge_ns_ = 0;
};

bool append_all(const CostTable& table, Writer& writer) {
  std::size_t next_coding = 0;
  for (std::size_t i = 0; i < table.cuts.size(); ++i) {
    const CutCost& cut = table.cuts[i];
    if (cut.op_boundary == table.edge_op_ns.size()) return writer.append(cut, nullptr, false);
    if (table.codings.empty() && !writer.append(cut, nullptr, true)) return false;
    for (; next_coding < table.codings.size() && table.codings[next_coding].cut_index == i;
         ++next_coding) {
      if (!writer.append(cut, &table.codings[next_coding], true)) return false;
    }
  }
  return true;
}

// Backward, because a saturated total minus a prefix would not be the suffix. At c = N, where no
// server is needed, the suffix is empty.
void add_tail_ns(std::span<const std::uint64_t> server_op_ns, std::span<Candidate> candidates) {
  std::uint64_t tail_ns = 0;
  std::size_t op = server_op_ns.size();
  for (std::size_t i = candidates.size(); i-- > 0;) {
    Candidate& c = candidates[i];
    for (; op > c.cut; --op) tail_ns = saturating_add(tail_ns, server_op_ns[op - 1]);
    c.server_latency_ns = saturating_add(c.server_latency_ns, tail_ns);
  }
}

}  // namespace

Built build_candidates(const CostTable& table, std::span<Candidate> out) {
  const BuildStatus status = check_table(table);
  if (status != BuildStatus::kOk) return {.status = status, .count = 0};
  Writer writer(table, out);
  if (!append_all(table, writer)) return {.status = BuildStatus::kTooMany, .count = 0};
  add_tail_ns(table.server_op_ns, out.first(writer.count()));
  return {.status = BuildStatus::kOk, .count = writer.count()};
}

std::uint64_t literal_compute_ns(std::uint64_t multiply_adds, const Processor& processor) {
  const std::uint64_t per_second = saturating_mul(processor.cores, processor.clock_hz);
  return saturating_muldiv_up(multiply_adds, kNsPerSecond, per_second);
}

void literal_op_ns(std::span<const std::uint64_t> multiply_adds, const Processor& processor,
                   std::span<std::uint64_t> out) {
  std::uint64_t total = 0;
  std::uint64_t before_ns = 0;
  for (std::size_t i = 0; i < multiply_adds.size(); ++i) {
    total = saturating_add(total, multiply_adds[i]);
    const std::uint64_t until_ns = literal_compute_ns(total, processor);
    out[i] = until_ns - before_ns;
    before_ns = until_ns;
  }
}

}  // namespace cleave::planner
