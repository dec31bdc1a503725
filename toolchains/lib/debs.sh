# SPDX-License-Identifier: Apache-2.0
# Debian packages of this machine's release, downloaded to be unpacked into the cache and never
# installed. apt checks them against the archive's signature.

# fetch_debs DIR ARCHITECTURE PACKAGE...: one .deb of each into DIR.
fetch_debs() {
  local dir="$1" architecture="$2" package file wanted=()
  shift 2
  mkdir -p "$dir"
  for package in "$@"; do
    file="$(given_deb "$package" "$architecture")"
    if [ -n "$file" ]; then cp -- "$file" "$dir/"; else wanted+=("$package"); fi
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0
  [ "$NO_APT" = 0 ] || die "not in the cache and --no-apt forbids fetching: ${wanted[*]} ($architecture): put the .deb files into a directory and use --sources DIR"
  write_binary_suites >"$WORK/binary-lines"
  private_apt_open "$WORK/apt-$architecture" "$architecture" <"$WORK/binary-lines"
  (cd "$dir" && private_apt "$WORK/apt-$architecture" apt-get download --quiet "${wanted[@]}") \
    >"$CACHE/logs/download-debs-$architecture.log" 2>&1 || {
    grep '^E:' "$CACHE/logs/download-debs-$architecture.log" >&2 || true
    die "cannot download ${wanted[*]} ($architecture): put the .deb files into a directory and use --sources DIR"
  }
}

# The .deb of PACKAGE in --sources DIR, if it is there.
given_deb() {
  [ -n "$SOURCES_DIR" ] || return 0
  find "$SOURCES_DIR" -maxdepth 1 \( -name "$1_*_$2.deb" -o -name "$1_*_all.deb" \) | sort | tail -n 1
}
