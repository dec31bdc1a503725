// SPDX-License-Identifier: Apache-2.0
//
// The few functions of ONNX Runtime's C interface that tests call. The package ships no header.
// Version 1 of the interface is a table of function pointers whose order never changes; a function
// is named here by its place in that table.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::test {

// Handles that only the library looks into.
struct OrtStatusHandle;
struct OrtEnvHandle;
struct OrtSessionHandle;
struct OrtOptionsHandle;
struct OrtValueHandle;
struct OrtMemoryHandle;
struct OrtShapeHandle;

using OrtTable = void* const*;

// What OrtGetApiBase() returns.
struct OrtBase {
  OrtTable (*table_of_version)(std::uint32_t);
  const char* (*version_text)();
};

inline constexpr std::uint32_t kOrtApiVersion = 1;

// Values of the interface's enumerations.
inline constexpr int kOrtLogError = 3;
inline constexpr int kOrtNoOptimization = 0;
inline constexpr int kOrtAllOptimizations = 99;
inline constexpr int kOrtArenaAllocator = 1;
inline constexpr int kOrtDefaultMemory = 0;
inline constexpr int kOrtFloat = 1;

// A function that returns nullptr, or a status to be released.
template <std::size_t Place, typename... Arguments>
struct OrtCall {
  static OrtStatusHandle* call(OrtTable table, Arguments... arguments) {
    return reinterpret_cast<OrtStatusHandle* (*)(Arguments...)>(table[Place])(arguments...);
  }
};
template <std::size_t Place, typename Handle>
struct OrtRelease {
  static void call(OrtTable table, Handle* handle) {
    reinterpret_cast<void (*)(Handle*)>(table[Place])(handle);
  }
};

struct OrtErrorMessage {
  static const char* call(OrtTable table, const OrtStatusHandle* status) {
    return reinterpret_cast<const char* (*)(const OrtStatusHandle*)>(table[2])(status);
  }
};

using OrtCreateEnv = OrtCall<3, int, const char*, OrtEnvHandle**>;
using OrtCreateSession =
    OrtCall<7, const OrtEnvHandle*, const char*, const OrtOptionsHandle*, OrtSessionHandle**>;
using OrtCreateSessionFromArray = OrtCall<8, const OrtEnvHandle*, const void*, std::size_t,
                                          const OrtOptionsHandle*, OrtSessionHandle**>;
using OrtRun =
    OrtCall<9, OrtSessionHandle*, const void*, const char* const*, const OrtValueHandle* const*,
            std::size_t, const char* const*, std::size_t, OrtValueHandle**>;
using OrtCreateOptions = OrtCall<10, OrtOptionsHandle**>;
using OrtSetOptimization = OrtCall<23, OrtOptionsHandle*, int>;
using OrtSetThreads = OrtCall<24, OrtOptionsHandle*, int>;
using OrtCreateTensor = OrtCall<49, const OrtMemoryHandle*, void*, std::size_t, const std::int64_t*,
                                std::size_t, int, OrtValueHandle**>;
using OrtTensorData = OrtCall<51, OrtValueHandle*, void**>;
using OrtElementType = OrtCall<60, const OrtShapeHandle*, int*>;
using OrtDimensionCount = OrtCall<61, const OrtShapeHandle*, std::size_t*>;
using OrtDimensions = OrtCall<62, const OrtShapeHandle*, std::int64_t*, std::size_t>;
using OrtElementCount = OrtCall<64, const OrtShapeHandle*, std::size_t*>;
using OrtShapeOf = OrtCall<65, const OrtValueHandle*, OrtShapeHandle**>;
using OrtCpuMemory = OrtCall<69, int, int, OrtMemoryHandle**>;

using OrtReleaseEnv = OrtRelease<92, OrtEnvHandle>;
using OrtReleaseStatus = OrtRelease<93, OrtStatusHandle>;
using OrtReleaseMemory = OrtRelease<94, OrtMemoryHandle>;
using OrtReleaseSession = OrtRelease<95, OrtSessionHandle>;
using OrtReleaseValue = OrtRelease<96, OrtValueHandle>;
using OrtReleaseShape = OrtRelease<99, OrtShapeHandle>;
using OrtReleaseOptions = OrtRelease<100, OrtOptionsHandle>;

}  // namespace cleave::test
