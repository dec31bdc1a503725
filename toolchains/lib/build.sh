# SPDX-License-Identifier: Apache-2.0
# Builds XNNPACK, pthreadpool and cpuinfo as static libraries. This file is part of the key of
# what it builds (libraries.sh): a change here means that everything is built anew.

# Every product of a float multiplication is rounded before it is added, on every target.
readonly LIBRARY_FLAGS="-ffp-contract=off -fPIC"

# run_logged LOG COMMAND...: output to LOG; to the terminal as well when there is one.
run_logged() {
  local log="$1"
  shift
  if [ -t 1 ]; then
    "$@" 2>&1 | tee -a "$log" | awk '{ printf "\r\033[K%.100s", $0; fflush() } END { printf "\r\033[K" }'
  else
    "$@" >>"$log" 2>&1
  fi
}

# Configures, builds and installs one CMake project.
cmake_project() {
  local log="$1" source="$2" build="$3" stage_dir="$4"
  shift 4
  run_logged "$log" cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$stage_dir" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5 "$@" &&
    run_logged "$log" cmake --build "$build" --parallel "$JOBS" &&
    run_logged "$log" cmake --install "$build"
}

compiler_options() {
  case "$1" in
    aarch64)
      printf '%s\n' -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ ;;
    *) printf '%s\n' -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ ;;
  esac
}

# XNNPACK with its pthreadpool and cpuinfo. Only production kernels; it picks among them by
# the CPU it runs on, so nothing of the build machine's CPU gets in. KleidiAI would be fetched
# from the network, and SME needs a newer compiler.
build_xnnpack() {
  local target="$1" stage_dir="$2" log="$3" options
  mapfile -t options < <(compiler_options "$target")
  cmake_project "$log" "$XNNPACK_SOURCE" "$WORK/build-$target" "$stage_dir" "${options[@]}" \
    -DCMAKE_C_FLAGS="$LIBRARY_FLAGS" -DCMAKE_CXX_FLAGS="$LIBRARY_FLAGS" \
    -DXNNPACK_LIBRARY_TYPE=static -DPTHREADPOOL_LIBRARY_TYPE=static -DCPUINFO_LIBRARY_TYPE=static \
    -DXNNPACK_BUILD_TESTS=OFF -DXNNPACK_BUILD_BENCHMARKS=OFF -DXNNPACK_BUILD_ALL_MICROKERNELS=OFF \
    -DXNNPACK_ENABLE_KLEIDIAI=OFF -DXNNPACK_ENABLE_ARM_SME=OFF -DXNNPACK_ENABLE_ARM_SME2=OFF \
    -DCPUINFO_BUILD_PKG_CONFIG=OFF -DCPUINFO_LOG_LEVEL=none \
    -DCPUINFO_SOURCE_DIR="$CPUINFO_SOURCE" -DPTHREADPOOL_SOURCE_DIR="$PTHREADPOOL_SOURCE" \
    -DFXDIV_SOURCE_DIR="$FXDIV_SOURCE"
}

# The native libraries with an instrumented pthreadpool: uninstrumented, its hand-over of work
# looks like a race.
build_tsan() {
  local stage_dir="$2" log="$3" native
  native="$(library_prefix native)"
  cp -r -- "$native/." "$stage_dir" &&
    cmake_project "$log" "$PTHREADPOOL_SOURCE" "$WORK/build-native-tsan" "$stage_dir" \
      -DCMAKE_C_COMPILER=gcc -DCMAKE_C_FLAGS="$LIBRARY_FLAGS -g -fsanitize=thread" \
      -DPTHREADPOOL_LIBRARY_TYPE=static -DPTHREADPOOL_ALLOW_DEPRECATED_API=OFF \
      -DPTHREADPOOL_BUILD_TESTS=OFF -DPTHREADPOOL_BUILD_BENCHMARKS=OFF -DFXDIV_SOURCE_DIR="$FXDIV_SOURCE"
}

copy_licences() {
  local tree
  mkdir -p "$1/share/licenses"
  for tree in "$XNNPACK_SOURCE" "$PTHREADPOOL_SOURCE" "$CPUINFO_SOURCE" "$FXDIV_SOURCE"; do
    cp -- "$tree/LICENSE" "$1/share/licenses/$(basename "$tree").txt"
  done
}

# build_library TARGET STAGE_DIR: the whole prefix of TARGET, in STAGE_DIR.
build_library() {
  local target="$1" stage_dir="$2" log="$CACHE/logs/$1.log" builder=build_xnnpack
  [ "$target" != native-tsan ] || builder=build_tsan
  mkdir -p "$stage_dir"
  : >"$log"
  "$builder" "$target" "$stage_dir" "$log" || {
    grep -E 'error|Error|FAILED' "$log" | head -n 5 >&2
    die "building the $target libraries failed: see $log"
  }
  rm -rf -- "$stage_dir/share" # CMake files that name this temporary place
  copy_licences "$stage_dir"
  rm -rf -- "$WORK/build-$target"
}
