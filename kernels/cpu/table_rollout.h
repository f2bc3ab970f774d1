// Rollout of a table policy on the CPU: one group of 16 environments at a time. The game is played
// 16 lanes at a time, the network environment by environment over vectors of units; the last
// row of the next environment is fetched ahead meanwhile. Compiled once per instruction set.
#pragma once

#include "envs/object_env.h"
#include "kernels/cpu/lanes/table_lanes.h"
#include "kernels/cpu/table_launchers.h"
#include "kernels/game_noise.h"
#include "kernels/sample_action.h"

namespace lockstep::cpu {

/// W units of a step of one environment: phi_t replaces phi_{t-1} in `phi`, `sum` is their
/// partials.
template <bool kLeaky, class F, int k>
LS_HD std::uint32_t table_units(const TableView& policy, const float* const (&row)[k], int unit,
                                F leak, float* phi, F& sum) {
  const F now = table_sum<F, k>(row, unit);
  const F h = now - Lanes<F>::load(phi + unit);
  store(phi + unit, now);
  sum = fma(Lanes<F>::load(policy.output + unit), table_activation<kLeaky>(h, leak), sum);
  return mask_bits(h > F(0));
}

/// One step of the network for one environment: phi, activity bits and the partials of the logit.
///
/// Shapes: row [k] rows of the table, each [Hp]; `next`, one more, will be wanted soon; phi [Hp] in
///         and out; part [32] out; active [words] out, 16 apart
/// Result: bitwise
template <bool kLeaky, class F, int k>
LS_HD void table_forward(const TableView& policy, const float* const (&row)[k], const float* next,
                         float* phi, float* part, std::uint32_t* active) {
  constexpr int W = Lanes<F>::W;
  constexpr int kVectors = kTableParts / W;
  const F leak(policy.leak);
  F sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = F(0);
  const int padded = policy.shape.padded();
  int unit = 0;
  for (; unit + kTableParts <= padded; unit += kTableParts) {
    __builtin_prefetch(next + unit);
    __builtin_prefetch(next + unit + 16);
    std::uint32_t bits = 0;
    for (int v = 0; v < kVectors; ++v) {
      bits |= table_units<kLeaky, F, k>(policy, row, unit + v * W, leak, phi, sum[v]) << (v * W);
    }
    active[unit / kTableParts * kGroup] = bits;
  }
  if (unit < padded) {  // half a word is left
    __builtin_prefetch(next + unit);
    std::uint32_t bits = 0;
    for (int v = 0; v < kVectors / 2; ++v) {
      bits |= table_units<kLeaky, F, k>(policy, row, unit + v * W, leak, phi, sum[v]) << (v * W);
    }
    active[unit / kTableParts * kGroup] = bits;
  }
  for (int v = 0; v < kVectors; ++v) store(part + v * W, sum[v]);
}

/// Scores of the lanes of a group; plain arrays, 16 lanes at a time.
struct TableScores {
  std::int32_t running[kGroup] = {}, finished[kGroup] = {};
  std::int32_t steps[kGroup] = {}, length[kGroup] = {}, episodes[kGroup] = {};

  LS_HD void close(std::uint32_t ended) {
    for (int i = 0; i < kGroup; ++i) {
      if (((ended >> i) & 1u) == 0) continue;
      finished[i] += running[i];
      length[i] += steps[i];
      ++episodes[i];
      running[i] = steps[i] = 0;
    }
  }
};

/// The game of one group: states, and the rows of the table that show them.
template <class E, class F>
class TableGame {
 public:
  using U = typename Lanes<F>::U;
  using I = typename TableLanes<F>::I16;
  static constexpr int W = Lanes<I>::W;
  static constexpr int kPacks = kGroup / W;
  static constexpr int k = E::kObjects;
  alignas(64) std::int16_t row[k][kGroup];
  alignas(64) std::int16_t reward[kGroup];
  std::uint32_t incoming, over;

  LS_HD TableGame(const TableRolloutArgs& args, std::int64_t group)
      : options_(args.game), stream_(args.stream), first_env_(first_of(group)) {
    restart(0xffff);
    look();
  }
  /// Numbers of the environments of a float pack.
  LS_HD U env(int pack) const {
    return U(first_env_ + static_cast<std::uint32_t>(pack * Lanes<F>::W)) + Lanes<F>::numbers();
  }
  /// What the states show.
  LS_HD void look() {
    incoming = 0;
    for (int p = 0; p < kPacks; ++p) {
      I id[k];
      E::rows(state_[p], id);
      for (int i = 0; i < k; ++i) store(row[i] + p * W, id[i]);
      incoming |= mask_bits(E::incoming(state_[p])) << (p * W);
    }
  }
  LS_HD void step(std::uint32_t actions, int t) {
    over = 0;
    if (!options_.is_plain(E::kFrames)) return noisy_step(actions, t);
    for (int p = 0; p < kPacks; ++p) {
      keep(p, E::template step<I>(state_[p], Lanes<I>::mask(actions >> (p * W))));
    }
  }
  /// Starts the next episode of the lanes of `ended`.
  LS_HD void restart(std::uint32_t ended) {
    alignas(64) std::int16_t noops[kGroup] = {};
    for (int i = 0; i < kGroup; ++i) {
      if (((ended >> i) & 1u) == 0) continue;
      noops[i] = static_cast<std::int16_t>(
          start_noops(options_, stream_, first_env_ + static_cast<std::uint32_t>(i), episode_[i]));
      ++episode_[i];
    }
    for (int p = 0; p < kPacks; ++p) {
      const auto lanes = Lanes<I>::mask(ended >> (p * W));
      const auto start = E::template start<I>(Lanes<I>::load(noops + p * W), options_.max_noops);
      E::restart(state_[p], lanes, start);
      executed_[p] = select(lanes, I(0), executed_[p]);
    }
  }

 private:
  static LS_HD std::uint32_t first_of(std::int64_t group) {
    return static_cast<std::uint32_t>(group * kGroup);
  }
  LS_HD void keep(int p, const ObjectStep<I>& result) {
    store(reward + p * W, result.reward);
    over |= mask_bits(result.over) << (p * W);
  }
  LS_HD void noisy_step(std::uint32_t actions, int t) {
    std::uint32_t plays[kMaxFrameSkip] = {}, repeats[kMaxFrameSkip] = {};  // bits of the group
    for (int p = 0; p < kGroup / Lanes<F>::W; ++p) {
      StepNoise<U> noise(options_, stream_, env(p), static_cast<std::uint32_t>(t));
      for (int f = 0; f < options_.max_skip; ++f) {
        plays[f] |= mask_bits(noise.plays(f)) << (p * Lanes<F>::W);
        repeats[f] |= mask_bits(noise.repeats(f)) << (p * Lanes<F>::W);
      }
    }
    for (int p = 0; p < kPacks; ++p) {
      const int lane = p * W;
      keep(p, E::step(
                  state_[p], Lanes<I>::mask(actions >> lane), options_.max_skip,
                  [&](int f) { return Lanes<I>::mask(plays[f] >> lane); },
                  [&](int f) { return Lanes<I>::mask(repeats[f] >> lane); }, executed_[p]));
    }
  }

  const GameOptions& options_;
  const RandomStream& stream_;
  std::uint32_t first_env_;
  typename E::template State<I> state_[kPacks];
  I executed_[kPacks];  // by the last frame: -1 up, 1 down, 0 neither
  std::uint32_t episode_[kGroup] = {};
};

/// The random words of a group's actions. One counter serves four steps of a policy, 128 of
/// uniformly random actions.
template <class F>
struct TableWords {
  static constexpr int kPacks = kGroup / Lanes<F>::W;
  PhiloxWords<typename Lanes<F>::U> words[kPacks];

  template <class Game>
  LS_HD void draw(const TableRolloutArgs& args, const Game& game, int t) {
    const bool uniform = args.random_policy;
    const int steps = uniform ? 128 : 4;
    if (t % steps != 0 || (!uniform && args.choice != ActionChoice::kSample)) return;
    const Purpose purpose = uniform ? Purpose::kRandomAction : Purpose::kAction;
    for (int p = 0; p < kPacks; ++p) {
      words[p] =
          random_words(args.stream, purpose, 0, game.env(p), static_cast<std::uint32_t>(t / steps));
    }
  }
};

/// The action bits of a group from its logits.
template <class F, class Game>
LS_HD std::uint32_t table_actions(const TableRolloutArgs& args, const Game& game, int t,
                                  const F* logits, const TableWords<F>& random) {
  using U = typename Lanes<F>::U;
  constexpr int W = Lanes<F>::W;
  std::uint32_t bits = 0;
  for (int p = 0; p < kGroup / W; ++p) {
    const F logit[1] = {logits[p]};
    typename Lanes<F>::M action;
    if (args.random_policy) {
      action = ((random.words[p].w[t / 32 % 4] >> (t & 31)) & U(1u)) != U(0u);
    } else if (args.choice == ActionChoice::kSample) {
      action = sampled_action<F, 2>(logit, random.words[p].w[t % 4]);
    } else {
      action = greedy_action<F, 2>(logit);
      if (args.choice == ActionChoice::kEpsilon) {
        action = explore<F, 2>(args.stream, game.env(p), static_cast<std::uint32_t>(t),
                               args.epsilon, action);
      }
    }
    bits |= mask_bits(action) << (p * W);
  }
  return bits;
}

/// Plays one group of environments.
///
/// Shapes: record and results as TableRolloutArgs says
/// Result: bitwise; a lane's trajectory depends on (stream, environment id, weights) alone.
/// Random: purpose action, index t/4, word t mod 4, t = steps since the epoch began; uniformly
///         random actions: purpose random action, index t/128, bit t mod 128; game_noise.h.
template <class E, bool kLeaky, class F>
void table_rollout_group(const TableRolloutArgs& args, std::int64_t group,
                         const TableScratch& scratch) {
  constexpr int W = Lanes<F>::W;
  constexpr int k = E::kObjects;
  constexpr int kPacks = kGroup / W;
  constexpr int kFarObject = k - 1;  // has most of the rows; those of the others are seldom far
  const TableView& policy = args.policy;
  const std::int64_t padded = policy.shape.padded();
  const int words = policy.shape.words();
  const TableRecord& record = args.record;
  const bool recording = record.steps.groups > 0;

  const std::int64_t left = args.num_envs - group * kGroup;
  const std::uint32_t used = left >= kGroup ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u;
  std::uint32_t alive = used, starting = used;
  TableGame<E, F> game(args, group);
  TableScores scores;
  TableWords<F> random;
  int t = 0;
  for (; t < args.T && alive != 0; ++t) {
    const std::int64_t step = group * record.steps.T + t;
    random.draw(args, game, t);
    std::uint32_t* active = recording ? record.active + step * words * kGroup : scratch.active;
    const auto row_of = [&](int i, int lane) {
      return policy.rows + static_cast<std::uint16_t>(game.row[i][lane]) * padded;
    };
    const std::uint32_t thinking = args.random_policy ? 0u : alive;
    for (std::uint32_t lanes = thinking; lanes != 0; lanes &= lanes - 1) {
      const int lane = __builtin_ctz(lanes);
      const std::uint32_t others = lanes & (lanes - 1);
      const int after = others != 0 ? __builtin_ctz(others) : lane;
      const float* row[k];
      for (int i = 0; i < k; ++i) row[i] = row_of(i, lane);
      float* phi = scratch.phi + lane * padded;
      if (((starting >> lane) & 1u) != 0) {  // nothing has changed yet
        for (std::int64_t j = 0; j < padded; j += W)
          store(phi + j, table_sum<F, k>(row, static_cast<int>(j)));
      }
      table_forward<kLeaky, F, k>(policy, row, row_of(kFarObject, after), phi,
                                  scratch.part + lane * kTableParts, active + lane);
    }

    F logits[kPacks];
    for (int p = 0; p < kPacks; ++p) {
      logits[p] = TableLanes<F>::tree(scratch.part + p * W * kTableParts);
    }
    const std::uint32_t actions = table_actions<F>(args, game, t, logits, random);
    if (recording) {
      for (int p = 0; p < kPacks; ++p) {
        store(record.steps.logits + step * kGroup + p * W, logits[p]);
      }
      record.steps.action_bits[step] = static_cast<std::uint16_t>(actions);
      record.incoming[step] = static_cast<std::uint16_t>(game.incoming);
      for (int i = 0; i < k; ++i) {
        for (int lane = 0; lane < kGroup; ++lane) {
          record.rows[(step * k + i) * kGroup + lane] =
              static_cast<std::uint16_t>(game.row[i][lane]);
        }
      }
    }

    game.step(actions, t);
    std::uint32_t late = 0;
    for (int i = 0; i < kGroup; ++i) {
      scores.running[i] += game.reward[i];
      ++scores.steps[i];
    }
    if (t + 1 >= args.game.max_steps) {
      for (int i = 0; i < kGroup; ++i) {
        late |= (scores.steps[i] >= args.game.max_steps ? 1u : 0u) << i;
      }
    }
    const std::uint32_t terminated = game.over & alive;
    const std::uint32_t truncated = late & alive & ~game.over;
    const std::uint32_t ended = terminated | truncated;
    if (recording) {
      for (int lane = 0; lane < kGroup; ++lane) {
        record.reward[step * kGroup + lane] = static_cast<std::int8_t>(game.reward[lane]);
      }
      record.steps.terminated[step] = static_cast<std::uint16_t>(terminated);
      record.steps.truncated[step] = static_cast<std::uint16_t>(truncated);
    }
    starting = 0;
    if ((game.over | late) != 0) {  // lanes that are done play on unseen, from a new start
      game.restart(game.over | late);
      scores.close(ended);
      if (args.episodic) {
        alive &= ~ended;
      } else {
        starting = ended;
      }
    }
    game.look();
  }
  if (recording) record.steps.steps[group] = t;
  for (int i = 0; i < kGroup; ++i) {
    args.score[group * kGroup + i] = static_cast<float>(scores.finished[i]);
    args.length[group * kGroup + i] = scores.length[i];
    args.episodes[group * kGroup + i] = scores.episodes[i];
  }
}

}  // namespace lockstep::cpu
