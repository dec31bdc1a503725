# SPDX-License-Identifier: Apache-2.0
#
# Tests of the TF.js reader alone, and against TF.js itself.
cleave_add_test(NAME importer_tfjs
  SOURCES tfjs_reader_test.cc tfjs_hostile_test.cc tfjs_builder.cc
  LIBS cleave_test_graph cleave_dep::json)

# Where fetch_tfjs.sh puts TF.js; without it the test skips, or fails if CLEAVE_REQUIRE_TFJS=1.
execute_process(COMMAND bash "${PROJECT_SOURCE_DIR}/tests/support/fetch_tfjs.sh" --path
  OUTPUT_VARIABLE tfjs_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
cleave_add_test(NAME tfjs_reference SOURCES tfjs_reference_test.cc
  LIBS cleave_test_photos cleave_dep::json LABELS integration TIMEOUT 600
  ENVIRONMENT "CLEAVE_TFJS_DIR=${tfjs_folder}")
