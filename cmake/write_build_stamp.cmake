# Run at build time by the rule of build_stamp.cmake.
set(COMMIT "unknown")
foreach(given IN ITEMS "${GIVEN_COMMIT}" "$ENV{LS_COMMIT}" "${EARLIER_COMMIT}")
  if(given MATCHES "^[0-9a-f]+$")
    string(SUBSTRING "${given}" 0 12 COMMIT)
    break()
  elseif(given)
    message(FATAL_ERROR "LS_COMMIT=${given} is no hash of a commit")
  endif()
endforeach()
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
