// SPDX-License-Identifier: Apache-2.0
//
// The decision is the same on every machine: a digest over 20,000 random instances, every policy,
// scores and fronts included, equals one constant on x86-64, aarch64 and 32-bit ARM.
#include <doctest/doctest.h>

#include "tests/planner/planner_fixture.h"
#include "tests/planner/random_instance.h"

namespace cleave::planner {
namespace {

using namespace testing;

// FNV-1a over the bytes of each number, lowest first.
class Digest {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      hash_ = (hash_ ^ ((value >> (8 * byte)) & 0xff)) * 0x100'0000'01b3;
    }
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf2'9ce4'8422'2325;
};

void add_plan(Digest& digest, const Planned& planned) {
  const Decision& d = planned.decision;
  for (const std::uint64_t field :
       {std::uint64_t{static_cast<std::uint8_t>(d.status)},
        std::uint64_t{static_cast<std::uint8_t>(d.reason)}, std::uint64_t{d.broken},
        std::uint64_t{d.index}, std::uint64_t{d.front_size}, d.latency_ns, d.memory_bytes,
        d.budget_ns, d.ideal.latency_ns, d.ideal.memory_bytes, d.nadir.latency_ns,
        d.nadir.memory_bytes}) {
    digest.add(field);
  }
  for (const CandidateIndex index : planned.front()) digest.add(index);
  for (const Score& s : planned.scores) digest.add(s.latency_ns ^ s.tx_ns ^ s.broken);
}

TEST_CASE("20,000 random plans have the same digest on every machine") {
  InstanceSource source(42);
  Digest digest;
  for (int i = 0; i < 20'000; ++i) {
    Instance instance = source.next(24);
    for (const Policy policy : {Policy::kLmos, Policy::kLatencyOnly, Policy::kEdgeOnly,
                                Policy::kServerOnly, Policy::kRandom}) {
      instance.request.policy = policy;
      add_plan(digest,
               Planned(instance.candidates, instance.link, instance.caps, instance.request));
    }
  }
  CHECK(digest.value() == 7'900'203'980'822'205'249);
}

}  // namespace
}  // namespace cleave::planner
