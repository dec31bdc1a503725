// SPDX-License-Identifier: Apache-2.0
#include "agent/codec_survey.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "agent/codec_option.h"
#include "agent/codec_timing.h"
#include "agent/device_caps.h"
#include "agent/disagreement.h"
#include "agent/picture_source.h"
#include "agent/range_runner.h"
#include "engine/aligned_buffer.h"
#include "engine/codec/boundary_codec.h"
#include "engine/cuts.h"
#include "engine/head_memory.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "engine/image/prepare_timing.h"

namespace cleave::agent {
namespace {

using Pixels = std::vector<std::uint8_t>;
using Crossing = std::vector<AlignedBuffer>;

// What crosses, and a codec with its output, each no more than the tensors and a little; to
// compare, also what entered and what is decoded.
constexpr std::uint64_t kHeldToTime = 3;
constexpr std::uint64_t kHeldToCompare = kHeldToTime + 2;

Status no_survey_memory() {
  return {StatusCode::kResourceExhausted, "no memory for what crosses the cuts"};
}

std::uint64_t nearest_rank(std::vector<std::uint64_t> values, std::size_t percent) {
  std::ranges::sort(values);
  return values[(values.size() * percent + 99) / 100 - 1];
}

// What was seen of one codec, by the cuts where it applies.
struct SurveyedCodec {
  CodecChoice choice;
  std::vector<std::uint32_t> cuts;
  std::vector<std::vector<std::uint64_t>> bytes, encode_ns;  // of each cut, a picture each
  std::vector<std::uint32_t> differing;
};

// One variant, one picture after the other.
class VariantSurvey {
 public:
  VariantSurvey(std::shared_ptr<const ModelFile> model, std::uint32_t variant,
                const CodecSurveyOptions& options);

  // Whether the whole network and what is compared beside it fit `room_bytes`. Errors: those of
  // plan_head_memory() and BoundaryCodec::create().
  Result<bool> fits(std::uint64_t room_bytes) const;
  // The weights of the whole network are held, and answers compared.
  Status compare_answers(const Pixels& pixels, const std::function<void()>& cut_done);
  // The time of encoding alone, at the cuts whose tensors, with a codec and its output, have room.
  Status time_encoding(const Pixels& pixels, std::uint64_t room_bytes,
                       const std::function<void()>& cut_done);
  [[nodiscard]] std::size_t cut_count() const { return cuts_.size(); }
  // `pictures` 0: a made-up one was taken.
  void note(std::size_t pictures, bool compared, ProfileData& profile) const;

 private:
  Status enter(const Pixels& pixels);
  Status advance(OpIndex cut);
  void release_network();
  Status survey_picture(const Pixels& pixels, bool compare);
  Status survey_jpeg(const Pixels& pixels, std::uint8_t quality, bool compare);
  Status survey_cut(OpIndex cut, bool compare);
  Status survey_codec(OpIndex cut, const CodecChoice& choice, bool compare);
  Result<std::size_t> answer(const Crossing& crossing);
  Status make_like(const Crossing& other, Crossing& crossing) const;
  std::size_t place_of(OpIndex cut, SurveyedCodec& codec) const;
  SurveyedCodec& find(const CodecChoice& choice);
  [[nodiscard]] const fbs::Variant& header() const {
    return *model_->header().variants()->Get(variant_);
  }
  [[nodiscard]] OpIndex op_count() const { return header().ops()->size(); }

  std::shared_ptr<const ModelFile> model_;
  std::uint32_t variant_;
  Preference preference_;
  std::vector<std::uint8_t> jpeg_qualities_;
  std::vector<OpIndex> cuts_;  // where a layer ends, inside of the network
  RangeRunner whole_, tail_;
  OpIndex at_ = 0;     // the cut where the picture is
  Crossing crossing_;  // and what crosses there
  std::size_t expected_ = 0;
  std::vector<SurveyedCodec> codecs_;
};

VariantSurvey::VariantSurvey(std::shared_ptr<const ModelFile> model, std::uint32_t variant,
                             const CodecSurveyOptions& options)
    : model_(std::move(model)),
      variant_(variant),
      preference_(options.weights.preference),
      jpeg_qualities_(options.jpeg_qualities),
      whole_(model_, variant, {.threads = options.threads}, options.weights),
      tail_(model_, variant, {.threads = options.threads}, options.weights) {
  for (const Split& split : list_splits(model_->header(), variant)) {
    if (split.op_boundary > 0 && split.op_boundary < op_count()) {
      cuts_.push_back(split.op_boundary);
    }
  }
}

Result<bool> VariantSurvey::fits(std::uint64_t room_bytes) const {
  const OpIndex ops[] = {op_count()};
  CLEAVE_ASSIGN_OR_RETURN(const auto heads,
                          plan_head_memory(model_->header(), variant_, ops, preference_));
  std::uint64_t packing = 0;
  for (const fbs::Op* op : *header().ops()) packing = std::max(packing, weight_bytes(*op));
  const std::vector<Cut> all = find_cuts(model_->header(), variant_);
  // At cut 0 a JPEG's pixels, and the values that they give.
  std::uint64_t crossing = 3 * all[0].boundary_bytes;
  for (const OpIndex cut : cuts_) {
    crossing = std::max(crossing, kHeldToCompare * all[cut].boundary_bytes);
  }
  const std::uint64_t needed =
      heads[0].total() + heads[0].arena_bytes + packing + crossing + kHeadOtherBytes;
  return needed <= room_bytes;
}

Status VariantSurvey::enter(const Pixels& pixels) {
  AlignedBuffer input(pixels.size() * sizeof(float));
  if (input.data() == nullptr) return no_survey_memory();
  const fbs::Shape& shape = *header().tensors()->Get(header().input())->shape();
  normalize(pixels, *model_->header().preprocessing(), shape.channels(),
            {input.f32(), pixels.size()});
  crossing_.clear();
  crossing_.push_back(std::move(input));
  at_ = 0;
  return Status::ok();
}

// The executor's arena may hold its inputs and outputs in one place: they are copied.
Status VariantSurvey::advance(OpIndex cut) {
  CLEAVE_RETURN_IF_ERROR(whole_.prepare({at_, cut}));
  const auto inputs = whole_.executor().inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(inputs[i].data, crossing_[i].data(), inputs[i].bytes());
  }
  CLEAVE_RETURN_IF_ERROR(whole_.executor().run());
  crossing_.clear();
  for (const BoundaryBuffer& output : whole_.executor().outputs()) {
    AlignedBuffer& buffer = crossing_.emplace_back(output.bytes());
    if (buffer.data() == nullptr) return no_survey_memory();
    std::memcpy(buffer.data(), output.data, output.bytes());
  }
  at_ = cut;
  return Status::ok();
}

void VariantSurvey::release_network() {
  whole_.release();
  ::malloc_trim(0);  // or the heap keeps the pieces resident beside what comes next
}

// From the cut where the picture is.
Result<std::size_t> VariantSurvey::answer(const Crossing& crossing) {
  CLEAVE_RETURN_IF_ERROR(tail_.prepare_with(whole_, {at_, op_count()}));
  const auto inputs = tail_.executor().inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(inputs[i].data, crossing[i].data(), inputs[i].bytes());
  }
  CLEAVE_RETURN_IF_ERROR(tail_.executor().run());
  return best_class(tail_.executor().outputs()[0].f32());
}

Status VariantSurvey::compare_answers(const Pixels& pixels, const std::function<void()>& cut_done) {
  CLEAVE_RETURN_IF_ERROR(enter(pixels));
  CLEAVE_RETURN_IF_ERROR(whole_.prepare({0, op_count()}));
  CLEAVE_ASSIGN_OR_RETURN(expected_, answer(crossing_));
  CLEAVE_RETURN_IF_ERROR(survey_picture(pixels, /*compare=*/true));
  for (const OpIndex cut : cuts_) {
    CLEAVE_RETURN_IF_ERROR(advance(cut));
    CLEAVE_RETURN_IF_ERROR(survey_cut(cut, /*compare=*/true));
    cut_done();
  }
  return Status::ok();
}

Status VariantSurvey::time_encoding(const Pixels& pixels, std::uint64_t room_bytes,
                                    const std::function<void()>& cut_done) {
  const std::vector<Cut> all = find_cuts(model_->header(), variant_);
  CLEAVE_RETURN_IF_ERROR(enter(pixels));
  CLEAVE_RETURN_IF_ERROR(survey_picture(pixels, /*compare=*/false));
  for (const OpIndex cut : cuts_) {
    // A device without that room cannot use the cut either; the next one is reached from the one
    // before it.
    if (kHeldToTime * all[cut].boundary_bytes <= room_bytes) {
      CLEAVE_RETURN_IF_ERROR(advance(cut));
      // Codecs have the room that the head had: the next one's weights are packed anew anyway.
      release_network();
      CLEAVE_RETURN_IF_ERROR(survey_cut(cut, /*compare=*/false));
    }
    cut_done();
  }
  return Status::ok();
}

// REQUIRES: the picture is at cut 0.
Status VariantSurvey::survey_picture(const Pixels& pixels, bool compare) {
  if (!takes_model_jpegs(model_->header(), variant_)) return Status::ok();
  for (const std::uint8_t quality : jpeg_qualities_) {
    CLEAVE_RETURN_IF_ERROR(survey_jpeg(pixels, quality, compare));
  }
  return Status::ok();
}

Status VariantSurvey::survey_jpeg(const Pixels& pixels, std::uint8_t quality, bool compare) {
  const fbs::Preprocessing& preprocessing = *model_->header().preprocessing();
  const fbs::Shape& shape = *header().tensors()->Get(header().input())->shape();
  AlignedBuffer file(pixels.size());
  if (file.data() == nullptr) return no_survey_memory();
  const auto [bytes, encode_ns] =
      timed_jpeg(pixels, shape, preprocessing.color_order(), quality, {file.data(), pixels.size()});
  SurveyedCodec& seen = find({.codec = fbs::Codec::JpegModelSize, .quality = quality});
  const std::size_t place = place_of(0, seen);
  seen.bytes[place].push_back(bytes > 0 ? bytes : pixels.size());
  seen.encode_ns[place].push_back(encode_ns);
  if (!compare || bytes == 0) return Status::ok();
  Pixels arrived(pixels.size());
  CLEAVE_RETURN_IF_ERROR(decode_at_model_size({file.data(), bytes}, preprocessing, shape, arrived));
  Crossing input;
  CLEAVE_RETURN_IF_ERROR(make_like(crossing_, input));
  normalize(arrived, preprocessing, shape.channels(), {input[0].f32(), arrived.size()});
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t found, answer(input));
  seen.differing[place] += found != expected_ ? 1 : 0;
  return Status::ok();
}

Status VariantSurvey::survey_cut(OpIndex cut, bool compare) {
  for (const CodecChoice& choice : codecs_at(*model_, variant_, cut)) {
    if (choice.codec == fbs::Codec::Raw) continue;
    CLEAVE_RETURN_IF_ERROR(survey_codec(cut, choice, compare));
  }
  return Status::ok();
}

Status VariantSurvey::make_like(const Crossing& other, Crossing& crossing) const {
  for (const AlignedBuffer& buffer : other) {
    if (crossing.emplace_back(buffer.capacity()).data() == nullptr) return no_survey_memory();
  }
  return Status::ok();
}

Status VariantSurvey::survey_codec(OpIndex cut, const CodecChoice& choice, bool compare) {
  CLEAVE_ASSIGN_OR_RETURN(const auto codec, BoundaryCodec::create(*model_, variant_, cut, choice));
  AlignedBuffer out(codec->max_encoded_bytes());
  if (out.data() == nullptr) return no_survey_memory();
  const std::span stream(out.data(), out.capacity());
  std::vector<std::span<const std::byte>> tensors;
  for (const AlignedBuffer& buffer : crossing_)
    tensors.emplace_back(buffer.data(), buffer.capacity());
  // The first encoding pays for fresh memory.
  std::uint64_t first_ns = 0, ns = 0;
  (void)timed_encode(*codec, tensors, stream, first_ns);
  const std::size_t bytes = timed_encode(*codec, tensors, stream, ns);
  SurveyedCodec& seen = find(choice);
  const std::size_t place = place_of(cut, seen);
  seen.bytes[place].push_back(bytes);
  seen.encode_ns[place].push_back(std::min(first_ns, ns));
  if (!compare || is_exact(choice.codec)) return Status::ok();
  Crossing arrived;
  CLEAVE_RETURN_IF_ERROR(make_like(crossing_, arrived));
  std::vector<std::span<std::byte>> decoded;
  for (AlignedBuffer& buffer : arrived) decoded.emplace_back(buffer.data(), buffer.capacity());
  CLEAVE_RETURN_IF_ERROR(codec->decode(stream.first(bytes), decoded));
  CLEAVE_ASSIGN_OR_RETURN(const std::size_t found, answer(arrived));
  seen.differing[place] += found != expected_ ? 1 : 0;
  return Status::ok();
}

SurveyedCodec& VariantSurvey::find(const CodecChoice& choice) {
  const auto found = std::ranges::find(codecs_, choice, &SurveyedCodec::choice);
  if (found != codecs_.end()) return *found;
  SurveyedCodec& added = codecs_.emplace_back();
  added.choice = choice;
  return added;
}

// Cuts come ascending with the first picture, and are there for the others.
std::size_t VariantSurvey::place_of(OpIndex cut, SurveyedCodec& codec) const {
  const auto at = std::ranges::find(codec.cuts, cut);
  if (at != codec.cuts.end()) return static_cast<std::size_t>(at - codec.cuts.begin());
  codec.cuts.push_back(cut);
  codec.bytes.emplace_back();
  codec.encode_ns.emplace_back();
  codec.differing.push_back(0);
  return codec.cuts.size() - 1;
}

void VariantSurvey::note(std::size_t pictures, bool compared, ProfileData& profile) const {
  const std::uint64_t pixel_bytes =
      element_count(*header().tensors()->Get(header().input())->shape());
  for (const SurveyedCodec& seen : codecs_) {
    const bool is_never_less =
        is_model_jpeg(seen.choice) && std::ranges::min(seen.bytes.front()) >= pixel_bytes;
    if (is_never_less) continue;
    if (profile.coded.size() >= kMaxProfileCoded) return;
    CodedBytes coded{.variant = header().name()->str(),
                     .codec = static_cast<std::uint8_t>(seen.choice.codec),
                     .op_boundary = seen.cuts,
                     .median_bytes = {},
                     .p95_bytes = {},
                     .quality = seen.choice.quality,
                     .pictures = static_cast<std::uint32_t>(pictures)};
    for (std::size_t i = 0; i < seen.cuts.size(); ++i) {
      coded.median_bytes.push_back(nearest_rank(seen.bytes[i], 50));
      coded.p95_bytes.push_back(nearest_rank(seen.bytes[i], 95));
      coded.encode_ns.push_back(std::min(nearest_rank(seen.encode_ns[i], 50), kMaxProfileNs));
    }
    if (compared && !is_exact(seen.choice.codec)) {
      coded.compared_pictures = static_cast<std::uint32_t>(pictures);
      coded.differing_pictures = seen.differing;
    }
    profile.coded.push_back(std::move(coded));
  }
}

bool is_for_room(const Status& status) {
  return status.code() == StatusCode::kOutOfRange ||
         status.code() == StatusCode::kResourceExhausted;
}

// Those of the first `most` that can be decoded in a quarter of the room, at model size.
// `lacks_room`: one or more could not for want of it.
std::vector<Pixels> decode_all(const ModelFile& model, std::span<const std::string> names,
                               std::size_t most, std::uint64_t room_bytes, bool& lacks_room) {
  const fbs::Variant& first = *model.header().variants()->Get(0);
  const fbs::Shape& shape = *first.tensors()->Get(first.input())->shape();
  const std::size_t each = element_count(shape);
  const std::uint64_t fitting = room_bytes / 4 / each;
  lacks_room = most > 0 && !names.empty() && fitting == 0;
  most = static_cast<std::size_t>(std::min<std::uint64_t>(most, fitting));
  std::vector<Pixels> pictures;
  for (const std::string& name : names) {
    if (pictures.size() >= most) break;
    const std::uint64_t room = room_bytes - pictures.size() * each;
    PictureLimits limits;
    const auto file = read_picture_within(name, limits, room / 2);
    if (!file.is_ok()) {
      lacks_room = lacks_room || is_for_room(file.status());
      continue;
    }
    limits.max_whole_picture_bytes = std::min(limits.max_whole_picture_bytes, room / 2);
    Pixels pixels(each);
    const Status decoded =
        decode_to_model_size(*file, *model.header().preprocessing(), shape, limits, pixels);
    if (decoded.is_ok()) pictures.push_back(std::move(pixels));
    lacks_room = lacks_room || is_for_room(decoded);
  }
  return pictures;
}

std::uint64_t room_within(std::uint64_t ram_bytes) {
  ::malloc_trim(0);
  return ram_bytes - std::min(ram_bytes, resident_bytes());
}

}  // namespace

Status survey_codecs(const std::shared_ptr<const ModelFile>& model,
                     std::span<const std::string> pictures, const CodecSurveyOptions& options,
                     ProfileData& profile, std::string& note) {
  const fbs::Model& header = model->header();
  bool lacks_room = false;
  const std::vector<Pixels> decoded = decode_all(*model, pictures, options.most_pictures,
                                                 room_within(options.ram_bytes), lacks_room);
  const fbs::Variant& first = *header.variants()->Get(0);
  const std::vector<Pixels> made_up{made_up_picture(*first.tensors()->Get(first.input())->shape())};
  for (std::uint32_t v = 0; v < header.variants()->size(); ++v) {
    const std::string name = header.variants()->Get(v)->name()->str();
    if (find_variant(profile, name) == nullptr) continue;
    VariantSurvey survey(model, v, options);
    const std::uint64_t room_bytes = room_within(options.ram_bytes);
    CLEAVE_ASSIGN_OR_RETURN(const bool fits, survey.fits(room_bytes));
    const bool compare = fits && !decoded.empty();
    if (!fits && !decoded.empty()) {
      note += (note.empty() ? "" : ", ") + name;
    }
    const std::span<const Pixels> taken(compare ? decoded : made_up);
    std::size_t done = 0;
    const auto cut_done = [&] {
      if (options.progress) options.progress(++done, taken.size() * survey.cut_count());
    };
    for (const Pixels& pixels : taken) {
      CLEAVE_RETURN_IF_ERROR(compare ? survey.compare_answers(pixels, cut_done)
                                     : survey.time_encoding(pixels, room_bytes, cut_done));
    }
    survey.note(compare ? decoded.size() : 0, compare, profile);
  }
  if (decoded.empty() && lacks_room) {
    note = "no picture has the room to be decoded in, so codecs were only timed";
  } else if (!note.empty()) {
    note +=
        ": the whole network does not fit --ram beside what is compared, so codecs were only "
        "timed";
  }
  ::malloc_trim(0);
  return Status::ok();
}

}  // namespace cleave::agent
