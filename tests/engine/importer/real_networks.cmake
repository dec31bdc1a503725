# SPDX-License-Identifier: Apache-2.0
#
# Published networks on real photos.
add_library(cleave_test_photos STATIC
  "${PROJECT_SOURCE_DIR}/tests/support/photo_classifier.cc")
target_link_libraries(cleave_test_photos PUBLIC
  cleave::importer cleave::engine cleave::image)

cleave_add_test(NAME real_networks SOURCES "${PROJECT_SOURCE_DIR}/tests/engine/real_networks_test.cc"
  LIBS cleave_test_photos LABELS integration TIMEOUT 600)
