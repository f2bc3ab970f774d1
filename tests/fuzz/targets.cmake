# Fuzz targets (tests/fuzz/fuzz.h): one test of all of them for every build, and one libFuzzer program
# each, fuzz_<name>, in builds of the preset `fuzz`.
set(fuzz_targets safetensors npy checkpoint toml run_json metrics events replay elf)
set(fuzz_harness fuzz/harness.cpp ../host/cli/policy_source.cpp)
set(fuzz_definitions "LS_FUZZ_CORPUS=\"${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus\"")

list(TRANSFORM fuzz_targets PREPEND fuzz/ OUTPUT_VARIABLE fuzz_sources)
list(TRANSFORM fuzz_sources APPEND .cpp)
set(fuzz_environments cartpole corridor pong)  # the corridor's rewards differ: runs of it have scores
lockstep_test(fuzz/corpus_test SOURCES fuzz/corpus_test.cpp ${fuzz_sources} ${fuzz_harness}
              DEFINITIONS ${fuzz_definitions} ENVIRONMENTS ${fuzz_environments})

if(LS_SANITIZE MATCHES "fuzzer")
  add_library(lockstep_fuzz_harness OBJECT fuzz/libfuzzer.cpp ${fuzz_harness})
  target_link_libraries(lockstep_fuzz_harness PRIVATE lockstep_host nlohmann_json::nlohmann_json)
  target_compile_definitions(lockstep_fuzz_harness PRIVATE ${fuzz_definitions})
  lockstep_test_environments(environments ${fuzz_environments})
  foreach(name IN LISTS fuzz_targets)
    add_executable(fuzz_${name} fuzz/${name}.cpp)
    target_link_libraries(fuzz_${name} PRIVATE lockstep_fuzz_harness lockstep_host
                                               ${environments}
                                               nlohmann_json::nlohmann_json -fsanitize=fuzzer)
  endforeach()
endif()
