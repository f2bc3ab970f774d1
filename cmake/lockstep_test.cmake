# lockstep_test(): a GoogleTest program for the tests of a folder, its cases discovered when ctest starts
# (so skips show as skips). See tests/CMakeLists.txt for its use.

# The environment list for a set of names; made once per set.
function(lockstep_test_environments out)
  if(NOT ARGN)
    set(${out} lockstep_builtin_environments PARENT_SCOPE)
    return()
  endif()
  list(JOIN ARGN "_" suffix)
  set(target lockstep_environments_${suffix})
  if(NOT TARGET ${target})
    lockstep_environment_list(${target} ${ARGN})
  endif()
  set(${out} ${target} PARENT_SCOPE)
endfunction()

function(lockstep_test name)
  cmake_parse_arguments(PARSE_ARGV 1 TEST "PROGRAM" ""
                        "TESTS;SOURCES;LABELS;ENVIRONMENTS;LIBRARIES;DEFINITIONS;DEPENDS")
  list(LENGTH TEST_LABELS label_count)  # discovery of CMake 3.25 cannot pass on a list
  list(TRANSFORM TEST_TESTS REPLACE "(.+)" "${name}/\\1_test.cpp")
  list(PREPEND TEST_SOURCES ${TEST_TESTS})
  if(NOT TEST_SOURCES OR TEST_UNPARSED_ARGUMENTS OR label_count GREATER 1)
    message(FATAL_ERROR "usage: lockstep_test(name [TESTS name...] [SOURCES file...] [PROGRAM] "
                        "[LABELS label] [ENVIRONMENTS name...] [LIBRARIES target...] "
                        "[DEFINITIONS NAME=value...] [DEPENDS target...])")
  endif()
  if(NOT "${name}" MATCHES "${LS_TEST_FILTER}" OR (TEST_PROGRAM AND NOT TARGET lockstep_cli))
    return()
  endif()
  if(LS_SANITIZE AND TEST_LABELS)
    return() # a label is for what takes long, and nobody waits for that under a sanitizer
  endif()
  string(REPLACE "/" "_" target "${name}")
  lockstep_test_environments(environments ${TEST_ENVIRONMENTS})
  add_executable(${target} ${TEST_SOURCES})
  # in a folder of their own: a folder's program may have the name of a folder
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/bin")
  if(TEST_TESTS)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${LS_UNITY} UNITY_BUILD_BATCH_SIZE 6)
  endif()
  target_link_libraries(
    ${target} PRIVATE lockstep_host ${environments} ${TEST_LIBRARIES} GTest::gmock GTest::gtest_main
                      nlohmann_json::nlohmann_json fmt::fmt-header-only
                      lockstep_toml)
  target_compile_definitions(${target} PRIVATE ${LS_ISA_DEFINITIONS} ${TEST_DEFINITIONS})
  if(TEST_PROGRAM)
    target_compile_definitions(${target} PRIVATE "LS_TEST_PROGRAM=\"$<TARGET_FILE:lockstep_cli>\"")
    list(APPEND TEST_DEPENDS lockstep_cli)
  endif()
  if(TEST_DEPENDS)
    add_dependencies(${target} ${TEST_DEPENDS})
  endif()
  if("${name}" MATCHES "^host/(cli|files|options|plot|train)|^crash")
    # these wait for files and processes, not for their own code
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
  elseif("${name}" MATCHES "^host")
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  else()  # these instantiate kernels
    target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O1>)
  endif()
  # tests share their cores with each other: threads that spin while they wait triple the time
  set(properties PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive)
  if(TEST_LABELS)
    # the prefix keeps a file that is built twice, once to run longer, apart from itself
    set(properties TEST_PREFIX "${TEST_LABELS}/" ${properties} LABELS ${TEST_LABELS})
  else()
    # its own name: `ctest -L '^host/files$'` runs this program's cases
    set(properties ${properties} LABELS "${name}")
    set_property(GLOBAL APPEND_STRING PROPERTY LS_TEST_SUITES "${name}\n")
  endif()
  foreach(source IN LISTS TEST_SOURCES)  # the program of each file of tests
    if(source MATCHES "_test\\.cpp$")
      cmake_path(REMOVE_EXTENSION source OUTPUT_VARIABLE file)
      set_property(GLOBAL APPEND_STRING PROPERTY LS_TEST_PROGRAMS "${file} ${target}\n")
    endif()
  endforeach()
  gtest_discover_tests(
    ${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES WORKING_DIRECTORY
    "${PROJECT_SOURCE_DIR}" ${properties})
  if(TEST_LABELS)
    lockstep_build_when_asked(${target} ${TEST_LABELS})
  endif()
endfunction()

# Whoever does not run a program of a label does not build it: it is part of the target tests_<label>
# instead of `all`. Where it was not built, its tests are one of that label, which fails.
function(lockstep_build_when_asked target label)
  set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  if(NOT TARGET tests_${label})
    add_custom_target(tests_${label})
  endif()
  add_dependencies(tests_${label} ${target})
  get_property(includes DIRECTORY PROPERTY TEST_INCLUDE_FILES)
  list(POP_BACK includes discovered)  # gtest_discover_tests()'s
  set(either "${CMAKE_CURRENT_BINARY_DIR}/${target}_if_built.cmake")
  file(CONFIGURE OUTPUT "${either}" @ONLY CONTENT [[
if(EXISTS "@CMAKE_CURRENT_BINARY_DIR@/bin/@target@")
  include("@discovered@")
else()
  add_test("@label@/@target@_NOT_BUILT" "@target@_NOT_BUILT")
  set_tests_properties("@label@/@target@_NOT_BUILT" PROPERTIES LABELS @label@)
endif()
]])
  set_property(DIRECTORY PROPERTY TEST_INCLUDE_FILES ${includes} "${either}")
endfunction()

# A check that is a CMake script of tests/: lockstep_script_test(layering layering_test.cmake NAME=...)
# SLOW_SECONDS is the time-out where the default of 60 is too short.
function(lockstep_script_test name script)
  cmake_parse_arguments(PARSE_ARGV 2 TEST "" "SLOW_SECONDS" "")
  list(TRANSFORM TEST_UNPARSED_ARGUMENTS PREPEND "-D")
  add_test(NAME ${name} COMMAND "${CMAKE_COMMAND}" ${TEST_UNPARSED_ARGUMENTS} -P
                                "${CMAKE_CURRENT_SOURCE_DIR}/${script}")
  if(NOT TEST_SLOW_SECONDS)
    set(TEST_SLOW_SECONDS 60)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_SLOW_SECONDS})
endfunction()

# A live test: a Python script that holds the program or the library against another implementation.
# It is run as `script <arguments>` with LS_PROGRAM, the path of the program, in the environment.
function(lockstep_python_test name script)
  cmake_parse_arguments(PARSE_ARGV 2 TEST "" "SLOW_SECONDS" "ARGUMENTS")
  if(NOT TARGET lockstep_cli OR NOT "${name}" MATCHES "${LS_TEST_FILTER}")
    return()
  endif()
  add_test(
    NAME ${name} COMMAND "${PROJECT_SOURCE_DIR}/tests/python/run.sh"
                         "${CMAKE_CURRENT_SOURCE_DIR}/${script}" ${TEST_ARGUMENTS}
    WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  if(NOT TEST_SLOW_SECONDS)
    set(TEST_SLOW_SECONDS 300)
  endif()
  set_tests_properties(
    ${name} PROPERTIES LABELS live SKIP_RETURN_CODE 77 TIMEOUT ${TEST_SLOW_SECONDS} ENVIRONMENT
                       "LS_PROGRAM=$<TARGET_FILE:lockstep_cli>")
endfunction()
