# SPDX-License-Identifier: Apache-2.0
#
# Tests of the TFLite reader.
add_library(cleave_test_tflite STATIC tflite_builder.cc)
target_link_libraries(cleave_test_tflite PUBLIC cleave_test_graph cleave_dep::flatbuffers)
cleave_add_test(NAME importer_tflite
  SOURCES tflite_reader_test.cc tflite_quantized_test.cc tflite_hostile_test.cc
  LIBS cleave_test_tflite)
