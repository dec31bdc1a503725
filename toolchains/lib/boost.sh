# SPDX-License-Identifier: Apache-2.0
# Boost headers, unpacked into the cache. The package is never installed: that would remove
# another version of Boost that the machine's owner may use.

readonly BOOST_PACKAGE=libboost1.81-dev
readonly BOOST_DIR="$CACHE/boost-1.81"

unpack_boost() {
  local tree="$WORK/boost-tree"
  mkdir -p "$tree"
  dpkg-deb --fsys-tarfile "$WORK/boost/${BOOST_PACKAGE}"_*.deb |
    tar --extract --no-same-owner --strip-components=2 --directory "$tree" ./usr/include/boost
  [ -f "$tree/include/boost/asio/impl/src.hpp" ] || die "$BOOST_PACKAGE holds no Asio headers"
  mv -- "$tree" "$BOOST_DIR"
}

ensure_boost() {
  [ ! -d "$BOOST_DIR" ] || return 0
  stage "Boost headers: download" fetch_debs "$WORK/boost" "$(dpkg --print-architecture)" "$BOOST_PACKAGE"
  stage "Boost headers: unpack" unpack_boost
}
