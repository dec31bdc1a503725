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

# Tracked files below the given paths, or all; where nothing is tracked, what find sees.
project_files() {
  if [ "$in_checkout" = yes ]; then
    git ls-files -- "$@"
  else
    find "${@:-.}" -type f -not -path './build/*' -not -path './.git/*' | sed 's,^\./,,'
  fi
}
cpp_files() { project_files "$@" | grep -E '\.(cc|h)$'; }

in_checkout=no
[ -z "$(git ls-files 2>/dev/null | head -n 1)" ] || in_checkout=yes

# A rule that looks at nothing would always be kept.
if [ -z "$(cpp_files | head -n 1)" ]; then
  echo "no C++ file of the project is found from $PWD" >&2
  exit 1
fi
