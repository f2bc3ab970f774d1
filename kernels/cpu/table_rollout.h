// Rollout of a table policy on the CPU: one group of 16 environments at a time. The game is played
// 16 lanes at a time, the network environment by environment over vectors of units; the last
// row of the next environment is fetched ahead meanwhile. Compiled once per instruction set. Games
// that no policy plays and nobody records are random_games.h's.
#pragma once

#include "kernels/cpu/table_game.h"
#include "kernels/sample_action.h"
#include "kernels/table_critic.h"

namespace lockstep::cpu {

/// W units of a step of one environment: phi_t replaces phi_{t-1} in `phi`; sum[y V] are their
/// partials of output y. With a critic `largest` rises to the magnitudes of their activations.
template <bool kLeaky, int Y, int V, class F, int k>
LS_HD std::uint32_t table_units(const TableView& policy, const float* const (&row)[k], int unit,
                                F leak, float* phi, F* sum, F& largest) {
  const F now = table_sum<F, k>(row, unit);
  const F h = now - Lanes<F>::load(phi + unit);
  store(phi + unit, now);
  const F active = table_activation<kLeaky>(h, leak);
  for (int y = 0; y < Y; ++y) {
    const float* weight = policy.output + y * policy.shape.padded() + unit;
    sum[y * V] = fma(Lanes<F>::load(weight), active, sum[y * V]);
  }
  if constexpr (Y > 1) largest = max(abs(active), largest);
  return mask_bits(h > F(0));
}

inline constexpr int kPartStride = kGroup * kTableParts;  // of an output, in TableScratch::part

/// One step of the network for one environment: phi, activity bits and the partials of its outputs.
///
/// Shapes: row [k] rows of the table, each [Hp]; `next`, one more, will be wanted soon; phi [Hp] in
///         and out; part [Y][32] out, kPartStride apart; active [words] out, 16 apart
/// Result: bitwise
template <bool kLeaky, int Y, class F, int k>
LS_HD void table_forward(const TableView& policy, const float* const (&row)[k], const float* next,
                         float* phi, float* part, std::uint32_t* active, F& largest) {
  constexpr int W = Lanes<F>::W;
  constexpr int kVectors = kTableParts / W;
  const F leak(policy.leak);
  F sum[Y][kVectors];
  for (auto& of_output : sum) {
    for (F& lanes : of_output) lanes = F(0);
  }
  const int padded = policy.shape.padded();
  const auto units = [&](int unit, int vectors) {
    std::uint32_t bits = 0;
    for (int v = 0; v < vectors; ++v) {
      bits |= table_units<kLeaky, Y, kVectors, F, k>(policy, row, unit + v * W, leak, phi,
                                                     &sum[0][v], largest)
              << (v * W);
    }
    active[unit / kTableParts * kGroup] = bits;
  };
  int unit = 0;
  for (; unit + kTableParts <= padded; unit += kTableParts) {
    __builtin_prefetch(next + unit);
    __builtin_prefetch(next + unit + 16);
    units(unit, kVectors);
  }
  if (unit < padded) {  // half a word is left
    __builtin_prefetch(next + unit);
    units(unit, kVectors / 2);
  }
  for (int y = 0; y < Y; ++y) {
    for (int v = 0; v < kVectors; ++v) store(part + y * kPartStride + v * W, sum[y][v]);
  }
}

/// phi of k rows alone, for a step that follows none.
template <class F, int k>
LS_HD void table_phi(const float* const (&row)[k], int padded, float* phi) {
  for (int j = 0; j < padded; j += Lanes<F>::W) store(phi + j, table_sum<F, k>(row, j));
}

/// The action bits of a group from its logits.
template <class F, class Game>
LS_HD std::uint32_t table_actions(const TableRolloutArgs& args, const Game& game, int t,
                                  const F* logits, const TableWords<F, kGroup>& random) {
  constexpr int W = Lanes<F>::W;
  std::uint32_t bits = 0;
  for (int p = 0; p < kGroup / W; ++p) {
    const F logit[1] = {logits[p]};
    typename Lanes<F>::M action;
    if (args.random_policy) {
      action = random.uniform(p, t);
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

/// Plays one group of environments. kCritic: the policy has a value behind its logit, which is
/// recorded, and episodes go on from the rollout before.
///
/// Shapes: record and results as TableRolloutArgs says
/// Result: bitwise; a lane's trajectory depends on (stream, environment id, weights) and on what it
///         was carried over from alone.
/// Random: purpose action, index t/4, word t mod 4, t = steps since the epoch began; uniformly
///         random actions: purpose random action, index t/128, bit t mod 128; game_noise.h.
template <class E, bool kLeaky, class F, bool kCritic = false>
void table_rollout_group(const TableRolloutArgs& args, std::int64_t group,
                         const TableScratch& scratch) {
  using I = typename TableLanes<F>::I16;
  constexpr int W = Lanes<F>::W;
  constexpr int k = E::kObjects;
  constexpr int kPacks = kGroup / W;
  constexpr int Y = kCritic ? kTableOutputs : 1;
  constexpr int kFarObject = k - 1;  // has most of the rows; those of the others are seldom far
  const TableView& policy = args.policy;
  const std::int64_t padded = policy.shape.padded();
  const int words = policy.shape.words();
  const TableRecord& record = args.record;
  const bool recording = record.steps.groups > 0;

  std::uint32_t alive = lanes_in_use<kGroup>(args.num_envs, group * kGroup), starting = alive;
  TableGame<E, F, I, kGroup> game(args, group * kGroup);
  TableScores<E, I, kGroup> scores(args.game.max_steps);
  TableWords<F, kGroup> random;
  F largest(0);  // not asked for
  const auto row_of = [&](int i, int lane) {
    return policy.rows + static_cast<std::uint16_t>(game.row[i][lane]) * padded;
  };
  // `last_rows`: where a game is whose episode goes on, and the rows that it showed last
  float* const carried =
      kCritic ? args.carried.state + group * table_carried<E>() * kGroup : nullptr;
  float* const last_rows = kCritic ? carried + decltype(game)::kCarried * kGroup : nullptr;
  if constexpr (kCritic) {
    if (!args.carried.fresh) {
      game.resume(carried);
      scores.resume(args.carried, group * kGroup);
    }
  }
  game.look();
  if constexpr (kCritic) {
    for (int i = 0; i < k * kGroup; ++i) {
      record.rows_before[group * k * kGroup + i] =
          args.carried.fresh ? static_cast<std::uint16_t>(game.row[i / kGroup][i % kGroup])
                             : static_cast<std::uint16_t>(last_rows[i]);
    }
    for (int lane = 0; lane < kGroup; ++lane) {
      const float* row[k];
      for (int i = 0; i < k; ++i) {
        row[i] = policy.rows + record.rows_before[(group * k + i) * kGroup + lane] * padded;
      }
      table_phi<F, k>(row, static_cast<int>(padded), scratch.phi + lane * padded);
    }
    starting = 0;
  }
  int t = 0;
  for (; t < args.T && alive != 0; ++t) {
    const std::int64_t step = group * record.steps.T + t;
    random.draw(args, game, t);
    std::uint32_t* active =
        recording && !kCritic ? record.active + step * words * kGroup : scratch.active;
    const auto think = [&](std::uint32_t thinking) {
      for (std::uint32_t lanes = thinking; lanes != 0; lanes &= lanes - 1) {
        const int lane = __builtin_ctz(lanes);
        const std::uint32_t others = lanes & (lanes - 1);
        const int after = others != 0 ? __builtin_ctz(others) : lane;
        const float* row[k];
        for (int i = 0; i < k; ++i) row[i] = row_of(i, lane);
        float* phi = scratch.phi + lane * padded;
        if (((starting >> lane) & 1u) != 0) {  // nothing has changed yet
          table_phi<F, k>(row, static_cast<int>(padded), phi);
        }
        table_forward<kLeaky, Y, F, k>(policy, row, row_of(kFarObject, after), phi,
                                       scratch.part + lane * kTableParts, active + lane, largest);
      }
    };
    const auto store_output = [&](int y, float* to) {
      for (int p = 0; p < kPacks; ++p) {
        store(to + step * kGroup + p * W,
              TableLanes<F>::tree(scratch.part + y * kPartStride + p * W * kTableParts));
      }
    };
    think(args.random_policy ? 0u : alive);

    F logits[kPacks];
    for (int p = 0; p < kPacks; ++p) {
      logits[p] = TableLanes<F>::tree(scratch.part + p * W * kTableParts);
    }
    if constexpr (kCritic) store_output(1, record.steps.value);
    const std::uint32_t actions = table_actions<F>(args, game, t, logits, random);
    if (recording) {
      for (int p = 0; p < kPacks; ++p) {
        store(record.steps.logits + step * kGroup + p * W, logits[p]);
      }
      record.steps.action_bits[step] = static_cast<std::uint16_t>(actions);
      if constexpr (!kCritic) record.incoming[step] = static_cast<std::uint16_t>(game.incoming);
      for (int i = 0; i < k; ++i) {
        for (int lane = 0; lane < kGroup; ++lane) {
          record.rows[(step * k + i) * kGroup + lane] =
              static_cast<std::uint16_t>(game.row[i][lane]);
        }
      }
    }

    game.step(actions, t);
    scores.add(game.reward, t);
    const std::uint32_t late = scores.late(t);
    const std::uint32_t terminated = game.over & alive;
    const std::uint32_t truncated = late & alive & ~game.over;
    const std::uint32_t ended = terminated | truncated;
    if (recording) {
      alignas(64) std::int16_t reward[kGroup];
      store_packs(game.reward, reward);
      for (int lane = 0; lane < kGroup; ++lane) {
        record.reward[step * kGroup + lane] = static_cast<std::int8_t>(reward[lane]);
        if constexpr (kCritic) record.steps.reward[step * kGroup + lane] = reward[lane];
      }
      record.steps.terminated[step] = static_cast<std::uint16_t>(terminated);
      record.steps.truncated[step] = static_cast<std::uint16_t>(truncated);
    }
    starting = 0;
    if constexpr (kCritic) {
      const std::uint32_t judged = t == args.T - 1 ? alive & ~terminated : truncated;
      if (judged != 0) {  // what the state after the step is worth
        game.look();
        think(judged);
        store_output(1, record.steps.next_value);
      }
    }
    if ((game.over | late) != 0) {  // lanes that are done play on unseen, from a new start
      game.restart(game.over | late);
      scores.close(ended, game.over | late, t);
      if (args.episodic) {
        alive &= ~ended;
      } else {
        starting = ended;
      }
    }
    game.look();
  }
  if constexpr (kCritic) {
    game.save(carried);
    scores.save(args.carried, group * kGroup, t);
    for (int i = 0; i < k * kGroup; ++i) {  // an episode that starts has shown nothing else
      const bool starts = ((starting >> (i % kGroup)) & 1u) != 0;
      const std::int64_t shown = (group * record.steps.T + t - 1) * k * kGroup + i;
      last_rows[i] = starts ? static_cast<std::uint16_t>(game.row[i / kGroup][i % kGroup])
                            : record.rows[shown];
    }
  }
  if (recording) record.steps.steps[group] = t;
  scores.write(args, group * kGroup);
}

}  // namespace lockstep::cpu
