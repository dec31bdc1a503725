# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the rules: the files that belong to the project, and one way to complain.

failures=0
complain() {
  printf '%s\n' "$*" >&2
  failures=$((failures + 1))
}
finish() {
  if [ "$failures" -ne 0 ]; then
    printf '%d findings\n' "$failures" >&2
    exit 1
  fi
}

# Tracked files below the given paths, or all; outside a checkout, what find sees.
project_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -- "$@"
  else
    find "${@:-.}" -type f -not -path './build/*' | sed 's,^\./,,'
  fi
}
