#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every file names its licence, headers have an include guard, and no file outgrows its room.
set -euo pipefail
source tests/lint/common.sh

readonly LARGEST_LINES=500

while read -r file; do
  case "$file" in
    LICENSE | .gitignore | tests/golden/* | tests/fuzz/corpus/* | *.json | *.png | *.jpg | *.bin | \
      */golden/*) continue ;;
  esac
  head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
    complain "$file: no SPDX line in its first three lines"
  case "$file" in
    *.h) grep -q '^#pragma once' "$file" || complain "$file: no #pragma once" ;;
  esac
  case "$file" in
    *.cc | *.h | *.sh | *.cmake | *.mjs)
      lines=$(wc -l <"$file")
      [ "$lines" -le "$LARGEST_LINES" ] || complain "$file: $lines lines, at most $LARGEST_LINES"
      ;;
  esac
done < <(project_files)
finish
