#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Who may include whom (README.md, "How it is built"), and where XNNPACK, intrinsics and sockets
# may appear.
set -euo pipefail
source tests/lint/common.sh

# modules MODULE ALLOWED...: MODULE's own headers are always allowed.
modules() {
  local module=$1 file included
  shift
  [ -n "$(cpp_files "$module")" ] || complain "$module: no files to check"
  while IFS=: read -r file included; do
    local ok=no allowed
    for allowed in "$module" "$@"; do
      [ "${included%%/*}" = "$allowed" ] && ok=yes
    done
    [ "$ok" = yes ] || complain "$file: $module must not include $included"
  done < <(cpp_files "$module" | xargs grep -HoE '^#include "(planner|schemas|engine|agent|server|tests)/[^"]+' |
    sed 's/#include "//')
}
modules planner
modules schemas
modules engine schemas
modules agent engine planner schemas
modules server engine schemas

# A private subfolder is entered only by its own module; image, codec, importer and transport are
# libraries of their own, and tests may look anywhere.
while IFS=: read -r file included; do
  case "$included" in
    engine/image/* | engine/codec/* | engine/importer/* | schemas/transport/* | */generated/*) continue ;;
  esac
  [ "${file%%/*}" = "${included%%/*}" ] || complain "$file: $included is private"
done < <(cpp_files planner schemas engine agent server |
  xargs grep -HoE '^#include "[a-z]+/[a-z_]+/[^"]+' | sed 's/#include "//')

only_in() {
  local pattern=$1 where=$2 what=$3 hit
  while read -r hit; do
    [ -n "$hit" ] && complain "$hit: $what belongs to $where"
  done < <(cpp_files planner schemas engine agent server |
    grep -vE "$where" | xargs grep -lE "$pattern" || true)
}
only_in '\bxnn_[a-z]|xnnpack\.h' '^engine/(ops|memory)/' 'XNNPACK'
only_in 'arm_neon\.h|immintrin\.h' '^engine/(kernels|codec|image)/[a-z0-9_]*_(neon|avx2|avx512|avx512vnni)\.(cc|h)$' \
  'an intrinsic'
only_in 'sys/socket\.h|boost/asio' '^(agent|server|schemas/transport)/' 'a socket'
only_in 'openssl/(ssl|err|pem|bio|x509)' '^schemas/transport/' 'TLS'
only_in 'google/protobuf|\.pb\.h' '^engine/importer/' 'protobuf'

# Formats are read without sockets: who links them for that gets neither Asio nor TLS.
while IFS=: read -r file included; do
  case "$file" in
    agent/* | server/* | schemas/transport/*) continue ;;
  esac
  complain "$file: only agent and server include $included"
done < <(cpp_files planner schemas engine agent server |
  xargs grep -HoE '^#include "schemas/transport/[^"]+' | sed 's/#include "//')

# The planner runs without libc.
while read -r hit; do
  complain "$hit: the planner includes freestanding headers only"
done < <(cpp_files planner |
  xargs grep -HE '^#include <' |
  grep -vE '<(array|bit|compare|concepts|cstddef|cstdint|initializer_list|limits|span|type_traits|utility)>' || true)
finish
