// What one update of A2C or PPO did, in row-major arrays that another implementation can take: the
// batch, who is in which minibatch, the last gradient, the parameters and what was told. Test code
// only.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "host/backend/table_lists.h"
#include "host/errors.h"
#include "tests/support/actor_critic.h"

namespace lockstep::test {

struct ActorCriticDump {
  std::int64_t T = 0, N = 0, O = 0, Z = 0, epochs = 0;
  TrainingState before;                          // parameters and moments, flat
  std::vector<float> obs, logits;                // [T, N, O], [T, N, Z]
  std::vector<float> reward, value, advantage;   // [T, N]
  std::vector<float> next_value;                 // [T, N]; 0 where it has no meaning
  std::vector<std::uint8_t> action, terminated;  // [T, N]
  std::vector<std::uint8_t> truncated;           // [T, N]
  std::vector<std::int64_t> minibatch;           // [epochs, T, N]
  std::vector<float> gradient;                   // of the last pass, flat
  std::int64_t passes = 0;                       // steps of the optimiser; of Adam as it counted
  UpdateResult told;
  std::vector<float> after;  // parameters
};

/// The minibatch of every step, for every time over the batch of update `epoch`.
inline std::vector<std::int64_t> dump_minibatches(const Config& config, std::int64_t groups,
                                                  std::int64_t T, std::uint32_t epoch) {
  const RandomStream stream{config.seed, epoch};
  const std::int64_t N = config.envs, count = config.minibatches;
  const bool single = config.shuffle == Shuffle::kSteps && count > 1;
  Minibatches tiled(groups, static_cast<std::int32_t>(T), count);
  SingleSteps steps(N, static_cast<std::int32_t>(T), count);
  std::vector<std::uint16_t> chosen(static_cast<std::size_t>(groups * T));
  std::vector<std::int64_t> minibatch(static_cast<std::size_t>(config.epochs * T * N), -1);
  for (std::int64_t k = 0; k < config.epochs; ++k) {
    tiled.shuffle(stream, k);
    steps.shuffle(stream, k);
    for (std::int64_t m = 0; m < count; ++m) {
      std::fill(chosen.begin(), chosen.end(), std::uint16_t{0});
      for (const Tile16& tile : tiled.tiles(m)) {
        std::fill(chosen.begin() + tile.group * T + tile.begin,
                  chosen.begin() + tile.group * T + tile.end, std::uint16_t{0xffff});
      }
      if (single) steps.choose(m, chosen.data());
      for (std::int64_t t = 0; t < T; ++t) {
        for (std::int64_t n = 0; n < N; ++n) {
          const std::uint16_t word = chosen[static_cast<std::size_t>(n / kGroup * T + t)];
          if (((word >> (n % kGroup)) & 1) == 0) continue;
          minibatch[static_cast<std::size_t>((k * T + t) * N + n)] = m;
        }
      }
    }
  }
  return minibatch;
}

/// What an environment showed in each step of the last rollout, [T][O].
class ShownToNetwork {
 public:
  ShownToNetwork(const CpuUpdates& backend, const EnvironmentEntry& environment)
      : record_(backend.steps()), O_(backend.shape().O), facts_(environment.facts->tables) {
    if (facts_ != nullptr) table_ = &dynamic_cast<const TableActorCritic&>(backend).record();
  }
  std::vector<float> operator()(std::int64_t env, std::int64_t t) const {
    if (table_ == nullptr) {
      std::vector<float> obs;
      const RecordedEnv of(record_, O_, 2, env);
      for (int o = 0; o < O_; ++o) obs.push_back(of.obs(t, o));
      return obs;
    }
    // rows of the step before and of the step, as a record of two steps
    const std::int64_t group = env / kGroup, row = facts_->shape.objects * kGroup;
    const int lane = static_cast<int>(env % kGroup);
    const std::uint16_t* before = t == 0 ? table_->rows_before + group * row
                                         : table_->rows + (group * record_.T + t - 1) * row;
    const std::uint16_t* now = table_->rows + (group * record_.T + t) * row;
    std::vector<std::uint16_t> rows(before, before + row);
    rows.insert(rows.end(), now, now + row);
    const std::int64_t last = group * record_.T + t - 1;
    const bool first =
        t > 0 && (((record_.terminated[last] | record_.truncated[last]) >> lane) & 1) != 0;
    std::vector<std::int8_t> picture(static_cast<std::size_t>(O_));
    difference_picture(*facts_, rows.data(), 1, lane, first, picture.data());
    return {picture.begin(), picture.end()};
  }

 private:
  const Record<float>& record_;
  int O_;
  const TableFacts* facts_;
  const TableRecord* table_ = nullptr;
};

/// Runs update number `epoch` and tells what it did.
inline ActorCriticDump dump_update(CpuUpdates& backend, const Config& config, std::uint32_t epoch,
                                   double lr) {
  ActorCriticDump dump;
  dump.before = backend.download();
  dump.told = backend.update(epoch, lr);
  const TrainingState after = backend.download();
  dump.after = after.parameters;
  const EnvironmentEntry& environment = find_environment(config.env);
  dump.gradient = flat_gradient(backend, environment);
  const ShownToNetwork shown(backend, environment);

  const Record<float>& record = backend.steps();
  const int A = backend.shape().A;
  dump.T = record.T;
  dump.N = config.envs;
  dump.O = backend.shape().O;
  dump.Z = logits_of(A);
  dump.epochs = config.epochs;
  dump.passes = config.epochs * config.minibatches;
  if (config.optimizer == OptimizerKind::kAdam) {
    dump.passes =
        std::lround(std::log(after.beta1_power / dump.before.beta1_power) / std::log(config.beta1));
  }
  for (std::int64_t t = 0; t < dump.T; ++t) {
    for (std::int64_t n = 0; n < dump.N; ++n) {
      const RecordedEnv env(record, static_cast<int>(dump.O), A, n);
      const std::int64_t at = (n / kGroup * dump.T + t) * kGroup + n % kGroup;
      for (const float o : shown(n, t)) dump.obs.push_back(o);
      for (int z = 0; z < dump.Z; ++z) dump.logits.push_back(env.logit(t, z));
      dump.reward.push_back(env.reward(t));
      dump.value.push_back(record.value[at]);
      dump.advantage.push_back(env.advantage(t));
      const bool written = env.truncated(t) != 0 || t == dump.T - 1;
      dump.next_value.push_back(written ? record.next_value[at] : 0.0f);
      dump.action.push_back(env.action(t));
      dump.terminated.push_back(env.terminated(t));
      dump.truncated.push_back(env.truncated(t));
    }
  }
  dump.minibatch = dump_minibatches(config, record.groups, dump.T, epoch);
  return dump;
}

/// A backend with a critic at the start of training.
inline std::unique_ptr<CpuUpdates> fresh_actor_critic(const Config& config) {
  return start(config, CpuTuning{.isa = choose_isa(), .threads = 1});
}

}  // namespace lockstep::test
