// SPDX-License-Identifier: Apache-2.0
#include "server/decode_times.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "engine/executor.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "engine/image/prepare_timing.h"

namespace cleave::server {
namespace {

using DecodeClock = std::chrono::steady_clock;
using Tensors = std::vector<std::vector<std::byte>>;

// Of all variants together: 28 bytes each in a Welcome, which may be 2 MiB.
constexpr std::size_t kMostDecodeTimes = 16'384;

// Takes what crosses from cut to cut.
class MadeUpPicture {
 public:
  static Result<std::unique_ptr<MadeUpPicture>> create(const ModelFile& model,
                                                       const LoadedVariant& variant) {
    auto picture = std::make_unique<MadeUpPicture>();
    CLEAVE_ASSIGN_OR_RETURN(picture->executor_, Executor::create(variant.weights, {.threads = 1}));
    const std::vector<std::uint8_t> pixels = made_up_picture(variant.input_shape);
    std::vector<float> input(pixels.size());
    normalize(pixels, *model.header().preprocessing(), variant.input_shape.channels(), input);
    const auto bytes = std::as_bytes(std::span(input));
    picture->tensors_.emplace_back(bytes.begin(), bytes.end());
    return picture;
  }

  Status go_to(OpIndex cut) {
    CLEAVE_RETURN_IF_ERROR(executor_->prepare({cut_, cut}, 1));
    const auto inputs = executor_->inputs();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      std::memcpy(inputs[i].data, tensors_[i].data(), tensors_[i].size());
    }
    CLEAVE_RETURN_IF_ERROR(executor_->run());
    tensors_.clear();
    for (const BoundaryBuffer& output : executor_->outputs()) {
      const auto bytes = output.as_bytes();
      tensors_.emplace_back(bytes.begin(), bytes.end());
    }
    cut_ = cut;
    return Status::ok();
  }

  [[nodiscard]] const Tensors& tensors() const { return tensors_; }

 private:
  std::unique_ptr<Executor> executor_;
  OpIndex cut_ = 0;
  Tensors tensors_;
};

// The first decoding pays for fresh memory; the second is what a request takes.
Result<std::uint64_t> decode_ns(BoundaryCodec& codec, const Tensors& tensors) {
  std::vector<std::byte> stream(codec.max_encoded_bytes());
  Tensors decoded = tensors;
  const std::vector<std::span<const std::byte>> sent(tensors.begin(), tensors.end());
  const std::vector<std::span<std::byte>> arrived(decoded.begin(), decoded.end());
  const std::size_t bytes = codec.encode(sent, stream);
  std::uint64_t least_ns = UINT64_MAX;
  for (int run = 0; run < 2; ++run) {
    const auto start = DecodeClock::now();
    CLEAVE_RETURN_IF_ERROR(codec.decode(std::span(stream).first(bytes), arrived));
    const auto spent = DecodeClock::now() - start;
    least_ns =
        std::min(least_ns, static_cast<std::uint64_t>(std::chrono::nanoseconds(spent).count()));
  }
  return std::max<std::uint64_t>(least_ns, 1);  // 0 says that it is not known
}

struct TimedCodec {
  CodecChoice choice;
  CodedBytes times;
  std::uint64_t measured_ns = 0, measured_bytes = 0;  // of tensors, where it was measured last
};

TimedCodec& entry_of(std::vector<TimedCodec>& timed, const CodecChoice& choice,
                     const std::string& variant) {
  const auto found = std::ranges::find(timed, choice, &TimedCodec::choice);
  if (found != timed.end()) return *found;
  CodedBytes times{.variant = variant,
                   .codec = static_cast<std::uint8_t>(choice.codec),
                   .op_boundary = {},
                   .median_bytes = {},
                   .p95_bytes = {},
                   .quality = choice.quality};
  return timed.emplace_back(TimedCodec{.choice = choice, .times = std::move(times)});
}

// At the cut that `picture` stands at.
Status time_cut(const ModelFile& model, std::uint32_t index, const Cut& cut,
                std::span<const CodecLimit> codecs, const MadeUpPicture& picture,
                DecodeClock::time_point latest, std::vector<TimedCodec>& timed) {
  const std::string name = model.header().variants()->Get(index)->name()->str();
  for (const CodecLimit& limit : codecs) {
    if (limit.choice.codec == fbs::Codec::Raw) continue;
    TimedCodec& entry = entry_of(timed, limit.choice, name);
    std::uint64_t ns = entry.measured_bytes == 0
                           ? 0
                           : static_cast<std::uint64_t>(static_cast<double>(entry.measured_ns) *
                                                        static_cast<double>(cut.boundary_bytes) /
                                                        static_cast<double>(entry.measured_bytes));
    if (ns == 0 || DecodeClock::now() < latest) {
      CLEAVE_ASSIGN_OR_RETURN(const auto codec,
                              BoundaryCodec::create(model, index, cut.op_boundary, limit.choice));
      CLEAVE_ASSIGN_OR_RETURN(ns, decode_ns(*codec, picture.tensors()));
      entry.measured_ns = ns;
      entry.measured_bytes = cut.boundary_bytes;
    }
    entry.times.op_boundary.push_back(cut.op_boundary);
    entry.times.median_bytes.push_back(limit.max_encoded_bytes);
    entry.times.p95_bytes.push_back(limit.max_encoded_bytes);
    entry.times.decode_ns.push_back(std::min(ns, kMaxProfileNs));
  }
  return Status::ok();
}

// Of a JPEG at model size, whatever its quality; as a request has it, to the input's values.
Result<std::uint64_t> model_jpeg_ns(const fbs::Preprocessing& preprocessing,
                                    const fbs::Shape& shape) {
  constexpr int kQuality = 90;
  std::vector<std::uint8_t> pixels = made_up_picture(shape);
  std::vector<std::byte> file(2 * pixels.size() + 4096);
  CLEAVE_ASSIGN_OR_RETURN(
      const std::size_t bytes,
      encode_jpeg_into(pixels, shape, preprocessing.color_order(), kQuality, file));
  std::vector<float> input(pixels.size());
  std::uint64_t least_ns = UINT64_MAX;
  for (int run = 0; run < 2; ++run) {
    const auto start = DecodeClock::now();
    CLEAVE_RETURN_IF_ERROR(
        decode_at_model_size(std::span(file).first(bytes), preprocessing, shape, pixels));
    normalize(pixels, preprocessing, shape.channels(), input);
    const auto spent = DecodeClock::now() - start;
    least_ns =
        std::min(least_ns, static_cast<std::uint64_t>(std::chrono::nanoseconds(spent).count()));
  }
  return std::max<std::uint64_t>(least_ns, 1);
}

// A picture that no JPEG can be made of has no time.
void add_model_jpeg(const ModelFile& model, std::uint32_t index, const LoadedVariant& variant,
                    std::vector<TimedCodec>& timed) {
  if (!variant.takes_pictures) return;
  const auto ns = model_jpeg_ns(*model.header().preprocessing(), variant.input_shape);
  if (!ns.is_ok()) return;
  const CodecChoice choice{.codec = fbs::Codec::JpegModelSize};
  TimedCodec& entry = entry_of(timed, choice, model.header().variants()->Get(index)->name()->str());
  const std::uint64_t most = element_count(variant.input_shape);
  entry.times.op_boundary = {0};
  entry.times.median_bytes = entry.times.p95_bytes = {most};
  entry.times.decode_ns = {std::min(*ns, kMaxProfileNs)};
}

std::size_t count_times(const ProfileData& profile) {
  std::size_t count = 0;
  for (const CodedBytes& coded : profile.coded) count += coded.op_boundary.size();
  return count;
}

}  // namespace

Status add_decode_times(const ModelFile& model, std::uint32_t index, const LoadedVariant& variant,
                        ProfileData& profile) {
  const auto ops = static_cast<OpIndex>(variant.cuts.size() - 1);
  CLEAVE_ASSIGN_OR_RETURN(const auto picture, MadeUpPicture::create(model, variant));
  const auto latest = DecodeClock::now() + kDecodeTimingBudget;
  std::vector<TimedCodec> timed;
  add_model_jpeg(model, index, variant, timed);
  std::size_t count = count_times(profile) + timed.size();
  for (const Split& split : list_splits(model.header(), index)) {
    const OpIndex cut = split.op_boundary;
    if (cut == 0 || cut == ops) continue;
    count += variant.codecs[cut].size();
    CLEAVE_RETURN_IF_ERROR(picture->go_to(cut));
    CLEAVE_RETURN_IF_ERROR(
        time_cut(model, index, variant.cuts[cut], variant.codecs[cut], *picture, latest, timed));
  }
  if (count > kMostDecodeTimes || profile.coded.size() + timed.size() > kMaxProfileCoded) {
    return Status::ok();
  }
  for (TimedCodec& entry : timed) profile.coded.push_back(std::move(entry.times));
  return Status::ok();
}

}  // namespace cleave::server
