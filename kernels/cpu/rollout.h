// The batch rollout on the CPU: V packs of environments advance together, time outermost, state in
// registers; one random call serves four steps, and with automatic reset the next start states are
// drawn once in four steps, so that a reset costs a select (measured: drawn at need, half the
// speed). Compiled once per instruction set.
#pragma once

#include "kernels/policy.h"
#include "kernels/rollout_step.h"
#include "kernels/sample_action.h"

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

/// Random words of the actions of steps t .. t+3 (or .. t+127 for random two-way choices).
template <class F, int V>
struct ActionWords {
  typename Lanes<F>::U word[4][V];

  LS_HD void draw(const RandomStream& stream, Purpose purpose, const typename Lanes<F>::U (&env)[V],
                  std::uint32_t index) {
    for (int v = 0; v < V; ++v) {
      const auto r = random_words(stream, purpose, 0, env[v], index);
      for (int i = 0; i < 4; ++i) word[i][v] = r.w[i];
    }
  }
};

/// Draws words when step t begins a new counter; the number of steps one counter serves is a power
/// of two.
template <class F, int V>
LS_HD void refresh_words(ActionWords<F, V>& words, const RandomStream& stream, Purpose purpose,
                         const typename Lanes<F>::U (&env)[V], int t, int steps_per_counter) {
  if (t % steps_per_counter == 0) {
    words.draw(stream, purpose, env, static_cast<std::uint32_t>(t / steps_per_counter));
  }
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

/// Plays V packs of environments from `first_env` on.
///
/// Result: bitwise; lane i's trajectory depends on (stream, environment id, weights) alone.
template <class E, PolicyForm kForm, bool kEpisodic, class F, int V>
void rollout_block(const RolloutArgs<typename Lanes<F>::Scalar>& args, std::int64_t first_env) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int A = E::kNumActions;
  constexpr int Z = logits_of(A);
  constexpr bool kRandom = kForm == PolicyForm::kRandom;
  // no episode is shorter, so none ends twice between two draws of the next start state
  constexpr int kDrawEvery = E::kMinEpisodeSteps >= 8 ? 8 : E::kMinEpisodeSteps >= 4 ? 4 : 1;
  constexpr int kStepsPerCounter = kRandom && A == 2 ? 128 : 4;
  constexpr Purpose kPurpose = kRandom ? Purpose::kRandomAction : Purpose::kAction;

  const auto& record = args.record;
  RecordCursor<F, V> cursor(record, first_env);
  const bool recording = cursor.enabled();
  U env[V];
  Episode<E, F> episode[V];
  F score[V], finished_score[V];
  for (int v = 0; v < V; ++v) {
    env[v] = U(static_cast<std::uint32_t>(first_env + v * W)) + Lanes<F>::numbers();
    const std::int64_t left = args.num_envs - (first_env + v * W);
    const std::uint32_t used = left >= W ? ~0u : left <= 0 ? 0u : (1u << left) - 1u;
    episode[v] = {start_state<E, F>(args.stream, env[v], U(0u)), I(0), U(0u), Lanes<F>::mask(used)};
    score[v] = finished_score[v] = F(0);
  }

  ActionWords<F, V> words;
  typename E::template State<F> next_start[V];
  DropoutMask<F> dropout;
  int t = 0;
  for (; t < args.T; ++t) {
    refresh_words(words, args.stream, kPurpose, env, t, kStepsPerCounter);
    if (!kEpisodic && t % kDrawEvery == 0) {
      for (int v = 0; v < V; ++v) {
        next_start[v] = start_state<E, F>(args.stream, env[v], episode[v].number + U(1u));
      }
    }

    F obs[V][O];
    F logits[V][Z];
    for (int v = 0; v < V; ++v) E::template observe<F>(episode[v].state, obs[v]);
    if constexpr (!kRandom) {
      constexpr int kTogether = packs_per_forward(kForm, V);
      for (int v = 0; v < V; v += kTogether) {
        if (kForm == PolicyForm::kGeneral && args.policy.drop_below != 0) {
          draw_dropout<F>(args.stream, args.policy, env[v], static_cast<std::uint32_t>(t),
                          dropout.word);
        }
        policy_logits<kForm, chains_in_flight(kTogether)>(args.policy, slice<kTogether>(obs, v),
                                                          &dropout, slice<kTogether>(logits, v));
      }
    }

    cursor.clear_bits();
    bool running = false;
    for (int v = 0; v < V; ++v) {
      ActionOf<F, A> action;
      if constexpr (kRandom && A == 2) {
        action = ((words.word[(t >> 5) & 3][v] >> (t & 31)) & U(1u)) != U(0u);
      } else if constexpr (kRandom) {
        action = scale_to_action<F, A>(words.word[t & 3][v]);
      } else if (args.choice == ActionChoice::kSample) {
        action = sampled_action<F, A>(logits[v], words.word[t & 3][v]);
      } else {
        action = greedy_action<F, A>(logits[v]);
        if (args.choice == ActionChoice::kEpsilon) {
          action = explore<F, A>(args.stream, env[v], static_cast<std::uint32_t>(t), args.epsilon,
                                 action);
        }
      }

      const Episode<E, F> before = episode[v];
      const StepOutcome<F> out = advance<E, F>(episode[v], action);
      if constexpr (!E::kConstantReward) {
        score[v] = score[v] + out.reward;
        finished_score[v] = select(out.ended, finished_score[v] + score[v], finished_score[v]);
        score[v] = select(out.ended, F(0), score[v]);
        if (recording) store(cursor.at(record.reward, v, t, 1, 0), out.reward);
      }
      if constexpr (kEpisodic) {
        // a finished lane stands still: nothing it computes can overflow, and its steps remain
        episode[v].state = select_state<E, F>(before.alive, episode[v].state, before.state);
        episode[v].steps = select(before.alive, episode[v].steps, before.steps);
        episode[v].alive = before.alive & !out.ended;
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
    // all steps but those of the episode under way belong to finished episodes
    const I finished_episodes =
        kEpisodic ? select(episode[v].alive, I(0), I(1)) : as_signed(episode[v].number);
    const I finished_steps =
        kEpisodic ? select(episode[v].alive, I(0), episode[v].steps) : I(t) - episode[v].steps;
    if constexpr (E::kConstantReward) finished_score[v] = to_real<F>(finished_steps);
    store(args.score + lane, finished_score[v]);
    store(args.length + lane, finished_steps);
    store(args.episodes + lane, finished_episodes);
  }
}

}  // namespace lockstep::cpu
