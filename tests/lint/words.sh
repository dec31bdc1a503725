#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# No unfinished marks, no path of one person's machine.
set -euo pipefail
source tests/lint/common.sh

# find_words PATTERN WHAT: this file is left out, as it has to name them.
find_words() {
  local hit
  while read -r hit; do
    complain "$hit: $2"
  done < <(project_files | grep -vE '^tests/lint/words\.sh$|/corpus/|/golden/|^LICENSE$' |
    xargs grep -InE "$1" | cut -c1-160 || true)
}
find_words '\b(TODO|FIXME|XXX|HACK)\b' 'finish it, or leave it out'
find_words '@[A-Z]+@' 'a place to be filled'
find_words '(^|[^A-Za-z0-9_.])/(home|root|work|Users)/[a-z]' 'a path of one machine'
finish
