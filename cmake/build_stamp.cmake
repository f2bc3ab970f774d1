# lockstep_build_stamp(file): a small .cpp with version, commit, compiler and flags. It is written
# again only when HEAD moves (so a commit costs one tiny compilation and a link). Local edits that are
# not committed do not show in it. The commit is that of the repository whose top is this source tree,
# not of another one around it or of the variables of a hook (GIT_DIR); without one it is -DLS_COMMIT,
# else LS_COMMIT in the environment of the build, else that of the last configuring, else "unknown".
set(LS_COMMIT "" CACHE STRING "Hash of the commit of a source tree without repository")
if(DEFINED ENV{LS_COMMIT})
  set(LS_COMMIT_OF_ENVIRONMENT "$ENV{LS_COMMIT}" CACHE INTERNAL "LS_COMMIT when last configured")
endif()

function(lockstep_build_stamp output)
  foreach(commit IN ITEMS "${LS_COMMIT}" "${LS_COMMIT_OF_ENVIRONMENT}")
    if(NOT commit MATCHES "^([0-9a-f]+)?$")
      message(FATAL_ERROR "LS_COMMIT=${commit} is no hash of a commit")
    endif()
  endforeach()
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
  # nothing on disk tells of another environment: asked at every build, written only if it is another
  set(every_build)
  if(NOT head_log)
    set(every_build "${CMAKE_CURRENT_BINARY_DIR}/ask_for_the_commit")
    set_source_files_properties("${every_build}" PROPERTIES SYMBOLIC ON)
    add_custom_command(OUTPUT "${every_build}" COMMAND "${CMAKE_COMMAND}" -E true VERBATIM)
  endif()
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(STRIP "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" flags)
  add_custom_command(
    OUTPUT "${output}"
    COMMAND
      "${CMAKE_COMMAND}" "-DOUTPUT=${output}" "-DVERSION=${PROJECT_VERSION}"
      "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}" "-DGIT=${GIT_EXECUTABLE}" "-DGIVEN_COMMIT=${LS_COMMIT}"
      "-DEARLIER_COMMIT=${LS_COMMIT_OF_ENVIRONMENT}"
      "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
      "-DBUILD_TYPE=${CMAKE_BUILD_TYPE}" "-DFLAGS=${flags}" -P
      "${PROJECT_SOURCE_DIR}/cmake/write_build_stamp.cmake"
    DEPENDS ${head_log} ${every_build} "${PROJECT_SOURCE_DIR}/cmake/write_build_stamp.cmake"
            "${PROJECT_SOURCE_DIR}/cmake/build_stamp.cpp.in"
    COMMENT "Recording the commit"
    VERBATIM)
endfunction()
