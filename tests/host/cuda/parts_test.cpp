// Tests for RandomStream::first_env of kernels/philox.h on the emulator: a part of a batch plays
// what it plays in the whole.
#include "tests/support/parts.h"

#include "host/cuda/table_backend.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace cuda_parts_test {

TEST(CudaParts, OfABatchOfNumbersHaveTheBitsOfTheWhole) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const GpuMapping mapping : {GpuMapping::kThread, GpuMapping::kLanes8}) {
      Config config = test::tiny_config(20, 12);
      config.env = env;
      config.mapping = mapping;
      CudaBackend backend = test::make_cuda_backend(config);
      PlayRequest request;
      request.num_envs = 40;
      request.T = 45;
      request.stream = {5, 3, 100};
      test::expect_parts_in_all_ways(backend, test::initial_state(config).parameters, request,
                                     find_environment(env));
    }
  }
}

TEST(CudaParts, OfABatchOfObjectsHaveTheBitsOfTheWhole) {
  Config config = test::tiny_config(20, 16);
  config.env = "shortpong";
  config.frame_skip = {2, 4};
  config.repeat_action_probability = 0.25;
  const EnvironmentEntry& environment = find_environment(config.env);
  CudaTableBackend backend(config, environment, *cuda::find_table_operations("shortpong"), {});
  PlayRequest request;
  request.num_envs = 40;
  request.T = 14;
  request.stream = {5, 3, 7};
  for (const bool in_turn : {false, true}) {
    request.game = game_options(config, environment, 12);
    request.game.noops_in_turn = in_turn;
    test::expect_parts_in_all_ways(backend, test::initial_state(config).parameters, request,
                                   environment);
  }
}

}  // namespace cuda_parts_test
}  // namespace lockstep
