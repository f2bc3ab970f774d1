// Tests for --device through the real program and its plug-in, on the emulator: which device is
// taken, the reason for every one that is not, and that the result does not depend on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep {
namespace cuda_device_test {

using nlohmann::json;
using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using Words = std::vector<std::string>;

class CudaDeviceTest : public ::testing::Test {
 protected:
  /// Runs the program with the emulated plug-in and the emulator's `settings`.
  ProcessResult run(const Words& arguments, const Words& settings = {}) const {
    Words environment = settings;  // of two with one name the first counts
    environment.insert(environment.end(),
                       {"LS_PLUGIN_DIR=" LS_PLUGIN_FOLDER, "LS_CUDA_EMULATOR=1"});
    return Process(LS_TEST_PROGRAM, arguments, folder_.path(), {.environment = environment}).wait();
  }
  /// "<exit code> <message>" of a run that fails.
  std::string error(const Words& arguments, const Words& settings = {}) const {
    const ProcessResult result = run(arguments, settings);
    const std::string prefix = "lockstep: error: ";
    const std::size_t at = result.err.rfind(prefix);
    if (at == std::string::npos) return std::to_string(result.code) + " " + result.err;
    return std::to_string(result.code) + " " +
           result.err.substr(at + prefix.size(), result.err.size() - at - prefix.size() - 1);
  }
  Words train(const std::string& device, const std::string& out, Words more = {}) const {
    Words words = {"train", "cartpole", "--quiet", "--envs", "17", "--hidden",
                   "8",     "--device", device,    "--out",  out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string weights(const std::string& run) const {
    return test::slurp(folder_ / (run + "/checkpoints/last/model.safetensors"));
  }

  test::ScratchFolder folder_;
};

TEST_F(CudaDeviceTest, TheWeightsAreTheSameOnEveryDevice) {
  ASSERT_EQ(run(train("cpu", "a", {"--updates", "5"})).code, 0);
  ASSERT_EQ(run(train("cuda", "b", {"--updates", "5"})).code, 0);
  ASSERT_EQ(run(train("cuda:0", "c", {"--updates", "5", "--log-every", "5"})).code, 0);
  ASSERT_EQ(run(train("cuda", "d", {"--updates", "2"})).code, 0);
  ASSERT_EQ(run({"train", "--quiet", "--resume", "d", "--updates", "5", "--device", "cpu"}).code,
            0);
  ASSERT_FALSE(weights("a").empty());
  for (const char* other : {"b", "c", "d"}) EXPECT_EQ(weights(other), weights("a")) << other;
  EXPECT_THAT(test::slurp(folder_ / "a/run.json"), HasSubstr("\"device\": \"cpu\""));
  EXPECT_THAT(test::slurp(folder_ / "b/run.json"), HasSubstr("\"device\": \"cuda:0 "));
}

TEST_F(CudaDeviceTest, SoAreThoseOfALearnerWithACritic) {
  for (const std::string algorithm : {"ppo", "a2c"}) {
    const std::string cpu = algorithm + "-cpu", cuda = algorithm + "-cuda";
    ASSERT_EQ(run(train("cpu", cpu, {"--algorithm", algorithm, "--updates", "3"})).code, 0);
    ASSERT_EQ(run(train("cuda", cuda, {"--algorithm", algorithm, "--updates", "2"})).code, 0);
    ASSERT_EQ(run({"train", "--quiet", "--resume", cuda, "--updates", "3"}).code, 0);
    EXPECT_EQ(weights(cuda), weights(cpu));
  }
}

TEST_F(CudaDeviceTest, ACriticOfPongIsLearnedOnTheCpu) {
  const ProcessResult result =
      run({"train", "pong", "--algorithm", "ppo", "--envs", "2", "--horizon", "8", "--minibatches",
           "1", "--hidden", "8", "--updates", "1"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err,
              HasSubstr("lockstep: a critic of pong is learned on the CPU alone so far; "
                        "using the CPU\n"));
}

TEST_F(CudaDeviceTest, EvaluationsAndRolloutsAreTheSame) {
  ASSERT_EQ(run(train("cpu", "r", {"--updates", "2"})).code, 0);
  const auto eval = [&](const char* device) {
    json document =
        json::parse(run({"eval", "r", "--episodes", "20", "--json", "--device", device}).out);
    document.erase("seconds");
    return document;
  };
  EXPECT_EQ(eval("cuda"), eval("cpu"));
  for (const char* device : {"cpu", "cuda"}) {
    const std::string file = std::string(device) + ".npz";
    ASSERT_EQ(run({"rollout", "--envs", "20", "--steps", "60", "--policy", "run:r", "--device",
                   device, "--save", file})
                  .code,
              0);
  }
  EXPECT_EQ(test::slurp(folder_ / "cuda.npz"), test::slurp(folder_ / "cpu.npz"));
}

TEST_F(CudaDeviceTest, AutoTakesADeviceThatIsThere) {
  const ProcessResult result = run({"train", "--envs", "16", "--hidden", "4", "--updates", "1"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, HasSubstr(", cuda:0 "));
  EXPECT_THAT(result.err, Not(HasSubstr("using the CPU")));
}

TEST_F(CudaDeviceTest, AutoFallsBackWithOneLine) {
  const Words train = {"train", "--updates", "1"};
  const ProcessResult none = run(train, {"LS_EMULATOR_DEVICES=0"});
  EXPECT_EQ(none.code, 0);
  const std::string note = "lockstep: no usable GPU (no device); using the CPU\n";
  EXPECT_TRUE(none.err.starts_with(note + "lockstep: cartpole, ")) << none.err;
  EXPECT_EQ(none.err.find("GPU", note.size()), std::string::npos) << none.err;
  EXPECT_THAT(run({"train", "--updates", "1", "--quiet"}, {"LS_EMULATOR_DEVICES=0"}).err,
              IsEmpty());
  EXPECT_THAT(run(train, {"LS_EMULATOR_DRIVER=0"}).err, HasSubstr("no usable GPU (no driver)"));
}

TEST_F(CudaDeviceTest, WithoutAPlugInNothingIsSaid) {
  const ProcessResult result =
      Process(LS_TEST_PROGRAM, {"train", "--updates", "1"}, folder_.path()).wait();
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.err, Not(HasSubstr("GPU")));
  const ProcessResult wanted =
      Process(LS_TEST_PROGRAM, {"train", "--device", "cuda"}, folder_.path()).wait();
  EXPECT_EQ(wanted.code, 3);
  EXPECT_THAT(wanted.err, HasSubstr("no plug-in liblockstep_cuda.so"));
}

TEST_F(CudaDeviceTest, ADeviceThatCannotBeHadExitsWith3AndTheReason) {
  EXPECT_EQ(error({"train", "--device", "cuda"}, {"LS_EMULATOR_DEVICES=0"}),
            "3 --device cuda: no device");
  EXPECT_EQ(error({"train", "--device", "cuda"}, {"LS_EMULATOR_DRIVER=0"}),
            "3 --device cuda: no driver");
  EXPECT_EQ(error({"train", "--device", "cuda"}, {"LS_EMULATOR_DRIVER=12040"}),
            "3 --device cuda: the driver is too old: it is for CUDA 12.4, this build needs 13.0");
  EXPECT_EQ(error({"eval", "x", "--device", "cuda:1"}).substr(0, 2), "4 ");
  EXPECT_EQ(error({"rollout", "--device", "cuda:1"}),
            "3 --device cuda:1: there is 1 device, cuda:0");
  EXPECT_EQ(error({"rollout", "--device", "cuda:9"}, {"LS_EMULATOR_DEVICES=3"}),
            "3 --device cuda:9: there are 3 devices, cuda:0 to cuda:2");
}

TEST_F(CudaDeviceTest, GamesAreTheSameOnDevicesOfAllSizes) {
  const auto rollout = [&](const char* env, const std::string& file, const std::string& device,
                           const Words& settings) {
    EXPECT_EQ(
        run({"rollout", env, "--envs", "17", "--steps", "12", "--device", device, "--save", file},
            settings)
            .code,
        0);
    return test::slurp(folder_ / file);
  };
  for (const char* const env : {"pong", "cartpole"}) {
    const std::string want = rollout(env, "cpu.npz", "cpu", {});
    for (const char* const kind : {"t4", "rtx", "a100", "h200"}) {
      const std::string setting = std::string("LS_EMULATOR_DEVICE=") + kind;
      EXPECT_EQ(rollout(env, "cuda.npz", "cuda", {setting}), want) << env << " on " << kind;
    }
  }
}

TEST_F(CudaDeviceTest, KernelsWithoutRoomOnADeviceAreAnObstacle) {
  const Words little = {"LS_EMULATOR_SHARED=49152"};
  EXPECT_THAT(
      error({"train", "pong", "--device", "cuda"}, little),
      MatchesRegex("3 --device cuda: the kernels of pong need [0-9]+ bytes of shared memory "
                   "a block, the device offers 49152"));
  const ProcessResult fallback =
      run({"rollout", "pong", "--envs", "1", "--steps", "1", "--device", "auto"}, little);
  EXPECT_EQ(fallback.code, 0);
  EXPECT_THAT(fallback.err, HasSubstr("no usable GPU (the kernels of pong need "));
  EXPECT_EQ(run(train("cuda", "r", {"--updates", "1"}), little).code, 0);
}

TEST_F(CudaDeviceTest, ADeviceThatIsTooSmallExitsWith9) {
  EXPECT_THAT(error(train("cuda", "r", {"--updates", "1"}), {"LS_EMULATOR_MEMORY=100000"}),
              MatchesRegex("9 out of device memory: wanted [0-9]+ bytes, [0-9]+ of 100000 free; "
                           "fewer --envs.*"));
}

TEST_F(CudaDeviceTest, ALostDeviceExitsWith10AndKeepsTheLastCheckpoint) {
  const Words arguments = train("cuda", "r", {"--updates", "4", "--checkpoint-every", "1"});
  const std::string failed = error(arguments, {"LS_EMULATOR_FAIL=45"});
  EXPECT_THAT(failed, MatchesRegex("(9|10) .*"));
  ASSERT_EQ(run(train("cuda", "whole", {"--updates", "4"})).code, 0);
  if (!std::filesystem::exists(folder_ / "r/config.toml")) return;
  ASSERT_EQ(run({"train", "--quiet", "--resume", "r", "--updates", "4"}).code, 0);
  EXPECT_EQ(weights("r"), weights("whole"));
}

TEST_F(CudaDeviceTest, APlugInThatDoesNotFitIsRefused) {
  std::filesystem::create_directory(folder_ / "broken");
  test::spill(folder_ / "broken/liblockstep_cuda.so", "not a module");
  const auto run_with = [&](const std::string& folder, const Words& arguments) {
    return Process(LS_TEST_PROGRAM, arguments, folder_.path(),
                   {.environment = {"LS_PLUGIN_DIR=" + folder}})
        .wait();
  };
  const ProcessResult broken =
      run_with((folder_ / "broken").string(), {"train", "--device", "cuda"});
  EXPECT_EQ(broken.code, 3);
  EXPECT_THAT(broken.err, HasSubstr("--device cuda: cannot load the plug-in: "));
  const ProcessResult foreign = run_with(LS_FOREIGN_FOLDER, {"train", "--device", "cuda"});
  EXPECT_EQ(foreign.code, 3);
  EXPECT_THAT(foreign.err, HasSubstr("is of another build: 0.0.0 of another tree, not "));
  const ProcessResult fallback = run_with(LS_FOREIGN_FOLDER, {"train", "--updates", "1"});
  EXPECT_EQ(fallback.code, 0);
  EXPECT_THAT(fallback.err, HasSubstr("no usable GPU (the plug-in "));
}

TEST_F(CudaDeviceTest, ADamagedPlugInIsRefusedAtEveryLength) {
  const std::string plugin = "liblockstep_cuda_emulated.so";
  const std::string whole = test::slurp(LS_PLUGIN_FOLDER "/" + plugin);
  ASSERT_GT(whole.size(), 500000u);
  std::filesystem::create_directory(folder_ / "cut");
  const auto with = [&](const std::string& bytes) {
    test::spill(folder_ / "cut" / plugin, bytes);
    return error({"rollout", "--envs", "1", "--steps", "1", "--device", "cuda"},
                 {"LS_PLUGIN_DIR=" + (folder_ / "cut").string()});
  };
  EXPECT_THAT(with(whole), Not(HasSubstr("damaged")));
  std::vector<std::size_t> sizes = {0, 1, 63, 64, 1000, 100000, 400000, whole.size() - 1};
  for (int i = 1; i < 12; ++i) sizes.push_back(whole.size() * static_cast<std::size_t>(i) / 12);
  for (const std::size_t size : sizes) {
    EXPECT_THAT(with(whole.substr(0, size)),
                MatchesRegex("3 --device cuda: cannot load the plug-in: .*" + plugin +
                             ": the file is damaged: .*"))
        << size << " of " << whole.size();
  }
  EXPECT_EQ(
      run({"train", "--updates", "1", "--quiet"}, {"LS_PLUGIN_DIR=" + (folder_ / "cut").string()})
          .code,
      0)
      << "--device auto goes on with the CPU";
  const json info =
      json::parse(run({"info", "--json"}, {"LS_PLUGIN_DIR=" + (folder_ / "cut").string()}).out);
  EXPECT_EQ(info.at("backends"), json{"cpu"});
  EXPECT_TRUE(info.at("cuda").at("built"));
}

TEST_F(CudaDeviceTest, AnEmulatorThatIsNotBuiltIsNamedWithTheCommandThatBuildsIt) {
  std::filesystem::create_directory(folder_ / "empty");
  const Words empty = {"LS_PLUGIN_DIR=" + (folder_ / "empty").string()};
  EXPECT_EQ(error({"rollout", "--device", "cuda"}, empty),
            "3 --device cuda: no plug-in liblockstep_cuda_emulated.so: LS_CUDA_EMULATOR=1 "
            "./lockstep.sh builds it, or CMake's -DLS_CUDA_EMULATOR=ON");
  EXPECT_THAT(
      run({"train", "--updates", "1"}, empty).err,
      HasSubstr("no usable GPU (no plug-in liblockstep_cuda_emulated.so: LS_CUDA_EMULATOR=1"));
  // a program without the others beside it
  std::filesystem::copy_file(LS_TEST_PROGRAM, folder_ / "lockstep");
  const auto bench = [&](const Words& words) {
    return Process((folder_ / "lockstep").string(), words, folder_.path()).wait();
  };
  EXPECT_THAT(bench({"bench", "--emulated"}).err,
              HasSubstr("lockstep_bench_emulated is not built: not in " + folder_.path().string() +
                        "; ./lockstep.sh bench --emulated builds it"));
  EXPECT_THAT(bench({"bench"}).err, HasSubstr("; ./lockstep.sh bench builds it"));
}

TEST_F(CudaDeviceTest, InfoListsDevicesOrTheReason) {
  const json two = json::parse(run({"info", "--json"}, {"LS_EMULATOR_DEVICES=2"}).out);
  ASSERT_EQ(two.at("cuda").at("devices").size(), 2u);
  EXPECT_EQ(two.at("cuda").at("devices")[1].at("device"), "cuda:1");
  EXPECT_GT(two.at("cuda").at("devices")[1].at("memory"), 1 << 20);
  EXPECT_EQ(two.at("backends"), (json{"cpu", "cuda (emulated)"}));
  EXPECT_THAT(run({"info"}).out, ::testing::ContainsRegex("cuda:0 +.*, 4.0 GiB, compute cap"));
  EXPECT_THAT(run({"info"}, {"LS_EMULATOR_DEVICES=0"}).out,
              ::testing::ContainsRegex("cuda +none: no device\n"));
}

}  // namespace cuda_device_test
}  // namespace lockstep
