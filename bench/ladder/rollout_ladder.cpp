// Times the versions of the CUDA rollout, each checked against the CPU first.
//
//   lockstep_ladder [ENVIRONMENTS [STEPS]]      65536 and 500; 64 and 20 on the emulator
//
// Exit code 7: a version computed something else.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "bench/cuda_lab.h"
#include "bench/ladder/rollout_versions.h"
#include "host/backend/environments.h"
#include "host/backend/record.h"
#include "host/cpu/isa.h"

namespace lockstep::bench {
namespace {

#ifdef LS_BENCH_EMULATED
constexpr int kEnvs = 64, kSteps = 20, kRepeats = 1;
#else
constexpr int kEnvs = 65536, kSteps = 500, kRepeats = 10;
#endif

/// Device memory for `count` values.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::int64_t count)
      : memory_(cuda::device_memory(count * static_cast<std::int64_t>(sizeof(T)),
                                    "fewer environments")),
        count_(static_cast<std::size_t>(count)) {}
  DeviceArray(const T* from, std::int64_t count) : DeviceArray(count) {
    cuda::cuda_check(cudaMemcpy(data(), from, count_ * sizeof(T), cudaMemcpyHostToDevice),
                     "upload");
    // returns with the values on their way, and the stream of the kernels waits for no other
    cuda::cuda_check(cudaStreamSynchronize(nullptr), "upload");
  }
  T* data() const { return reinterpret_cast<T*>(memory_.data()); }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    cuda::cuda_check(cudaMemcpy(values.data(), data(), count_ * sizeof(T), cudaMemcpyDeviceToHost),
                     "download");
    return values;
  }

 private:
  cuda::DeviceMemory memory_;
  std::size_t count_;
};

/// Everything one rollout writes, on the host or copied from the device.
struct Outcome {
  std::vector<std::uint16_t> actions, terminated, truncated;
  std::vector<float> logits, score;
  std::vector<std::int32_t> length, episodes;
};

class Ladder {
 public:
  Ladder(std::int64_t envs, int T)
      : entry_(find_environment("cartpole")),
        shape_(policy_shape(config_, entry_)),
        packed_(shape_, {}),
        envs_(envs),
        T_(T),
        groups_((envs + kGroup - 1) / kGroup),
        state_(lanes() * entry_.facts->state_size),
        score_(lanes()),
        logits_(lanes() * T),
        logit_(lanes()),
        steps_(lanes()),
        length_(lanes()),
        episodes_(lanes()),
        group_steps_(groups_),
        number_(lanes()),
        action_(lanes()),
        terminated_(lanes()),
        truncated_(lanes()),
        action_bits_(groups_ * T),
        terminated_bits_(groups_ * T),
        truncated_bits_(groups_ * T) {
    packed_.pack(initial_parameters(shape_, config_.init, config_.seed));
    const PolicyView<float> view = packed_.view();
    units_.emplace_back(view.units, kPartials * view.chain * unit_stride(shape_.O, 1));
    units_.emplace_back(view.output_bias, 1);
    args_.stream = {config_.seed, 0};
    args_.num_envs = envs;
    args_.T = T;
    args_.choice = ActionChoice::kSample;
    args_.policy = view;
    play_on_cpu();
    args_.policy.units = units_[0].data();
    args_.policy.output_bias = units_[1].data();
    args_.record = {};
    args_.record.groups = groups_;
    args_.record.T = T;
    args_.record.logits = logits_.data();
    args_.record.action_bits = action_bits_.data();
    args_.record.terminated = terminated_bits_.data();
    args_.record.truncated = truncated_bits_.data();
    args_.record.steps = group_steps_.data();
    args_.score = score_.data();
    args_.length = length_.data();
    args_.episodes = episodes_.data();
  }

  /// Seconds of the fastest of several runs.
  /// Errors: NumericError if the version's bits are not the CPU's
  double run(const RolloutVersion& version) {
    const StepState s{state_.data(),  steps_.data(),      number_.data(),   logit_.data(),
                      action_.data(), terminated_.data(), truncated_.data()};
    const auto play = [&] {
      cuda::cuda_check(version.play(args_, s, stream_.get()), version.name);
    };
    forget();
    play();
    cuda::cuda_check(cudaStreamSynchronize(stream_.get()), version.name);
    if (!is_right()) throw NumericError(std::string(version.name) + " differs from the CPU");
    double best = 1e300;
    for (int i = 0; i < kRepeats; ++i) best = std::min(best, timer_.seconds(stream_.get(), play));
    return best;
  }

 private:
  std::int64_t lanes() const { return groups_ * kGroup; }

  void play_on_cpu() {
    RolloutBuffers buffers(
        {.num_envs = envs_, .T = T_, .O = shape_.O, .A = shape_.A, .obs_and_logits = true});
    const auto count = static_cast<std::size_t>(lanes());
    cpu_.score.resize(count);
    cpu_.length.resize(count);
    cpu_.episodes.resize(count);
    RolloutArgs<float> args = args_;
    args.record = buffers.record();
    args.score = cpu_.score.data();
    args.length = cpu_.length.data();
    args.episodes = cpu_.episodes.data();
    const auto& operations = operations_for(entry_, choose_isa());
    for (std::int64_t g = 0; g < groups_; ++g) operations.rollout(args, g * kGroup, 1);
    const auto& r = buffers.record();
    cpu_.actions.assign(r.action_bits, r.action_bits + groups_ * T_);
    cpu_.terminated.assign(r.terminated, r.terminated + groups_ * T_);
    cpu_.truncated.assign(r.truncated, r.truncated + groups_ * T_);
    cpu_.logits.assign(r.logits, r.logits + lanes() * T_);
  }

  /// No version may live on what the one before it left.
  void forget() const {
    const auto clear = [&](const auto& array, std::size_t bytes) {
      cuda::cuda_check(cudaMemsetAsync(array.data(), 0xff, bytes, stream_.get()), "clearing");
    };
    const auto words = static_cast<std::size_t>(groups_ * T_) * sizeof(std::uint16_t);
    clear(action_bits_, words);
    clear(terminated_bits_, words);
    clear(truncated_bits_, words);
    clear(logits_, static_cast<std::size_t>(lanes() * T_) * sizeof(float));
    for (const auto* array : {&length_, &episodes_}) {
      clear(*array, static_cast<std::size_t>(lanes()) * sizeof(std::int32_t));
    }
    clear(score_, static_cast<std::size_t>(lanes()) * sizeof(float));
  }

  /// Lanes of environments that exist, bit for bit.
  bool is_right() const {
    const Outcome device{action_bits_.download(),    terminated_bits_.download(),
                         truncated_bits_.download(), logits_.download(),
                         score_.download(),          length_.download(),
                         episodes_.download()};
    bool same = true;
    for (std::int64_t env = 0; env < envs_; ++env) {
      const auto i = static_cast<std::size_t>(env);
      same &= device.score[i] == cpu_.score[i] && device.length[i] == cpu_.length[i] &&
              device.episodes[i] == cpu_.episodes[i];
      for (int t = 0; t < T_; ++t) {
        const auto word = static_cast<std::size_t>(env / kGroup * T_ + t);
        const auto differ = [&](const auto& a, const auto& b) {
          return (((a[word] ^ b[word]) >> (env % kGroup)) & 1) != 0;
        };
        const std::size_t at = word * kGroup + i % kGroup;
        same &= !differ(device.actions, cpu_.actions) &&
                !differ(device.terminated, cpu_.terminated) &&
                !differ(device.truncated, cpu_.truncated) &&
                as_int(device.logits[at]) == as_int(cpu_.logits[at]);
      }
    }
    return same;
  }

  Config config_;  // the benchmarks' network is the default: 4-128-2
  const EnvironmentEntry& entry_;
  PolicyShape shape_;
  PackedPolicy packed_;
  std::int64_t envs_;
  int T_;
  std::int64_t groups_;
  DeviceArray<float> state_, score_, logits_, logit_;
  DeviceArray<std::int32_t> steps_, length_, episodes_, group_steps_;
  DeviceArray<std::uint32_t> number_;
  DeviceArray<std::uint8_t> action_, terminated_, truncated_;
  DeviceArray<std::uint16_t> action_bits_, terminated_bits_, truncated_bits_;
  std::vector<DeviceArray<float>> units_;  // and the output bias
  RolloutArgs<float> args_{};
  Outcome cpu_;
  cuda::Stream stream_ = cuda::make_stream();
  StreamTimer timer_;
};

int run(std::int64_t envs, int T) {
  std::printf("%lld environments, %d steps, network 4-128-2\n", static_cast<long long>(envs), T);
  Ladder ladder(envs, T);
  double first = 0;
  for (const RolloutVersion& version : rollout_versions()) {
    const double rate = static_cast<double>(envs) * T / ladder.run(version);
    if (first == 0) first = rate;
    std::printf("%s  %-38s %12.4g steps/s  %8.1f x\n", version.name, version.what, rate,
                rate / first);
  }
  return 0;
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  using namespace lockstep;
  try {
    const long envs = argc > 1 ? std::atol(argv[1]) : bench::kEnvs;
    const long steps = argc > 2 ? std::atol(argv[2]) : bench::kSteps;
    if (argc > 3 || envs < 1 || steps < 1 || steps > 100000) {
      std::fprintf(stderr, "usage: lockstep_ladder [ENVIRONMENTS [STEPS]]\n");
      return 2;
    }
    return bench::run(envs, static_cast<int>(steps));
  } catch (const NumericError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 7;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
