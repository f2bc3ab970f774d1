// The batch rollout on the CPU: V packs of environments advance together, time outermost, state in
// registers; one random call serves four steps, and with automatic reset the next start states are
// drawn once in four steps, so that a reset costs a select (measured: drawn at need, half the
// speed). Compiled once per instruction set.
#pragma once

#include "kernels/policy.h"
#include "kernels/rollout_step.h"
#include "kernels/sample_action.h"

namespace lockstep::cpu {

/// Per-pack bits of one step gathered into the 16-bit words of groups.
template <class F, int V>
struct GroupBits {
  static constexpr int kGroups = V * Lanes<F>::W / kGroup;
  std::uint32_t bits[kGroups] = {};

  LS_HD void set(int v, typename Lanes<F>::M mask) {
    const int lane = v * Lanes<F>::W;
    bits[lane / kGroup] |= mask_bits(mask) << (lane % kGroup);
  }
  LS_HD void store(std::uint16_t* to, std::int64_t group, const std::int32_t T, int t) const {
    for (int g = 0; g < kGroups; ++g) to[(group + g) * T + t] = static_cast<std::uint16_t>(bits[g]);
  }
};

/// Address of field f of pack v at step t in a record with `fields` fields a step.
template <class F>
LS_HD std::int64_t record_index(std::int64_t first_env, int v, std::int32_t T, int t, int fields,
                                int f) {
  const std::int64_t env = first_env + std::int64_t{v} * Lanes<F>::W;
  return (((env / kGroup) * T + t) * fields + f) * kGroup + env % kGroup;
}

/// Stores lanes of a float pack into a record of the same lane type.
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
      const auto r = random_words(stream, purpose, 0, env[v], typename Lanes<F>::U(index));
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

/// Plays V packs of environments from `first_env` on.
///
/// Result: bitwise; lane i's trajectory depends on (stream, environment id, weights) alone.
template <class E, PolicyForm kForm, class F, int V, int kInFlight>
void rollout_block(const RolloutArgs<typename Lanes<F>::Scalar>& args, std::int64_t first_env) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int A = E::kNumActions;
  constexpr int Z = logits_of(A);
  constexpr bool kRandom = kForm == PolicyForm::kRandom;
  constexpr bool kDrawAhead = E::kMinEpisodeSteps >= 4;
  constexpr int kStepsPerCounter = kRandom && A == 2 ? 128 : 4;
  constexpr Purpose kPurpose = kRandom ? Purpose::kRandomAction : Purpose::kAction;

  const auto& record = args.record;
  const std::int64_t group = first_env / kGroup;
  U env[V];
  Episode<E, F> episode[V];
  I finished_steps[V], finished_episodes[V];
  F score[V], finished_score[V];
  for (int v = 0; v < V; ++v) {
    env[v] = U(static_cast<std::uint32_t>(first_env + v * W)) + Lanes<F>::numbers();
    const std::int64_t left = args.num_envs - (first_env + v * W);
    const std::uint32_t used = left >= W ? ~0u : left <= 0 ? 0u : (1u << left) - 1u;
    episode[v] = {start_state<E, F>(args.stream, env[v], U(0u)), I(0), U(0u), Lanes<F>::mask(used)};
    finished_steps[v] = finished_episodes[v] = I(0);
    score[v] = finished_score[v] = F(0);
  }

  ActionWords<F, V> words;
  typename E::template State<F> next_start[V];
  DropoutMask<F> dropout;
  int t = 0;
  for (; t < args.T; ++t) {
    refresh_words(words, args.stream, kPurpose, env, t, kStepsPerCounter);
    if (!args.episodic && (!kDrawAhead || t % 4 == 0)) {
      for (int v = 0; v < V; ++v) {
        next_start[v] = start_state<E, F>(args.stream, env[v], episode[v].number + U(1u));
      }
    }

    F obs[V][O];
    F logits[V][Z];
    for (int v = 0; v < V; ++v) E::template observe<F>(episode[v].state, obs[v]);
    if constexpr (kForm == PolicyForm::kGeneral) {
      for (int v = 0; v < V; ++v) {
        if (args.policy.drop_below != 0) {
          draw_dropout<F>(args.stream, args.policy, env[v], static_cast<std::uint32_t>(t),
                          dropout.word);
        }
        F one_obs[1][O], one_logits[1][Z];
        for (int o = 0; o < O; ++o) one_obs[0][o] = obs[v][o];
        policy_logits<kForm, 1>(args.policy, one_obs, &dropout, one_logits);
        for (int z = 0; z < Z; ++z) logits[v][z] = one_logits[0][z];
      }
    } else if constexpr (!kRandom) {
      policy_logits<kForm, kInFlight>(args.policy, obs, &dropout, logits);
    }

    GroupBits<F, V> actions, terminations, truncations;
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

      const auto before = episode[v].state;
      const StepOutcome<F> out = advance<E, F>(episode[v], action);
      if constexpr (A == 2) {
        actions.set(v, action);
      } else if (record.action != nullptr) {
        store_action<F>(record.action + record_index<F>(first_env, v, record.T, t, 1, 0), action);
      }
      terminations.set(v, out.terminated);
      truncations.set(v, out.truncated);
      finished_episodes[v] = add_where(out.ended, finished_episodes[v], I(1));
      finished_steps[v] = add_where(out.ended, finished_steps[v], episode[v].steps);
      if constexpr (!E::kConstantReward) {
        score[v] = score[v] + out.reward;
        finished_score[v] = select(out.ended, finished_score[v] + score[v], finished_score[v]);
        score[v] = select(out.ended, F(0), score[v]);
        if (record.reward != nullptr) {
          store(record.reward + record_index<F>(first_env, v, record.T, t, 1, 0), out.reward);
        }
      }
      if (args.episodic) {
        // a finished lane stands still, so that nothing it computes can overflow
        episode[v].state = select_state<E, F>(episode[v].alive, episode[v].state, before);
        episode[v].alive = episode[v].alive & !out.ended;
        running |= any(episode[v].alive);
      } else {
        restart<E, F>(episode[v], out.ended, next_start[v]);
      }
      if (record.obs != nullptr) {
        for (int o = 0; o < O; ++o) {
          store(record.obs + record_index<F>(first_env, v, record.T, t, O, o), obs[v][o]);
        }
      }
      if (!kRandom && record.logits != nullptr) {
        for (int z = 0; z < Z; ++z) {
          store(record.logits + record_index<F>(first_env, v, record.T, t, Z, z), logits[v][z]);
        }
      }
    }
    if (record.terminated != nullptr) {
      if constexpr (A == 2) actions.store(record.action_bits, group, record.T, t);
      terminations.store(record.terminated, group, record.T, t);
      truncations.store(record.truncated, group, record.T, t);
    }
    if (args.episodic && !running) {
      ++t;
      break;
    }
  }

  for (int g = 0; record.steps != nullptr && g < GroupBits<F, V>::kGroups; ++g) {
    record.steps[group + g] = t;
  }
  for (int v = 0; v < V; ++v) {
    const std::int64_t lane = first_env + v * W;
    if constexpr (E::kConstantReward) finished_score[v] = to_real<F>(finished_steps[v]);
    store(args.score + lane, finished_score[v]);
    store(args.length + lane, finished_steps[v]);
    store(args.episodes + lane, finished_episodes[v]);
  }
}

}  // namespace lockstep::cpu
