// The games of an environment of objects on the CPU, some lanes side by side in packs of integers:
// states, what chance does to them, the actions of chance, and the books of episodes. How many
// lanes and who chooses the actions is decided by its users: table_rollout.h, random_games.h.
#pragma once

#include "envs/object_env.h"
#include "kernels/cpu/lanes/table_lanes.h"
#include "kernels/cpu/table_launchers.h"
#include "kernels/game_noise.h"

namespace lockstep::cpu {

/// Lanes of `kLanes` from environment `first` on that have one.
template <int kLanes>
LS_HD std::uint32_t lanes_in_use(std::int64_t num_envs, std::int64_t first) {
  const std::int64_t left = num_envs - first;
  return left >= kLanes ? ~0u >> (32 - kLanes) : left <= 0 ? 0u : (1u << left) - 1u;
}

/// Packs of integers one after another.
template <class I, int kPacks>
LS_HD void store_packs(const I (&from)[kPacks], std::int16_t* to) {
  for (int p = 0; p < kPacks; ++p) store(to + p * Lanes<I>::W, from[p]);
}

/// The books of some lanes: score, steps and number of the episodes that ended, by lane.
///
/// A running score is summed in the packs of the game and taken from them now and then, long before
/// it outgrows their 16 bits; steps are not counted but known from the step an episode began with.
template <class E, class I, int kLanes>
class TableScores {
 public:
  static constexpr int kPacks = kLanes / Lanes<I>::W;

  explicit LS_HD TableScores(int max_steps) : max_steps_(max_steps) {
    for (int p = 0; p < kPacks; ++p) fresh_[p] = I(0);
  }
  /// The running episodes of environments from `first` on began before step 0.
  LS_HD void resume(const CarriedEpisodes<float>& carried, std::int64_t first) {
    for (int i = 0; i < kLanes; ++i) {
      running_[i] = static_cast<std::int32_t>(carried.score[first + i]);
      first_[i] = -carried.steps[first + i];
      oldest_ = min(first_[i], oldest_);
    }
  }
  /// Of the running episodes, before step t.
  LS_HD void save(const CarriedEpisodes<float>& carried, std::int64_t first, int t) {
    settle();
    for (int i = 0; i < kLanes; ++i) {
      carried.score[first + i] = static_cast<float>(running_[i]);
      carried.steps[first + i] = t - first_[i];
    }
  }
  /// Takes in the rewards of step t.
  LS_HD void add(const I (&reward)[kPacks], int t) {
    for (int p = 0; p < kPacks; ++p) fresh_[p] = fresh_[p] + reward[p];
    if (t % kSettle == kSettle - 1) settle();
  }
  /// Lanes whose episode is with step t as long as one may be.
  LS_HD std::uint32_t late(int t) const {
    std::uint32_t bits = 0;
    if (t + 1 - oldest_ < max_steps_) return bits;
    for (int i = 0; i < kLanes; ++i) bits |= (t + 1 - first_[i] >= max_steps_ ? 1u : 0u) << i;
    return bits;
  }
  /// Step t ended the episodes of `ended`; in the lanes of `begun`, those among them, another one
  /// begins.
  LS_HD void close(std::uint32_t ended, std::uint32_t begun, int t) {
    settle();
    oldest_ = t + 1;
    for (int i = 0; i < kLanes; ++i) {
      if (((ended >> i) & 1u) != 0) {
        finished_[i] += running_[i];
        length_[i] += t + 1 - first_[i];
        ++episodes_[i];
      }
      if (((begun >> i) & 1u) != 0) {
        running_[i] = 0;
        first_[i] = t + 1;
      }
      oldest_ = first_[i] < oldest_ ? first_[i] : oldest_;
    }
  }
  /// Results of environments from `first` on, as far as the batch has groups.
  LS_HD void write(const TableRolloutArgs& args, std::int64_t first) const {
    const std::int64_t left = (args.num_envs + kGroup - 1) / kGroup * kGroup - first;
    for (int i = 0; i < kLanes && i < left; ++i) {
      args.score[first + i] = static_cast<float>(finished_[i]);
      args.length[first + i] = length_[i];
      args.episodes[first + i] = episodes_[i];
    }
  }

 private:
  static constexpr int kSettle = 128;  // steps
  static_assert(kSettle * E::kMaxAbsReward < 32768);

  LS_HD void settle() {
    alignas(64) std::int16_t points[kLanes];
    store_packs(fresh_, points);
    for (int i = 0; i < kLanes; ++i) running_[i] += points[i];
    for (int p = 0; p < kPacks; ++p) fresh_[p] = I(0);
  }

  int max_steps_;
  int oldest_ = 0;                                          // smallest of first_
  I fresh_[kPacks];                                         // rewards not yet in running_
  std::int32_t running_[kLanes] = {}, first_[kLanes] = {};  // of the running episode
  std::int32_t finished_[kLanes] = {}, length_[kLanes] = {}, episodes_[kLanes] = {};
};

/// The game of some lanes: states in packs of integers I, and the rows of the table that show
/// them. F: packs of the random numbers.
template <class E, class F, class I, int kLanes>
class TableGame {
 public:
  using U = typename Lanes<F>::U;
  static constexpr int W = Lanes<I>::W;
  static constexpr int kPacks = kLanes / W;
  static constexpr int k = E::kObjects;
  static_assert(kLanes <= 32 && kPacks * W == kLanes);  // a lane is a bit of a word
  alignas(64) std::int16_t row[k][kLanes];              // by look()
  std::uint32_t incoming;                               // by look()
  I reward[kPacks];                                     // of the last step
  std::uint32_t over;                                   // with the last step

  LS_HD TableGame(const TableRolloutArgs& args, std::int64_t first)
      : options_(args.game),
        stream_(args.stream),
        first_env_(static_cast<std::uint32_t>(first)),
        plain_(args.game.is_plain(E::kFrames)) {
    restart(~0u >> (32 - kLanes));
  }
  /// Numbers of the environments of a float pack.
  LS_HD U env(int pack) const {
    return U(first_env_ + static_cast<std::uint32_t>(pack * Lanes<F>::W)) + Lanes<F>::numbers();
  }
  /// Goes on from where save() left off.
  ///
  /// Shapes: state [kCarried][16] of a group
  static constexpr int kCarried = E::kStateSize + 1;
  LS_HD void resume(const float* state) {
    for (int p = 0; p < kPacks; ++p) {
      const auto number = [&](int s) {
        alignas(64) std::int16_t lanes[W];
        for (int i = 0; i < W; ++i) {
          lanes[i] = static_cast<std::int16_t>(state[s * kLanes + p * W + i]);
        }
        return Lanes<I>::load(lanes);
      };
      I saved[E::kStateSize];
      for (int s = 0; s < E::kStateSize; ++s) saved[s] = number(s);
      state_[p] = E::template restore<I>(saved);
      executed_[p] = number(E::kStateSize);
    }
  }
  LS_HD void save(float* state) const {
    for (int p = 0; p < kPacks; ++p) {
      const auto keep_number = [&](int s, I value) {
        alignas(64) std::int16_t lanes[W];
        store(lanes, value);
        for (int i = 0; i < W; ++i) state[s * kLanes + p * W + i] = static_cast<float>(lanes[i]);
      };
      I saved[E::kStateSize];
      E::template save<I>(state_[p], saved);
      for (int s = 0; s < E::kStateSize; ++s) keep_number(s, saved[s]);
      keep_number(E::kStateSize, executed_[p]);
    }
  }
  /// What the states show.
  LS_HD void look() {
    incoming = 0;
    for (int p = 0; p < kPacks; ++p) {
      I id[k];
      E::rows(state_[p], id);
      for (int i = 0; i < k; ++i) {
        // whatever numbers a file had for a game: within the table
        store(row[i] + p * W, min(max(id[i], I(0)), I(E::kRows - 1)));
      }
      incoming |= mask_bits(E::incoming(state_[p])) << (p * W);
    }
  }
  LS_HD void step(std::uint32_t actions, int t) {
    over = 0;
    if (!plain_) return noisy_step(actions, t);
    for (int p = 0; p < kPacks; ++p) {
      keep(p, E::template step<I>(state_[p], Lanes<I>::mask(actions >> (p * W))));
    }
  }
  /// Starts the next episode of the lanes of `ended`.
  LS_HD void restart(std::uint32_t ended) {
    alignas(64) std::int16_t noops[kLanes] = {};
    int most = 0;
    for (std::uint32_t lanes = ended; lanes != 0; lanes &= lanes - 1) {
      const int i = __builtin_ctz(lanes);
      const int drawn =
          start_noops(options_, stream_, first_env_ + static_cast<std::uint32_t>(i), episode_[i]);
      noops[i] = static_cast<std::int16_t>(drawn);
      most = drawn > most ? drawn : most;
      ++episode_[i];
    }
    for (int p = 0; p < kPacks; ++p) {
      const auto lanes = Lanes<I>::mask(ended >> (p * W));
      const auto start = E::template start<I>(Lanes<I>::load(noops + p * W), most);
      E::restart(state_[p], lanes, start);
      executed_[p] = select(lanes, I(0), executed_[p]);
    }
  }

 private:
  LS_HD void keep(int p, const ObjectStep<I>& result) {
    reward[p] = result.reward;
    over |= mask_bits(result.over) << (p * W);
  }
  LS_HD void noisy_step(std::uint32_t actions, int t) {
    std::uint32_t plays[kMaxFrameSkip] = {}, repeats[kMaxFrameSkip] = {};  // a bit a lane
    for (int p = 0; p < kLanes / Lanes<F>::W; ++p) {
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
  bool plain_;
  typename E::template State<I> state_[kPacks];
  I executed_[kPacks];  // by the last frame: -1 up, 1 down, 0 neither
  std::uint32_t episode_[kLanes] = {};
};

/// The random words of the actions of some lanes. One counter serves four steps of a policy, 128
/// of uniformly random actions.
template <class F, int kLanes>
struct TableWords {
  using U = typename Lanes<F>::U;
  static constexpr int kPacks = kLanes / Lanes<F>::W;
  PhiloxWords<U> words[kPacks];

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
  /// Uniformly random actions of a float pack in step t.
  LS_HD typename Lanes<F>::M uniform(int pack, int t) const {
    return ((words[pack].w[t / 32 % 4] >> (t & 31)) & U(1u)) != U(0u);
  }
};

}  // namespace lockstep::cpu
