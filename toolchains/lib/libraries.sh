# SPDX-License-Identifier: Apache-2.0
# Which static libraries are in the cache, and where.

compiler_of() {
  case "$1" in
    native | native-tsan) printf '%s\n' gcc ;;
    aarch64) printf '%s\n' aarch64-linux-gnu-gcc ;;
    *) usage_error "unknown target: $1 (native, native-tsan, aarch64)" ;;
  esac
}

# Where TARGET's libraries belong: the name covers all that decides their content.
library_prefix() {
  local compiler version key
  compiler="$(compiler_of "$1")" || exit $?
  version="$("$compiler" --version 2>/dev/null | head -n 1)" ||
    die "no compiler $compiler: run bash toolchains/setup.sh$([ "$1" != aarch64 ] || echo ' --cross')"
  key="$({ printf '%s\n' "$1" "$version" "$LIBRARY_FLAGS"; list_lines "$PINS"; cat -- "$TOOLCHAINS_DIR/lib/build.sh"; } |
    sha256sum | cut -c 1-12)"
  printf '%s/%s-%s\n' "$CACHE" "$1" "$key"
}

prefix_of() {
  case "$1" in
    boost) printf '%s\n' "$BOOST_DIR" ;;
    sysroot-*) sysroot_dir "${1#sysroot-}" ;;
    *) library_prefix "$1" ;;
  esac
}

ensure_library_sources() {
  ensure_source xnnpack && XNNPACK_SOURCE="$SOURCE_DIR"
  ensure_source pthreadpool && PTHREADPOOL_SOURCE="$SOURCE_DIR"
  ensure_source cpuinfo && CPUINFO_SOURCE="$SOURCE_DIR"
  ensure_source fxdiv && FXDIV_SOURCE="$SOURCE_DIR"
}

make_library() {
  build_library "$1" "$WORK/install-$1"
  mv -- "$WORK/install-$1" "$2"
}

ensure_library() {
  local prefix
  prefix="$(library_prefix "$1")"
  [ ! -d "$prefix" ] || return 0
  stage "pinned sources" ensure_library_sources
  stage "libraries for $1 ($JOBS jobs, log: $CACHE/logs/$1.log)" make_library "$1" "$prefix"
}
