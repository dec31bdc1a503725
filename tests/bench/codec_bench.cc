// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/codec_bench.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "engine/codec/boundary_codec.h"
#include "engine/codec/codec_factories.h"
#include "engine/cuts.h"
#include "engine/image/jpeg_encoder.h"
#include "engine/image/picture.h"
#include "engine/importer/calibrate_codec.h"
#include "engine/importer/cut_walker.h"
#include "engine/importer/model_pixels.h"

namespace cleave::bench {
namespace {

using importer::CutWalker;
using Pictures = std::vector<std::vector<std::uint8_t>>;

Pictures pixels_of(const std::vector<LabelledPixels>& photos) {
  Pictures pictures;
  for (const LabelledPixels& photo : photos) pictures.push_back(photo.pixels);
  return pictures;
}

// A tensor of a hundred values is encoded in less time than the clock takes to read.
constexpr std::size_t kLeastElements = 50'000;

// Of this thread's own time: others on the machine make it no slower. The mean of `times` runs.
template <typename Run>
double seconds_of(const Run& run, std::size_t times = 1) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double start = now();
  for (std::size_t i = 0; i < times; ++i) run();
  return (now() - start) / static_cast<double>(times);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

std::string name_of(const CodecChoice& choice) {
  const std::string name = fbs::EnumNameCodec(choice.codec);
  return choice.codec == fbs::Codec::Coded ? "Coded:" + std::to_string(choice.quality) : name;
}

// One codec at the cut where the walker stands.
Result<CodecLine> measure(CutWalker& walker, const CodecNetwork& network, const ModelFile& model,
                          OpIndex cut, const CodecChoice& choice) {
  CLEAVE_ASSIGN_OR_RETURN(const auto codec, BoundaryCodec::create(model, 0, cut, choice));
  CodecLine line{.codec = name_of(choice), .pictures = walker.pictures()};
  std::vector<std::vector<std::byte>> arrived;
  for (const codec::BoundaryTensor& tensor : codec::boundary_at(model.header(), 0, cut)) {
    arrived.emplace_back(tensor.bytes());
    line.elements += tensor.elements();
  }
  const std::vector<std::span<std::byte>> to(arrived.begin(), arrived.end());
  const std::vector<std::span<const std::byte>> from(arrived.begin(), arrived.end());
  std::vector<std::byte> stream(codec->max_encoded_bytes());
  const std::size_t times = kLeastElements / std::max<std::size_t>(line.elements, 1) + 1;
  std::vector<double> encode_s, decode_s;
  for (std::size_t i = 0; i < walker.pictures(); ++i) {
    const auto tensors = walker.tensors(i);
    std::size_t length = 0;
    encode_s.push_back(seconds_of([&] { length = codec->encode(tensors, stream); }, times));
    Status decoded;
    decode_s.push_back(
        seconds_of([&] { decoded = codec->decode(std::span(stream).first(length), to); }, times));
    CLEAVE_RETURN_IF_ERROR(decoded);
    line.mean_bytes += static_cast<double>(length) / static_cast<double>(walker.pictures());
    CLEAVE_ASSIGN_OR_RETURN(const std::size_t answer, walker.answer_with(from));
    line.agreeing += answer == walker.answer(i) ? 1 : 0;
    line.right += answer == network.evaluation[i].label ? 1 : 0;
  }
  line.encode_per_s = static_cast<double>(line.elements) / median(encode_s);
  line.decode_per_s = static_cast<double>(line.elements) / median(decode_s);
  return line;
}

double share_of_zeros(const CutWalker& walker, const codec::Boundary& boundary) {
  std::size_t zeros = 0, all = 0;
  for (std::size_t i = 0; i < walker.pictures(); ++i) {
    const auto tensors = walker.tensors(i);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      if (!boundary[t].is_f32()) continue;
      std::vector<float> values(boundary[t].elements());
      std::memcpy(values.data(), tensors[t].data(), tensors[t].size());
      zeros += static_cast<std::size_t>(std::ranges::count(values, 0.0F));
      all += values.size();
    }
  }
  return static_cast<double>(zeros) / static_cast<double>(std::max<std::size_t>(all, 1));
}

std::string shape_of(const ModelFile& model, OpIndex cut) {
  std::string text;
  for (const codec::BoundaryTensor& tensor : codec::boundary_at(model.header(), 0, cut)) {
    text += (text.empty() ? "" : "+") + std::to_string(tensor.positions / tensor.width) + "x" +
            std::to_string(tensor.width) + "x" + std::to_string(tensor.channels);
  }
  return text;
}

// Pixels in the order of JPEG, and back.
Pictures turned(Pictures pictures, const ModelFile& model) {
  if (model.header().preprocessing()->color_order() != fbs::ColorOrder::BGR) return pictures;
  for (auto& pixels : pictures) {
    for (std::size_t i = 0; i + 2 < pixels.size(); i += 3) std::swap(pixels[i], pixels[i + 2]);
  }
  return pictures;
}

Result<CodecLine> measure_jpeg(const CodecNetwork& network, const CutWalker& exact, int quality) {
  const fbs::Shape& shape = importer::input_shape(*network.model);
  CodecLine line{.codec = "JPEG " + std::to_string(quality),
                 .elements = element_count(shape),
                 .pictures = network.evaluation.size()};
  Pictures pictures = pixels_of(network.evaluation);
  std::vector<double> encode_s, decode_s;
  const Pictures rgb = turned(pictures, *network.model);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    std::vector<std::byte> file;
    Status status;
    encode_s.push_back(seconds_of([&] {
      auto made = encode_jpeg(rgb[i], shape.width(), shape.height(), quality);
      status = made.status();
      if (made.is_ok()) file = std::move(made).value();
    }));
    CLEAVE_RETURN_IF_ERROR(status);
    decode_s.push_back(seconds_of([&] {
      status = decode_to_model_size(file, *network.model->header().preprocessing(), shape, {},
                                    pictures[i]);
    }));
    CLEAVE_RETURN_IF_ERROR(status);
    line.mean_bytes += static_cast<double>(file.size()) / static_cast<double>(pictures.size());
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto walker, CutWalker::create(network.model, 0, pictures, 1));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    line.agreeing += walker->answer(i) == exact.answer(i) ? 1 : 0;
    line.right += walker->answer(i) == network.evaluation[i].label ? 1 : 0;
  }
  line.encode_per_s = static_cast<double>(line.elements) / median(encode_s);
  line.decode_per_s = static_cast<double>(line.elements) / median(decode_s);
  return line;
}

Result<std::shared_ptr<const ModelFile>> calibrated(const CodecNetwork& network,
                                                    const std::vector<OpIndex>& cuts) {
  importer::CodecCalibration options{.cuts = cuts, .disagreement_ppm = network.disagreement_ppm};
  options.done = [&](const importer::CalibratedCut& found) {
    std::fprintf(stderr, "%s op:%u: calibrated\n", network.name.c_str(), found.cut);
  };
  CLEAVE_ASSIGN_OR_RETURN(
      const auto tables,
      importer::calibrate_codec(network.model, options, pixels_of(network.calibration)));
  CLEAVE_ASSIGN_OR_RETURN(const auto bytes, importer::with_coded_tables(*network.model, tables));
  return ModelFile::from_bytes(bytes);
}

// Of those inside of the network.
std::vector<Split> some_splits(const fbs::Model& model, const CodecCuts& cuts) {
  std::vector<Split> inner = list_splits(model, 0);
  std::erase_if(inner, [&](const Split& split) {
    const bool is_wanted =
        cuts.only.empty() || std::ranges::find(cuts.only, split.op_boundary) != cuts.only.end();
    return !is_wanted || split.op_boundary == 0 ||
           split.op_boundary == model.variants()->Get(0)->ops()->size();
  });
  if (inner.size() <= cuts.most) return inner;
  std::vector<Split> some;
  for (std::size_t i = 0; i < cuts.most; ++i) some.push_back(inner[i * inner.size() / cuts.most]);
  return some;
}

Result<CodecCut> measure_cut(CutWalker& walker, const CodecNetwork& network, const ModelFile& model,
                             const Split& split) {
  const OpIndex at = split.op_boundary;
  CLEAVE_RETURN_IF_ERROR(walker.go_to(at));
  CodecCut cut{.layers_on_device = split.layers_on_device,
               .op_boundary = at,
               .layer = model.header().layers()->Get(split.layers_on_device - 1)->name()->str(),
               .shape = shape_of(model, at),
               .zeros = share_of_zeros(walker, codec::boundary_at(model.header(), 0, at)),
               .lines = {}};
  for (const CodecChoice& choice : codecs_at(model, 0, at)) {
    if (choice.codec == fbs::Codec::Raw) continue;
    CLEAVE_ASSIGN_OR_RETURN(CodecLine line, measure(walker, network, model, at, choice));
    cut.lines.push_back(std::move(line));
  }
  return cut;
}

}  // namespace

Result<CodecReport> bench_codecs(const CodecNetwork& network, const CodecCuts& cuts) {
  const std::vector<Split> splits = some_splits(network.model->header(), cuts);
  std::vector<OpIndex> boundaries;
  for (const Split& split : splits) boundaries.push_back(split.op_boundary);
  CLEAVE_ASSIGN_OR_RETURN(const auto model, calibrated(network, boundaries));
  CLEAVE_ASSIGN_OR_RETURN(const auto walker,
                          CutWalker::create(model, 0, pixels_of(network.evaluation), 1));
  CodecReport report{.network = network.name, .disagreement_ppm = network.disagreement_ppm};
  for (std::size_t i = 0; i < walker->pictures(); ++i) {
    report.right += walker->answer(i) == network.evaluation[i].label ? 1 : 0;
  }
  const std::size_t pixels = element_count(importer::input_shape(*model));
  report.pictures.push_back({.codec = "u8 pixels",
                             .elements = pixels,
                             .mean_bytes = static_cast<double>(pixels),
                             .pictures = walker->pictures(),
                             .agreeing = walker->pictures(),
                             .right = report.right});
  for (const int quality : {90, 75}) {
    CLEAVE_ASSIGN_OR_RETURN(CodecLine line, measure_jpeg(network, *walker, quality));
    report.pictures.push_back(std::move(line));
  }
  for (const Split& split : splits) {
    CLEAVE_ASSIGN_OR_RETURN(CodecCut cut, measure_cut(*walker, network, *model, split));
    report.cuts.push_back(std::move(cut));
  }
  return report;
}

}  // namespace cleave::bench
