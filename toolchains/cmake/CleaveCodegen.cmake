# SPDX-License-Identifier: Apache-2.0
#
# Code generated at build time, below ${CMAKE_BINARY_DIR}/generated. A file DIR/NAME.fbs gives
# "DIR/generated/NAME_generated.h", DIR/NAME.proto gives "DIR/generated/NAME.pb.h" (DIR relative
# to the project). Generators always are the build machine's.
set(CLEAVE_GENERATED_DIR "${CMAKE_BINARY_DIR}/generated")

function(_cleave_generator variable program)
  find_program(${variable} ${program} NO_CMAKE_FIND_ROOT_PATH)
  mark_as_advanced(${variable})
  if(NOT ${variable})
    message(FATAL_ERROR "cannot find ${program}. Run: bash toolchains/setup.sh")
  endif()
endfunction()

# Sets OUT_SOURCE to the absolute path of FILE and OUT_DIR to where its code is generated.
function(_cleave_generated_dir file out_source out_dir)
  get_filename_component(source "${file}" ABSOLUTE)
  get_filename_component(directory "${source}" DIRECTORY)
  file(RELATIVE_PATH directory "${PROJECT_SOURCE_DIR}" "${directory}")
  set(${out_source} "${source}" PARENT_SCOPE)
  set(${out_dir} "${CLEAVE_GENERATED_DIR}/${directory}/generated" PARENT_SCOPE)
endfunction()

# Gives TARGET (an INTERFACE library is made when there is none) the generated HEADERS.
function(_cleave_attach target)
  if(NOT TARGET ${target})
    add_library(${target} INTERFACE)
  endif()
  get_target_property(type ${target} TYPE)
  set(scope PUBLIC)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(scope INTERFACE)
  endif()
  # Named by content, so that a target may be given schemas in several calls.
  string(MD5 step "${ARGN}")
  string(SUBSTRING "${step}" 0 8 step)
  add_custom_target(${target}_generated_${step} DEPENDS ${ARGN})
  add_dependencies(${target} ${target}_generated_${step})
  target_include_directories(${target} SYSTEM ${scope} "${CLEAVE_GENERATED_DIR}")
endfunction()

# cleave_flatbuffers(TARGET [--gen-object-api] FILE.fbs...)
function(cleave_flatbuffers target)
  _cleave_generator(CLEAVE_FLATC flatc)
  cmake_parse_arguments(F "--gen-object-api" "" "" ${ARGN})
  set(flags --cpp --scoped-enums --cpp-std c++17)
  if(F_--gen-object-api)
    list(APPEND flags --gen-object-api)
  endif()
  # Schemas of one call may include each other.
  set(schemas "")
  foreach(file IN LISTS F_UNPARSED_ARGUMENTS)
    get_filename_component(schema "${file}" ABSOLUTE)
    list(APPEND schemas "${schema}")
  endforeach()
  set(headers "")
  foreach(file IN LISTS schemas)
    _cleave_generated_dir("${file}" schema directory)
    get_filename_component(name "${schema}" NAME_WE)
    set(header "${directory}/${name}_generated.h")
    add_custom_command(OUTPUT "${header}"
      COMMAND "${CLEAVE_FLATC}" ${flags} -I "${PROJECT_SOURCE_DIR}" -o "${directory}" "${schema}"
      DEPENDS ${schemas} COMMENT "flatc ${name}.fbs" VERBATIM)
    list(APPEND headers "${header}")
  endforeach()
  _cleave_attach(${target} ${headers})
endfunction()

# cleave_protobuf(TARGET FILE.proto...): compiled into TARGET, which must exist. Host only.
function(cleave_protobuf target)
  _cleave_generator(CLEAVE_PROTOC protoc)
  set(headers "")
  foreach(file IN LISTS ARGN)
    _cleave_generated_dir("${file}" proto directory)
    get_filename_component(name "${proto}" NAME_WE)
    get_filename_component(root "${proto}" DIRECTORY)
    set(source "${directory}/${name}.pb.cc")
    set(header "${directory}/${name}.pb.h")
    file(MAKE_DIRECTORY "${directory}")
    add_custom_command(OUTPUT "${source}" "${header}"
      COMMAND "${CLEAVE_PROTOC}" "--proto_path=${root}" "--cpp_out=${directory}" "${proto}"
      DEPENDS "${proto}" COMMENT "protoc ${name}.proto" VERBATIM)
    # Generated code is not ours to keep free of warnings.
    set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "-w")
    target_sources(${target} PRIVATE "${source}")
    list(APPEND headers "${header}")
  endforeach()
  _cleave_attach(${target} ${headers})
endfunction()
