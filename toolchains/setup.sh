#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares a Debian machine to build cleave: packages, pinned sources, static libraries.
# Design, cache layout and offline use: toolchains/README.md.
set -euo pipefail

readonly TOOLCHAINS_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for part in common packages private_apt sources debs boost sysroot build libraries; do
  # shellcheck source=/dev/null
  source "$TOOLCHAINS_DIR/lib/$part.sh"
done

usage() {
  cat <<'USAGE'
usage: bash toolchains/setup.sh [options]

Installs what is missing, fetches and verifies the pinned sources, and builds the static
libraries into a per-user cache. Safe to run again: it does only what is not done yet.

  --cross               also the aarch64 cross compiler, sysroot and libraries
  --tsan                also pthreadpool with ThreadSanitizer
  --fuzz                also what the fuzz preset needs
  --demo                also what toolchains/demo.sh needs
  --tests               also the packages of the tests (includes --fuzz); the whole suite
                        needs --tsan and --cross as well
  --sources DIR         take source archives (and the Boost package) from DIR first
  --jobs N              parallel compile jobs (default: all cores)
  --no-apt              never run apt: neither to install nor to fetch
  --print-prefix TARGET print where TARGET's libraries belong, and exit;
                        TARGET is native, native-tsan, aarch64, boost or sysroot-aarch64
  --help                this text

The cache is $CLEAVE_CACHE, or $XDG_CACHE_HOME/cleave, or ~/.cache/cleave.
Exit codes: 0 done, 1 something cannot be had or built, 2 wrong usage.
USAGE
}

need_value() { [ $# -ge 2 ] && [ -n "$2" ] || usage_error "$1 needs a value"; }

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --cross) WANT_CROSS=1 ;;
      --tsan) WANT_TSAN=1 ;;
      --fuzz) WANT_FUZZ=1 ;;
      --demo) WANT_DEMO=1 ;;
      --tests) WANT_TESTS=1 ;;
      --no-apt) NO_APT=1 ;;
      --sources) need_value "$@"; SOURCES_DIR="$2"; shift ;;
      --jobs) need_value "$@"; JOBS="$2"; shift ;;
      --print-prefix) need_value "$@"; PRINT_PREFIX="$2"; shift ;;
      --help | -h) usage; exit 0 ;;
      *) usage_error "unknown option: $1" ;;
    esac
    shift
  done
  [[ "$JOBS" =~ ^[1-9][0-9]*$ ]] || usage_error "--jobs needs a positive number, not: $JOBS"
  [ -z "$SOURCES_DIR" ] || [ -d "$SOURCES_DIR" ] || usage_error "--sources: no such directory: $SOURCES_DIR"
}

main() {
  WANT_CROSS=0 WANT_TSAN=0 WANT_FUZZ=0 WANT_DEMO=0 WANT_TESTS=0 NO_APT=0
  SOURCES_DIR="" PRINT_PREFIX="" JOBS="$(nproc)"
  parse_options "$@"
  if [ -n "$PRINT_PREFIX" ]; then
    prefix_of "$PRINT_PREFIX"
    return
  fi

  install_packages
  open_cache
  ensure_boost
  ensure_library native
  [ "$WANT_TSAN" = 0 ] || ensure_library native-tsan
  if [ "$WANT_CROSS" = 1 ]; then
    ensure_sysroot aarch64
    ensure_library aarch64
  fi
  say "ready in $(seconds_since "$START_NS") s: $CACHE"
}

main "$@"
