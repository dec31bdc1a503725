// SPDX-License-Identifier: Apache-2.0
#include "engine/importer/calibrate_codec.h"

#include <utility>

#include "engine/codec/codec_factories.h"
#include "engine/codec/coded_table.h"
#include "engine/importer/cut_search.h"
#include "engine/importer/cut_walker.h"
#include "engine/importer/model_pixels.h"

namespace cleave::importer {
namespace {

using codec::Boundary;
using codec::CodedQuality;

// Half of the walker's pictures are the others mirrored.
Result<std::vector<CodedQuality>> find_qualities(CutWalker& walker, const Boundary& boundary,
                                                 std::span<const std::uint32_t> disagreement_ppm) {
  CutSearch search(walker, boundary, walker.pictures() / 2);
  std::vector<CodedQuality> qualities;
  for (const std::uint32_t allowed : disagreement_ppm) {
    CLEAVE_ASSIGN_OR_RETURN(CodedQuality quality, search.find(allowed));
    // What keeps to less keeps to more; but a level may be there that keeps to nothing.
    if (!qualities.empty() && is_better(qualities.back().figures, quality.figures, allowed)) {
      quality = qualities.back();
    }
    qualities.push_back(std::move(quality));
  }
  return qualities;
}

void report(const CodecCalibration& options, OpIndex cut, const Boundary& boundary,
            std::span<const CodedQuality> qualities) {
  if (!options.done) return;
  CalibratedCut found{.cut = cut, .elements = 0, .qualities = {}};
  for (const codec::BoundaryTensor& tensor : boundary) found.elements += tensor.elements();
  for (const CodedQuality& quality : qualities) found.qualities.push_back(quality.figures);
  options.done(found);
}

}  // namespace

Result<std::vector<CodedCutTable>> calibrate_codec(
    const std::shared_ptr<const ModelFile>& model, const CodecCalibration& options,
    std::span<const std::vector<std::uint8_t>> pictures) {
  if (pictures.empty()) return Status(StatusCode::kInvalidArgument, "no picture to calibrate with");
  std::vector<std::vector<std::uint8_t>> all(pictures.begin(), pictures.end());
  for (const auto& pixels : pictures) all.push_back(mirrored(pixels, input_shape(*model)));
  CLEAVE_ASSIGN_OR_RETURN(const auto walker,
                          CutWalker::create(model, options.variant, all, options.threads));
  const fbs::Model& header = model->header();
  std::vector<CodedCutTable> tables;
  for (const OpIndex cut : options.cuts) {
    CLEAVE_RETURN_IF_ERROR(walker->go_to(cut));
    const Boundary boundary = codec::boundary_at(header, options.variant, cut);
    CLEAVE_ASSIGN_OR_RETURN(const auto qualities,
                            find_qualities(*walker, boundary, options.disagreement_ppm));
    tables.push_back({.variant = header.variants()->Get(options.variant)->name()->str(),
                      .cut = cut,
                      .data = codec::write_coded_table(qualities),
                      .disagreement_ppm = options.disagreement_ppm});
    report(options, cut, boundary, qualities);
  }
  return tables;
}

}  // namespace cleave::importer
