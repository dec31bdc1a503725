#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every C++ file is as clang-format leaves it.
set -euo pipefail
source tests/lint/common.sh
# 77 is ctest's "skipped" here (CMakeLists.txt).
command -v clang-format >/dev/null || { echo "skipped: no clang-format"; exit 77; }
# Many files a process: starting it is what takes the time.
is_clean=yes
said=$(cpp_files | xargs -P "$(nproc)" -n 50 clang-format --dry-run --Werror 2>&1) || is_clean=no
while read -r file; do
  complain "$file: run clang-format -i on it"
done < <(sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: .*-Wclang-format-violations.*/\1/p' <<<"$said" | sort -u)
# What several processes say may be mixed up; that they were not content is certain.
[ "$is_clean" = yes ] || [ "$failures" -gt 0 ] || complain "clang-format: $said"
finish
