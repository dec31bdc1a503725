#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every C++ file is as clang-format leaves it.
set -euo pipefail
source tests/lint/common.sh
# 77 is ctest's "skipped" here (CMakeLists.txt).
command -v clang-format >/dev/null || { echo "skipped: no clang-format"; exit 77; }
while read -r file; do
  clang-format --dry-run --Werror "$file" >/dev/null 2>&1 ||
    complain "$file: run clang-format -i on it"
done < <(cpp_files)
finish
