# SPDX-License-Identifier: Apache-2.0
#
# Cross build for 64-bit ARM Linux: Debian's cross compiler (which brings its C library) and the
# sysroot of setup.sh --cross. Programs are linked statically, so they run on any distribution.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

execute_process(
  COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/setup.sh" --print-prefix sysroot-aarch64
  OUTPUT_VARIABLE CLEAVE_SYSROOT OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT IS_DIRECTORY "${CLEAVE_SYSROOT}")
  message(FATAL_ERROR "no aarch64 sysroot (${CLEAVE_SYSROOT}). Run: bash toolchains/setup.sh --cross")
endif()
set(CLEAVE_SYSROOT_ARCH aarch64-linux-gnu)
set(CLEAVE_DEPS_TARGET aarch64 CACHE STRING "Prebuilt libraries")
set(CLEAVE_STATIC ON CACHE BOOL "Link the programs statically")

# Nothing of the host may be found but the programs that generate code.
set(CMAKE_FIND_ROOT_PATH "${CLEAVE_SYSROOT}" /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Lets ctest run what was built, where qemu is installed.
find_program(CLEAVE_QEMU_AARCH64 qemu-aarch64-static)
mark_as_advanced(CLEAVE_QEMU_AARCH64)
if(CLEAVE_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${CLEAVE_QEMU_AARCH64}")
endif()
