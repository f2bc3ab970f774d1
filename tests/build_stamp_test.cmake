# Which commit a build names: that of the repository whose top is the source tree, whatever surrounds
# the tree or is in the environment (a hook's GIT_DIR); without one LS_COMMIT, else "unknown".
# Run as: cmake -DROOT=<project root> -DWORK=<scratch folder> -P build_stamp_test.cmake
cmake_minimum_required(VERSION 3.25)
find_program(GIT git)

# what a hook of git or a user's environment may say about another repository
set(clean_environment "${CMAKE_COMMAND}" -E env --unset=GIT_DIR --unset=GIT_WORK_TREE
    --unset=GIT_INDEX_FILE)

function(must_run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(FATAL_ERROR "${ARGN}: ${said}")
  endif()
endfunction()

# Sets `out` to the hash of a new repository's only commit.
function(make_repository folder out)
  # nothing of what a user may have set up for commits
  set(git ${clean_environment} "${GIT}" -C "${folder}" -c user.name=nobody -c user.email=nobody@localhost
      -c commit.gpgsign=false -c core.hooksPath=/dev/null)
  must_run(${git} init -q)
  must_run(${git} commit -q --allow-empty -m "${folder}")
  execute_process(COMMAND ${git} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE hash OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(${out} "${hash}" PARENT_SCOPE)
endfunction()

# A project of nothing but a stamp, as an archive unpacks it.
function(unpack_source folder)
  file(WRITE "${folder}/CMakeLists.txt"
       "cmake_minimum_required(VERSION 3.25)\nproject(stamped VERSION 1.2.3 LANGUAGES NONE)\n"
       "include(cmake/build_stamp.cmake)\nlockstep_build_stamp(\"\${CMAKE_BINARY_DIR}/stamp.cpp\")\n"
       "add_custom_target(stamp ALL DEPENDS \"\${CMAKE_BINARY_DIR}/stamp.cpp\")\n")
  file(COPY "${ROOT}/cmake/build_stamp.cmake" "${ROOT}/cmake/write_build_stamp.cmake"
            "${ROOT}/cmake/build_stamp.cpp.in" DESTINATION "${folder}/cmake")
endfunction()

# Builds `folder` with these variables in the environment and demands this commit in its stamp.
function(expect_commit wanted folder)
  set(build "${WORK}/build")
  file(REMOVE_RECURSE "${build}")
  must_run(${clean_environment} --unset=LS_COMMIT ${ARGN} "${CMAKE_COMMAND}" -G Ninja -S "${folder}"
           -B "${build}")
  expect_commit_again("${wanted}" "${folder}" ${ARGN})
endfunction()

# The same in the build folder that is there.
function(expect_commit_again wanted folder)
  set(build "${WORK}/build")
  set(clean ${clean_environment} --unset=LS_COMMIT ${ARGN})
  must_run(${clean} "${CMAKE_COMMAND}" --build "${build}")
  file(READ "${build}/stamp.cpp" stamp)
  if(NOT stamp MATCHES "kCommit = \"${wanted}\"")
    string(REGEX MATCH "kCommit = [^\n]*" got "${stamp}")
    message(SEND_ERROR "${folder} with '${ARGN}': wanted ${wanted}, got ${got}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(around "${WORK}/around")
set(archive "${around}/vendor/lockstep")
set(clone "${WORK}/clone")
unpack_source("${archive}")
set(given 0123456789abcdef0123456789abcdef01234567)
if(GIT)
  unpack_source("${clone}")
  make_repository("${around}" around_hash)
  make_repository("${clone}" clone_hash)
  expect_commit(unknown "${archive}" "GIT_DIR=${around}/.git")
  expect_commit("${clone_hash}" "${clone}")
  expect_commit("${clone_hash}" "${clone}" "GIT_DIR=${around}/.git" "GIT_WORK_TREE=${around}")
  expect_commit("${clone_hash}" "${clone}" "LS_COMMIT=${given}")
else()
  message(STATUS "no git: what a clone's stamp says is not tested")
endif()
expect_commit(unknown "${archive}")
expect_commit(0123456789ab "${archive}" "LS_COMMIT=${given}")
# the environment of a later build, with and without configuring again
set(other fedcba9876543210fedcba9876543210fedcba98)
expect_commit_again(0123456789ab "${archive}")
expect_commit_again(fedcba987654 "${archive}" "LS_COMMIT=${other}")
must_run("${CMAKE_COMMAND}" -E env "LS_COMMIT=${other}" "${CMAKE_COMMAND}" "${WORK}/build")
expect_commit_again(fedcba987654 "${archive}")
must_run("${CMAKE_COMMAND}" "-DLS_COMMIT=${given}" "${WORK}/build")
expect_commit_again(0123456789ab "${archive}" "LS_COMMIT=${other}")
execute_process(COMMAND "${CMAKE_COMMAND}" -G Ninja -S "${archive}" -B "${WORK}/refused" "-DLS_COMMIT=v1\"quoted"
                RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE said)
if(NOT failed OR NOT said MATCHES "is no hash of a commit")
  message(SEND_ERROR "a commit that is no hash is taken: ${said}")
endif()
