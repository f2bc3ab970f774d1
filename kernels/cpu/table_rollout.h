// Rollout of a table policy on the CPU: one group of 16 environments at a time. The game is played
// 16 lanes at a time, the network environment by environment over vectors of units; the rows of the
// next environments are fetched ahead meanwhile. Compiled once per instruction set.
#pragma once

#include "kernels/cpu/table_lanes.h"
#include "kernels/cpu/table_launchers.h"
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
/// Shapes: row [k] rows of the table, each [Hp]; `next` will be wanted soon; phi [Hp] in and out;
///         part [32] out; active [words] out, 16 apart
/// Result: bitwise
template <bool kLeaky, class F, int k>
LS_HD void table_forward(const TableView& policy, const float* const (&row)[k],
                         const float* const (&next)[k], float* phi, float* part,
                         std::uint32_t* active) {
  constexpr int W = Lanes<F>::W;
  constexpr int kVectors = kTableParts / W;
  const F leak(policy.leak);
  F sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = F(0);
  const int padded = policy.shape.padded();
  int unit = 0;
  for (; unit + kTableParts <= padded; unit += kTableParts) {
    for (int i = 0; i < k; ++i) {
      __builtin_prefetch(next[i] + unit);
      __builtin_prefetch(next[i] + unit + 16);
    }
    std::uint32_t bits = 0;
    for (int v = 0; v < kVectors; ++v) {
      bits |= table_units<kLeaky, F, k>(policy, row, unit + v * W, leak, phi, sum[v]) << (v * W);
    }
    active[unit / kTableParts * kGroup] = bits;
  }
  if (unit < padded) {  // half a word is left
    for (int i = 0; i < k; ++i) __builtin_prefetch(next[i] + unit);
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
template <class E, class I>
struct TableGame {
  static constexpr int W = Lanes<I>::W;
  static constexpr int kPacks = kGroup / W;
  static constexpr int k = E::kObjects;
  typename E::template State<I> state[kPacks];
  alignas(64) std::int16_t row[k][kGroup];
  alignas(64) std::int16_t reward[kGroup];
  std::uint32_t incoming, over;

  LS_HD void reset() {
    for (int p = 0; p < kPacks; ++p) state[p] = E::template reset<I>();
    look();
  }
  LS_HD void look() {
    incoming = 0;
    for (int p = 0; p < kPacks; ++p) {
      I id[k];
      E::rows(state[p], id);
      for (int i = 0; i < k; ++i) store(row[i] + p * W, id[i]);
      incoming |= mask_bits(E::incoming(state[p])) << (p * W);
    }
  }
  LS_HD void step(std::uint32_t actions) {
    over = 0;
    for (int p = 0; p < kPacks; ++p) {
      const auto result = E::template step<I>(state[p], Lanes<I>::mask(actions >> (p * W)));
      store(reward + p * W, result.reward);
      over |= mask_bits(result.over) << (p * W);
    }
  }
  LS_HD void restart(std::uint32_t ended) {
    for (int p = 0; p < kPacks; ++p) E::restart(state[p], Lanes<I>::mask(ended >> (p * W)));
  }
};

/// The action bits of a group from its logits.
template <class F>
LS_HD std::uint32_t table_actions(const TableRolloutArgs& args, std::int64_t group, int t,
                                  const F* logits, const PhiloxWords<typename Lanes<F>::U>* words) {
  using U = typename Lanes<F>::U;
  constexpr int W = Lanes<F>::W;
  std::uint32_t bits = 0;
  for (int p = 0; p < kGroup / W; ++p) {
    const F logit[1] = {logits[p]};
    typename Lanes<F>::M action;
    if (args.choice == ActionChoice::kSample) {
      action = sampled_action<F, 2>(logit, words[p].w[t % 4]);
    } else {
      action = greedy_action<F, 2>(logit);
      if (args.choice == ActionChoice::kEpsilon) {
        const U env = U(static_cast<std::uint32_t>(group * kGroup + p * W)) + Lanes<F>::numbers();
        action =
            explore<F, 2>(args.stream, env, static_cast<std::uint32_t>(t), args.epsilon, action);
      }
    }
    bits |= mask_bits(action) << (p * W);
  }
  return bits;
}

/// Plays one group of environments.
///
/// Shapes: record and results as TableRolloutArgs says
/// Result: bitwise; a lane's trajectory depends on (stream, environment id, weights) alone. Words
/// of
///         purpose action, one for each step, index t/4, word t mod 4, t = steps since the epoch
///         began.
template <class E, bool kLeaky, class F>
void table_rollout_group(const TableRolloutArgs& args, std::int64_t group,
                         const TableScratch& scratch) {
  using U = typename Lanes<F>::U;
  using I = typename TableLanes<F>::I16;
  constexpr int W = Lanes<F>::W;
  constexpr int k = E::kObjects;
  constexpr int kPacks = kGroup / W;
  const TableView& policy = args.policy;
  const std::int64_t padded = policy.shape.padded();
  const int words = policy.shape.words();
  const TableRecord& record = args.record;
  const bool recording = record.steps.groups > 0;

  const std::int64_t left = args.num_envs - group * kGroup;
  const std::uint32_t used = left >= kGroup ? 0xffffu : left <= 0 ? 0u : (1u << left) - 1u;
  std::uint32_t alive = used, starting = used;
  TableGame<E, I> game;
  game.reset();
  TableScores scores;
  PhiloxWords<U> random[kPacks];
  int t = 0;
  for (; t < args.T && alive != 0; ++t) {
    const std::int64_t step = group * record.steps.T + t;
    if (t % 4 == 0 && args.choice == ActionChoice::kSample) {
      for (int p = 0; p < kPacks; ++p) {
        const U env = U(static_cast<std::uint32_t>(group * kGroup + p * W)) + Lanes<F>::numbers();
        random[p] =
            random_words(args.stream, Purpose::kAction, 0, env, static_cast<std::uint32_t>(t / 4));
      }
    }

    std::uint32_t* active = recording ? record.active + step * words * kGroup : scratch.active;
    const auto row_of = [&](int i, int lane) {
      return policy.rows + static_cast<std::uint16_t>(game.row[i][lane]) * padded;
    };
    for (std::uint32_t lanes = alive; lanes != 0; lanes &= lanes - 1) {
      const int lane = __builtin_ctz(lanes);
      const std::uint32_t others = lanes & (lanes - 1);
      const int after = others != 0 ? __builtin_ctz(others) : lane;
      const float *row[k], *next[k];
      for (int i = 0; i < k; ++i) row[i] = row_of(i, lane);
      for (int i = 0; i < k; ++i) next[i] = row_of(i, after);
      float* phi = scratch.phi + lane * padded;
      if (((starting >> lane) & 1u) != 0) {  // nothing has changed yet
        for (std::int64_t j = 0; j < padded; j += W)
          store(phi + j, table_sum<F, k>(row, static_cast<int>(j)));
      }
      table_forward<kLeaky, F, k>(policy, row, next, phi, scratch.part + lane * kTableParts,
                                  active + lane);
    }

    F logits[kPacks];
    for (int p = 0; p < kPacks; ++p) {
      logits[p] = TableLanes<F>::tree(scratch.part + p * W * kTableParts);
    }
    const std::uint32_t actions = table_actions<F>(args, group, t, logits, random);
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

    game.step(actions);
    std::uint32_t late = 0;
    for (int i = 0; i < kGroup; ++i) {
      scores.running[i] += game.reward[i];
      ++scores.steps[i];
    }
    if (t + 1 >= E::kMaxEpisodeSteps) {
      for (int i = 0; i < kGroup; ++i) {
        late |= (scores.steps[i] >= E::kMaxEpisodeSteps ? 1u : 0u) << i;
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
