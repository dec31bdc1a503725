# SPDX-License-Identifier: Apache-2.0
# Boost headers, unpacked into the cache. The package is never installed: that would remove
# another version of Boost that the machine's owner may use.

readonly BOOST_PACKAGE=libboost1.81-dev
readonly BOOST_DIR="$CACHE/boost-1.81"

fetch_boost() {
  local given
  mkdir -p "$WORK/boost"
  for given in "${SOURCES_DIR:-/nonexistent}/${BOOST_PACKAGE}"_*.deb; do
    [ ! -f "$given" ] || { cp -- "$given" "$WORK/boost/"; return 0; }
  done
  [ "$NO_APT" = 0 ] || die "$BOOST_PACKAGE is not in the cache and --no-apt forbids fetching it: put its .deb into a directory and use --sources DIR"
  write_binary_suites | private_apt_open "$WORK/apt-host" "$(dpkg --print-architecture)"
  (cd "$WORK/boost" && private_apt "$WORK/apt-host" apt-get download --quiet "$BOOST_PACKAGE") \
    >"$CACHE/logs/download-boost.log" 2>&1 ||
    die "cannot download $BOOST_PACKAGE: put its .deb (Debian 12) into a directory and use --sources DIR"
}

unpack_boost() {
  mkdir -p "$WORK/boost-root" "$WORK/boost-final"
  dpkg-deb --fsys-tarfile "$WORK/boost/${BOOST_PACKAGE}"_*.deb |
    tar --extract --no-same-owner --directory "$WORK/boost-root" ./usr/include/boost
  mv -- "$WORK/boost-root/usr/include" "$WORK/boost-final/include"
  [ -f "$WORK/boost-final/include/boost/asio/impl/src.hpp" ] || die "$BOOST_PACKAGE holds no Asio headers"
  mv -- "$WORK/boost-final" "$BOOST_DIR"
}

ensure_boost() {
  [ ! -d "$BOOST_DIR" ] || return 0
  stage "Boost headers: download" fetch_boost
  stage "Boost headers: unpack" unpack_boost
}
