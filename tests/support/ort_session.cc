// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ort_session.h"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/support/ort_api.h"

namespace cleave::test {
namespace {

struct Library {
  OrtTable table = nullptr;
  OrtEnvHandle* env = nullptr;
  std::string version;
  std::string error;
};

// Releases a handle of the library when it goes out of scope.
template <typename Handle, typename Release>
class Owned {
 public:
  explicit Owned(OrtTable table) : table_(table) {}
  ~Owned() {
    if (handle_ != nullptr) Release::call(table_, handle_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle** out() { return &handle_; }
  Handle* get() const { return handle_; }

 private:
  OrtTable table_;
  Handle* handle_ = nullptr;
};

Status to_status(OrtTable table, OrtStatusHandle* status) {
  if (status == nullptr) return Status::ok();
  Status result(StatusCode::kInternal,
                std::string("ONNX Runtime: ") + OrtErrorMessage::call(table, status));
  OrtReleaseStatus::call(table, status);
  return result;
}

Library load_library() {
  Library library;
  const char* path = std::getenv("CLEAVE_ORT_LIBRARY");
  if (path == nullptr) {
    library.error = "CLEAVE_ORT_LIBRARY is not set";
    return library;
  }
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    library.error = std::string("no ONNX Runtime (") + dlerror() + "): run " +
                    "bash tests/support/fetch_ort.sh";
    return library;
  }
  using GetBase = const OrtBase* (*)();
  const auto get_base = reinterpret_cast<GetBase>(dlsym(handle, "OrtGetApiBase"));
  const OrtBase* base = get_base != nullptr ? get_base() : nullptr;
  OrtTable table = base != nullptr ? base->table_of_version(kOrtApiVersion) : nullptr;
  if (table == nullptr) {
    library.error = std::string(path) + " is not ONNX Runtime";
    return library;
  }
  library.version = base->version_text();
  const Status status =
      to_status(table, OrtCreateEnv::call(table, kOrtLogError, "cleave-tests", &library.env));
  library.error = status.message();
  if (status.is_ok()) library.table = table;
  return library;
}

// Never unloaded: its threads may outlive any static of ours.
const Library& library() {
  static const Library* const loaded = new Library(load_library());
  return *loaded;
}

Result<OrtTensor> read_tensor(OrtTable table, OrtValueHandle* value) {
  Owned<OrtShapeHandle, OrtReleaseShape> shape(table);
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtShapeOf::call(table, value, shape.out())));
  int type = 0;
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtElementType::call(table, shape.get(), &type)));
  if (type != kOrtFloat) return Status(StatusCode::kUnsupported, "an output not of floats");
  std::size_t rank = 0, count = 0;
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtDimensionCount::call(table, shape.get(), &rank)));
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtElementCount::call(table, shape.get(), &count)));
  OrtTensor tensor;
  tensor.dims.resize(rank);
  CLEAVE_RETURN_IF_ERROR(
      to_status(table, OrtDimensions::call(table, shape.get(), tensor.dims.data(), rank)));
  void* data = nullptr;
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtTensorData::call(table, value, &data)));
  tensor.data.resize(count);
  if (count > 0) std::memcpy(tensor.data.data(), data, count * sizeof(float));
  return tensor;
}

}  // namespace

bool have_onnx_runtime() {
  if (library().table != nullptr) return true;
  const char* required = std::getenv("CLEAVE_REQUIRE_ORT");
  if (required != nullptr && std::strcmp(required, "1") == 0) FAIL(library().error);
  std::printf("skipped: %s\n", library().error.c_str());
  return false;
}

std::string onnx_runtime_version() { return library().version; }

struct OrtSession::Handles {
  explicit Handles(OrtTable api) : table(api), session(api), memory(api) {}
  OrtTable table;
  Owned<OrtSessionHandle, OrtReleaseSession> session;
  Owned<OrtMemoryHandle, OrtReleaseMemory> memory;
};

OrtSession::~OrtSession() = default;

Result<std::unique_ptr<OrtSession>> OrtSession::create(std::span<const std::byte> model) {
  OrtTable table = library().table;
  if (table == nullptr) return Status(StatusCode::kUnavailable, library().error);
  std::unique_ptr<OrtSession> result(new OrtSession);
  result->handles_ = std::make_unique<Handles>(table);
  Handles& handles = *result->handles_;
  Owned<OrtOptionsHandle, OrtReleaseOptions> options(table);
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtCreateOptions::call(table, options.out())));
  CLEAVE_RETURN_IF_ERROR(
      to_status(table, OrtSetOptimization::call(table, options.get(), kOrtNoOptimization)));
  CLEAVE_RETURN_IF_ERROR(to_status(table, OrtSetThreads::call(table, options.get(), 1)));
  CLEAVE_RETURN_IF_ERROR(to_status(
      table, OrtCreateSessionFromArray::call(table, library().env, model.data(), model.size(),
                                             options.get(), handles.session.out())));
  CLEAVE_RETURN_IF_ERROR(to_status(
      table,
      OrtCpuMemory::call(table, kOrtArenaAllocator, kOrtDefaultMemory, handles.memory.out())));
  return result;
}

Result<std::map<std::string, OrtTensor>> OrtSession::run(
    const std::string& input_name, const OrtTensor& input,
    const std::vector<std::string>& output_names) {
  OrtTable table = handles_->table;
  std::vector<float> data = input.data;  // the library asks for memory it may write
  Owned<OrtValueHandle, OrtReleaseValue> value(table);
  CLEAVE_RETURN_IF_ERROR(to_status(
      table,
      OrtCreateTensor::call(table, handles_->memory.get(), data.data(), data.size() * sizeof(float),
                            input.dims.data(), input.dims.size(), kOrtFloat, value.out())));
  const char* const input_names[] = {input_name.c_str()};
  const OrtValueHandle* const inputs[] = {value.get()};
  std::vector<const char*> names;
  for (const std::string& name : output_names) names.push_back(name.c_str());
  std::vector<OrtValueHandle*> values(names.size(), nullptr);
  CLEAVE_RETURN_IF_ERROR(
      to_status(table, OrtRun::call(table, handles_->session.get(), nullptr, input_names, inputs, 1,
                                    names.data(), names.size(), values.data())));
  std::map<std::string, OrtTensor> outputs;
  Status status;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Result<OrtTensor> tensor = read_tensor(table, values[i]);
    OrtReleaseValue::call(table, values[i]);
    if (tensor.is_ok()) {
      outputs[output_names[i]] = std::move(tensor).value();
    } else {
      status = tensor.status();
    }
  }
  if (!status.is_ok()) return status;
  return outputs;
}

}  // namespace cleave::test
