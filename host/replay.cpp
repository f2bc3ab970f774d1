// replay(): given actions from given states, one environment after another, without reset.
#include <string>

#include "host/backend/environments.h"
#include "host/engine.h"
#include "host/errors.h"

namespace lockstep {
namespace {

void check_replay(const EnvironmentFacts& facts, std::span<const std::uint8_t> actions,
                  std::int64_t T, std::int64_t N, std::span<const double> initial, bool float64) {
  require(facts.replay.step != nullptr, std::string("replay: ") + facts.name +
                                            " has no state of numbers; replay_game() plays it");
  std::int64_t size = 0;
  require(T >= 1 && N >= 1 && !__builtin_mul_overflow(T, N, &size) &&
              static_cast<std::int64_t>(actions.size()) == size,
          "replay: actions must have shape [T, N] with T, N >= 1");
  require(initial.empty() || static_cast<std::int64_t>(initial.size()) == N * facts.state_size,
          "replay: initial must have shape [" + std::to_string(N) + ", " +
              std::to_string(facts.state_size) + "]");
  require(!float64 || facts.replay.has_float64,
          std::string("replay: ") + facts.name + " has no float64 arithmetic");
  for (std::size_t i = 0; i < actions.size(); ++i) {
    require(actions[i] < facts.num_actions,
            "replay: action " + std::to_string(actions[i]) + " at step " +
                std::to_string(static_cast<std::int64_t>(i) / N) + " is not in [0, " +
                std::to_string(facts.num_actions) + ")");
  }
}

}  // namespace

ReplayResult replay(std::span<const std::uint8_t> actions, std::int64_t T, std::int64_t N,
                    std::span<const double> initial, const ReplayOptions& options) {
  const auto& facts = *find_environment(options.env).facts;
  check_replay(facts, actions, T, N, initial, options.float64);
  const std::int64_t S = facts.state_size, O = facts.observation_size;
  ReplayResult out;
  out.T = T;
  out.N = N;
  out.S = S;
  out.O = O;
  out.state.resize(static_cast<std::size_t>((T + 1) * N * S));
  out.obs.resize(static_cast<std::size_t>((T + 1) * N * O));
  out.reward.resize(static_cast<std::size_t>(T * N));
  out.terminated.resize(static_cast<std::size_t>(T * N));
  out.truncated.resize(static_cast<std::size_t>(T * N));

  std::vector<double> state(static_cast<std::size_t>(S));
  for (std::int64_t n = 0; n < N; ++n) {
    if (initial.empty()) {
      facts.replay.reset({options.seed, 0}, static_cast<std::uint32_t>(n), state.data());
    } else {
      for (std::int64_t s = 0; s < S; ++s) {
        const double value = initial[static_cast<std::size_t>(n * S + s)];
        state[static_cast<std::size_t>(s)] =
            options.float64 ? value : static_cast<double>(static_cast<float>(value));
      }
    }
    const auto keep = [&](std::int64_t t) {
      std::copy(state.begin(), state.end(), out.state.begin() + (t * N + n) * S);
      facts.replay.observe(state.data(), out.obs.data() + (t * N + n) * O);
    };
    keep(0);
    bool ended = false;  // the world ended the episode at an earlier step
    for (std::int64_t t = 0; t < T; ++t) {
      const auto at = static_cast<std::size_t>(t * N + n);
      facts.replay.step(state.data(), actions[at], options.float64, &out.reward[at],
                        &out.terminated[at]);
      // Gymnasium: the terminating step is rewarded, later terminated steps are not
      if (ended && out.terminated[at] != 0) out.reward[at] = 0.0f;
      ended |= out.terminated[at] != 0;
      out.truncated[at] = t + 1 >= facts.max_episode_steps ? 1 : 0;
      keep(t + 1);
    }
  }
  return out;
}

}  // namespace lockstep
