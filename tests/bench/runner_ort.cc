// SPDX-License-Identifier: Apache-2.0
//
// Contender: ONNX Runtime, its C library loaded from $CLEAVE_ORT_LIBRARY. All of its graph
// optimizations are on; it keeps its own choice of everything else.
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/runner_channel.h"
#include "tests/support/ort_api.h"

namespace {

using namespace cleave::bench;
using namespace cleave::test;

OrtTable table = nullptr;

void require(OrtStatusHandle* status) {
  if (status != nullptr) fail(OrtErrorMessage::call(table, status));
}

// The library's version.
std::string load_library() {
  const char* path = std::getenv("CLEAVE_ORT_LIBRARY");
  if (path == nullptr) fail("CLEAVE_ORT_LIBRARY is not set");
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail(dlerror());
  using GetBase = const OrtBase* (*)();
  const auto get_base = reinterpret_cast<GetBase>(dlsym(library, "OrtGetApiBase"));
  const OrtBase* base = get_base != nullptr ? get_base() : nullptr;
  table = base != nullptr ? base->table_of_version(kOrtApiVersion) : nullptr;
  if (table == nullptr) fail(std::string(path) + " is not ONNX Runtime");
  return base->version_text();
}

OrtSessionHandle* open_session(const RunnerArguments& arguments) {
  OrtEnvHandle* env = nullptr;
  require(OrtCreateEnv::call(table, kOrtLogError, "bench", &env));
  OrtOptionsHandle* options = nullptr;
  require(OrtCreateOptions::call(table, &options));
  require(OrtSetOptimization::call(table, options, kOrtAllOptimizations));
  require(OrtSetThreads::call(table, options, static_cast<int>(arguments.threads)));
  OrtSessionHandle* session = nullptr;
  require(OrtCreateSession::call(table, env, arguments.model.c_str(), options, &session));
  OrtReleaseOptions::call(table, options);
  return session;
}

std::vector<float> to_channels_first(const std::vector<float>& hwc, std::size_t channels) {
  const std::size_t pixels = hwc.size() / channels;
  std::vector<float> chw(hwc.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < pixels; ++p) chw[c * pixels + p] = hwc[p * channels + c];
  }
  return chw;
}

// The input tensor looks at `data`, which holds channels, height, width.
OrtValueHandle* make_input(std::vector<float>& data, const std::vector<std::int64_t>& nchw) {
  OrtMemoryHandle* memory = nullptr;
  require(OrtCpuMemory::call(table, kOrtArenaAllocator, kOrtDefaultMemory, &memory));
  OrtValueHandle* value = nullptr;
  require(OrtCreateTensor::call(table, memory, data.data(), data.size() * sizeof(float),
                                nchw.data(), nchw.size(), kOrtFloat, &value));
  OrtReleaseMemory::call(table, memory);
  return value;
}

std::span<const float> scores_of(OrtValueHandle* value) {
  OrtShapeHandle* shape = nullptr;
  require(OrtShapeOf::call(table, value, &shape));
  int type = 0;
  std::size_t count = 0;
  require(OrtElementType::call(table, shape, &type));
  require(OrtElementCount::call(table, shape, &count));
  OrtReleaseShape::call(table, shape);
  if (type != kOrtFloat) fail("the scores are not floats");
  void* data = nullptr;
  require(OrtTensorData::call(table, value, &data));
  return {static_cast<const float*>(data), count};
}

}  // namespace

// More arguments: the names of input and output, and the input's height, width and channels.
int main(int argc, char** argv) {
  const RunnerArguments arguments = begin(argc, argv, 5);
  const std::string version = load_library();
  OrtSessionHandle* session = open_session(arguments);
  const std::size_t height = std::stoul(arguments.more[2]);
  const std::size_t width = std::stoul(arguments.more[3]);
  const std::size_t channels = std::stoul(arguments.more[4]);
  std::vector<float> data =
      to_channels_first(read_floats(arguments.input, height * width * channels), channels);
  const OrtValueHandle* input =
      make_input(data, {1, static_cast<std::int64_t>(channels), static_cast<std::int64_t>(height),
                        static_cast<std::int64_t>(width)});
  const char* input_name = arguments.more[0].c_str();
  const char* output_name = arguments.more[1].c_str();
  OrtValueHandle* output = nullptr;
  return serve("ONNX Runtime " + version, [&] {
    if (output != nullptr) OrtReleaseValue::call(table, output);
    output = nullptr;
    require(
        OrtRun::call(table, session, nullptr, &input_name, &input, 1, &output_name, 1, &output));
    return scores_of(output);
  });
}
