#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   tests/lint/tidy.sh [FILE.cc...]
#
# clang-tidy as .clang-tidy says: over the files given, by default over the planner and our own
# kernels, whose arithmetic is worth it in every run (an Asio file takes 15 s). Before a change goes
# in: bash tests/lint/tidy.sh $(git diff --name-only main -- '*.cc').
# CLEAVE_BUILD: a configured build folder, default build/release.
set -euo pipefail
source tests/lint/common.sh
command -v clang-tidy >/dev/null || { echo "skipped: no clang-tidy"; exit 77; }
build=${CLEAVE_BUILD:-build/release}
[ -f "$build/compile_commands.json" ] || { echo "skipped: $build is not configured"; exit 77; }

if [ "$#" -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(project_files planner engine/kernels | grep '\.cc$' | grep -v '_neon\.cc$')
fi
[ "${#files[@]}" -gt 0 ] || complain "no files to look at"
# GCC's own warning options are not clang's.
printf '%s\n' "${files[@]}" |
  xargs -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
    2>/dev/null || complain "clang-tidy: see above"
finish
