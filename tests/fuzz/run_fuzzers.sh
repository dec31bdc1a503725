#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/fuzz/run_fuzzers.sh SECONDS [FUZZER...]
#
# Builds the fuzz preset and runs each fuzzer (or those named) for SECONDS, one on each CPU, from the
# committed seeds and what earlier runs found. Ends with 1 and the input's path after a finding, 2 for
# usage.
# CLEAVE_FUZZ_BUILD: build folder, default build/fuzz.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ $# -lt 1 || ! $1 =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: tests/fuzz/run_fuzzers.sh SECONDS [FUZZER...]" >&2
  exit 2
fi
seconds=$1
shift
build=${CLEAVE_FUZZ_BUILD:-build/fuzz}

cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --target cleave_fuzzers -j "$(nproc)"
mapfile -t fuzzers <"$build/fuzzers.txt"
if [[ $# -gt 0 ]]; then fuzzers=("$@"); fi

# run_one FUZZER: 1 at a finding.
run_one() {
  local fuzzer=$1 grown="$build/corpus/$1" log="$build/$1.log" runs edges
  mkdir -p "$grown" "$build/findings"
  # A timeout or 2 GiB of memory is a finding as much as a crash is.
  if ! "$build/bin/$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$build/findings/$fuzzer-" \
    "$grown" "tests/fuzz/corpus/$fuzzer" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "$fuzzer: finding; the input is in $build/findings, the log is $log" >&2
    return 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  echo "$fuzzer: $runs runs in $seconds s, $edges edges, no finding"
}
export -f run_one
export build seconds

# As many at once as there are CPUs; xargs ends with an error when one of them did.
printf '%s\n' "${fuzzers[@]}" |
  xargs -P "$(nproc)" -I FUZZER bash -c 'run_one FUZZER' ||
  exit 1
