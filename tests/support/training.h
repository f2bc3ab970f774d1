// Small trainings on a CPU backend of a test's choice, and hashes of everything they compute. Test
// code only.
#pragma once

#include <string>
#include <vector>

#include "host/cpu/number_backend.h"
#include "host/engine.h"
#include "host/files/fnv.h"

namespace lockstep::test {

/// A configuration as the option table makes it, with no run folder in mind.
inline Config small_config(std::int64_t envs, std::int64_t hidden = 16) {
  Config config;
  config.envs = envs;
  config.hidden = hidden;
  config.threads = 1;
  return config;
}

inline TrainingState initial_state(const Config& config) {
  TrainingState state;
  state.parameters = initial_parameters(policy_shape(config, find_environment(config.env)),
                                        config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  return state;
}

/// A backend with its initial state uploaded.
inline CpuBackend make_cpu_backend(const Config& config, const CpuTuning& tuning = {}) {
  CpuBackend backend(config, find_environment(config.env), tuning);
  backend.upload(initial_state(config));
  return backend;
}

/// The instruction sets of this processor and build, narrowest first.
inline std::vector<Isa> available_isas() {
  std::vector<Isa> isas = {Isa::kScalar};
#ifdef LS_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isas.push_back(Isa::kAvx2);
#endif
#ifdef LS_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    isas.push_back(Isa::kAvx512);
  }
#endif
  return isas;
}

inline bool is_available(Isa isa) {
  for (const Isa one : available_isas()) {
    if (one == isa) return true;
  }
  return false;
}

/// Adds what the backend recorded of the valid steps: actions, ends, advantages, and observations
/// and logits where they are kept and wanted. Lanes of no environment stay out.
inline void add_trajectory(Fnv64& hash, const CpuUpdates& backend, std::int64_t envs,
                           bool obs_and_logits) {
  const Record<float>& r = backend.steps();
  const int O = backend.shape().O, A = backend.shape().A, Z = logits_of(A);
  std::vector<float> values;
  std::vector<std::uint8_t> bits;
  for (std::int64_t i = 0; i < envs; ++i) {
    const RecordedEnv env(r, O, A, i);
    for (int t = 0; t < r.steps[i / kGroup]; ++t) {
      if (env.valid(t) == 0) continue;
      bits.push_back(static_cast<std::uint8_t>(env.action(t) | env.terminated(t) << 6 |
                                               env.truncated(t) << 7));
      values.push_back(env.advantage(t));
      if (r.reward != nullptr) values.push_back(env.reward(t));
      const bool has_obs = obs_and_logits && r.obs != nullptr;
      for (int o = 0; has_obs && o < O; ++o) values.push_back(env.obs(t, o));
      for (int z = 0; obs_and_logits && z < Z; ++z) values.push_back(env.logit(t, z));
    }
    values.push_back(-1.0f);  // which step belongs to whom
    bits.push_back(0x3f);
  }
  hash.add(std::span(values));
  hash.add(std::span(bits));
}

/// Hashes of a training: two runs that agree in them computed the same bits all along.
struct TrainingHash {
  std::uint64_t play = 0;     // actions, ends and advantages of valid steps, scores, lengths
  std::uint64_t record = 0;   // observations and logits as well; 0 with --store recompute
  std::uint64_t update = 0;   // gradients, losses, entropies, norms
  std::uint64_t weights = 0;  // parameters and optimiser state at the end
  std::int64_t steps = 0;     // environment steps played, to show that something was
  friend bool operator==(const TrainingHash&, const TrainingHash&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const TrainingHash& h) {
  return out << std::hex << "play " << h.play << ", record " << h.record << ", update " << h.update
             << ", weights " << h.weights << std::dec << ", steps " << h.steps;
}

/// Runs `updates` updates from update `first` on; trajectories enter every `stride` updates.
inline TrainingHash hash_training(CpuBackend& backend, const Config& config, int updates,
                                  int stride = 7, int first = 0) {
  Fnv64 play, record, update_hash, weights;
  TrainingHash out;
  const bool kept = config.store == Store::kLogits;
  for (int update = first; update < first + updates; ++update) {
    const UpdateResult result = backend.update(static_cast<std::uint32_t>(update), config.lr);
    out.steps += result.steps;
    play.add(std::span(result.scores));
    play.add(std::span(result.lengths));
    update_hash.add(backend.gradient_view());
    const double numbers[] = {result.policy_loss, result.entropy, result.grad_norm,
                              static_cast<double>(result.cut_steps()),
                              static_cast<double>(result.rescalings)};
    update_hash.add(std::span<const double>(numbers));
    if (update % stride != 0 && update + 1 != first + updates) continue;
    add_trajectory(play, backend, config.envs, false);
    if (kept) add_trajectory(record, backend, config.envs, true);
  }
  const TrainingState state = backend.download();
  weights.add(std::span(state.parameters));
  weights.add(std::span(state.first_moment));
  weights.add(std::span(state.second_moment));
  out.play = play.value();
  out.record = kept ? record.value() : 0;
  out.update = update_hash.value();
  out.weights = weights.value();
  return out;
}

}  // namespace lockstep::test
