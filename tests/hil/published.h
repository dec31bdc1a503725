// SPDX-License-Identifier: Apache-2.0
//
// What the two papers print. LMOS: Jain et al., arXiv:2107.09123. Cost: Leroy and Goedemé, "Optimal
// Distribution of CNN Computations on Edge and Cloud", ICAART 2021, DOI 10.5220/0010203706040613.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cleave::study::published {

// --- LMOS. Columns: AlexNet, VGG13, VGG16, VGG19.
inline constexpr std::array<const char*, 4> kNetworks = {"alexnet", "vgg13", "vgg16", "vgg19"};
inline constexpr std::array<std::size_t, 5> kSyntheticLayers = {10, 70, 120, 170, 220};

// Table 2: layers on the edge.
inline constexpr std::array<std::uint64_t, 4> kBandwidthsKbit = {500, 1000, 5000, 10000};
inline constexpr std::size_t kByBandwidth[4][4] = {
    {8, 18, 19, 19}, {10, 18, 23, 30}, {10, 18, 23, 32}, {10, 18, 23, 32}};
inline constexpr std::array<std::uint64_t, 4> kStoragesGb = {2, 4, 8, 16};
inline constexpr std::size_t kByStorage[4][4] = {
    {10, 13, 17, 19}, {10, 13, 17, 21}, {10, 13, 17, 21}, {11, 13, 17, 21}};

// Table 3, Figure 7: layers on the edge at 10 Mbit/s and 16 GB.
inline constexpr std::array<std::size_t, 4> kLmos = {19, 21, 21, 21};
inline constexpr std::array<std::size_t, 4> kLoa = {1, 1, 3, 7};
inline constexpr std::array<std::size_t, 4> kEco = {21, 32, 38, 44};

// Measured on a Raspberry Pi 4, 100 pictures each.
inline constexpr std::uint64_t kVgg19UnsplitMs = 12390, kVgg19LmosMs = 5620;
inline constexpr std::uint64_t kVgg19UnsplitBytes = 662'000'000, kVgg19LmosBytes = 27'030'000;
inline constexpr std::uint64_t kMobilenetMs = 1300, kMobilenetBytes = 29'770'000;

// --- Cost. Mechanisms, and what 5000 users of each take.
struct Mechanism {
  const char* name;
  std::uint64_t users_per_instance;  // measured, at 95 % CPU
  std::uint64_t instances;
  std::uint64_t server_micro_euro;           // a month
  std::uint64_t server_per_user_micro_euro;  // printed to four digits
  std::uint64_t nano_total_micro_euro;       // a month, printed to the cent
  std::uint64_t pi_total_micro_euro;
};
inline constexpr std::array<Mechanism, 5> kMechanisms = {{
    {"cloud only", 10, 500, 3'763'500'000, 752'600, 61'896'830'000, 24'080'170'000},
    {"edge only", 228, 22, 165'594'000, 33'100, 58'298'930'000, 20'482'260'000},
    {"split 5", 29, 173, 1'302'171'000, 260'400, 59'435'500'000, 21'618'840'000},
    {"split 10", 32, 157, 1'181'739'000, 236'300, 59'315'070'000, 21'498'410'000},
    {"split 13", 143, 35, 263'445'000, 52'600, 58'396'780'000, 20'580'110'000},
}};
inline constexpr std::uint64_t kUsers = 5000;
inline constexpr std::uint64_t kCpuBudgetPpm = 950'000;
inline constexpr std::uint64_t kInstanceMicroEuro = 7'527'000;  // a month
inline constexpr std::uint64_t kKwhMicroEuro = 200'000;
inline constexpr std::uint64_t kLifetimeMonths = 12;

struct Board {
  const char* name;
  std::uint64_t purchase_micro_euro;
  std::uint64_t power_mw;           // as stated
  std::uint64_t energy_micro_euro;  // a device's month as printed
};
inline constexpr Board kNano = {"Jetson Nano", 122'000'000, 10'000, 1'460'000};
inline constexpr Board kPi = {"Raspberry Pi 3B+", 40'000'000, 5'100, 730'000};

}  // namespace cleave::study::published
