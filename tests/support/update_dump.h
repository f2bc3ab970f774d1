// What one update did, in row-major arrays that other implementations can take: trajectory, dropout
// masks, gradient and parameters. Episodic mode with two actions. Test code only.
#pragma once

#include <cstdint>
#include <vector>

#include "host/cpu/number_backend.h"
#include "kernels/policy.h"

namespace lockstep::test {

struct UpdateDump {
  std::int64_t T = 0, N = 0, O = 0, H = 0;  // T = steps of the longest episode
  std::vector<float> before;                // parameters, in PolicyShape's flat layout
  std::vector<float> obs;                   // [T, N, O]
  std::vector<float> logit;                 // [T, N] log-odds of action 1
  std::vector<std::uint8_t> action;         // [T, N]
  std::vector<std::uint8_t> valid;          // [T, N] the step was played
  std::vector<std::uint8_t> kept;           // [T, N, H] hidden units that dropout kept
  std::vector<float> gradient;              // flat
  std::vector<float> after;                 // parameters
};

/// The mask of one step, unit by unit; all ones without dropout.
inline void append_kept(std::vector<std::uint8_t>& kept, const RandomStream& stream,
                        const PolicyView<float>& policy, std::uint32_t env, std::uint32_t t) {
  DropoutMask<float> mask;
  const bool dropout = policy.drop_below != 0;
  if (dropout) draw_dropout<float>(stream, policy, env, t, mask.word);
  for (int j = 0; j < policy.hidden; ++j) kept.push_back(!dropout || mask.kept(j) ? 1 : 0);
}

/// Runs update number `epoch` and tells what it did. Needs store = logits and horizon = 0.
inline UpdateDump dump_update(CpuBackend& backend, const Config& config, std::uint32_t epoch,
                              double lr) {
  UpdateDump dump;
  dump.N = config.envs;
  dump.O = backend.shape().O;
  dump.H = backend.shape().H;
  dump.before = backend.download().parameters;
  const UpdateResult result = backend.update(epoch, lr);
  for (const std::int32_t length : result.lengths) dump.T = std::max<std::int64_t>(dump.T, length);
  dump.gradient.assign(backend.gradient_view().begin(), backend.gradient_view().end());
  dump.after = backend.download().parameters;

  PackedPolicy packed(backend.shape(), {config.activation, config.dropout});
  packed.pack(dump.before);
  const PolicyView<float> policy = packed.view();
  const Record<float>& record = backend.record();
  for (std::int64_t t = 0; t < dump.T; ++t) {
    for (std::int64_t n = 0; n < dump.N; ++n) {
      const RecordedEnv env(record, static_cast<int>(dump.O), 2, n);
      const bool played = t < result.lengths[static_cast<std::size_t>(n)];
      dump.valid.push_back(played ? 1 : 0);
      dump.action.push_back(played ? env.action(t) : 0);
      dump.logit.push_back(played ? env.logit(t, 0) : 0.0f);
      for (int o = 0; o < dump.O; ++o) dump.obs.push_back(played ? env.obs(t, o) : 0.0f);
      append_kept(dump.kept, {config.seed, epoch}, policy, static_cast<std::uint32_t>(n),
                  static_cast<std::uint32_t>(t));
    }
  }
  return dump;
}

/// A backend at the start of training.
inline CpuBackend fresh_backend(const Config& config) {
  CpuBackend backend(config, find_environment(config.env), {.isa = choose_isa(), .threads = 1});
  TrainingState state;
  state.parameters = initial_parameters(backend.shape(), config.init, config.seed);
  state.first_moment = state.second_moment = std::vector<float>(state.parameters.size());
  backend.upload(state);
  return backend;
}

}  // namespace lockstep::test
