# Tests of the CUDA part, on the emulator: kernels one by one, and the backend as a whole.
lockstep_cuda_parts(lockstep_cuda_test EMULATED ENVIRONMENTS cartpole corridor pong shortpong)

# What a loop fills before it reads is too long a story for g++'s warning; the sanitizers look for it.
lockstep_test(kernels/cuda TESTS critic_sums dense finish gradient picture_step returns rollout rollout_parts sample step
              table_learn table_rollout table_update ENVIRONMENTS cartpole corridor pong
              LIBRARIES lockstep_emulator)
if(TARGET kernels_cuda)
  target_compile_options(kernels_cuda PRIVATE -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

set(every_environment ENVIRONMENTS cartpole corridor pong shortpong LIBRARIES lockstep_cuda_test)
lockstep_test(host/cuda TESTS actor_critic dense dense_fault dense_pictures episode_lists episodes fault graph launch_steps
              memory number_backend parity parts play resume stepper table_parity ${every_environment})
lockstep_test(host/cuda/table_parity_all_test SOURCES host/cuda/table_parity_test.cpp LABELS slow
              ${every_environment} DEFINITIONS LS_PARITY_STRIDE=1)
lockstep_test(host/cuda/parity_all_test SOURCES host/cuda/parity_test.cpp LABELS slow
              ${every_environment} DEFINITIONS LS_PARITY_STRIDE=1)
lockstep_test(host/cuda/long_test SOURCES host/cuda/long_test.cpp LABELS slow ${every_environment})
add_library(lockstep_foreign_plugin MODULE support/foreign_plugin.cpp)
set_target_properties(
  lockstep_foreign_plugin PROPERTIES OUTPUT_NAME lockstep_cuda LIBRARY_OUTPUT_DIRECTORY
                                     "${CMAKE_CURRENT_BINARY_DIR}/foreign")
target_link_libraries(lockstep_foreign_plugin PRIVATE lockstep_kernels)
lockstep_test(host/cuda/files SOURCES host/backend/elf_check_test.cpp host/cuda/blas_test.cpp
              host/cuda/libraries_test.cpp LIBRARIES lockstep_cuda_test
              DEFINITIONS "LS_MODULE=\"$<TARGET_FILE:lockstep_foreign_plugin>\""
              DEPENDS lockstep_foreign_plugin)
lockstep_test(host/cli/cuda_device_test SOURCES host/cli/cuda_device_test.cpp PROGRAM
              DEFINITIONS "LS_PLUGIN_FOLDER=\"${PROJECT_BINARY_DIR}\""
                          "LS_FOREIGN_FOLDER=\"${CMAKE_CURRENT_BINARY_DIR}/foreign\""
              DEPENDS lockstep_foreign_plugin)
