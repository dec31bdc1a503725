# SPDX-License-Identifier: Apache-2.0
#
# Tests of the ONNX reader alone, of ONNX's own operator vectors, and against ONNX Runtime.
set(support "${PROJECT_SOURCE_DIR}/tests/support")
set(engine_tests "${PROJECT_SOURCE_DIR}/tests/engine")

add_library(cleave_test_onnx STATIC
  ${support}/onnx_builder.cc
  ${support}/onnx_engine.cc
  ${support}/onnx_seed.cc
  ${support}/onnx_writer.cc
  ${support}/ort_session.cc)
target_link_libraries(cleave_test_onnx PUBLIC
  cleave_test_graph cleave::importer cleave::engine cleave_dep::protobuf cleave_dep::doctest
  ${CMAKE_DL_LIBS})

cleave_add_test(NAME importer_onnx SOURCES onnx_reader_test.cc onnx_hostile_test.cc
  LIBS cleave_test_onnx)
cleave_add_test(NAME onnx_vectors
  SOURCES ${engine_tests}/onnx_vectors_test.cc ${engine_tests}/onnx_vectors.cc
  LIBS cleave_test_onnx LABELS integration)

# Where fetch_ort.sh puts ONNX Runtime; without it these tests skip, or fail if CLEAVE_REQUIRE_ORT=1.
execute_process(COMMAND bash "${support}/fetch_ort.sh" --path OUTPUT_VARIABLE ort_library
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(ort_sources onnx_families.cc ort_breakages.cc ort_compare.cc ort_families_test.cc
  ort_forms_test.cc ort_sensitivity_test.cc ort_compare_test.cc)
list(TRANSFORM ort_sources PREPEND "${engine_tests}/")
cleave_add_test_program(NAME ort_tests SOURCES ${ort_sources} LIBS cleave_test_onnx)
foreach(test families forms sensitivity compare)
  cleave_add_test(NAME ort_${test} PROGRAM ort_tests FILES ort_${test}_test.cc
    LABELS integration TIMEOUT 900 ENVIRONMENT "CLEAVE_ORT_LIBRARY=${ort_library}")
endforeach()
