// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/codec_photos.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "engine/importer/cut_walker.h"
#include "engine/importer/importer.h"
#include "engine/importer/model_pixels.h"
#include "engine/importer/synthetic_picture.h"

namespace cleave::bench {
namespace {

using importer::Graph;
using ColorOrder = importer::GraphPreprocessing::ColorOrder;

struct Source {
  const char* name;
  const char* file;
  bool of_imagenet;          // else of CIFAR-10
  std::size_t before_first;  // 1 where class 0 is background
  std::uint32_t disagreement_ppm;
  void (*adjust)(Graph&);
};

void set_mean(Graph& graph, std::vector<float> mean, std::vector<float> deviation) {
  graph.preprocessing.mean = std::move(mean);
  graph.preprocessing.deviation = std::move(deviation);
}

constexpr Source kSources[] = {
    {"mobilenet_v2_tf2", "mobilenet_v2_tf2_ptq.tflite", true, 1, 70'000, [](Graph&) {}},
    {"mobilenet_v2_torchvision", "mobilenet_v2_torchvision_ptq.tflite", true, 0, 70'000,
     [](Graph& graph) {
       set_mean(graph, {0.485F * 255, 0.456F * 255, 0.406F * 255},
                {0.229F * 255, 0.224F * 255, 0.225F * 255});
     }},
    {"squeezenet", "squeezenet_v1.1.onnx", true, 0, 130'000,
     [](Graph& graph) {
       graph.preprocessing.color_order = ColorOrder::kBgr;
       set_mean(graph, {104, 117, 123}, {1, 1, 1});
     }},
    {"vgg6", "vgg6_cifar10.onnx", false, 0, 40'000,
     [](Graph& graph) {
       set_mean(graph, {0.4914F * 255, 0.4822F * 255, 0.4465F * 255},
                {0.2023F * 255, 0.1994F * 255, 0.2010F * 255});
     }},
};

struct Photo {
  std::filesystem::path path;
  std::size_t label = 0;
};

std::vector<Photo> imagenet_photos(const std::filesystem::path& folder) {
  std::ifstream csv(folder / "labels.csv");
  std::vector<Photo> photos;
  std::string line;
  std::getline(csv, line);  // headings
  while (std::getline(csv, line)) {
    std::istringstream fields(line);
    std::string file;
    Photo photo;
    std::getline(fields, file, ',');
    if (fields >> photo.label) {
      photo.path = folder / file;
      photos.push_back(photo);
    }
  }
  return photos;
}

std::vector<Photo> cifar_photos(const std::filesystem::path& folder) {
  const char* classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                           "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<Photo> photos;
  for (std::size_t label = 0; label < std::size(classes); ++label) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder / classes[label])) {
      paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    for (const auto& path : paths) photos.push_back({path, label});
  }
  return photos;
}

Result<std::shared_ptr<const ModelFile>> compiled(Graph graph) {
  CLEAVE_RETURN_IF_ERROR(importer::compile(graph));
  CLEAVE_ASSIGN_OR_RETURN(const auto bytes, importer::build_model_file(graph));
  return ModelFile::from_bytes(bytes);
}

}  // namespace

std::vector<std::string> codec_network_names() {
  std::vector<std::string> names;
  for (const Source& source : kSources) names.emplace_back(source.name);
  return names;
}

Result<CodecNetwork> load_codec_network(const std::filesystem::path& data,
                                        const std::string& name) {
  const Source& source = *std::ranges::find(kSources, name, &Source::name);
  CLEAVE_ASSIGN_OR_RETURN(Graph graph,
                          importer::read_source((data / "models" / source.file).string()));
  source.adjust(graph);
  CodecNetwork network{.name = name, .disagreement_ppm = {source.disagreement_ppm}};
  CLEAVE_ASSIGN_OR_RETURN(network.model, compiled(std::move(graph)));
  const std::vector<Photo> photos = source.of_imagenet ? imagenet_photos(data / "images/imagenet")
                                                       : cifar_photos(data / "images/cifar10");
  for (std::size_t i = 0; i < photos.size(); ++i) {
    CLEAVE_ASSIGN_OR_RETURN(auto pixels,
                            importer::model_pixels(*network.model, photos[i].path.string()));
    auto& set = i % 3 == 0 ? network.calibration : network.evaluation;
    set.push_back({std::move(pixels), photos[i].label + source.before_first});
  }
  return network;
}

Result<CodecNetwork> seeded_codec_network() {
  constexpr std::uint64_t kPictures = 12;
  CLEAVE_ASSIGN_OR_RETURN(Graph graph,
                          importer::make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.35}));
  CodecNetwork network{.name = "seeded", .disagreement_ppm = {200'000}};
  CLEAVE_ASSIGN_OR_RETURN(network.model, compiled(std::move(graph)));
  std::vector<std::vector<std::uint8_t>> pictures;
  for (std::uint64_t seed = 0; seed < kPictures; ++seed) {
    pictures.push_back(importer::synthetic_picture(importer::input_shape(*network.model), seed));
  }
  CLEAVE_ASSIGN_OR_RETURN(const auto walker,
                          importer::CutWalker::create(network.model, 0, pictures, 1));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    auto& set = i % 3 == 0 ? network.calibration : network.evaluation;
    set.push_back({std::move(pictures[i]), walker->answer(i)});
  }
  return network;
}

}  // namespace cleave::bench
