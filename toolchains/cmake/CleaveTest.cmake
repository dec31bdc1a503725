# SPDX-License-Identifier: Apache-2.0
#
# cleave_add_test(NAME n SOURCES a.cc ... [LIBS lib ...] [LABELS label ...]
#                 [ENVIRONMENT K=V ...] [TIMEOUT seconds])
# One doctest program per call, with the shared main of tests/support; its files are compiled together.
# Or, of a program that holds the test files of a folder, the cases of some of them:
#   cleave_add_test_program(NAME p SOURCES a.cc ... [LIBS lib ...])
#   cleave_add_test(NAME n PROGRAM p FILES a.cc ... [LABELS ...] [ENVIRONMENT ...] [TIMEOUT ...])
# Labels:
#   unit         seconds, no processes, no network
#   integration  starts programs, runs real networks
#   slow         not part of tests/run.sh without --slow
#   asan, tsan, qemu   also part of that tier (unit implies asan)
# Each tier has a target cleave_<tier>_tests that builds just its programs.
foreach(tier asan tsan qemu)
  add_custom_target(cleave_${tier}_tests)
endforeach()

function(cleave_add_test_program)
  cmake_parse_arguments(T "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  cleave_compile_together(${T_NAME})
  target_link_libraries(${T_NAME} PRIVATE cleave_test_main ${T_LIBS})
endfunction()

function(cleave_add_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT;PROGRAM" "SOURCES;LIBS;LABELS;ENVIRONMENT;FILES" ${ARGN})
  if(T_PROGRAM)
    list(TRANSFORM T_FILES PREPEND "*/")
    list(JOIN T_FILES "," files)
    add_test(NAME ${T_NAME} COMMAND ${T_PROGRAM} "--source-file=${files}"
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  else()
    set(T_PROGRAM ${T_NAME})
    cleave_add_test_program(NAME ${T_NAME} SOURCES ${T_SOURCES} LIBS ${T_LIBS})
    add_test(NAME ${T_NAME} COMMAND ${T_NAME} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  endif()
  if(NOT T_LABELS)
    set(T_LABELS unit)
  endif()
  if("unit" IN_LIST T_LABELS AND NOT "asan" IN_LIST T_LABELS)
    list(APPEND T_LABELS asan)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT})
  if(T_ENVIRONMENT)
    set_tests_properties(${T_NAME} PROPERTIES ENVIRONMENT "${T_ENVIRONMENT}")
  endif()
  foreach(tier asan tsan qemu)
    if(tier IN_LIST T_LABELS)
      add_dependencies(cleave_${tier}_tests ${T_PROGRAM})
    endif()
  endforeach()
endfunction()
