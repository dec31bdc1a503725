#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sets up, builds and runs every test. Ends with the summary of the main suite.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: bash tests/run.sh [--quick | --slow] [--jobs N]

Installs what is missing, builds, and runs the tests in tiers:
  asan      unit and short integration tests under AddressSanitizer and UBSan
  tsan      what has threads, under ThreadSanitizer: the server over plain TCP, pools, executors
            made at the same time, the agent's look-up of names and compute thread, agent and server
            through a few faults; not TLS
  qemu      kernels, operators and planner as aarch64 code under qemu-aarch64
  fuzz      each parser for 20 seconds
  soak      five minutes, at low priority beside the tiers above
  release   everything but `slow`

  --quick   only the release tier's unit tests
  --slow    also the slow tests and an hour of fuzzing for each parser
  --jobs N  parallel compile jobs and tests (default: all cores)
TEXT
}

mode=full
jobs=$(nproc)
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) mode=quick ;;
    --slow) mode=slow ;;
    --jobs)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      jobs=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

stage_times=()
stage() {
  local name=$1 start=$SECONDS
  shift
  echo "=== $name"
  if ! "$@"; then
    echo "=== $name FAILED after $((SECONDS - start)) s" >&2
    exit 1
  fi
  stage_times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
  echo "=== $name: $((SECONDS - start)) s"
}

# Warnings are errors in the builds that ship. The sanitizers' instrumentation makes GCC 12 warn of
# faults that are not there (mismatched delete of coroutine frames).
build() {
  local preset=$1 werror=OFF
  shift
  case "$preset" in release | aarch64) werror=ON ;; esac
  cmake --preset "$preset" -DCLEAVE_WERROR=$werror >"build/$preset.configure.log" 2>&1 ||
    { cat "build/$preset.configure.log" >&2; return 1; }
  cmake --build --preset "$preset" --parallel "$jobs" "$@"
}

tests() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
}

# What passing tests had to say: counts, figures, and what they skipped and why.
show_findings() {
  awk '
    /^[0-9]+\/[0-9]+ Test: / { name = $3; next }
    /^(\[doctest\]|=====|-----|Command: |Directory: |Output:|<end of output>|Test time|Test timing)/ { next }
    /^[0-9]+\/[0-9]+ Testing: / || /^[a-z0-9]+ = +[0-9.]+ sec\*proc/ { next }
    /^(Test Passed\.|Test Failed\.|Start testing|End testing|".*" (start time|end time|time elapsed))/ { next }
    NF == 0 { next }
    name != shown { print "--- " name; shown = name }
    { print }
  ' "build/$1/Testing/Temporary/LastTest.log"
}

# Five minutes beside stages that measure no time: at low priority, and agents on slow links, so that
# all of it takes a third of a processor at most. A session of its own can be ended whole. One that
# hangs is ended after three times as long as it has.
soak_log=build/soak.log
soak_pid=
start_soak() {
  setsid timeout -k 30 900 nice -n 10 \
    bash tests/hil/soak --minutes 5 --uplink 2mbit >"$soak_log" 2>&1 &
  soak_pid=$!
}

end_soak() {
  local result=0
  wait "$soak_pid" || result=$?
  soak_pid=
  cat "$soak_log"
  return "$result"
}

# Servers and agents may take some seconds to end in order; who is still there then does not.
end_session() {
  local session=$1 latest=$((SECONDS + 20))
  kill -- "-$session" 2>/dev/null || true
  while kill -0 -- "-$session" 2>/dev/null && [ "$SECONDS" -lt "$latest" ]; do
    sleep 0.2
  done
  kill -KILL -- "-$session" 2>/dev/null || true
  wait "$session" 2>/dev/null || true
}

leave() {
  [ -n "$soak_pid" ] || return 0
  echo "=== the soak was still on and is ended; its log: $soak_log" >&2
  end_session "$soak_pid"
}
trap leave EXIT

# The main suite last. Its summary is printed again below what the tests found and the times.
release_tests() {
  local log=build/release-tests.log result=0
  tests release "$@" 2>&1 | tee "$log" || result=$?
  echo "=== what the tests found"
  show_findings release
  return "$result"
}

finish() {
  echo "=== time of each stage"
  printf '%s\n' "${stage_times[@]}"
  printf '%5d s  all of it\n' "$SECONDS"
  sed -n '/tests passed/,$p' build/release-tests.log
}

mkdir -p build
export CLEAVE_REQUIRE_ORT=1 CLEAVE_REQUIRE_TFJS=1 CLEAVE_REQUIRE_AARCH64=1 CLEAVE_REQUIRE_CORTEX_M4=1

if [ "$mode" = quick ]; then
  stage "setup" bash toolchains/setup.sh --tests --jobs "$jobs"
  stage "build release" build release
  stage "release tests" release_tests -L unit
  finish
  exit 0
fi

stage "setup" bash toolchains/setup.sh --tests --tsan --cross --jobs "$jobs"
stage "fetch peers" bash tests/support/fetch_peers.sh
stage "build release" build release
start_soak
stage "build aarch64" build aarch64 --target cleave-agent cleave_qemu_tests
stage "qemu tests" tests aarch64 -L qemu
# The fuzzers' build has the same sanitizers: one build serves both tiers.
stage "build fuzz" build fuzz --target cleave-agent cleave-server cleave-import cleave_asan_tests
stage "asan tests" tests fuzz -L asan -LE slow
stage "build tsan" build tsan --target cleave_tsan_tests
stage "tsan tests" tests tsan -L tsan -LE slow
stage "fuzz" bash tests/fuzz/run_fuzzers.sh "$([ "$mode" = slow ] && echo 3600 || echo 20)"
stage "soak" end_soak
if [ "$mode" = slow ]; then
  stage "slow tests" tests release -L slow
fi
stage "release tests" release_tests -LE slow
finish
