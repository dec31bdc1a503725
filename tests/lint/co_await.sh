#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One co_await a statement, however many lines it has: GCC 12 runs both sides of && and ||, and mixes
# up the temporaries of two. Comments, strings and characters are no code.
set -euo pipefail
source tests/lint/common.sh

while read -r finding; do
  complain "$finding: one co_await a statement"
done < <(cpp_files | tr '\n' '\0' | xargs -0 awk '
  # The line without comments and literals; `inside` tells what goes on in the next one.
  function code_of(line,    out, i, c, two) {
    out = ""
    for (i = 1; i <= length(line); ++i) {
      c = substr(line, i, 1)
      two = substr(line, i, 2)
      if (inside == "comment") {
        if (two == "*/") { inside = ""; ++i }
      } else if (inside != "") {
        if (c == "\\") ++i
        else if (c == inside) inside = ""
      } else if (two == "//") {
        break
      } else if (two == "/*") {
        inside = "comment"; ++i
      } else if (c == "\"" || (c == quote && out !~ /[A-Za-z0-9]$/)) {  # else it parts digits
        inside = c
      } else {
        out = out c
      }
    }
    if (inside != "comment") inside = ""
    return out
  }
  BEGIN { quote = sprintf("%c", 39) }
  FNR == 1 { inside = ""; seen = 0 }
  {
    code = code_of($0)
    while (match(code, /(^|[^A-Za-z0-9_])co_await($|[^A-Za-z0-9_])|[;{}]/)) {
      token = substr(code, RSTART, RLENGTH)
      code = substr(code, RSTART + RLENGTH)
      if (token ~ /co_await/) {
        if (++seen == 2) print FILENAME ":" FNR
        if (token ~ /[;{}]$/) seen = 0
      } else {
        seen = 0
      }
    }
  }')
finish
