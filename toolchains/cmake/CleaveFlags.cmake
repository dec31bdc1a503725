# SPDX-License-Identifier: Apache-2.0
#
# Every compiler and linker flag of the project lives on this one INTERFACE target.
add_library(cleave_flags INTERFACE)
target_compile_features(cleave_flags INTERFACE cxx_std_20)
target_include_directories(cleave_flags INTERFACE "${PROJECT_SOURCE_DIR}")
# Contracted multiply-adds would make a result depend on the compiler and the architecture.
target_compile_options(cleave_flags INTERFACE -Wall -Wextra -Wconversion -ffp-contract=off)
# GCC 12 sees an overlap in operator+(const char*, std::string&&) that is not there (its PR 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(cleave_flags INTERFACE -Wno-restrict)
endif()
if(CLEAVE_WERROR)
  target_compile_options(cleave_flags INTERFACE -Werror)
endif()
if(CLEAVE_FUZZ)
  target_compile_options(cleave_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CLEAVE_SANITIZE)
  target_compile_options(cleave_flags INTERFACE -fsanitize=${CLEAVE_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(cleave_flags INTERFACE -fsanitize=${CLEAVE_SANITIZE})
  # Instrumented programs have hundreds of thousands of addresses to relocate, each time they start:
  # at a fixed address, none.
  target_link_options(cleave_flags INTERFACE -no-pie)
  # Asio's fences are redundant beside its locks, but GCC says that the sanitizer does not see them.
  if(CLEAVE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(cleave_flags INTERFACE -Wno-tsan)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # clang 14 cannot emit its data for a coroutine that is a template or inline.
    target_compile_options(cleave_flags INTERFACE -fno-sanitize=function)
  endif()
endif()
# Called by a directory whose code computes little. With sanitizers, optimizing the templates that
# the programs are made of takes a third of the build, and shows no more faults. Kernels, which tests
# run much, stay optimized.
function(cleave_compile_quickly)
  if(CLEAVE_SANITIZE)
    add_compile_options(-O0)
  endif()
endfunction()
# Called by a directory of tests that compute little: there the optimizer costs more than it gives.
function(cleave_compile_tests_quickly)
  add_compile_options(-O0)
endfunction()
# The files of TARGET are compiled in batches, where CLEAVE_UNITY says so: headers and templates of Asio,
# CLI11, JSON and doctest are what takes the time. Names in unnamed namespaces must then differ
# between the files of a target. For work on a few files, -DCLEAVE_UNITY=OFF rebuilds less.
function(cleave_compile_together target)
  if(CLEAVE_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # It takes what is local to an included file for something that other files see.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
  endif()
endfunction()
if(CLEAVE_STATIC)
  target_link_options(cleave_flags INTERFACE -static)
endif()
