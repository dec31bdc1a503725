# SPDX-License-Identifier: Apache-2.0
# Shared by the parts of setup.sh: paths, messages, the cache and its lock.

readonly CACHE="${CLEAVE_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/cleave}"
readonly PINS="$TOOLCHAINS_DIR/pins.txt"
readonly START_NS="$(date +%s%N)"

say() { printf '[setup] %s\n' "$*"; }

# One line: what is missing or wrong, and what to do.
die() {
  printf '[setup] error: %s\n' "$*" >&2
  exit 1
}

usage_error() {
  printf '[setup] error: %s (see --help)\n' "$*" >&2
  exit 2
}

seconds_since() {
  local ms=$((($(date +%s%N) - $1) / 1000000))
  printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# stage NAME COMMAND...: runs COMMAND and says how long it took.
stage() {
  local name="$1" begin_ns
  shift
  begin_ns="$(date +%s%N)"
  say "$name ..."
  "$@"
  say "$name: $(seconds_since "$begin_ns") s"
}

# Data lines of a list file, without comments and blank lines.
list_lines() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

sha256_of() { sha256sum -- "$1" | cut -d ' ' -f 1; }

# Creates the cache and holds its lock until this process ends. Everything is built under
# $WORK, on the cache's own file system, and renamed into place when it is whole: what has a
# final name is complete, and leftovers of an interrupted run are only ever in $WORK.
open_cache() {
  mkdir -p "$CACHE" 2>/dev/null || die "cannot create the cache $CACHE: set CLEAVE_CACHE to a directory you may write"
  [ -w "$CACHE" ] || die "cannot write to the cache $CACHE: set CLEAVE_CACHE to a directory you may write"
  exec {LOCK_FD}>"$CACHE/lock"
  if ! flock --nonblock "$LOCK_FD"; then
    say "another setup is using $CACHE: waiting for it"
    flock "$LOCK_FD"
  fi
  WORK="$CACHE/work"
  rm -rf -- "$WORK"
  mkdir -p "$WORK" "$CACHE/sources" "$CACHE/logs"
  trap 'rm -rf -- "$WORK"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}
