// SPDX-License-Identifier: Apache-2.0
//
// The rows of a plan: what each cut costs in each form in which it can be sent.
#include <algorithm>
#include <utility>

#include "agent/codec_option.h"
#include "agent/split_planner.h"
#include "planner/fixed_point.h"
#include "schemas/generated/wire_generated.h"

namespace cleave::agent {
namespace {

std::vector<std::uint64_t> corrected(const std::vector<std::uint64_t>& times_ns,
                                     const planner::Correction& correction) {
  std::vector<std::uint64_t> times(times_ns);
  for (std::uint64_t& ns : times) ns = correction.apply(ns);
  return times;
}

}  // namespace

// In which forms what crosses at the cuts can be sent.
SplitPlanner::Forms SplitPlanner::forms_of(const PictureCost& picture,
                                           const TableCorrections& corrections) const {
  Forms forms;
  for (std::uint32_t i = 0; i < cuts_.size(); ++i) {
    if (cuts_[i].op_boundary == 0) {
      append_pictures(i, picture, corrections, forms);
    } else {
      append_codecs(i, forms);
    }
  }
  return forms;
}

// At k = 0 the cut's own time is that of reading the file, and decoding and resizing it that of
// coding pixels. A JPEG at model size is made of those.
void SplitPlanner::append_pictures(std::uint32_t index, const PictureCost& picture,
                                   const TableCorrections& corrections, Forms& forms) const {
  const std::uint64_t to_pixels_ns = planner::saturating_sub(
      corrections.edge_input_ns.value_or(input_ns_), corrections.edge_file_ns);
  forms.add({.cut_index = index,
             .codec = static_cast<std::uint8_t>(fbs::Codec::PixelsU8),
             .coded_bytes = pixel_bytes_,
             .encode_ns = to_pixels_ns});
  if (picture.is_jpeg) {
    forms.add({.cut_index = index,
               .codec = static_cast<std::uint8_t>(fbs::Codec::Jpeg),
               .coded_bytes = picture.file_bytes,
               .coded_bytes_p95 = picture.file_bytes_p95,
               .decode_ns = corrections.server_decode_ns.value_or(server_input_ns_),
               .is_jpeg = true});
  }
  const SplitCodecs& here = split_codecs_[index];
  if (!here.cut || !server_takes_model_jpegs_) return;
  const TimeScale scale = time_scale(measured_.speed, speed_, 1);  // one thread encodes
  const std::vector<CutCodec>& jpegs = codecs_.cuts()[*here.cut].codecs;
  for (const CutCodec& jpeg : jpegs) {
    forms.add({.cut_index = index,
               .codec = pack_codec(jpeg.choice),
               .coded_bytes = jpeg.bytes,
               .coded_bytes_p95 = jpeg.p95_bytes,
               .encode_ns = planner::saturating_add(to_pixels_ns, scale.apply(jpeg.encode_ns)),
               .decode_ns = codec_decode_ns(0, jpeg.choice),
               .disagreement_ppm = jpeg.disagreement_ppm,
               .edge_ram_bytes = jpeg.ram_bytes},
              jpeg.choice);
  }
}

// Of the tensors that cross at a split behind k = 0.
void SplitPlanner::append_codecs(std::uint32_t index, Forms& forms) const {
  const SplitCodecs& here = split_codecs_[index];
  if (!here.cut || !server_takes_codecs_) {
    forms.add({.cut_index = index, .coded_bytes = cuts_[index].boundary_bytes});
    return;
  }
  // One thread encodes.
  const TimeScale scale = time_scale(measured_.speed, speed_, 1);
  const std::vector<CutCodec>& codecs = codecs_.cuts()[*here.cut].codecs;
  for (std::size_t i = 0; i < codecs.size(); ++i) {
    const CutCodec& codec = codecs[i];
    forms.add({.cut_index = index,
               .codec = pack_codec(codec.choice),
               .coded_bytes = codec.bytes,
               .coded_bytes_p95 = codec.p95_bytes,
               .encode_ns = scale.apply(codec.encode_ns),
               .decode_ns = decode_ns_.empty() ? 0 : decode_ns_[here.first + i],
               .disagreement_ppm = codec.disagreement_ppm,
               .edge_ram_bytes = codec.ram_bytes},
              codec.choice);
  }
}

// k = 0 has two and its JPEGs, the device alone one, and a cut that no codecs were given for one as
// raw.
std::size_t SplitPlanner::most_rows() const {
  std::size_t coded_cuts = codecs_.cuts().size();
  if (split_codecs_.front().cut) --coded_cuts;
  return splits_.size() - coded_cuts + 1 + codecs_.codec_count();
}

// Appends this variant's splits with their candidates; scores come later.
void SplitPlanner::append_rows(const PictureCost& picture, bool server,
                               const TableCorrections& corrections,
                               std::vector<PlannedSplit>& rows) const {
  std::vector<planner::CutCost> cuts = cuts_;
  for (planner::CutCost& cut : cuts) {
    cut.edge_fixed_ns = cut.op_boundary == 0 ? corrections.edge_file_ns
                                             : corrections.edge_input_ns.value_or(input_ns_);
  }
  const Forms forms = forms_of(picture, corrections);
  // Without a server's table only the device is feasible, and its own times stand in unused.
  const std::vector<std::uint64_t> edge = corrected(edge_op_ns_, corrections.edge_ops);
  const std::vector<std::uint64_t> remote =
      server ? corrected(server_op_ns_, corrections.server_ops) : edge;
  const planner::CostTable table{.edge_op_ns = edge,
                                 .server_op_ns = remote,
                                 .cuts = cuts,
                                 .codings = forms.codings,
                                 .disagreement_ppm = disagreement_ppm_,
                                 .variant = static_cast<std::uint8_t>(variant_)};
  std::vector<planner::Candidate> candidates(forms.codings.size());
  const planner::Built built = planner::build_candidates(table, candidates);
  std::size_t i = 0;
  for (std::size_t c = 0; c < built.count; ++c) {
    const planner::Candidate& candidate = candidates[c];
    while (cuts_[i].op_boundary < candidate.cut) ++i;
    rows.push_back({.variant = variant_,
                    .variant_name = {},
                    .split = splits_[i],
                    .layer = layers_[i],
                    .candidate = candidate,
                    .score = {},
                    .sent_as = forms.choices[c]});
  }
}

}  // namespace cleave::agent
