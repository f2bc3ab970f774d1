# lockstep_build_stamp(file): a small .cpp with version, commit, compiler and flags. It is written
# again only when HEAD moves (so a commit costs one tiny compilation and a link). Local edits that are
# not committed do not show in it. The commit is that of the repository whose top is this source tree,
# not of another one around it or of the variables of a hook (GIT_DIR); without one it is LS_COMMIT,
# else "unknown".
set(LS_COMMIT "$ENV{LS_COMMIT}" CACHE STRING "Hash of the commit of a source tree without repository")

function(lockstep_build_stamp output)
  if(NOT LS_COMMIT MATCHES "^([0-9a-f]+)?$")
    message(FATAL_ERROR "LS_COMMIT=${LS_COMMIT} is no hash of a commit")
  endif()
  string(SUBSTRING "${LS_COMMIT}" 0 12 commit)
  set(head_log)
  find_package(Git QUIET)
  if(GIT_FOUND)
    execute_process(
      COMMAND "${GIT_EXECUTABLE}" "--git-dir=${PROJECT_SOURCE_DIR}/.git" rev-parse --git-path logs/HEAD
      WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE head_log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(head_log)
      get_filename_component(head_log "${head_log}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}")
      if(NOT EXISTS "${head_log}")
        set(head_log)
      endif()
    endif()
  endif()
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  add_custom_command(
    OUTPUT "${output}"
    COMMAND
      "${CMAKE_COMMAND}" "-DOUTPUT=${output}" "-DVERSION=${PROJECT_VERSION}"
      "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}" "-DGIT=${GIT_EXECUTABLE}" "-DGIVEN_COMMIT=${commit}"
      "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
      "-DBUILD_TYPE=${CMAKE_BUILD_TYPE}" "-DFLAGS=${flags}" -P
      "${PROJECT_SOURCE_DIR}/cmake/write_build_stamp.cmake"
    DEPENDS ${head_log} "${PROJECT_SOURCE_DIR}/cmake/write_build_stamp.cmake"
            "${PROJECT_SOURCE_DIR}/cmake/build_stamp.cpp.in"
    COMMENT "Recording the commit"
    VERBATIM)
endfunction()
