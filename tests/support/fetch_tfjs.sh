#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs TF.js, the peer of the TF.js reader's tests, and nsfwjs, which ships a pretrained network,
# from npm into the per-user cache, and prints the folder (with node_modules in it). Every package
# is pinned by version and SHA-512 in tests/support/tfjs/package-lock.json; install scripts do not
# run. With --path only prints where the folder is, or would be.
set -euo pipefail

readonly PINS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tfjs"
readonly CACHE="${CLEAVE_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/cleave}/npm"
readonly KEY="$(sha256sum "$PINS/package-lock.json" | cut -c1-12)"
readonly FOLDER="$CACHE/tfjs-$KEY"

die() {
  printf '[tfjs] error: %s\n' "$*" >&2
  exit 1
}

if [ "${1:-}" != --path ] && [ ! -d "$FOLDER" ]; then
  command -v npm >/dev/null || die "npm is missing: install the Debian package npm"
  mkdir -p "$CACHE"
  WORK="$(mktemp -d "$CACHE/tfjs.XXXXXX")"
  trap 'rm -rf -- "$WORK"' EXIT
  cp "$PINS/package.json" "$PINS/package-lock.json" "$WORK/"
  # nsfwjs asks for all of TF.js beside it; only its data is used here.
  npm ci --prefix "$WORK" --legacy-peer-deps --ignore-scripts --no-audit --no-fund \
    --loglevel=error >&2 || die "npm could not install what $PINS/package-lock.json pins"
  # Complete once it has its final name.
  mkdir "$WORK/keep"
  mv "$WORK/package.json" "$WORK/node_modules" "$WORK/keep/"
  mv -T "$WORK/keep" "$FOLDER" 2>/dev/null || [ -d "$FOLDER" ] || die "cannot write $FOLDER"
fi
printf '%s\n' "$FOLDER"
