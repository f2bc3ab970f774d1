#include "host/cuda/launch_steps.h"

#include <algorithm>
#include <cstdlib>

#include "host/options/option_value.h"

namespace lockstep::cuda {
namespace {

constexpr std::int64_t kSchedulers = 4;  // of a multiprocessor
// A warp that has a scheduler for itself waits for its own results: cycles an instruction.
constexpr std::int64_t kAlone = 4;

// Instructions of a warp, from the tables in rollout.cuh and table_rollout.cuh, rounded up.
constexpr std::int64_t kStep = 160;        // game, action, record and reset
constexpr std::int64_t kGeneralUnit = 40;  // a unit that may be dropped
constexpr std::int64_t kTableStep = 330;   // the same for eight games of objects, without frames
constexpr std::int64_t kTableFrame = 160;  // one frame, with what its noise is drawn from
constexpr std::int64_t kTableWord = 20;    // 32 units of an environment

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Steps that take kLaunchCycles if each costs a warp so many instructions and every scheduler of
/// the device has its share of `warps`.
std::int32_t steps_of(std::int64_t warps, std::int64_t instructions, int multiprocessors) {
  if (const char* const wish = std::getenv("LS_LAUNCH_STEPS"); wish != nullptr && *wish != '\0') {
    return static_cast<std::int32_t>(
        parse_integer(integer_in(1, RolloutCut::kNever), wish, Origin{"LS_LAUNCH_STEPS"}));
  }
  const std::int64_t share = ceil_div(warps, kSchedulers * multiprocessors);
  const std::int64_t cycles = std::max(kAlone, share) * instructions;
  return static_cast<std::int32_t>(std::max<std::int64_t>(1, kLaunchCycles / cycles));
}

}  // namespace

std::int32_t launch_steps(const LaunchShape& shape, const PolicyView<float>& policy, int O, int A,
                          std::int64_t num_envs, int multiprocessors) {
  const int Z = logits_of(A);
  const std::int64_t unit = policy.form == PolicyForm::kGeneral ? kGeneralUnit + O + Z : O + Z + 4;
  std::int64_t network = policy.hidden * unit;
  if (policy.form == PolicyForm::kRandom) network = 0;
  if (policy.form == PolicyForm::kLinear) network = std::int64_t{Z} * (O + 1);
  if (shape.mapping == Mapping::kLanes8) {  // a warp plays eight, in pairs that share its lanes
    return steps_of(ceil_div(num_envs, 8), kStep + 2 * ceil_div(network, kPartials),
                    multiprocessors);
  }
  const std::int64_t envs = shape.envs_per_thread;
  return steps_of(ceil_div(num_envs, 32 * envs), envs * (kStep + network), multiprocessors);
}

std::int32_t launch_steps(const TableLaunchShape& shape, const TableRolloutArgs& rollout) {
  const std::int64_t words = rollout.random_policy ? 0 : rollout.policy.shape.words();
  // wide networks have fewer environments a warp, whatever is asked for
  const std::int64_t envs = std::min<std::int64_t>(shape.envs_per_warp, words > 16  ? 2
                                                                        : words > 8 ? 4
                                                                                    : 8);
  const std::int64_t step = kTableStep + rollout.game.max_skip * kTableFrame;
  return steps_of(ceil_div(rollout.num_envs, envs), step + envs * words * kTableWord,
                  shape.multiprocessors);
}

}  // namespace lockstep::cuda
