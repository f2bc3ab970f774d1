// The batch rollout on the CPU: V packs of environments advance together, time outermost, state in
// registers; one random call serves four steps, and with automatic reset the next start states are
// drawn once in four steps, so that a reset costs a select (measured: drawn at need, half the
// speed). Compiled once per instruction set.
#pragma once

#include "kernels/carried_episodes.h"
#include "kernels/choose_action.h"
#include "kernels/policy.h"
#include "kernels/rollout_step.h"

namespace lockstep::cpu {

/// Where V packs write their records: offsets are formed once, a step only adds a multiple of t.
template <class F, int V>
struct RecordCursor {
  static constexpr int W = Lanes<F>::W;
  static constexpr int kGroups = V * W / kGroup;
  using Real = typename Lanes<F>::Scalar;
  const Record<Real>& record;
  std::int64_t group;              // first one
  std::int64_t first_step[V];      // of the pack's group, in steps from the start of the record
  std::uint32_t bits[3][kGroups];  // action, terminated, truncated of the step under way

  LS_HD explicit RecordCursor(const Record<Real>& to, std::int64_t first_env)
      : record(to), group(first_env / kGroup) {
    for (int v = 0; v < V; ++v) first_step[v] = (group + v * W / kGroup) * to.T;
  }
  LS_HD bool enabled() const { return record.terminated != nullptr; }
  /// Field f of `fields` of pack v at step t.
  template <class T>
  LS_HD T* at(T* field, int v, int t, int fields, int f) const {
    return field + ((first_step[v] + t) * fields + f) * kGroup + v * W % kGroup;
  }
  LS_HD void clear_bits() {
    for (auto& words : bits)
      for (std::uint32_t& word : words) word = 0;
  }
  LS_HD void set_bits(int which, int v, typename Lanes<F>::M mask) {
    bits[which][v * W / kGroup] |= mask_bits(mask) << (v * W % kGroup);
  }
  LS_HD void store_bits(int which, std::uint16_t* to, int t) const {
    for (int g = 0; g < kGroups; ++g) {
      to[(group + g) * record.T + t] = static_cast<std::uint16_t>(bits[which][g]);
    }
  }
};
inline constexpr int kActionBits = 0, kTerminatedBits = 1, kTruncatedBits = 2;

/// Stores the lanes of an action, a byte each.
template <class F>
LS_HD void store_action(std::uint8_t* to, typename Lanes<F>::I action) {
  std::int32_t lanes[Lanes<F>::W];
  store(lanes, action);
  for (int i = 0; i < Lanes<F>::W; ++i) to[i] = static_cast<std::uint8_t>(lanes[i]);
}

/// Packs whose logits are computed together: enough independent chains of fma to hide their
/// latency, few enough to stay in registers. More packs than these advance together, so that the
/// chain from logit to next state is hidden too. The general form draws one dropout mask at a time.
constexpr int packs_per_forward(PolicyForm form, int packs) {
  return form == PolicyForm::kGeneral ? 1 : packs < 4 ? packs : 4;
}
constexpr int chains_in_flight(int packs) { return packs >= 4 ? 1 : 4 / packs; }

/// Rows [first, first + kRows) of an array of rows.
template <int kRows, class T, int V, int K>
LS_HD auto slice(T (&rows)[V][K], int first) -> T (&)[kRows][K] {
  return reinterpret_cast<T(&)[kRows][K]>(rows[first]);
}

/// Plays V packs of environments from `first_env` on. kCritic: the policy has a value behind its
/// logits, which is recorded, and episodes may go on from the rollout before.
///
/// Result: bitwise; lane i's trajectory depends on (stream, environment id, weights) and what it
///         was carried over from alone.
template <class E, PolicyForm kForm, bool kEpisodic, class F, int V, bool kCritic = false>
void rollout_block(const RolloutArgs<typename Lanes<F>::Scalar>& args, std::int64_t first_env) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int A = E::kNumActions;
  constexpr int Z = logits_of(A);
  constexpr int Y = Z + (kCritic ? 1 : 0);
  constexpr bool kRandom = kForm == PolicyForm::kRandom;
  using Words = ActionWords<kForm, A>;

  const auto& record = args.record;
  RecordCursor<F, V> cursor(record, first_env);
  const bool recording = cursor.enabled();
  U env[V];
  Episode<E, F> episode[V];
  Scores<F> scores[V];
  for (int v = 0; v < V; ++v) {
    env[v] = U(static_cast<std::uint32_t>(first_env + v * W)) + Lanes<F>::numbers();
    const std::int64_t left = args.num_envs - (first_env + v * W);
    const std::uint32_t used = left >= W ? ~0u : left <= 0 ? 0u : (1u << left) - 1u;
    episode[v] = {start_state<E, F>(args.stream, env[v], U(0u)), I(0), U(0u), Lanes<F>::mask(used)};
    scores[v] = {F(0), F(0)};
    if constexpr (kCritic) {
      if (args.carried.state != nullptr && !args.carried.fresh) {
        resume_carried<E, F>(args.carried, first_env + v * W, episode[v], scores[v]);
      }
    }
  }

  PhiloxWords<U> words[V];
  typename E::template State<F> next_start[V];
  DropoutMask<F> dropout;
  int t = 0;
  for (; t < args.T; ++t) {
    if (t % Words::kSteps == 0) {
      for (int v = 0; v < V; ++v) words[v] = Words::draw(args.stream, env[v], t);
    }
    if (!kEpisodic && t % kDrawAhead<E> == 0) {
      for (int v = 0; v < V; ++v) {
        next_start[v] = start_state<E, F>(args.stream, env[v], episode[v].number + U(1u));
      }
    }

    F obs[V][O];
    F logits[V][Z], outputs[V][Y];
    for (int v = 0; v < V; ++v) E::template observe<F>(episode[v].state, obs[v]);
    if constexpr (!kRandom) {
      constexpr int kTogether = packs_per_forward(kForm, V);
      for (int v = 0; v < V; v += kTogether) {
        if (kForm == PolicyForm::kGeneral && args.policy.drop_below != 0) {
          draw_dropout<F>(args.stream, args.policy, env[v], static_cast<std::uint32_t>(t),
                          dropout.word);
        }
        policy_logits<kForm, chains_in_flight(kTogether)>(args.policy, slice<kTogether>(obs, v),
                                                          &dropout, slice<kTogether>(outputs, v));
      }
      for (int v = 0; v < V; ++v)
        for (int z = 0; z < Z; ++z) logits[v][z] = outputs[v][z];
    }

    cursor.clear_bits();
    bool running = false;
    for (int v = 0; v < V; ++v) {
      const auto action =
          choose_action<kForm, F, A>(args, env[v], t, logits[v], words[v].w[Words::word_of(t)]);
      const Episode<E, F> before = episode[v];
      const StepOutcome<F> out = advance_and_score<E, F>(episode[v], scores[v], action);
      close_scores<E, F>(scores[v], out.ended);
      if constexpr (kCritic) {
        if (t == args.T - 1 || any(out.truncated)) {
          F after[1][O], of_after[1][Y];
          E::template observe<F>(episode[v].state, after[0]);
          policy_logits<kForm, chains_in_flight(1)>(args.policy, after, &dropout, of_after);
          store(cursor.at(record.next_value, v, t, 1, 0), of_after[0][Z]);
        }
        store(cursor.at(record.value, v, t, 1, 0), outputs[v][Z]);
      }
      if constexpr (kEpisodic) {
        stand_still<E, F>(episode[v], before, out.ended);
        running |= any(episode[v].alive);
      } else {
        restart<E, F>(episode[v], out.ended, next_start[v]);
      }
      if (!recording) continue;
      if constexpr (A == 2) {
        cursor.set_bits(kActionBits, v, action);
      } else {
        store_action<F>(cursor.at(record.action, v, t, 1, 0), action);
      }
      cursor.set_bits(kTerminatedBits, v, out.terminated);
      cursor.set_bits(kTruncatedBits, v, out.truncated);
      if constexpr (!E::kConstantReward) {
        store(cursor.at(record.reward, v, t, 1, 0), out.reward);
      }
      if (record.obs != nullptr) {
        for (int o = 0; o < O; ++o) store(cursor.at(record.obs, v, t, O, o), obs[v][o]);
      }
      if (!kRandom && record.logits != nullptr) {
        for (int z = 0; z < Z; ++z) store(cursor.at(record.logits, v, t, Z, z), logits[v][z]);
      }
    }
    if (recording) {
      if constexpr (A == 2) cursor.store_bits(kActionBits, record.action_bits, t);
      cursor.store_bits(kTerminatedBits, record.terminated, t);
      cursor.store_bits(kTruncatedBits, record.truncated, t);
    }
    if (kEpisodic && !running) {
      ++t;
      break;
    }
  }

  for (int g = 0; recording && g < cursor.kGroups; ++g) record.steps[cursor.group + g] = t;
  for (int v = 0; v < V; ++v) {
    const std::int64_t lane = first_env + v * W;
    const Finished<F> finished = finished_of<E, kEpisodic, F>(episode[v], scores[v], t);
    if constexpr (kCritic) {
      if (args.carried.state != nullptr) {
        save_carried<E, F>(args.carried, lane, episode[v], scores[v]);
      }
    }
    store(args.score + lane, finished.score);
    store(args.length + lane, finished.steps);
    store(args.episodes + lane, finished.episodes);
  }
}

}  // namespace lockstep::cpu
