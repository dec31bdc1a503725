// SPDX-License-Identifier: Apache-2.0
//
// The LMOS paper's tables, ours beside theirs.
#include <algorithm>
#include <array>

#include "tests/hil/literal_study.h"
#include "tests/hil/published.h"
#include "tests/hil/study.h"
#include "tests/hil/text_table.h"

namespace cleave::study {
namespace {

using Row = std::array<std::size_t, 4>;  // layers on the edge, one for each column of a table

constexpr std::size_t kPapersNetworks = published::kNetworks.size();
constexpr int kRandomDraws = 100;  // as many pictures as the paper took

std::vector<Chooser> ranks() {
  return {literal(),    literal_split(), within(11, 10), within(3, 2),
          within(2, 1), within(3, 1),    within(5, 1)};
}

Platform at_bandwidth(std::uint64_t kbit) {
  Platform platform;
  platform.bandwidth_bps = kbit * 1000;
  return platform;
}

Platform at_storage(std::uint64_t mb) {
  Platform platform;
  platform.edge_storage_bytes = mb * 1'000'000;
  return platform;
}

// Table 3: 10 Mbit/s, 16 GB.
Platform comparison_platform() { return at_storage(16'000); }

// The four columns of Table 2, by bandwidth or by storage, and of Table 3.
enum class PublishedTable { kBandwidth, kStorage, kPolicies };

Row ours(const NetworkTable& network, PublishedTable which, const Chooser& chooser) {
  Row row{};
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Platform platform = which == PublishedTable::kBandwidth
                                  ? at_bandwidth(published::kBandwidthsKbit[i])
                                  : at_storage(published::kStoragesGb[i] * 1000);
    row[i] = choose(network, platform, chooser).k;
  }
  return row;
}

const std::size_t (&theirs(PublishedTable which))[4][4] {
  return which == PublishedTable::kBandwidth ? published::kByBandwidth : published::kByStorage;
}

template <typename Numbers>
std::vector<std::string> row_text(const std::string& name, const std::string& who,
                                  const Numbers& numbers) {
  std::vector<std::string> row = {name, who};
  for (const std::size_t n : numbers) row.push_back(std::to_string(n));
  return row;
}

std::string table2_text(const std::vector<NetworkTable>& networks, PublishedTable which,
                        std::vector<std::string> columns) {
  columns.insert(columns.begin(), {"network", "who"});
  TextTable table(std::move(columns));
  for (std::size_t n = 0; n < networks.size(); ++n) {
    const NetworkTable& network = networks[n];
    const std::string name = network.name + " (L = " + std::to_string(network.layers.size()) + ")";
    if (n < kPapersNetworks) table.add(row_text(name, "theirs", theirs(which)[n]));
    for (const Chooser& rank : ranks()) {
      const bool first = n >= kPapersNetworks && rank.name == literal().name;
      table.add(row_text(first ? name : "", rank.name, ours(network, which, rank)));
    }
  }
  return table.text();
}

// Smaller storages than theirs, where a bound is felt: Algorithm 1 as published.
std::string small_storage_text(const std::vector<NetworkTable>& networks) {
  constexpr std::array<std::uint64_t, 7> kMegabytes = {16, 32, 64, 128, 256, 512, 1024};
  std::vector<std::string> header = {"literal rank, storage in MB"};
  for (const std::uint64_t mb : kMegabytes) header.push_back(std::to_string(mb));
  header.emplace_back("f2(L), MB");
  TextTable table(header);
  for (const NetworkTable& network : networks) {
    std::vector<std::string> row = {network.name};
    for (const std::uint64_t mb : kMegabytes) {
      row.push_back(std::to_string(choose(network, at_storage(mb), literal()).k));
    }
    row.push_back(megabytes(network.head_memory_bytes(network.layers.size())));
    table.add(row);
  }
  return table.text();
}

// The mean of kRandomDraws draws, with k in hundredths.
struct RandomMean {
  std::uint64_t k_hundredths = 0;
  std::uint64_t latency_ns = 0;
  std::uint64_t memory_bytes = 0;
};

RandomMean random_mean(const NetworkTable& network) {
  RandomMean sum;
  for (std::uint64_t draw = 0; draw < kRandomDraws; ++draw) {
    const Outcome o =
        choose(network, comparison_platform(), baseline(planner::Policy::kRandom, draw));
    sum.k_hundredths += o.k;
    sum.latency_ns += o.latency_ns / kRandomDraws;
    sum.memory_bytes += o.memory_bytes / kRandomDraws;
  }
  sum.k_hundredths = sum.k_hundredths * 100 / kRandomDraws;
  return sum;
}

void add_policy(TextTable& table, const NetworkTable& network, const std::string& name,
                const Chooser& chooser, const std::string& theirs_k) {
  const Outcome o = choose(network, comparison_platform(), chooser);
  table.add({name, std::to_string(o.k), theirs_k, milliseconds(o.edge_ns), milliseconds(o.tx_ns),
             milliseconds(o.server_ns), milliseconds(o.latency_ns), megabytes(o.memory_bytes),
             std::to_string(o.sent_bytes)});
}

std::string policies_text(const std::vector<NetworkTable>& networks) {
  using planner::Policy;
  TextTable table({"policy", "k", "theirs", "edge ms", "tx ms", "server ms", "total ms",
                   "memory, MB", "bytes sent"});
  for (std::size_t n = 0; n < networks.size(); ++n) {
    const NetworkTable& network = networks[n];
    const bool known = n < kPapersNetworks;
    const auto theirs_k = [&](const std::array<std::size_t, 4>& all) {
      return known ? std::to_string(all[n]) : "-";
    };
    table.add({network.name + ":"});
    for (const Chooser& rank : {literal(), literal_split(), within(11, 10), within(3, 1)}) {
      add_policy(table, network, "LMOS, " + rank.name, rank, theirs_k(published::kLmos));
    }
    add_policy(table, network, "LOA", baseline(Policy::kLatencyOnly), theirs_k(published::kLoa));
    add_policy(table, network, "ECO", baseline(Policy::kEdgeOnly), theirs_k(published::kEco));
    add_policy(table, network, "SCO", baseline(Policy::kServerOnly), known ? "0" : "-");
    const RandomMean mean = random_mean(network);
    table.add({"RS, mean of 100", fixed_text(mean.k_hundredths, 100, 2), "-", "", "", "",
               milliseconds(mean.latency_ns), megabytes(mean.memory_bytes), ""});
  }
  return table.text();
}

std::uint64_t distance(std::size_t a, std::size_t b) { return a > b ? a - b : b - a; }

// Layers between ours and theirs, added up over a table.
std::uint64_t distance_of(const std::vector<NetworkTable>& networks, PublishedTable which,
                          const Chooser& rank) {
  std::uint64_t sum = 0;
  for (std::size_t n = 0; n < kPapersNetworks; ++n) {
    if (which == PublishedTable::kPolicies) {
      sum += distance(choose(networks[n], comparison_platform(), rank).k, published::kLmos[n]);
      continue;
    }
    const Row row = ours(networks[n], which, rank);
    for (std::size_t i = 0; i < row.size(); ++i) sum += distance(row[i], theirs(which)[n][i]);
  }
  return sum;
}

struct Distances {
  std::uint64_t bandwidth = 0, storage = 0, policies = 0;
  [[nodiscard]] std::uint64_t all() const { return bandwidth + storage + policies; }
};

Distances distances_of(const std::vector<NetworkTable>& networks, const Chooser& rank) {
  return {.bandwidth = distance_of(networks, PublishedTable::kBandwidth, rank),
          .storage = distance_of(networks, PublishedTable::kStorage, rank),
          .policies = distance_of(networks, PublishedTable::kPolicies, rank)};
}

// What the same k in every cell would have: a yardstick for the ranks.
Distances distances_of_constant(std::size_t k) {
  Distances sum;
  for (std::size_t n = 0; n < kPapersNetworks; ++n) {
    for (std::size_t i = 0; i < 4; ++i) {
      sum.bandwidth += distance(k, published::kByBandwidth[n][i]);
      sum.storage += distance(k, published::kByStorage[n][i]);
    }
    sum.policies += distance(k, published::kLmos[n]);
  }
  return sum;
}

std::size_t best_constant() {
  std::size_t best = 0;
  for (std::size_t k = 1; k <= published::kEco.front(); ++k) {
    if (distances_of_constant(k).all() < distances_of_constant(best).all()) best = k;
  }
  return best;
}

std::string closest_text(const std::vector<NetworkTable>& networks) {
  TextTable table({"rank", "by bandwidth", "by storage", "Table 3", "all 36 cells"});
  const auto add = [&](const std::string& name, const Distances& sum) {
    table.add({name, fixed_text(sum.bandwidth, 16, 1), fixed_text(sum.storage, 16, 1),
               fixed_text(sum.policies, 4, 1), fixed_text(sum.all(), 36, 1)});
  };
  std::string closest;
  std::uint64_t least = ~std::uint64_t{0};
  for (const Chooser& rank : ranks()) {
    const Distances sum = distances_of(networks, rank);
    add(rank.name, sum);
    if (sum.all() < least) closest = rank.name;
    least = std::min(least, sum.all());
  }
  add("k = " + std::to_string(best_constant()) + " throughout",
      distances_of_constant(best_constant()));
  return "Mean distance in layers between ours and theirs:\n\n" + table.text() +
         "\nClosest of the ranks over all cells: \"" + closest +
         "\". None reproduces a table, and the best constant is\n"
         "nearer than any: the formulas do not explain these tables.\n";
}

std::string measured_text(const std::vector<NetworkTable>& networks) {
  const NetworkTable& vgg19 = networks[kPapersNetworks - 1];
  const NetworkTable& mobilenet = networks[kPapersNetworks];
  Platform pi4;
  pi4.edge.cores = 4;
  const std::vector<Outcome> vgg = all_splits(vgg19, pi4);
  const std::vector<Outcome> mobile = all_splits(mobilenet, pi4);
  TextTable table({"", "theirs, s", "formula, s", "theirs, MB", "f2, MB"});
  const auto add = [&](const std::string& name, std::uint64_t ms, std::uint64_t bytes,
                       const Outcome& o) {
    table.add({name, fixed_text(ms, 1000, 2), fixed_text(o.latency_ns, 1'000'000'000, 2),
               megabytes(bytes), megabytes(o.memory_bytes)});
  };
  add("VGG19, unsplit", published::kVgg19UnsplitMs, published::kVgg19UnsplitBytes, vgg.back());
  add("VGG19, LMOS (k = 21)", published::kVgg19LmosMs, published::kVgg19LmosBytes, vgg[21]);
  add("MobileNetV2, k = L", published::kMobilenetMs, published::kMobilenetBytes, mobile.back());
  return table.text();
}

std::string study_text(const StudyNetworks& networks) {
  const std::vector<NetworkTable>& zoo = networks.zoo;
  std::string out =
      "LMOS, repeated\n"
      "==============\n"
      "Jain et al., arXiv:2107.09123. f1 = T_edge + T_tx + T_server with T = X / (C S), one\n"
      "multiply-add a cycle and core, and T_tx = U / B; f2 = weights of the head and the largest "
      "sum\n"
      "of what a layer of it reads and writes; minimize (f1, -f2), f2 <= storage. f32, one "
      "picture.\n"
      "Defaults: 10 Mbit/s, 8000 MB, edge 2 x 1.5 GHz, server 8 x 2.6 GHz. MB is 1e6 bytes.\n"
      "Ranks: \"literal\" is Algorithm 1 as published, the deepest point of the front; \"k < L\" "
      "leaves\n"
      "something to the server; \"within N\" is the deepest split within N times the least "
      "latency\n"
      "(11/10 is this planner's default). Splits that are equal in f1 and f2 count as the "
      "smallest.\n";
  out += sensitivity_text(networks.synthetic);
  out += heading("Layers on the edge by bandwidth (Table 2)");
  out += table2_text(zoo, PublishedTable::kBandwidth,
                     {"0.5 Mbit/s", "1 Mbit/s", "5 Mbit/s", "10 Mbit/s"});
  out += heading("Layers on the edge by storage (Table 2)");
  out += table2_text(zoo, PublishedTable::kStorage, {"2 GB", "4 GB", "8 GB", "16 GB"});
  out += "\n" + small_storage_text(zoo);
  out += heading("Policies at 10 Mbit/s and 16 GB (Table 3, Figure 7)");
  out += policies_text(zoo);
  out += heading("Which rank comes closest");
  out += closest_text(zoo);
  out += heading("Measured on a Raspberry Pi 4");
  out += measured_text(zoo);
  out += heading("Where and why they differ");
  out +=
      "- Their tables contradict each other: VGG16 at 10 Mbit/s has 32 layers on the edge in Table "
      "2\n"
      "  by bandwidth, 21 at 16 GB in Table 2 by storage and in Table 3, and 17 at the default 8 "
      "GB.\n"
      "- Storage: the largest of the networks needs 600.36 MB by f2, so 2 GB and more bound "
      "nothing,\n"
      "  and by the formulas the four columns are the same; theirs grow from 10 to 21. A bound is\n"
      "  felt below 1 GB (above).\n"
      "- Bandwidth: more of it shortens T_tx and nothing else. It helps k = 0 and leaves k = L as "
      "it\n"
      "  is, so within a factor of the least latency the VGGs go from L down to 0 between 0.5 and "
      "10\n"
      "  Mbit/s; theirs go up. The literal rank does not look at the bandwidth at all: k = L is "
      "always\n"
      "  on the front, as nothing holds more memory. That is why it is not our default.\n"
      "- LOA: the formulas make k = 0 the fastest for the VGGs (0.5 s to send the picture as f32,\n"
      "  against 10.3 s for what the first convolution writes), and k = 3, behind the first pool, "
      "for\n"
      "  AlexNet; theirs are 1, 1, 3 and 7. At no bandwidth, clock and core count of their ranges "
      "is\n"
      "  k = 1 faster than k = 0 in a VGG: 12.2 MB more take 0.49 s even at 200 Mbit/s, and the "
      "layer\n"
      "  0.09 s even on one core of 1 GHz.\n"
      "- ECO and SCO agree: they are L and 0 by definition, and L is counted alike.\n"
      "- Pi 4 (formulas: 4 x 1.5 GHz, 10 Mbit/s, theirs as of Table 3's k = 21): the formulas "
      "know\n"
      "  neither memory bandwidth nor a framework, so they are low in time, and in memory for a "
      "whole\n"
      "  network; and by them the split is slower than the whole. At k = 21 f2 is above theirs, "
      "since\n"
      "  it holds a layer's input and output at once: weights and the largest tensor are 26.87 "
      "MB.\n";
  return out;
}

}  // namespace

Result<StudyNetworks> make_study_networks() {
  StudyNetworks networks;
  for (const char* name : published::kNetworks) {
    CLEAVE_ASSIGN_OR_RETURN(NetworkTable table, zoo_table(name));
    networks.zoo.push_back(std::move(table));
  }
  CLEAVE_ASSIGN_OR_RETURN(NetworkTable mobilenet, zoo_table("mobilenet_v2"));
  networks.zoo.push_back(std::move(mobilenet));
  for (const std::size_t layers : published::kSyntheticLayers) {
    networks.synthetic.push_back(synthetic_table(layers));
  }
  return networks;
}

std::vector<StudyFile> lmos_study(const StudyNetworks& networks) {
  std::vector<StudyFile> files = {{"study_lmos.txt", study_text(networks)}};
  for (StudyFile& file : sensitivity_figures(networks.synthetic)) files.push_back(std::move(file));
  for (StudyFile& file : policy_figures(networks.zoo)) files.push_back(std::move(file));
  return files;
}

}  // namespace cleave::study
