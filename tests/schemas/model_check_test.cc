// SPDX-License-Identifier: Apache-2.0
//
// Each rule of schemas/model_format.md, broken alone in a file that is otherwise right.
#include "schemas/model_check.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "tests/schemas/spoiled_model.h"

namespace cleave {
namespace {

using test::check_spoiled;
using test::Spoil;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

fbs::Segment moved(const fbs::Segment& segment, std::uint64_t offset, std::uint64_t bytes) {
  std::array<std::uint8_t, 32> digest{};
  std::copy(segment.sha256()->begin(), segment.sha256()->end(), digest.begin());
  return {offset, bytes, flatbuffers::make_span(digest)};
}

TEST_CASE("the header of the full model is right until it is spoiled") {
  check_spoiled(
      test::full_header_model, [](fbs::ModelT&) {}, "");
}

TEST_CASE("segments") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) { m.segments[0] = moved(m.segments[0], 65536 + 64, 156); },
       "segment 0 is not where"},
      {[](fbs::ModelT& m) { m.segments[0] = moved(m.segments[0], 0, 156); }, "is not where"},
      {[](fbs::ModelT& m) { m.segments[0] = moved(m.segments[0], 65536, 0); }, "is empty"},
      {[](fbs::ModelT& m) { m.segments[0] = moved(m.segments[0], 65536, ~std::uint64_t{0}); },
       "does not lie in the file"},
      {[](fbs::ModelT& m) { m.segments[0] = moved(m.segments[0], 65536, 100); },
       "bytes follow the last segment"},
      {[](fbs::ModelT& m) { m.segments.clear(); }, "bytes follow the last segment"},
      {[](fbs::ModelT& m) { m.segments.push_back(m.segments[0]); }, "segment 1 is not where"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
}

// The Verifier lets this pass; ARM cores that trap on it would not.
TEST_CASE("a segment table that is not aligned to 8") {
  test::ModelBuilder builder = test::full_header_model();
  (void)builder.build();
  std::vector<std::byte> header = test::pack_header(builder.draft());
  header.resize((header.size() + 7) / 8 * 8);
  const std::size_t vector_at = header.size();
  const fbs::Segment segment = builder.draft().segments[0];
  header.resize(vector_at + sizeof(std::uint32_t) + sizeof(segment));
  flatbuffers::WriteScalar(header.data() + vector_at, std::uint32_t{1});
  std::memcpy(header.data() + vector_at + sizeof(std::uint32_t), &segment, sizeof(segment));
  // The field of the root table that says where the vector is now leads to this copy.
  const auto* table = reinterpret_cast<const flatbuffers::Table*>(fbs::GetModel(header.data()));
  const auto field_at =
      static_cast<std::size_t>(reinterpret_cast<const std::byte*>(table) - header.data()) +
      table->GetOptionalFieldOffset(fbs::Model::VT_SEGMENTS);
  flatbuffers::WriteScalar(header.data() + field_at,
                           static_cast<std::uint32_t>(vector_at - field_at));
  const auto file = ModelFile::from_bytes(test::assemble_file(header, builder.segments()));
  CHECK(file.status().code() == StatusCode::kCorrupt);
  CHECK(file.status().message() == "the segment table is not aligned");
}

TEST_CASE("names and texts") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) { m.name = ""; }, "name is empty"},
      {[](fbs::ModelT& m) { m.name = "a\x1b[31m"; }, "name: text has a control character"},
      {[](fbs::ModelT& m) { m.name = std::string(4097, 'n'); }, "longer than 4096"},
      {[](fbs::ModelT& m) { m.source_format = ""; }, "source_format is empty"},
      {[](fbs::ModelT& m) { m.licence = "\xff"; }, "licence: text is not UTF-8"},
      {[](fbs::ModelT& m) { m.layers[0]->name = ""; }, "layer name is empty"},
      {[](fbs::ModelT& m) { m.layers[1]->kind = "\r"; }, "layer kind: text has a control"},
      {[](fbs::ModelT& m) { m.labels[1] = "\n"; }, "labels: text has a control"},
      {[](fbs::ModelT& m) { m.variants[0]->ops[0]->name = "\x7f"; }, "op 0 (AveragePool2D): name"},
      {[](fbs::ModelT& m) { m.variants[0]->tensors[0]->name = "\x7f"; }, "tensor 0: name"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
}

TEST_CASE("layers") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) {
         m.layers.clear();
         m.variants[0]->layer_end_ops.clear();
       },
       "0 layers"},
      {[](fbs::ModelT& m) { m.layers.pop_back(); }, "not one per layer"},
      {[](fbs::ModelT& m) {
         m.variants[0]->layer_end_ops = {2, 1};
       },
       "falls"},
      {[](fbs::ModelT& m) {
         m.variants[0]->layer_end_ops = {0, 1};
       },
       "does not end with the last"},
      {[](fbs::ModelT& m) {
         m.variants[0]->layer_end_ops = {1, 3};
       },
       "does not end with the last"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
  // A layer before the first op, and two layers of one op, are layers.
  check_spoiled(
      test::full_header_model,
      [](fbs::ModelT& m) {
        m.variants[0]->layer_end_ops = {0, 2};
      },
      "");
  check_spoiled(
      test::full_header_model,
      [](fbs::ModelT& m) {
        m.variants[0]->layer_end_ops = {2, 2};
      },
      "");
}

TEST_CASE("variants") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) { m.variants.clear(); }, "0 variants"},
      {[](fbs::ModelT& m) { m.variants[0]->name = ""; }, "variant name is empty"},
      {[](fbs::ModelT& m) {
         m.variants.push_back(std::make_unique<fbs::VariantT>(*m.variants[0]));
       },
       "variant 1: has the name of an earlier one"},
      {[](fbs::ModelT& m) { m.variants[0]->precision = static_cast<fbs::Precision>(9); },
       "unknown precision"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
  check_spoiled(
      test::full_header_model,
      [](fbs::ModelT& m) { m.variants[0]->precision = fbs::Precision::QD8; }, "precision QD8",
      StatusCode::kUnsupported);
}

TEST_CASE("two variants of one network, sharing their segments") {
  const auto second = [](fbs::ModelT& m) -> fbs::VariantT& {
    m.variants.push_back(std::make_unique<fbs::VariantT>(*m.variants[0]));
    m.variants[1]->name = "other";
    return *m.variants[1];
  };
  check_spoiled(
      test::full_header_model, [&](fbs::ModelT& m) { second(m); }, "");
  check_spoiled(
      test::full_header_model,
      [&](fbs::ModelT& m) {
        fbs::VariantT& variant = second(m);
        // Without its classifier: two scores and a layer table that fits, but another output.
        variant.ops.pop_back();
        variant.tensors.pop_back();
        variant.output = 1;
        variant.layer_end_ops = {1, 1};
      },
      "variant 1: input or output is not of the first variant's shape");
}

TEST_CASE("preprocessing") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) { m.preprocessing->color_order = fbs::ColorOrder::Gray; },
       "color_order does not go with 3 channels"},
      {[](fbs::ModelT& m) { m.preprocessing->color_order = static_cast<fbs::ColorOrder>(4); },
       "color_order"},
      {[](fbs::ModelT& m) { m.preprocessing->crop = static_cast<fbs::Crop>(2); }, "unknown crop"},
      {[](fbs::ModelT& m) { m.preprocessing->filter = static_cast<fbs::ResizeFilter>(1); },
       "unknown crop or filter"},
      {[](fbs::ModelT& m) { m.preprocessing->crop_ppm = 0; }, "crop_ppm"},
      {[](fbs::ModelT& m) { m.preprocessing->crop_ppm = 1'000'001; }, "crop_ppm"},
      {[](fbs::ModelT& m) { m.preprocessing->mean.pop_back(); }, "not one mean"},
      {[](fbs::ModelT& m) { m.preprocessing->deviation.push_back(1); }, "not one mean"},
      {[](fbs::ModelT& m) { m.preprocessing->mean[1] = kInf; }, "not finite"},
      {[](fbs::ModelT& m) { m.preprocessing->deviation[2] = kNan; }, "not finite"},
      {[](fbs::ModelT& m) { m.preprocessing->deviation[0] = -0.0f; }, "a deviation is zero"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
  check_spoiled(
      test::weightless_model,
      [](fbs::ModelT& m) { m.preprocessing->color_order = fbs::ColorOrder::RGB; },
      "color_order does not go with 1 channels");
}

TEST_CASE("labels, self-test, codec tables") {
  const std::vector<Spoil> spoils = {
      {[](fbs::ModelT& m) { m.labels.pop_back(); }, "2 labels for 3 scores"},
      {[](fbs::ModelT& m) { m.labels[0] = std::string(1025, 'x'); }, "labels: text longer"},
      {[](fbs::ModelT& m) { m.self_test->pixels.pop_back(); }, "pixels or scores"},
      {[](fbs::ModelT& m) { m.self_test->scores.push_back(0); }, "pixels or scores"},
      {[](fbs::ModelT& m) { m.self_test->scores[0] = kNan; }, "self_test: a score"},
      {[](fbs::ModelT& m) { m.self_test->tolerance = -1; }, "tolerance negative"},
      {[](fbs::ModelT& m) { m.self_test->tolerance = kInf; }, "tolerance"},
      {[](fbs::ModelT& m) { m.self_test->variant = "qs8"; }, "self_test: no such variant"},
      {[](fbs::ModelT& m) { m.preprocessing->color_order = fbs::ColorOrder::None; },
       "self_test: a picture for a model that takes none"},
      {[](fbs::ModelT& m) { m.codec_tables[0]->cut = 3; }, "codec_tables: no such variant or cut"},
      {[](fbs::ModelT& m) { m.codec_tables[0]->variant = ""; }, "codec_tables"},
      {[](fbs::ModelT& m) {
         m.codec_tables[0]->disagreement_ppm = {1'000'000, 1'000'001};
       },
       "codec_tables: a disagreement over"},
  };
  for (const Spoil& spoil : spoils) check_spoiled(test::full_header_model, spoil);
}

}  // namespace
}  // namespace cleave
