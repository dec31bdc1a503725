#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every file names its licence, headers have an include guard, and no file outgrows its room.
set -euo pipefail
source tests/lint/common.sh

readonly LARGEST_LINES=500

files=()
while read -r file; do
  [ ! -d "$file" ] || continue  # a link to one
  if [ -r "$file" ]; then files+=("$file"); else complain "$file: it cannot be read"; fi
done < <(project_files |
  grep -vE '^(LICENSE|\.gitignore)$|(^|/)golden/|^tests/fuzz/corpus/|\.(json|png|jpg|bin)$')
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.(cc|h|sh|cmake|mjs)$')
mapfile -t headers < <(printf '%s\n' "${files[@]}" | grep -E '\.h$')

# complain_of WHAT: once for each file that standard input names.
complain_of() {
  local file
  while read -r file; do complain "$file: $1"; done
}

complain_of 'no SPDX line in its first three lines' < <(awk '
  FNR > 3 { nextfile }
  /SPDX-License-Identifier: Apache-2\.0/ { seen[FILENAME] = 1 }
  END { for (i = 1; i < ARGC; ++i) if (!(ARGV[i] in seen)) print ARGV[i] }' "${files[@]}")
complain_of 'no #pragma once' < <(grep -L '^#pragma once' "${headers[@]}")
complain_of "more than $LARGEST_LINES lines" < <(awk -v most="$LARGEST_LINES" '
  FNR == most + 1 { print FILENAME }' "${sources[@]}")
finish
