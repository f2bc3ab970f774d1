# The emulator's self-tests; included by tests/CMakeLists.txt, which paths are relative to.
# planted_*, runtime, stream_order: in child processes, which what they do may end
lockstep_test(emulator TESTS blas collective graph memory planted_faults planted_races runtime scalar
              stream stream_order SOURCES emulator/outcome.cpp LIBRARIES lockstep_emulator)

# where there is a toolkit, the emulator's constants are held against it
find_package(CUDAToolkit QUIET)
if(TARGET CUDA::cudart_static AND NOT LS_SANITIZE)
  foreach(side emulator toolkit)
    add_executable(lockstep_${side}_values emulator/toolkit_values.cpp)
    target_compile_features(lockstep_${side}_values PRIVATE cxx_std_20)
  endforeach()
  target_link_libraries(lockstep_emulator_values PRIVATE lockstep_emulator)
  target_link_libraries(lockstep_toolkit_values PRIVATE CUDA::cudart_static)
  lockstep_test(
    emulator/toolkit_test SOURCES emulator/toolkit_test.cpp
    DEFINITIONS "LS_EMULATOR_VALUES=\"$<TARGET_FILE:lockstep_emulator_values>\""
                "LS_TOOLKIT_VALUES=\"$<TARGET_FILE:lockstep_toolkit_values>\""
    DEPENDS lockstep_emulator_values lockstep_toolkit_values)
endif()
