// The order of an update on the CPU, and what of it numbers and objects have in common.
#include "host/cpu/updates.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/errors.h"

namespace lockstep {
namespace {

constexpr std::int64_t kOptimizerChunk = 1 << 14;  // four arrays of it stay in a second-level cache

constexpr float kTame = 1e15f;

/// Whether no step with `args` can overflow from a gradient, numbers and moments that are all below
/// kTame: the largest that it can make of them is 1e36.
bool is_tame(const OptimizerArgs& args) {
  return args.lr < 1e6f && args.weight_decay <= 1e3f && std::abs(args.shrink) <= 1.0f &&
         args.eps >= 1e-12f;
}

void raise_to(std::atomic<std::uint32_t>& most, std::uint32_t value) {
  std::uint32_t seen = most.load();
  while (seen < value && !most.compare_exchange_weak(seen, value)) {
  }
}

/// Whether a stage is done part by part.
bool has_parts(Stage stage) {
  return stage == Stage::kAccumulate || stage == Stage::kReduce || stage == Stage::kFinish;
}

}  // namespace

CpuUpdates::CpuUpdates(const Config& config, const EnvironmentEntry& environment,
                       const CpuTuning& tuning, std::int64_t grain, const Learner& learner)
    : config_(config),
      environment_(&environment),
      tuning_(tuning),
      shape_(policy_shape(config, environment)),
      plan_(update_plan(config, *environment.facts)),
      grain_(grain),
      learner_(&learner) {}

void CpuUpdates::allocate_updates(std::int32_t T) {
  const auto threads = static_cast<std::size_t>(tuning_.threads);
  outcome_ = Outcome(config_.envs);
  return_sums_.resize(threads);
  if (plan_.baseline != BaselineRule::kTimeMean) return;
  time_sums_.assign(threads, std::vector<std::int64_t>(static_cast<std::size_t>(T)));
  baseline_.resize(static_cast<std::size_t>(T));
}

void CpuUpdates::begin_from(const RunningState& running) {
  running_ = running;
  largest_state_ = 0;
  for (const std::span<float> numbers : trained()) {
    largest_state_ = std::max(largest_state_, largest(numbers));
  }
}

std::uint32_t CpuUpdates::largest(std::span<const float> numbers) const {
  std::uint32_t most = 0;
  for (const float value : numbers) most = std::max(most, magnitude_bits(value));
  return most;
}

std::vector<UpdateResult> CpuUpdates::updates(std::uint32_t epoch, std::span<const double> lr) {
  // of what an update has changed when it fails, take_step() brings back the rest
  const RunningState before = running_;
  try {
    Turn turn{.epoch = epoch, .lr = lr.front()};
    walk(learner_->begin, turn);
    // no episode finished, or none that counts: nothing to learn from
    if (batch_.returns.count > 0) learn(turn);
    std::vector<UpdateResult> results;
    results.push_back(std::move(turn.result));
    return results;
  } catch (...) {
    running_ = before;
    throw;
  }
}

int CpuUpdates::gradient() {
  Turn turn;
  repeat_until_in_range(learner_->gradient(), turn);
  return turn.bits_dropped;
}

void CpuUpdates::learn(Turn& turn) { repeat_until_in_range(learner_->pass, turn); }

void CpuUpdates::repeat_until_in_range(std::span<const Stage> pass, Turn& turn) {
  for (turn.bits_dropped = 0; !walk(pass, turn); ++turn.bits_dropped) {
    if (turn.bits_dropped == kMaxRescalings) throw NumericError(numeric_error::kSaturated);
  }
}

bool CpuUpdates::walk(std::span<const Stage> stages, Turn& turn) {
  saturated_ = false;
  while (!stages.empty() && !saturated_) {
    const auto end = std::find_if_not(stages.begin(), stages.end(), has_parts);
    const auto count = static_cast<std::size_t>(end - stages.begin());
    if (count > 0) {
      run_by_part(stages.first(count));
    } else {
      run(stages.front(), turn);
    }
    stages = stages.subspan(std::max<std::size_t>(count, 1));
  }
  return !saturated_;
}

void CpuUpdates::run(Stage stage, Turn& turn) {
  switch (stage) {
    case Stage::kRollout:
      rollout(turn.epoch);
      tell_episodes(turn.result);
      sum_up_episodes(most_listed_, turn.result);
      return;
    case Stage::kCredit:
      return credit();
    case Stage::kShuffle:
      return shuffle();
    case Stage::kWeigh:
      return weigh(turn.bits_dropped);
    case Stage::kStep:
      turn.result.rescalings += turn.bits_dropped;
      set_figures(turn.result);
      return take_step(turn.lr, turn.result.grad_norm);
    case Stage::kAccumulate:
    case Stage::kReduce:
    case Stage::kFinish:
      return;  // by part: walk()
  }
}

void CpuUpdates::run_by_part(std::span<const Stage> stages) {
  parallel_for(parts(), tuning_.threads, [&](std::int64_t part, int thread) {
    for (const Stage stage : stages) {
      if (saturated_) return;
      if (stage == Stage::kAccumulate) accumulate(part, thread);
      if (stage == Stage::kReduce) reduce(part, thread);
      if (stage == Stage::kFinish) finish(part, thread);
    }
  });
}

template <class Body>
ReturnSums CpuUpdates::sum_over_groups(const Body& body) {
  std::fill(return_sums_.begin(), return_sums_.end(), ReturnSums{});
  parallel_for(
      steps().groups, tuning_.threads,
      [&](std::int64_t group, int thread) {
        body(group, thread, return_sums_[static_cast<std::size_t>(thread)]);
      },
      grain_);
  ReturnSums sum;
  for (const ReturnSums& part : return_sums_) merge(sum, part);
  return sum;
}

void CpuUpdates::credit() {
  const bool by_time = plan_.baseline == BaselineRule::kTimeMean;
  for (auto& sums : time_sums_) std::fill(sums.begin(), sums.end(), 0);
  batch_.returns = sum_over_groups([&](std::int64_t group, int thread, ReturnSums& sums) {
    returns(group, by_time ? time_sums_[static_cast<std::size_t>(thread)].data() : nullptr, sums);
  });
  BaselineArgs<float> args{};
  args.record = steps();
  args.scale = plan_.advantage_scale;
  args.per_episode = plan_.normalize == NormalizeRule::kEpisode;
  args.sample_std = plan_.sample_std;
  args.constant = constant_baseline(plan_, batch_.returns, running_);
  advance_running_mean(plan_, batch_.returns, running_);
  if (by_time) {
    for (std::size_t t = 0; t < baseline_.size(); ++t) {
      std::int64_t sum = 0;
      for (const auto& sums : time_sums_) sum += sums[t];
      baseline_[t] = time_baseline(plan_, sum);
    }
    args.baseline = baseline_.data();
  }
  batch_.advantages = sum_over_groups(
      [&](std::int64_t group, int, ReturnSums& sums) { baseline(args, group, sums); });
  if (batch_.returns.saturated || batch_.advantages.saturated) {
    throw NumericError(numeric_error::kReturnRange);
  }
  batch_.steps = 0;
  for (std::int64_t group = 0; group < args.record.groups; ++group) {
    batch_.steps += std::int64_t{args.record.steps[group]} * kGroup;
  }
  batch_.episodes = outcome_.count(config_.envs);
  moments_ = normalisation(plan_, batch_.advantages);
}

void CpuUpdates::set_figures(UpdateResult& result) {
  const Totals sums = totals();
  static_cast<UpdateFigures&>(result) =
      figures_of(sums.loss, sums.loss_scale, sums.entropy, sums.entropy_scale, batch_.episodes,
                 batch_.returns.count);
  result.grad_norm = gradient_norm();
  if (!std::isfinite(result.grad_norm)) throw NumericError(numeric_error::kGradient);
}

/// Optimises in place. Where numbers are so large that a step could overflow, copies are kept to go
/// back to; otherwise none can, and a copy of all of them would cost as much as the step.
void CpuUpdates::take_step(double lr, double grad_norm) {
  const OptimizerArgs args = optimizer_args(plan_.optimizer, lr, grad_norm, running_);
  const auto state = trained();
  const auto n = static_cast<std::int64_t>(state[0].size());
  const std::int64_t chunks = (n + kOptimizerChunk - 1) / kOptimizerChunk;
  const bool tame =
      is_tame(args) && grad_norm < double{kTame} && largest_state_ < magnitude_bits(kTame);
  std::array<std::vector<float>, 3> kept;
  for (std::size_t i = 0; !tame && i < kept.size(); ++i) {
    kept[i].assign(state[i].begin(), state[i].end());
  }
  std::atomic<std::uint32_t> most{0};
  parallel_for(chunks, tuning_.threads, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kOptimizerChunk;
    raise_to(most, optimize(args, first, std::min(kOptimizerChunk, n - first)));
  });
  if (most >= magnitude_bits(INFINITY)) {
    for (std::size_t i = 0; !tame && i < kept.size(); ++i) {
      std::copy(kept[i].begin(), kept[i].end(), state[i].begin());
    }
    throw NumericError(numeric_error::kParameter);
  }
  largest_state_ = most;
  renew();
}

}  // namespace lockstep
