#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Gets ONNX Runtime's C library, the peer that tests compare with, from the npm package
# onnxruntime-node into the per-user cache, and prints its path. The package's install scripts do
# not run. With --path only prints where the library is, or would be.
set -euo pipefail

readonly VERSION=1.30.0
readonly CACHE="${CLEAVE_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/cleave}"
readonly LIBRARY="$CACHE/onnxruntime-$VERSION/libonnxruntime.so.1"

die() {
  printf '[onnxruntime] error: %s\n' "$*" >&2
  exit 1
}

case "$(uname -m)" in
  x86_64)
    ARCHITECTURE=x64
    SHA256=ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23
    ;;
  aarch64)
    ARCHITECTURE=arm64
    SHA256=1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76
    ;;
  *) die "onnxruntime-node has no library for $(uname -m)" ;;
esac

if [ "${1:-}" != --path ] && [ ! -e "$LIBRARY" ]; then
  command -v npm >/dev/null || die "npm is missing: install the Debian package npm"
  mkdir -p "$CACHE"
  WORK="$(mktemp -d "$CACHE/onnxruntime.XXXXXX")"
  trap 'rm -rf -- "$WORK"' EXIT
  npm install --prefix "$WORK" --ignore-scripts --no-audit --no-fund --loglevel=error \
    "onnxruntime-node@$VERSION" >&2 || die "npm could not install onnxruntime-node $VERSION"
  FOUND="$(find "$WORK/node_modules/onnxruntime-node/bin" \
    -path "*/linux/$ARCHITECTURE/libonnxruntime.so.1" -print -quit)"
  [ -n "$FOUND" ] || die "onnxruntime-node $VERSION holds no library for linux/$ARCHITECTURE"
  printf '%s  %s\n' "$SHA256" "$FOUND" | sha256sum --check --quiet - >&2 ||
    die "the library in onnxruntime-node $VERSION is not the one pinned here"
  # Complete once it has its final name; the rest of the package (other systems) goes.
  mkdir -p "$WORK/keep"
  mv "$FOUND" "$WORK/keep/"
  mv -T "$WORK/keep" "$(dirname "$LIBRARY")" 2>/dev/null || [ -e "$LIBRARY" ] ||
    die "cannot write $LIBRARY"
fi
printf '%s\n' "$LIBRARY"
