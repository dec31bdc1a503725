// SPDX-License-Identifier: Apache-2.0
//
// Published networks of ../shared/data on its photos: imported, run in f32 by the engine, with the
// reference's preprocessing (triangle-filter resize of the whole picture). Expected values are an
// independent f32 reference's top-1 (labels.csv) and the accuracies that the data's README states.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/photo_classifier.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"

namespace cleave::test {
namespace {

using importer::Graph;
using importer::GraphPreprocessing;

struct LabelledPhoto {
  std::string file;
  int label = 0;
  std::array<int, 3> reference{};  // top-1 by the independent reference, a column for each network
};

std::vector<LabelledPhoto> read_labels(const std::filesystem::path& csv) {
  std::ifstream file(csv);
  std::vector<LabelledPhoto> photos;
  std::string line;
  std::getline(file, line);  // headings
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    LabelledPhoto photo;
    char comma = 0;
    std::getline(fields, photo.file, ',');
    fields >> photo.label;
    for (int& reference : photo.reference) fields >> comma >> reference;
    if (fields) photos.push_back(photo);
  }
  return photos;
}

struct ImagenetNetwork {
  const char* file;
  std::size_t column;                // in LabelledPhoto::reference
  std::size_t classes_before_first;  // 1 where class 0 is background
  void (*adjust)(Graph&);
  int least_agreeing, least_right;  // of 150
  // Same top-1 in int8, of 150: calibrated on every third photo, and with the file's own scales.
  // Which near ties fall the other way differs with the last bits of a machine's f32 kernels: 139
  // to 146 were seen where the noise of the scores was the same. So the noise is what judges a
  // change; counts have room to vary.
  int least_as_f32, least_with_own_scales;
  double most_noise;  // of the int8 scores; what was reached, by AVX2 or AVX-512, and a sixth
};

constexpr ImagenetNetwork kImagenetNetworks[] = {
    // The file's own quantized input says its preprocessing.
    {"mobilenet_v2_tf2_ptq.tflite", 0, 1, [](Graph&) {}, 147, 123, 145, 145, 0.0034},
    {"mobilenet_v2_torchvision_ptq.tflite", 1, 0,
     [](Graph& graph) {
       graph.preprocessing.mean = {0.485F * 255, 0.456F * 255, 0.406F * 255};
       graph.preprocessing.deviation = {0.229F * 255, 0.224F * 255, 0.225F * 255};
     },
     147, 123, 139, 134, 0.0048},
    {"squeezenet_v1.1.onnx", 2, 0,
     [](Graph& graph) {
       graph.preprocessing.color_order = GraphPreprocessing::ColorOrder::kBgr;
       graph.preprocessing.mean = {104, 117, 123};
       graph.preprocessing.deviation = {1, 1, 1};
     },
     147, 90, 135, 0, 0.0032},
};

TEST_CASE("published ImageNet networks answer as the reference does") {
  const auto data = shared_data();
  if (!data) return;
  const std::vector<LabelledPhoto> photos = read_labels(*data / "images/imagenet/labels.csv");
  REQUIRE(photos.size() == 150);
  for (const ImagenetNetwork& network : kImagenetNetworks) {
    CAPTURE(network.file);
    auto classifier =
        PhotoClassifier::create((*data / "models" / network.file).string(), network.adjust);
    REQUIRE_MESSAGE(classifier.is_ok(), classifier.status().message());
    int agreeing = 0;
    int right = 0;
    for (const LabelledPhoto& photo : photos) {
      const auto scores =
          classifier->classify_file((*data / "images/imagenet" / photo.file).string());
      REQUIRE_MESSAGE(scores.is_ok(), photo.file, ": ", scores.status().message());
      const int answer = static_cast<int>(top_1(*scores) - network.classes_before_first);
      agreeing += answer == photo.reference[network.column] ? 1 : 0;
      right += answer == photo.label ? 1 : 0;
    }
    std::printf("%s: %d of 150 as the reference, %d right (%.1f %%)\n", network.file, agreeing,
                right, right / 1.5);
    CHECK(agreeing >= network.least_agreeing);
    CHECK(right >= network.least_right);
  }
}

int count_right(const std::vector<LabelledPhoto>& photos, const std::vector<int>& answers) {
  int right = 0;
  for (std::size_t i = 0; i < photos.size(); ++i) right += answers[i] == photos[i].label ? 1 : 0;
  return right;
}

int count_same(const std::vector<int>& a, const std::vector<int>& b) {
  int same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
  return same;
}

int count_same_unseen(const std::vector<int>& a, const std::vector<int>& b) {
  int same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += i % 3 != 0 && a[i] == b[i] ? 1 : 0;
  return same;
}

// How far scores are off those of f32: the squares of the differences by the squares of the scores,
// both about their means, as a softmax does not see those.
class ScoreNoise {
 public:
  void add(std::span<const float> f32, std::span<const float> other) {
    std::vector<double> difference(f32.size());
    for (std::size_t i = 0; i < f32.size(); ++i) difference[i] = double{other[i]} - f32[i];
    differences_ += squares_about_mean(difference);
    scores_ += squares_about_mean({f32.begin(), f32.end()});
  }
  [[nodiscard]] double share() const { return differences_ / scores_; }

 private:
  static double squares_about_mean(const std::vector<double>& values) {
    double sum = 0, squares = 0;
    for (const double value : values) {
      sum += value;
      squares += value * value;
    }
    return squares - sum * sum / static_cast<double>(values.size());
  }
  double differences_ = 0, scores_ = 0;
};

struct Answers {
  std::vector<int> labels;
  ScoreNoise noise;  // beside the first classifier
};

// What each classifier answers for each photo.
std::vector<Answers> answer_all(std::vector<PhotoClassifier>& classifiers,
                                const std::filesystem::path& data,
                                const std::vector<LabelledPhoto>& photos,
                                const ImagenetNetwork& network) {
  std::vector<Answers> answers(classifiers.size());
  for (const LabelledPhoto& photo : photos) {
    std::vector<float> f32;
    for (std::size_t v = 0; v < answers.size(); ++v) {
      const auto scores =
          classifiers[v].classify_file((data / "images/imagenet" / photo.file).string());
      REQUIRE_MESSAGE(scores.is_ok(), scores.status().message());
      if (v == 0) f32.assign(scores->begin(), scores->end());
      answers[v].noise.add(f32, *scores);
      answers[v].labels.push_back(static_cast<int>(top_1(*scores) - network.classes_before_first));
    }
  }
  return answers;
}

TEST_CASE("published ImageNet networks in f16 and int8 answer as in f32") {
  const auto data = shared_data();
  if (!data) return;
  const std::vector<LabelledPhoto> photos = read_labels(*data / "images/imagenet/labels.csv");
  REQUIRE(photos.size() == 150);
  const TemporaryFolder calibration;
  for (std::size_t i = 0; i < photos.size(); i += 3) {
    std::filesystem::create_symlink(
        std::filesystem::absolute(*data) / "images/imagenet" / photos[i].file,
        calibration.path() / photos[i].file);
  }
  for (const ImagenetNetwork& network : kImagenetNetworks) {
    CAPTURE(network.file);
    auto classifiers = PhotoClassifier::create_all(
        (*data / "models" / network.file).string(), network.adjust,
        {.f16 = true, .int8 = true, .calibration_folder = calibration.path().string()});
    REQUIRE_MESSAGE(classifiers.is_ok(), classifiers.status().message());
    const auto answers = answer_all(*classifiers, *data, photos, network);
    const int right = count_right(photos, answers[0].labels);
    const int f16_right = count_right(photos, answers[1].labels);
    const int int8_right = count_right(photos, answers[2].labels);
    const int f16_same = count_same(answers[0].labels, answers[1].labels);
    const int int8_same = count_same(answers[0].labels, answers[2].labels);
    std::printf(
        "%s: f32 %d right; f16 %d, %d as f32; int8 %d, %d as f32 (%d of the 100 photos that "
        "did not calibrate), noise %.5f\n",
        network.file, right, f16_right, f16_same, int8_right, int8_same,
        count_same_unseen(answers[0].labels, answers[2].labels), answers[2].noise.share());
    CHECK(f16_same >= 149);
    CHECK(int8_same >= network.least_as_f32);
    CHECK(int8_right >= right - 2);
    CHECK(answers[2].noise.share() <= network.most_noise);
  }
}

TEST_CASE("TFLite files that were quantized by channel run as int8 with their own scales") {
  const auto data = shared_data();
  if (!data) return;
  const std::vector<LabelledPhoto> photos = read_labels(*data / "images/imagenet/labels.csv");
  for (const ImagenetNetwork& network : std::span(kImagenetNetworks).first(2)) {
    CAPTURE(network.file);
    auto classifiers = PhotoClassifier::create_all((*data / "models" / network.file).string(),
                                                   network.adjust, {.int8 = true});
    REQUIRE_MESSAGE(classifiers.is_ok(), classifiers.status().message());
    const auto answers = answer_all(*classifiers, *data, photos, network);
    const int right = count_right(photos, answers[0].labels);
    const int int8_right = count_right(photos, answers[1].labels);
    const int same = count_same(answers[0].labels, answers[1].labels);
    std::printf("%s with its own scales: f32 %d right, int8 %d, %d as f32\n", network.file, right,
                int8_right, same);
    CHECK(int8_right >= right - 2);
    CHECK(same >= network.least_with_own_scales);
  }
}

// The least number right of n photos that agrees with a stated accuracy: 1.96 standard deviations
// of a binomial below it, which a network of that accuracy undercuts in one sample of 40.
int least_right(double accuracy, int photos) {
  const double deviation = std::sqrt(accuracy * (1 - accuracy) * photos);
  return static_cast<int>(std::ceil(accuracy * photos - 1.96 * deviation));
}

struct FolderNetwork {
  const char* file;
  const char* folder;                // one folder of photos a class below it
  std::vector<const char*> classes;  // in the order of the network's scores
  void (*adjust)(Graph&);
  double stated_accuracy;
};

// Answers for every photo of every class; prints and checks the share that is right.
void check_folder_network(const std::filesystem::path& data, const FolderNetwork& network) {
  auto classifier =
      PhotoClassifier::create((data / "models" / network.file).string(), network.adjust);
  REQUIRE_MESSAGE(classifier.is_ok(), classifier.status().message());
  int photos = 0;
  int right = 0;
  for (std::size_t label = 0; label < network.classes.size(); ++label) {
    const auto folder = data / "images" / network.folder / network.classes[label];
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const auto scores = classifier->classify_file(entry.path().string());
      REQUIRE_MESSAGE(scores.is_ok(), entry.path().string(), ": ", scores.status().message());
      REQUIRE(scores->size() == network.classes.size());
      ++photos;
      right += top_1(*scores) == label ? 1 : 0;
    }
  }
  REQUIRE(photos > 0);
  const int least = least_right(network.stated_accuracy, photos);
  std::printf("%s: %d of %d right (%.1f %%), stated %.1f %%, at least %d asked\n", network.file,
              right, photos, 100.0 * right / photos, 100 * network.stated_accuracy, least);
  CHECK(right >= least);
}

TEST_CASE("VGG-6 in int8, calibrated on some of the photos, answers as in f32") {
  const auto data = shared_data();
  if (!data) return;
  const TemporaryFolder calibration;
  std::vector<std::string> photos;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(*data / "images/cifar10")) {
    if (entry.path().extension() == ".jpg") photos.push_back(absolute(entry.path()).string());
  }
  std::ranges::sort(photos);
  REQUIRE(photos.size() == 100);
  for (std::size_t i = 0; i < photos.size(); i += 3) {
    std::filesystem::create_symlink(photos[i], calibration.path() / (std::to_string(i) + ".jpg"));
  }
  auto classifiers = PhotoClassifier::create_all(
      (*data / "models/vgg6_cifar10.onnx").string(),
      [](Graph& graph) {
        graph.preprocessing.mean = {0.4914F * 255, 0.4822F * 255, 0.4465F * 255};
        graph.preprocessing.deviation = {0.2023F * 255, 0.1994F * 255, 0.2010F * 255};
      },
      {.int8 = true, .calibration_folder = calibration.path().string()});
  REQUIRE_MESSAGE(classifiers.is_ok(), classifiers.status().message());
  int same = 0;
  ScoreNoise noise;
  for (const std::string& photo : photos) {
    const auto f32 = (*classifiers)[0].classify_file(photo);
    const auto int8 = (*classifiers)[1].classify_file(photo);
    REQUIRE(f32.is_ok());
    REQUIRE(int8.is_ok());
    same += top_1(*f32) == top_1(*int8) ? 1 : 0;
    noise.add(*f32, *int8);
  }
  std::printf("vgg6_cifar10.onnx: int8 gives the answer of f32 on %d of 100, noise %.5f\n", same,
              noise.share());
  CHECK(same >= 97);
  CHECK(noise.share() <= 0.0007);
}

TEST_CASE("VGG-6 is as good on CIFAR-10 as stated") {
  const auto data = shared_data();
  if (!data) return;
  check_folder_network(
      *data,
      {"vgg6_cifar10.onnx",
       "cifar10",
       {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
       [](Graph& graph) {
         graph.preprocessing.mean = {0.4914F * 255, 0.4822F * 255, 0.4465F * 255};
         graph.preprocessing.deviation = {0.2023F * 255, 0.1994F * 255, 0.2010F * 255};
       },
       0.767});
}

TEST_CASE("a Teachable Machine network is as good on TrashNet as stated") {
  const auto data = shared_data();
  if (!data) return;
  check_folder_network(*data, {"trash6_teachable_machine.tflite",
                               "trashnet",
                               {"glass", "metal", "paper", "plastic", "trash", "cardboard"},
                               [](Graph& graph) {
                                 graph.preprocessing.mean.assign(3, 127.5F);
                                 graph.preprocessing.deviation.assign(3, 127.5F);
                               },
                               0.846});
}

}  // namespace
}  // namespace cleave::test
