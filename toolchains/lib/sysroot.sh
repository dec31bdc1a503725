# SPDX-License-Identifier: Apache-2.0
# A sysroot for cross builds: Debian packages of another architecture, unpacked, not installed.

sysroot_dir() { printf '%s/sysroot-%s\n' "$CACHE" "$1"; }

sysroot_packages() { list_lines "$TOOLCHAINS_DIR/packages/sysroot-$1.txt"; }

# Debian's name of an architecture.
debian_architecture() {
  case "$1" in
    aarch64) printf '%s\n' arm64 ;;
    *) usage_error "no sysroot for: $1 (aarch64)" ;;
  esac
}

# Only headers, libraries and licences: nothing in a sysroot is run.
unpack_sysroot() {
  local tree="$WORK/sysroot" deb
  mkdir -p "$tree"
  for deb in "$WORK/sysroot-debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar --extract --no-same-owner --directory "$tree" --wildcards --no-wildcards-match-slash \
        --exclude='./usr/bin' --exclude='./usr/share/man' --exclude='./usr/share/doc/*/examples'
    basename "$deb" >>"$tree/debs.txt"
  done
  sysroot_packages "$1" >"$tree/packages.txt"
  rm -rf -- "$WORK/sysroot-old"
  [ ! -d "$2" ] || mv -- "$2" "$WORK/sysroot-old"
  mv -- "$tree" "$2"
}

# A sysroot of another package list is replaced.
ensure_sysroot() {
  local dir
  dir="$(sysroot_dir "$1")"
  if [ -d "$dir" ] && sysroot_packages "$1" | cmp --silent - "$dir/packages.txt"; then return 0; fi
  # shellcheck disable=SC2046
  stage "sysroot for $1: download" fetch_debs "$WORK/sysroot-debs" "$(debian_architecture "$1")" $(sysroot_packages "$1")
  stage "sysroot for $1: unpack" unpack_sysroot "$1" "$dir"
}
