// Tests for RandomStream::first_env of kernels/philox.h: a part of a batch plays what it plays in
// the whole.
#include "tests/support/parts.h"

#include "tests/support/pong_training.h"

namespace lockstep::test {
namespace parts_test {

TEST(Parts, OfABatchOfNumbersHaveTheBitsOfTheWhole) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const Isa isa : available_isas()) {
      Config config = small_config(71);
      config.env = env;
      CpuBackend backend = make_cpu_backend(config, {.isa = isa, .threads = 1});
      PlayRequest request;
      request.num_envs = 71;
      request.T = 150;
      request.stream = {5, 3, 0xfffffff0u};  // ids go on with 0
      expect_parts_in_all_ways(backend, initial_state(config).parameters, request,
                               find_environment(env));
    }
  }
}

TEST(Parts, OfABatchOfObjectsHaveTheBitsOfTheWhole) {
  Config config = small_pong_config(39);
  config.frame_skip = {9, 15};
  config.repeat_action_probability = 0.25;
  const EnvironmentEntry& pong = find_environment("pong");
  for (const Isa isa : available_isas()) {
    TableBackend backend = make_table_backend(config, {.isa = isa, .threads = 1});
    PlayRequest request;
    request.num_envs = 39;
    request.T = 60;
    request.stream = {5, 3, 7};
    for (const bool in_turn : {false, true}) {
      request.game = game_options(config, pong, 29);
      request.game.noops_in_turn = in_turn;
      request.game.max_steps = 50;
      expect_parts_in_all_ways(backend, initial_state(config).parameters, request, pong);
    }
  }
}

}  // namespace parts_test
}  // namespace lockstep::test
