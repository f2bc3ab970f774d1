# Tests of the labels slow and exhaustive are known to ctest whether or not their programs are built, and
# only to who asks for their label: what runs the others does not stumble over programs it never built.
# Run as: cmake -DBUILD=<build folder> -DCTEST=<ctest> -P labels_test.cmake
cmake_minimum_required(VERSION 3.25)

function(count out pattern)
  execute_process(COMMAND "${CTEST}" --test-dir "${BUILD}" -N ${ARGN} OUTPUT_VARIABLE listing
                          RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "ctest -N ${ARGN}: ${status}")
  endif()
  string(REGEX MATCHALL "${pattern}" found "${listing}")
  list(LENGTH found found)
  set(${out} ${found} PARENT_SCOPE)
endfunction()

foreach(label slow exhaustive)
  count(known "#[0-9]+: ${label}/" -L "^${label}$")
  if(known EQUAL 0)
    message(SEND_ERROR "no test of the label ${label}")
  endif()
  count(others "#[0-9]+: ${label}/" -LE "^(slow|live|exhaustive)$")
  if(NOT others EQUAL 0)
    message(SEND_ERROR "${others} tests of the label ${label} run where it is left out")
  endif()
endforeach()
