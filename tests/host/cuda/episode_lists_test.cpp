// Tests of what a CUDA backend tells of finished episodes: the sums and lists of the CPU, whatever
// their number is. What that takes: episodes_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace episode_lists_test {

using testing::SizeIs;

constexpr double kRates[] = {3e-3, 1e-3};

TEST(CudaEpisodeLists, ListsTheLastEpisodesAsTheCpuDoes) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const std::int64_t horizon : {0, 40}) {
      for (const std::int64_t most : {0, 7}) {
        SCOPED_TRACE(std::string(env) + ", horizon " + std::to_string(horizon));
        Config config = test::tiny_config(18, 4);
        config.env = env;
        config.horizon = horizon;
        config.baseline = Baseline::kNone;
        CudaBackend cuda = test::make_cuda_backend(config);
        CpuBackend cpu(config, find_environment(env), {});
        for (Backend* backend : std::initializer_list<Backend*>{&cuda, &cpu}) {
          backend->list_at_most(most);
          backend->upload(test::initial_state(config));
        }
        EXPECT_THAT(cuda.update(0, 1e-3).lengths, SizeIs(most));
        cuda.upload(test::initial_state(config));
        test::expect_same_updates(cuda, cpu, kRates);
      }
    }
  }
}

}  // namespace episode_lists_test
}  // namespace lockstep
