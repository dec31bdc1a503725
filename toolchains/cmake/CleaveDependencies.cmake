# SPDX-License-Identifier: Apache-2.0
#
# Third-party libraries as targets cleave_dep::NAME, the same names on every target:
#   xnnpack, pthreadpool (from the setup cache), asio (Boost headers of the cache), flatbuffers,
#   cli11, spdlog, fmt, json, doctest (headers), jpeg, png, zlib, zstd, crypto, ssl, protobuf (host only).
# Their headers are SYSTEM headers: warnings are for our code. Sources and code generators:
# CleaveCodegen.cmake.
#
# CLEAVE_DEPS_TARGET  whose static libraries: native (default), native-tsan, aarch64
# CLEAVE_SYSROOT, CLEAVE_SYSROOT_ARCH  set by a cross toolchain file: where Debian's libraries are
#                     unpacked, and Debian's name of that architecture
# CLEAVE_STATIC       find static libraries
set(CLEAVE_DEPS_TARGET native CACHE STRING "Prebuilt libraries: native, native-tsan, aarch64")

find_package(Threads REQUIRED)

# What setup.sh must be told to provide this target.
set(_cleave_setup "bash toolchains/setup.sh")
if(CLEAVE_DEPS_TARGET STREQUAL "native-tsan")
  string(APPEND _cleave_setup " --tsan")
elseif(CLEAVE_DEPS_TARGET STREQUAL "aarch64")
  string(APPEND _cleave_setup " --cross")
endif()

# Sets OUT to the cache directory of TARGET, or stops with the command that makes it.
function(_cleave_prefix out target)
  execute_process(COMMAND bash "${PROJECT_SOURCE_DIR}/toolchains/setup.sh" --print-prefix ${target}
    OUTPUT_VARIABLE prefix ERROR_VARIABLE error RESULT_VARIABLE code
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT code EQUAL 0 OR NOT IS_DIRECTORY "${prefix}")
    message(FATAL_ERROR "${target} libraries are not in the cache (${prefix}${error}). "
      "Run: ${_cleave_setup}")
  endif()
  set(${out} "${prefix}" PARENT_SCOPE)
endfunction()

# An imported static library FILE; LINK are what it needs, after it on the link line.
function(_cleave_static name file)
  add_library(${name} STATIC IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${file}"
    INTERFACE_LINK_LIBRARIES "${ARGN}")
endfunction()

# Headers and libraries of Debian, below the sysroot when there is one: a cross build never looks
# at the host's. Debian keeps headers that depend on the architecture in a folder of their own,
# which only the native compiler knows.
if(CLEAVE_SYSROOT)
  set(_cleave_include "${CLEAVE_SYSROOT}/usr/include")
  set(_cleave_arch_include "${CLEAVE_SYSROOT}/usr/include/${CLEAVE_SYSROOT_ARCH}")
  set(_cleave_search PATHS "${CLEAVE_SYSROOT}/usr/lib/${CLEAVE_SYSROOT_ARCH}"
    NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
else()
  set(_cleave_include /usr/include)
  set(_cleave_arch_include "")
  set(_cleave_search "")
endif()

# cleave_dep::NAME from a HEADER and, unless header only, LIBRARIES (names without lib).
function(_cleave_system name)
  cmake_parse_arguments(D "ARCHIVE" "HEADER" "LIBRARIES;LINK;DEFINE" ${ARGN})
  string(TOUPPER "CLEAVE_${name}" prefix)
  find_path(${prefix}_INCLUDE ${D_HEADER} PATHS "${_cleave_include}"
    NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  mark_as_advanced(${prefix}_INCLUDE)
  set(missing "")
  if(NOT ${prefix}_INCLUDE)
    set(missing ${D_HEADER})
  endif()
  set(files "")
  foreach(library IN LISTS D_LIBRARIES)
    set(file ${library})
    set(found ${prefix}_LIBRARY_${library})
    if(CLEAVE_STATIC OR D_ARCHIVE)
      set(file lib${library}.a)
      set(found ${prefix}_ARCHIVE_${library})
    endif()
    find_library(${found} ${file} ${_cleave_search})
    mark_as_advanced(${found})
    if(NOT ${found})
      list(APPEND missing lib${library})
    endif()
    list(APPEND files "${${found}}")
  endforeach()
  if(missing)
    message(FATAL_ERROR "${name}: cannot find ${missing}. Run: ${_cleave_setup}")
  endif()
  add_library(cleave_dep_${name} INTERFACE)
  target_include_directories(cleave_dep_${name} SYSTEM INTERFACE
    "${${prefix}_INCLUDE}" ${_cleave_arch_include})
  target_link_libraries(cleave_dep_${name} INTERFACE ${files} ${D_LINK})
  target_compile_definitions(cleave_dep_${name} INTERFACE ${D_DEFINE})
  add_library(cleave_dep::${name} ALIAS cleave_dep_${name})
endfunction()

_cleave_system(flatbuffers HEADER flatbuffers/flatbuffers.h)
_cleave_system(cli11 HEADER CLI/CLI.hpp)
_cleave_system(json HEADER nlohmann/json.hpp)
_cleave_system(doctest HEADER doctest/doctest.h)
if(CLEAVE_STATIC) # Debian has no static libfmt
  _cleave_system(fmt HEADER fmt/format.h DEFINE FMT_HEADER_ONLY)
else()
  _cleave_system(fmt HEADER fmt/format.h LIBRARIES fmt)
endif()
_cleave_system(spdlog HEADER spdlog/spdlog.h LINK cleave_dep::fmt Threads::Threads
  DEFINE SPDLOG_FMT_EXTERNAL)
# As archives: each shared library takes some 0.2 MB of an agent's memory.
_cleave_system(jpeg ARCHIVE HEADER jpeglib.h LIBRARIES jpeg)
_cleave_system(png ARCHIVE HEADER png.h LIBRARIES png16 z LINK m)
_cleave_system(zlib HEADER zlib.h LIBRARIES z)
# As an archive on every target: its static contexts are no part of the shared library's promise.
_cleave_system(zstd ARCHIVE HEADER zstd.h LIBRARIES zstd)
# As an archive, of which only SHA-256 is linked: loading the shared library takes 1.4 MB of memory,
# and its EVP interface as much again.
_cleave_system(crypto ARCHIVE HEADER openssl/sha.h LIBRARIES crypto
  LINK Threads::Threads ${CMAKE_DL_LIBS})
# Of TLS; starts when it is first used. As an archive too: the shared one is resident also in a
# process that does without.
# Imported, so that the linker sees it before the libcrypto that it needs.
_cleave_system(ssl ARCHIVE HEADER openssl/ssl.h)
find_library(CLEAVE_SSL_ARCHIVE libssl.a ${_cleave_search})
mark_as_advanced(CLEAVE_SSL_ARCHIVE)
if(NOT CLEAVE_SSL_ARCHIVE)
  message(FATAL_ERROR "ssl: cannot find libssl. Run: ${_cleave_setup}")
endif()
_cleave_static(cleave_dep_libssl "${CLEAVE_SSL_ARCHIVE}"
  "${CLEAVE_CRYPTO_ARCHIVE_crypto}" Threads::Threads ${CMAKE_DL_LIBS})
target_link_libraries(cleave_dep_ssl INTERFACE cleave_dep_libssl)
if(NOT CMAKE_CROSSCOMPILING)
  _cleave_system(protobuf HEADER google/protobuf/message.h LIBRARIES protobuf LINK Threads::Threads)
endif()

# XNNPACK refers to its microkernels, both to pthreadpool and cpuinfo.
_cleave_prefix(CLEAVE_DEPS_PREFIX ${CLEAVE_DEPS_TARGET})
set(_cleave_lib "${CLEAVE_DEPS_PREFIX}/lib")
_cleave_static(cleave_dep_cpuinfo "${_cleave_lib}/libcpuinfo.a" Threads::Threads)
_cleave_static(cleave_dep_pthreadpool "${_cleave_lib}/libpthreadpool.a" Threads::Threads)
_cleave_static(cleave_dep_microkernels "${_cleave_lib}/libmicrokernels-prod.a" m)
_cleave_static(cleave_dep_xnnpack "${_cleave_lib}/libXNNPACK.a"
  cleave_dep_microkernels cleave_dep_pthreadpool cleave_dep_cpuinfo m)
foreach(library pthreadpool xnnpack)
  target_include_directories(cleave_dep_${library} SYSTEM INTERFACE "${CLEAVE_DEPS_PREFIX}/include")
  add_library(cleave_dep::${library} ALIAS cleave_dep_${library})
endforeach()

# Asio's definitions are compiled once, here, with the sanitizers of the build.
_cleave_prefix(_cleave_boost boost)
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/dependencies/asio.cc"
  CONTENT "#include <boost/asio/impl/src.hpp>\n")
add_library(cleave_dep_asio STATIC EXCLUDE_FROM_ALL "${CMAKE_BINARY_DIR}/dependencies/asio.cc")
target_compile_features(cleave_dep_asio PUBLIC cxx_std_20)
target_include_directories(cleave_dep_asio SYSTEM PUBLIC "${_cleave_boost}/include")
target_compile_definitions(cleave_dep_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION
  BOOST_ASIO_NO_DEPRECATED)
if(CLEAVE_SANITIZE)
  target_compile_options(cleave_dep_asio PRIVATE -fsanitize=${CLEAVE_SANITIZE}
    -fno-omit-frame-pointer -g)
endif()
target_link_libraries(cleave_dep_asio PUBLIC Threads::Threads)
add_library(cleave_dep::asio ALIAS cleave_dep_asio)

include("${CMAKE_CURRENT_LIST_DIR}/CleaveCodegen.cmake")
