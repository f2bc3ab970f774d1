// Tests for host/cli/policy_source.h, through the real program: files of other policies, and
// options that say otherwise than the file.
#include "tests/support/program_test.h"

#include <gmock/gmock.h>

#include "host/files/safetensors.h"

namespace lockstep {
namespace policy_source_test {

using testing::AllOf;
using testing::HasSubstr;

class PolicySourceTest : public test::ProgramTest {
 protected:
  void train(const std::string& out) const {
    run({"train", "cartpole", "--updates", "1", "--hidden", "16", "--quiet", "--device", "cpu",
         "--out", out});
  }
  std::vector<NamedTensor> tensors_of(const std::string& run) const {
    return read_safetensors(folder_ / (run + "/checkpoints/last/model.safetensors"));
  }
  void write(const std::string& name, const std::vector<NamedTensor>& tensors) const {
    test::spill(folder_ / name, serialize_safetensors(tensors));
  }
};

TEST_F(PolicySourceTest, TensorsThatNoPolicyHasAreRefusedByName) {
  train("r");
  std::vector<NamedTensor> tensors = tensors_of("r");
  write("same.safetensors", tensors);
  tensors.push_back({"bn1.running_mean", {16}, std::vector<float>(16)});
  write("bn.safetensors", tensors);
  const auto named = AllOf(HasSubstr("bn.safetensors: tensor 'bn1.running_mean' is not one of this "
                                     "policy's: layer1.weight, layer1.bias, layer2.weight, "),
                           HasSubstr("layer2.bias"));
  run({"eval", "same.safetensors", "--episodes", "2"});
  EXPECT_THAT(run({"eval", "bn.safetensors"}, 4).err, named);
  EXPECT_THAT(run({"rollout", "--policy", "run:bn.safetensors"}, 4).err, named);
  EXPECT_THAT(run({"render", "bn.safetensors", "--gif", "x.gif"}, 4).err, named);
  EXPECT_THAT(
      run({"train", "--init-from", "bn.safetensors", "--hidden", "16", "--out", "n"}, 4).err,
      named);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "n"));
}

TEST_F(PolicySourceTest, WhoeverPlaysReadsThePolicyWithoutItsCritic) {
  for (const std::string critic : {"shared", "separate"}) {
    run({"train", "cartpole", "--algorithm", "ppo", "--critic", critic, "--updates", "2", "--quiet",
         "--out", critic});
    std::vector<NamedTensor> tensors = tensors_of(critic);
    write(critic + ".safetensors", tensors);
    tensors.resize(4);  // layer1 and layer2
    write("actor.safetensors", tensors);
    const auto scores = [&](const std::string& path) {
      return run_json({"eval", path, "--episodes", "20", "--seed", "3"}).at("mean").get<double>();
    };
    EXPECT_EQ(scores(critic), scores("actor.safetensors"));
    EXPECT_EQ(scores(critic + ".safetensors"), scores("actor.safetensors"));
    run({"rollout", "--policy", "run:" + critic, "--envs", "4", "--steps", "10"});
    run({"train", "--resume", critic, "--updates", "3", "--quiet"});
    run({"train", "cartpole", "--init-from", critic, "--hidden", "16", "--updates", "1", "--quiet",
         "--out", "from-" + critic});
  }
}

TEST_F(PolicySourceTest, OptionsThatContradictTheFileAreRefused) {
  train("r");
  write("bare.safetensors", tensors_of("r"));
  const Words eval = {"eval", "r", "--episodes", "2"}, rollout = {"rollout", "--policy", "run:r"};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  EXPECT_THAT(run(with(eval, {"--env", "pong"}), 2).err,
              HasSubstr("env: pong is not the cartpole of r"));
  EXPECT_THAT(run(with(eval, {"--activation", "leaky_relu"}), 2).err,
              HasSubstr("--activation: leaky_relu is not the relu of r"));
  EXPECT_THAT(run({"render", "r", "--activation", "leaky_relu", "--gif", "x.gif"}, 2).err,
              HasSubstr("--activation: leaky_relu is not the relu of r"));
  EXPECT_THAT(run({"rollout", "pong", "--policy", "run:r"}, 2).err,
              HasSubstr("env: pong is not the cartpole of r"));
  EXPECT_THAT(run(with(rollout, {"--activation", "leaky_relu"}), 2).err,
              HasSubstr("--activation: leaky_relu is not the relu of r"));
  for (const char* path : {"run:r", "run:bare.safetensors"}) {
    EXPECT_THAT(run({"rollout", "--policy", path, "--hidden", "32"}, 2).err,
                HasSubstr("--hidden: 32 is not the 16 of " + std::string(path).substr(4)));
  }
  // what agrees, and what a bare file does not know, is taken
  run(with(eval, {"--env", "cartpole", "--activation", "relu"}));
  run({"eval", "bare.safetensors", "--episodes", "2", "--activation", "leaky_relu"});
  run({"rollout", "cartpole", "--policy", "run:bare.safetensors", "--steps", "5", "--hidden", "16",
       "--activation", "leaky_relu"});
}

TEST_F(PolicySourceTest, TheKindOfARolloutsPolicyDecidesWhatGoesWithIt) {
  const auto steps = [&](const std::string& policy, const std::string& init) {
    return run_json({"rollout", "cartpole", "--policy", policy, "--init", init, "--steps", "20"});
  };
  EXPECT_EQ(steps("linear", "zeros").at("steps"), 1024 * 20);
  EXPECT_EQ(steps("linear", "xavier_uniform").at("steps"), 1024 * 20);
  EXPECT_THAT(run({"rollout", "cartpole", "--policy", "mlp", "--init", "zeros"}, 2).err,
              HasSubstr("--init: zeros with --policy mlp"));
  EXPECT_THAT(run({"rollout", "pong", "--policy", "linear"}, 2).err, HasSubstr("use mlp"));
}

TEST_F(PolicySourceTest, AnEmptyRunFolderIsTheNextOne) {
  const Words words = {"train", "cartpole", "--updates", "1", "--device", "cpu"};
  for (const Words& out : {Words{"--out=", "--quiet"}, {"--quiet", "--out", ""}}) {
    Words line = words;
    line.insert(line.end(), out.begin(), out.end());
    run(line);
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs/cartpole-1/run.json"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs/cartpole-2/run.json"));
  EXPECT_THAT(run({"train", "--init-from="}, 2).err, HasSubstr("--init-from: no value after '='"));
  EXPECT_THAT(run({"rollout", "--save=", "--quiet"}, 2).err,
              HasSubstr("--save: no value after '='"));
}

}  // namespace policy_source_test
}  // namespace lockstep
