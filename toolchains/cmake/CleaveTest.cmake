# SPDX-License-Identifier: Apache-2.0
#
# cleave_add_test(NAME n SOURCES a.cc ... [LIBS lib ...] [LABELS unit|integration|slow ...]
#                 [ENVIRONMENT K=V ...] [TIMEOUT seconds])
# One doctest program per call, with the shared main of tests/support.
function(cleave_add_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ENVIRONMENT" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE cleave_test_main ${T_LIBS})
  set(command ${T_NAME})
  add_test(NAME ${T_NAME} COMMAND ${command} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if(NOT T_LABELS)
    set(T_LABELS unit)
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABELS}" TIMEOUT ${T_TIMEOUT})
  if(T_ENVIRONMENT)
    set_tests_properties(${T_NAME} PROPERTIES ENVIRONMENT "${T_ENVIRONMENT}")
  endif()
endfunction()
