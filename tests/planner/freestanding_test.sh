#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The planner needs no FPU, no SIMD unit, no libc and little memory, and decides alike everywhere.
# Usage: freestanding_test.sh SOURCE_DIR CXX
# For CXX and for each cross compiler found (aarch64, Cortex-M4), builds planner/*.cc freestanding
# and checks that
#   - no instruction names a floating point or SIMD register;
#   - no symbol is undefined but memcpy and memset (32-bit ARM: and libgcc's integer division);
#   - it links without a C library, with those two functions and libgcc alone;
#   - code is at most 12 KiB, data 0, and all frames together, hence any call chain, at most 4 KiB;
#   - a program without a C library around it (bare_program.cc) runs, gives the digest that every
#     machine must give, and takes at most 4 KiB of stack for a plan of the largest table.
# The first two are first shown to find what they look for. With CLEAVE_REQUIRE_CORTEX_M4 set, a
# missing compiler or qemu for it is a failure.
set -euo pipefail

source_dir=$1
host_cxx=$2
# clang refuses the C++ library's headers under -mgeneral-regs-only: they mention long double.
if "$host_cxx" --version | grep -q clang; then host_cxx=g++; fi
have() { type -P "$1" > /dev/null; }
if ! have "$host_cxx" || ! have objdump; then
  echo "skipped: needs g++ and objdump"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# Mnemonics and operands only: addresses, symbol names and comments could look like registers.
disassemble() {
  "$objdump" -d --no-show-raw-insn "$1" |
    sed -n 's/^ *[0-9a-f]*:\t//p' | sed 's/[0-9a-f]* *<[^>]*>//g; s#//.*##; s/[;@].*//'
}

float_instructions() {
  disassemble "$1" | grep -E "$float_pattern" || true
}

undefined_symbols() {
  "$nm" -u "$1" | awk '{print $NF}' | grep -vxE "$allowed_symbols" || true
}

# The first of the commands given that exists.
first_of() {
  local command
  for command; do
    if have "$command"; then echo "$command" && return; fi
  done
}

missing() {
  if [[ -n ${CLEAVE_REQUIRE_CORTEX_M4:-} ]]; then fail "$*"; else echo "skipped: $*"; fi
}

# Sets the flags and patterns of a target triple, and what runs its programs.
describe_target() {
  allowed_symbols='memcpy|memset|_GLOBAL_OFFSET_TABLE_'
  max_code_bytes=12288
  runner=()
  case $1 in
    x86_64-*)
      target_flags=(-mgeneral-regs-only)
      float_pattern='%[xyz]mm[0-9]|%mm[0-7]|%st|^f[a-z]' ;;
    aarch64-*)
      target_flags=(-mgeneral-regs-only)
      [[ $(uname -m) == aarch64 ]] || runner=("$(first_of qemu-aarch64-static qemu-aarch64)")
      float_pattern=$'\t.*\\b[bhsdqvz][0-9]+\\b' ;;
    arm-none-*)
      target_flags=(-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -Wno-psabi)
      runner=("$(first_of qemu-arm-static qemu-arm)")
      float_pattern=$'\t.*\\b[sdq][0-9]+\\b'
      allowed_symbols+='|__aeabi_uldivmod' ;;
    arm-*)
      target_flags=(-mgeneral-regs-only)
      float_pattern=$'\t.*\\b[sdq][0-9]+\\b'
      allowed_symbols+='|__aeabi_uldivmod' ;;
    *)
      return 1 ;;
  esac
}

# A float addition and a call: both must be found, or the checks below prove nothing.
check_the_checks() {
  cat > "$work/float.cc" <<'CODE'
float callee(float);
float probe(const float* a) { return callee(a[0] + a[1]); }
CODE
  local with_fpu=()
  if [[ $1 == arm-none-* ]]; then
    with_fpu=(-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
  fi
  "$cxx" -O2 "${with_fpu[@]}" -c "$work/float.cc" -o "$work/float.o"
  [[ -n $(float_instructions "$work/float.o") ]] || fail "$1: the float check finds no float"
  [[ -n $(undefined_symbols "$work/float.o") ]] || fail "$1: the symbol check finds no symbol"
}

compile() {
  "$cxx" -std=c++20 -O2 -ffreestanding -fno-exceptions -fno-rtti -fno-asynchronous-unwind-tables \
    -fno-stack-protector -fno-threadsafe-statics -ffp-contract=off -Wall -Wextra -Wconversion \
    -Werror "${target_flags[@]}" "-I$source_dir" "$@"
}

# What is linked, in full, with what it takes from outside: the sum is printed, not only our part.
check_link() {
  local triple=$1 out=$2 whole_bytes
  compile -c "$source_dir/tests/planner/bare_memory.cc" -o "$out/memory.o"
  if ! compile -static -nostdlib -nostartfiles -Wl,-e,0 "$out/linked.o" "$out/memory.o" -lgcc \
    -o "$out/whole" 2> "$out/link.log"; then
    fail "$triple: does not link without libc: $(head -n 3 "$out/link.log")"
    return 1
  fi
  whole_bytes=$("$size" "$out/whole" | awk 'NR == 2 {print $1}')
  ((whole_bytes <= max_code_bytes)) || fail "$triple: $whole_bytes bytes of code with libgcc"
  echo "$triple: $whole_bytes bytes of code linked without libc, memcpy, memset and libgcc included"
}

check_program() {
  local triple=$1 out=$2 digest stack
  if ((${#runner[@]} > 0)) && [[ -z ${runner[0]} ]]; then
    missing "$triple: no qemu to run the program"
    return
  fi
  compile -static -nostdlib -nostartfiles "$source_dir/tests/planner/bare_program.cc" \
    "$out/linked.o" "$out/memory.o" -lgcc -o "$out/program"
  if ! "${runner[@]}" "$out/program" > "$out/printed"; then
    fail "$triple: the program ended badly, or with another digest: $(tr '\n' ' ' < "$out/printed")"
    return
  fi
  digest=$(sed -n 's/^digest //p' "$out/printed")
  stack=$(sed -n 's/^stack //p' "$out/printed")
  ((${#stack} < 10 && stack <= 4096)) || fail "$triple: a plan took $stack bytes of stack"
  echo "$triple: digest $digest as everywhere; largest plan in at most $stack bytes of stack"
}

check_compiler() {
  cxx=$1
  local prefix=$2 triple
  triple=$("$cxx" -dumpmachine)
  objdump=${prefix}objdump nm=${prefix}nm
  local ld=${prefix}ld size=${prefix}size
  if ! describe_target "$triple"; then
    echo "skipped: no rules for $triple"
    return
  fi
  if ! echo '#include <span>' | "$cxx" -std=c++20 -ffreestanding -fsyntax-only -x c++ - \
    2> "$work/headers"; then
    missing "$cxx has no C++ headers"
    return
  fi
  check_the_checks "$triple"

  local out=$work/$triple objects=() source object
  mkdir -p "$out"
  for source in "$source_dir"/planner/*.cc; do
    object=$out/$(basename "$source" .cc).o
    compile -fstack-usage -c "$source" -o "$object"
    objects+=("$object")
  done
  "$ld" -r "${objects[@]}" -o "$out/linked.o"

  local found code_bytes data_bytes stack_bytes
  found=$(float_instructions "$out/linked.o")
  [[ -z $found ]] || fail "$triple: floating point or SIMD: $(head -n 3 <<< "$found")"
  found=$(undefined_symbols "$out/linked.o")
  [[ -z $found ]] || fail "$triple: needs from outside:" $found
  read -r code_bytes data_bytes < <("$size" "$out/linked.o" | awk 'NR == 2 {print $1, $2 + $3}')
  ((data_bytes == 0)) || fail "$triple: $data_bytes bytes of data"
  ((code_bytes <= max_code_bytes)) || fail "$triple: $code_bytes bytes of code"
  stack_bytes=$(cat "$out"/*.su | awk -F'\t' '{sum += $2} END {print sum}')
  ((stack_bytes <= 4096)) || fail "$triple: $stack_bytes bytes of stack"
  ! grep -q 'dynamic$' "$out"/*.su || fail "$triple: a frame of unknown size"
  echo "$triple: $code_bytes bytes of code, $stack_bytes bytes in all frames together"
  if check_link "$triple" "$out"; then check_program "$triple" "$out"; fi
}

host_prefix=
case $("$host_cxx" -dumpmachine) in
  x86_64-*) ;;
  *) [[ $host_cxx == *-g++ ]] && host_prefix=${host_cxx%g++} ;;
esac
check_compiler "$host_cxx" "$host_prefix"
for prefix in aarch64-linux-gnu- arm-none-eabi-; do
  if [[ $prefix == "${host_prefix##*/}" ]]; then continue; fi
  if have "${prefix}g++" && have "${prefix}objdump"; then
    check_compiler "${prefix}g++" "$prefix"
  elif [[ $prefix == arm-none-eabi- ]]; then
    missing "no ${prefix}g++"
  else
    echo "skipped: no ${prefix}g++"
  fi
done
((failures == 0))
