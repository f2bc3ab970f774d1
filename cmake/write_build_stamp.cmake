# Run at build time by the rule of build_stamp.cmake.
set(COMMIT "unknown")
if(GIVEN_COMMIT)
  set(COMMIT "${GIVEN_COMMIT}")
endif()
if(GIT)
  execute_process(
    COMMAND "${GIT}" "--git-dir=${SOURCE_DIR}/.git" rev-parse --short=12 HEAD
    WORKING_DIRECTORY "${SOURCE_DIR}"
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
    RESULT_VARIABLE failed)
  if(NOT failed AND answer)
    set(COMMIT "${answer}")
  endif()
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/build_stamp.cpp.in" "${OUTPUT}" @ONLY)
