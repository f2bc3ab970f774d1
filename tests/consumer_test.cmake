# Installs the project into an empty folder, moves that folder (the package must be relocatable), and
# builds and runs tests/consumer against it: by find_package, then by pkg-config where that exists.
# Run as: cmake -DBUILD=<build folder> -DSOURCE=<tests/consumer> -DWORK=<scratch> -DCXX=<compiler>
#               -P consumer_test.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${failed}): ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first place")
file(RENAME "${WORK}/first place" "${WORK}/second place")

foreach(shell bash-completion/completions/lockstep zsh/site-functions/_lockstep
              fish/vendor_completions.d/lockstep.fish)
  file(READ "${WORK}/second place/share/${shell}" completion)
  if(NOT completion MATCHES "until-score")
    message(FATAL_ERROR "no option of the program in share/${shell}")
  endif()
endforeach()

run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/build" -G Ninja "-DCMAKE_CXX_COMPILER=${CXX}"
    "-DCMAKE_PREFIX_PATH=${WORK}/second place")
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${WORK}/build/consumer")
string(STRIP "${output}" output)
message(STATUS "find_package: ${output}")

# no file of the package may know where it was built or first installed
file(GLOB_RECURSE package_files "${WORK}/second place/*.cmake" "${WORK}/second place/*.pc")
foreach(file IN LISTS package_files)
  file(READ "${file}" text)
  string(FIND "${text}" "${BUILD}" in_build)
  string(FIND "${text}" "first place" in_first)
  if(NOT in_build EQUAL -1 OR NOT in_first EQUAL -1)
    message(FATAL_ERROR "${file} holds an absolute path")
  endif()
endforeach()

find_program(pkg_config pkg-config)
if(NOT pkg_config)
  message(STATUS "pkg-config is not installed; that half was left out")
  return()
endif()
file(GLOB_RECURSE pc_file "${WORK}/second place/*/lockstep.pc")
get_filename_component(pc_dir "${pc_file}" DIRECTORY)
set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
run("${pkg_config}" --cflags --libs lockstep)
separate_arguments(flags UNIX_COMMAND "${output}")
run("${CXX}" -std=c++20 "${SOURCE}/main.cpp" ${flags} -o "${WORK}/by_pkg_config")
run("${WORK}/by_pkg_config")
message(STATUS "pkg-config: works too")
