# Tests of the CUDA part, on the emulator: kernels one by one, and the backend as a whole.
lockstep_cuda_parts(lockstep_cuda_test EMULATED ENVIRONMENTS cartpole corridor pong shortpong)

# A test that instantiates kernels itself. What a loop fills before it reads is too long a story for
# g++'s warning; the sanitizers look for it.
function(lockstep_kernel_test name)
  lockstep_test(kernels/${name} SOURCES kernels/${name}.cpp ENVIRONMENTS cartpole corridor
                LIBRARIES lockstep_emulator ${ARGN})
  if(TARGET kernels_${name})
    target_compile_options(kernels_${name} PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
endfunction()
foreach(name dense finish gradient returns rollout sample step table_rollout)
  lockstep_kernel_test(cuda_${name}_test)
endforeach()
foreach(name table_learn table_update)
  lockstep_kernel_test(cuda_${name}_test lockstep_env_pong)
endforeach()

foreach(name backend buffers dense dense_fault episode_lists episodes fault parity play resume)
  lockstep_test(host/cuda_${name}_test SOURCES host/cuda_${name}_test.cpp
                ENVIRONMENTS cartpole corridor LIBRARIES lockstep_cuda_test)
endforeach()
lockstep_test(host/cuda_table_parity_test SOURCES host/cuda_table_parity_test.cpp
              ENVIRONMENTS cartpole pong shortpong LIBRARIES lockstep_cuda_test)
lockstep_test(host/cuda_table_parity_all_test SOURCES host/cuda_table_parity_test.cpp LABELS slow
              ENVIRONMENTS cartpole pong shortpong LIBRARIES lockstep_cuda_test
              DEFINITIONS LS_PARITY_STRIDE=1)
lockstep_test(host/cuda_parity_all_test SOURCES host/cuda_parity_test.cpp LABELS slow
              ENVIRONMENTS cartpole corridor LIBRARIES lockstep_cuda_test
              DEFINITIONS LS_PARITY_STRIDE=1)
add_library(lockstep_foreign_plugin MODULE support/foreign_plugin.cpp)
set_target_properties(
  lockstep_foreign_plugin PROPERTIES OUTPUT_NAME lockstep_cuda LIBRARY_OUTPUT_DIRECTORY
                                     "${CMAKE_CURRENT_BINARY_DIR}/foreign")
target_link_libraries(lockstep_foreign_plugin PRIVATE lockstep_kernels)
foreach(name cuda_blas elf_check)
  lockstep_test(host/${name}_test SOURCES host/${name}_test.cpp LIBRARIES lockstep_cuda_test
                DEFINITIONS "LS_MODULE=\"$<TARGET_FILE:lockstep_foreign_plugin>\""
                DEPENDS lockstep_foreign_plugin)
endforeach()
lockstep_test(host/cuda_libraries_test SOURCES host/cuda_libraries_test.cpp
              LIBRARIES lockstep_cuda_test)
lockstep_test(host/cuda_long_test SOURCES host/cuda_long_test.cpp LABELS slow
              ENVIRONMENTS cartpole corridor LIBRARIES lockstep_cuda_test)
lockstep_test(cli/cuda_device_test SOURCES cli/cuda_device_test.cpp PROGRAM
              DEFINITIONS "LS_PLUGIN_FOLDER=\"${PROJECT_BINARY_DIR}\""
                          "LS_FOREIGN_FOLDER=\"${CMAKE_CURRENT_BINARY_DIR}/foreign\""
              DEPENDS lockstep_foreign_plugin)
