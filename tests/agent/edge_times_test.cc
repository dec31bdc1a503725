// SPDX-License-Identifier: Apache-2.0
//
// Times that nothing was measured for, and the speed that a measurement is kept with.
#include "agent/edge_times.h"

#include <doctest/doctest.h>

#include <fstream>

#include "agent/coded_bytes.h"
#include "engine/cuts.h"
#include "engine/image/jpeg_encoder.h"
#include "schemas/generated/wire_generated.h"
#include "tests/support/model_builder.h"
#include "tests/support/temporary_folder.h"

namespace cleave::agent {
namespace {

std::shared_ptr<const ModelFile> make_model() {
  test::ModelBuilder builder({8, 8, 3});
  auto x = builder.conv2d(builder.input(), 4, test::WindowSpec{.window = 3, .pad = 1});
  x = builder.max_pool2d(x, test::WindowSpec{.window = 2, .stride = 2});
  x = builder.conv2d(x, 8, test::WindowSpec{.window = 3, .pad = 1});
  builder.fully_connected(x, 5);
  auto model = ModelFile::from_bytes(builder.build());
  REQUIRE_MESSAGE(model.is_ok(), model.status().message());
  return *model;
}

// Multiply-adds of its ops, by hand.
constexpr std::uint64_t kWork[] = {8 * 8 * 4 * 27, 0, 4 * 4 * 8 * 36, 4 * 4 * 8 * 5};

ProcessorState board(std::uint32_t limit_khz, unsigned cores) {
  ProcessorState state;
  state.usable_cores = cores;
  state.clock.limit_khz = limit_khz;
  state.clock.source = ProcessorSource::kCpufreq;
  return state;
}

// A JPEG; gives its size.
std::uint64_t write_jpeg(const std::string& path, std::uint32_t side) {
  std::vector<std::uint8_t> rgb(std::size_t{side} * side * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
  const auto jpeg = encode_jpeg(rgb, side, side, 90);
  REQUIRE(jpeg.is_ok());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(jpeg->data()),
             static_cast<std::streamsize>(jpeg->size()));
  return jpeg->size();
}

}  // namespace

TEST_CASE("computed times are multiply-adds / (cores x clock), and say so") {
  const auto model = make_model();
  // A thousandth of a cycle-second: X / (C * S) in ns is X * 1000 at 1 MHz and one core.
  const EdgeTimes one = computed_edge_times(*model, 0, board(1'000, 4), 1);
  REQUIRE(one.table.variants.size() == 1);
  std::uint64_t sum = 0, work = 0;
  for (std::size_t op = 0; op < 4; ++op) {
    CAPTURE(op);
    CHECK(one.table.variants[0].op_median_ns[op] == kWork[op] * 1000);
    sum += one.table.variants[0].op_median_ns[op];
    work += kWork[op];
  }
  CHECK(sum == work * 1000);
  CHECK(one.table.variants[0].op_p95_ns == one.table.variants[0].op_median_ns);
  CHECK(one.table.input_ns == 0);
  CHECK(one.source == EdgeTimesSource::kComputed);
  CHECK(one.note ==
        "the device's times are computed, not measured: multiply-adds / (1 core x 1 MHz, cpufreq); "
        "`cleave-agent profile` measures them");
  CHECK(one.table.clock_khz == 1'000);

  // As many cores as there are threads for, and no more than there are.
  const EdgeTimes three = computed_edge_times(*model, 0, board(1'000, 4), 3);
  CHECK(three.table.variants[0].op_median_ns[0] == kWork[0] * 1000 / 3);
  const EdgeTimes four = computed_edge_times(*model, 0, board(2'000, 4), 8);
  CHECK(four.table.variants[0].op_median_ns[0] == kWork[0] * 1000 / 8);
}

TEST_CASE("without cpufreq the sampled clock serves, without any a stated one") {
  const auto model = make_model();
  ProcessorState sampled;
  sampled.clock.current_khz = 2'000'000;
  sampled.clock.source = ProcessorSource::kCpuInfo;
  const EdgeTimes times = computed_edge_times(*model, 0, sampled, 1);
  CHECK(times.table.variants[0].op_median_ns[0] == kWork[0] / 2);
  CHECK(times.note.find("1 core x 2000 MHz, /proc/cpuinfo") != std::string::npos);
  CHECK(times.table.clock_khz == 0);  // a sample is nothing to scale by
  const EdgeTimes assumed = computed_edge_times(*model, 0, {}, 1);
  CHECK(assumed.table.variants[0].op_median_ns[0] == kWork[0]);
  CHECK(assumed.note.find("1000 MHz, assumed; --clock states it") != std::string::npos);
}

TEST_CASE("a measurement keeps the cores and the lowest clock that was seen during it") {
  const auto model = make_model();
  int looks = 0;
  bool changed = false;
  const auto steady = measure_at_clock(
      model, {.runs = 1}, [] { return board(1'500'000, 4); }, {}, changed);
  REQUIRE(steady.is_ok());
  CHECK_FALSE(changed);
  CHECK(steady->clock_khz == 1'500'000);
  CHECK(steady->cores == 4);
  // Hot in the middle, cool again at the end.
  const auto hot = measure_at_clock(
      model, {.runs = 1}, [&] { return board(++looks == 2 ? 600'000 : 1'500'000, 4); }, {},
      changed);
  REQUIRE(hot.is_ok());
  CHECK(changed);
  CHECK(looks == 3);
  CHECK(hot->clock_khz == 600'000);
}

TEST_CASE("coded bytes: tensors at every split, pixels and the sample pictures' files at split 0") {
  const auto model = make_model();
  const test::TemporaryFolder folder;
  std::vector<std::string> names;
  std::vector<std::uint64_t> sizes;
  for (const std::uint32_t side : {16U, 24U, 32U, 48U}) {
    names.push_back(folder / std::to_string(side) + ".jpg");
    sizes.push_back(write_jpeg(names.back(), side));
  }
  ProfileData profile;
  profile.variants.push_back({.variant = model->header().variants()->Get(0)->name()->str()});
  const PictureSkipped never = [](const std::string&, const Status& why) {
    FAIL_CHECK(why.message());
  };
  add_coded_bytes(*model, names, UINT64_MAX, never, profile);
  CHECK(profile.sample_pictures == 4);
  REQUIRE(profile.coded.size() == 3);
  const CodedBytes& raw = profile.coded[0];
  CHECK(raw.codec == static_cast<std::uint8_t>(fbs::Codec::Raw));
  CHECK(raw.op_boundary == std::vector<std::uint32_t>{1, 2, 3});
  CHECK(raw.median_bytes ==
        std::vector<std::uint64_t>{8 * 8 * 4 * 4, 4 * 4 * 4 * 4, 4 * 4 * 8 * 4});
  CHECK(raw.p95_bytes == raw.median_bytes);
  CHECK(profile.coded[1].median_bytes == std::vector<std::uint64_t>{8 * 8 * 3});
  CHECK(profile.coded[2].codec == static_cast<std::uint8_t>(fbs::Codec::Jpeg));
  CHECK(profile.coded[2].median_bytes[0] == sizes[1]);  // rank 2 of 4
  CHECK(profile.coded[2].p95_bytes[0] == sizes[3]);

  // Without pictures nothing is said of JPEGs; a variant without times has no bytes either.
  ProfileData none;
  none.variants.push_back({.variant = "another"});
  add_coded_bytes(*model, {}, UINT64_MAX, never, none);
  CHECK(none.coded.empty());

  // What cannot be used is left out, and so is what there is no room for; the rest counts.
  std::ofstream(folder / "text.jpg") << "no picture at all";
  const std::vector<std::string> mixed{names[0], folder / "text.jpg", folder / "none.jpg",
                                       names[3]};
  std::vector<std::string> left_out;
  ProfileData some;
  some.variants = profile.variants;
  add_coded_bytes(
      *model, mixed, sizes[3] - 1,
      [&](const std::string& name, const Status& why) {
        left_out.push_back(name);
        CHECK(why.message().find(name) != std::string::npos);
      },
      some);
  CHECK(left_out == std::vector<std::string>{mixed[1], mixed[2], mixed[3]});
  CHECK(some.sample_pictures == 1);
  CHECK(some.coded[2].median_bytes[0] == sizes[0]);
}

}  // namespace cleave::agent
