# SPDX-License-Identifier: Apache-2.0
# Pinned source archives: found, verified, unpacked. Nothing is used unverified.

pin_lines() { list_lines "$PINS" | awk -v name="$1" '$1 == name'; }

# Debian's version of the source package NAME whose archive has this hash, wherever it is now.
version_with_hash() {
  private_apt "$1" apt-cache showsrc --only-source "$2" 2>/dev/null | awk -v hash="$3" '
    /^Version:/ { version = $2 }
    $1 == hash { print version; exit }'
}

open_source_apt() {
  [ -z "${SOURCE_APT:-}" ] || return 0
  [ "$NO_APT" = 0 ] || die "$1 is not in the cache and --no-apt forbids fetching it: give it with --sources DIR"
  SOURCE_APT="$WORK/apt-sources"
  local suites
  suites="$(list_lines "$PINS" | awk '{ print $2 }' | sort -u)"
  # shellcheck disable=SC2086
  write_source_suites $suites >"$WORK/source-lines"
  stage "source lists ($(tr '\n' ' ' <<<"$suites" | sed 's/ $//'))" \
    private_apt_open "$SOURCE_APT" "$(dpkg --print-architecture)" <"$WORK/source-lines"
}

# Downloads the archive with this hash. Returns 1 when the mirror no longer has it.
download_source() {
  local name="$1" file="$2" hash="$3" version
  open_source_apt "$file"
  version="$(version_with_hash "$SOURCE_APT" "$name" "$hash")"
  [ -n "$version" ] || return 1
  mkdir -p "$WORK/download"
  (cd "$WORK/download" && private_apt "$SOURCE_APT" apt-get source --quiet --download-only --tar-only \
    --only-source "$name=$version") >"$CACHE/logs/download-$name.log" 2>&1 || return 1
  [ -f "$WORK/download/$file" ]
}

verify() {
  local actual
  actual="$(sha256_of "$1")"
  [ "$actual" = "$2" ] || die "$1 has SHA-256 $actual, pinned is $2: replace the file"
}

# Puts one pinned archive into the cache; 1 when it cannot be had.
fetch_archive() {
  local name="$1" file="$2" hash="$3" stored="$CACHE/sources/$2"
  if [ -f "$stored" ]; then
    verify "$stored" "$hash"
    return 0
  fi
  if [ -n "$SOURCES_DIR" ] && [ -f "$SOURCES_DIR/$file" ]; then
    verify "$SOURCES_DIR/$file" "$hash"
    cp -- "$SOURCES_DIR/$file" "$WORK/$file"
  else
    download_source "$name" "$file" "$hash" || return 1
    verify "$WORK/download/$file" "$hash"
    mv -- "$WORK/download/$file" "$WORK/$file"
  fi
  mv -- "$WORK/$file" "$stored"
}

# A local alternative saves the download of a preferred one.
local_alternative_first() {
  pin_lines "$1" | while read -r name suite file hash; do
    if [ -f "$CACHE/sources/$file" ] || [ -f "${SOURCES_DIR:-/nonexistent}/$file" ]; then
      printf '0 %s %s %s %s\n' "$name" "$suite" "$file" "$hash"
    else
      printf '1 %s %s %s %s\n' "$name" "$suite" "$file" "$hash"
    fi
  done | sort -s -k1,1 | cut -d ' ' -f 2-
}

# Sets SOURCE_DIR to the unpacked, verified tree of NAME.
ensure_source() {
  local name suite file hash files=""
  while read -r name suite file hash <&3; do
    files="$files $file"
    fetch_archive "$name" "$file" "$hash" || continue
    SOURCE_DIR="$CACHE/sources/${file%.orig.tar.xz}-${hash:0:12}"
    [ -d "$SOURCE_DIR" ] || unpack_source "$CACHE/sources/$file" "$SOURCE_DIR"
    return 0
  done 3< <(local_alternative_first "$1")
  die "cannot fetch any of:$files (Debian no longer offers it at this machine's mirror): put the file into a directory and use --sources DIR"
}

# Some archives hold one top folder, some none.
unpack_source() {
  local tree="$WORK/unpack" top
  rm -rf -- "$tree"
  mkdir -p "$tree"
  tar --extract --no-same-owner --file "$1" --directory "$tree"
  top=("$tree"/*)
  if [ "${#top[@]}" = 1 ] && [ -d "${top[0]}" ]; then
    mv -- "${top[0]}" "$2"
  else
    mv -- "$tree" "$2"
  fi
}
