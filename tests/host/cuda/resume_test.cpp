// Trainings that change their device on the way: a checkpoint of one backend goes on on the other
// and ends with the bits of a run that stayed on the CPU.
#include <gtest/gtest.h>

#include "host/cuda/actor_critic.h"
#include "host/files/checkpoint.h"
#include "host/files/metrics.h"
#include "host/train/trainer.h"
#include "tests/support/actor_critic.h"
#include "tests/support/cuda_backends.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace resume_test {

namespace fs = std::filesystem;

class CudaResume : public testing::Test {
 protected:
  CudaResume() { config.lr_decay = LrDecay::kExponential; }

  void train(const Config& c, bool on_cuda) {
    const EnvironmentEntry& environment = find_environment(c.env);
    if (c.critic != Critic::kNone) {
      run_training(*critic_backend(c, environment, on_cuda), c, environment, test::initial_state(c),
                   {});
    } else if (on_cuda) {
      CudaBackend backend = test::make_cuda_backend(c);
      run_training(backend, c, environment, test::initial_state(c), {});
    } else {
      CpuBackend backend(c, environment, {});
      run_training(backend, c, environment, test::initial_state(c), {});
    }
  }
  static std::unique_ptr<Backend> critic_backend(const Config& c,
                                                 const EnvironmentEntry& environment,
                                                 bool on_cuda) {
    if (!on_cuda) return std::make_unique<CpuActorCritic>(c, environment, CpuTuning{});
    return std::make_unique<CudaActorCritic>(c, environment, *cuda::find_operations(c.env.c_str()),
                                             CudaTuning{});
  }
  /// Trains in parts, each until its update and on its device.
  struct Part {
    std::int64_t until;
    bool on_cuda;
  };
  fs::path run(const std::string& name, const std::vector<Part>& parts) {
    Config c = config;
    c.out = (scratch / name).string();
    for (const Part& part : parts) {
      c.updates = part.until;
      train(c, part.on_cuda);
      c.out.clear();
      c.resume = (scratch / name).string();
    }
    return scratch / name;
  }
  static std::string weights(const fs::path& run) {
    const fs::path last = run / "checkpoints/last";
    return test::slurp(last / "model.safetensors") + test::slurp(last / "optimizer.safetensors");
  }
  static nlohmann::json trainer(const fs::path& run) {
    nlohmann::json trainer = load_checkpoint(run / "checkpoints/last").trainer;
    for (const char* key : {"seconds", "reached_seconds", "config"}) trainer.erase(key);
    return trainer;
  }
  void expect_same(const fs::path& got, const fs::path& want) {
    EXPECT_EQ(weights(got), weights(want));
    EXPECT_EQ(trainer(got), trainer(want));
  }

  test::ScratchFolder scratch{test::memory_folder()};
  Config config = test::tiny_config();
};

TEST_F(CudaResume, ACheckpointGoesOnOnTheOtherBackend) {
  const fs::path cpu = run("cpu", {{6, false}});
  expect_same(run("cpu-cuda", {{3, false}, {6, true}}), cpu);
  expect_same(run("cuda-cpu", {{3, true}, {6, false}}), cpu);
  expect_same(run("turns", {{1, true}, {3, false}, {4, true}, {6, true}}), cpu);
}

TEST_F(CudaResume, SoDoesOneWithAHorizonARunningMeanAndEvaluations) {
  config.horizon = 40;
  config.baseline = Baseline::kRunningMean;
  config.dropout = 0.5;
  config.eval_every = 3;
  config.eval_episodes = 5;
  config.max_grad_norm = 0.5;
  const fs::path cpu = run("cpu", {{6, false}});
  expect_same(run("cuda-cpu", {{3, true}, {6, false}}), cpu);
  expect_same(run("cpu-cuda", {{2, false}, {6, true}}), cpu);
}

TEST_F(CudaResume, SoDoesOneWithACriticInTheMiddleOfItsEpisodes) {
  config = test::ppo_config(18);
  config.until_score = 1e9;
  config.eval_every = 3;
  config.eval_episodes = 5;
  for (const char* env : {"cartpole", "corridor"}) {
    config.env = env;
    const std::string name = env;
    const fs::path cpu = run(name + "-cpu", {{6, false}});
    expect_same(run(name + "-cuda-cpu", {{3, true}, {6, false}}), cpu);
    expect_same(run(name + "-cpu-cuda", {{2, false}, {6, true}}), cpu);
  }
}

TEST_F(CudaResume, TheIntervalOfTheLogChangesNoWeight) {
  config.horizon = 40;
  config.baseline = Baseline::kRunningMean;
  config.log_every = 1;
  const fs::path every = run("every", {{14, true}});
  config.log_every = 7;
  const fs::path seventh = run("seventh", {{14, true}});
  EXPECT_EQ(weights(seventh), weights(every));
  config.checkpoint_every = 3;
  const fs::path saved = run("saved", {{14, true}});
  EXPECT_EQ(weights(saved), weights(every));
}

TEST_F(CudaResume, EndsBetweenLogPointsAreLoggedAndTakenBack) {
  config.log_every = 4;
  const fs::path cpu = run("cpu", {{6, false}});
  expect_same(run("cuda", {{6, true}}), cpu);
  expect_same(run("cuda-cpu", {{3, true}, {6, false}}), cpu);
  const auto rows = read_metrics(scratch / "cuda-cpu/metrics.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].update, 4);
  EXPECT_EQ(rows[1].update, 6);
}

TEST_F(CudaResume, TheRunRecordNamesTheDevice) {
  const std::string record = test::slurp(run("r", {{1, true}}) / "run.json");
  EXPECT_NE(record.find("\"device\": \"cuda:0 "), std::string::npos) << record;
}

}  // namespace resume_test
}  // namespace lockstep
