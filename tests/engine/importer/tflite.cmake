# SPDX-License-Identifier: Apache-2.0
#
# Tests of the TFLite and TF.js readers, and of published networks on real photos.
add_library(cleave_test_photos STATIC
  "${PROJECT_SOURCE_DIR}/tests/support/photo_classifier.cc")
target_link_libraries(cleave_test_photos PUBLIC
  cleave::importer cleave::engine cleave::image)

cleave_add_test(NAME real_networks SOURCES "${PROJECT_SOURCE_DIR}/tests/engine/real_networks_test.cc"
  LIBS cleave_test_photos LABELS integration TIMEOUT 600)

add_library(cleave_test_tflite STATIC tflite_builder.cc)
target_link_libraries(cleave_test_tflite PUBLIC cleave_test_graph cleave_dep::flatbuffers)
cleave_add_test(NAME importer_tflite
  SOURCES tflite_reader_test.cc tflite_quantized_test.cc tflite_hostile_test.cc
  LIBS cleave_test_tflite)
