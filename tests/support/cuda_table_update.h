// One update of a table policy twice: played and learned from by the CPU's operations, one after
// another, and the same record and buffers on a device, for its kernels to be held against.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/cuda/table_launchers.h"
#include "kernels/table_plan.h"
#include "tests/support/cuda_devices.h"
#include "tests/support/table_reference.h"

namespace lockstep::test {

inline constexpr OptimizerPlan kAdam{
    OptimizerRule::kAdam, 0.5, 0.01, 0.1, 0, 0.9, 0.999, 0.99, 1e-8};

struct LearnCase {
  std::int64_t envs = 17;
  int T = 100;
  int hidden = 16;
  float leak = 0;
  bool episodic = false;
  int max_steps = 40;  // of an episode; no game is over that soon
  bool reset_at_points = true;
  bool incoming_only = false;
  float gamma = 0.97f;
  double entropy_coef = 0;
  BaselineRule baseline = BaselineRule::kNone;
  NormalizeRule normalize = NormalizeRule::kBatch;
  bool sample_std = false;
  OptimizerPlan optimizer = kAdam;
  int bits_dropped = 0;
  cuda::TableLaunchShape launch{64, 1, 96, 1, offered_shared_bytes()};
};

inline std::string text_of(const LearnCase& c) {
  return "envs " + std::to_string(c.envs) + ", T " + std::to_string(c.T) + ", H " +
         std::to_string(c.hidden) + ", leak " + std::to_string(c.leak) +
         (c.episodic ? ", episodic" : "") + (c.reset_at_points ? ", points reset" : "") +
         (c.incoming_only ? ", incoming" : "") + ", baseline " +
         std::to_string(static_cast<int>(c.baseline)) + ", normalize " +
         std::to_string(static_cast<int>(c.normalize)) + ", rule " +
         std::to_string(static_cast<int>(c.optimizer.rule)) + ", block " +
         std::to_string(c.launch.block) + " and " + std::to_string(c.launch.gradient_block);
}

template <class T>
std::vector<T> vector_of(const Buffer<T>& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

class CudaTableUpdate {
 public:
  static constexpr double kRate = 0.02;

  explicit CudaTableUpdate(const LearnCase& c) : run(cpu::tables_pong_scalar, settings(c)), c_(c) {
    initialise(run, 5);
    for (int j = 0; j < run.shape.hidden; ++j) run.output()[j] *= 4;  // it has opinions
    clear_record();
    run.play(3, ActionChoice::kSample, true);
    make_plan();
    for (std::int64_t i = 0; i < run.count(); ++i) {
      run.first_moment[i] = 1e-4f * static_cast<float>(i % 7 - 3);
      run.second_moment[i] = 1e-6f * static_cast<float>(i % 5);
    }
    upload();
  }

  // ---- what the CPU computes ----

  void estimate() {
    cpu_returns = over_groups([&](std::int64_t group, ReturnSums& into) {
      run.ops.returns(
          {run.record(), plan.gamma, c_.reset_at_points, c_.incoming_only, plan.return_scale},
          group, into);
    });
    BaselineArgs<float> given{};
    given.record = run.record().steps;
    given.scale = plan.advantage_scale;
    given.per_episode = plan.normalize == NormalizeRule::kEpisode;
    given.sample_std = plan.sample_std;
    given.constant = constant_baseline(plan, cpu_returns, running);
    cpu_advantages = over_groups(
        [&](std::int64_t group, ReturnSums& into) { run.ops.baseline(given, group, into); });
  }
  TableGradientArgs gradient_args() {
    TableGradientArgs given{};
    given.record = run.record();
    given.shape = run.shape;
    given.leak = c_.leak;
    set_table_scales(plan, normalisation(plan, cpu_advantages), cpu_advantages.largest,
                     bits_dropped, given);
    return given;
  }
  void weigh() {
    std::vector<std::uint8_t> hit(static_cast<std::size_t>(run.shape.rows));
    cpu_totals = {};
    cpu_totals.hit = hit.data();
    const TableGradientArgs given = gradient_args();
    for (std::int64_t group = 0; group < run.groups; ++group) {
      run.ops.weigh(given, group, cpu_totals);
    }
  }
  /// Sums of all rows, and the gradient that comes of them.
  void gradient() {
    const TableGradientArgs given = gradient_args();
    const std::int64_t padded = run.shape.padded();
    cpu_sums.assign(static_cast<std::size_t>(run.shape.rows * padded), 0);
    TableFinishArgs finish{};
    finish.policy = run.view();
    finish.lit_by = {run.lit_start.data(), run.lit_by.data()};
    finish.weights = run.parameters.data();
    finish.unit = table_unit(given.scale, run.games_.episodes);
    finish.grad_weights = run.gradient_.data();
    finish.grad_output = run.gradient_.data() + run.shape.pixels * padded;
    for (int slice = 0; slice < run.shape.slices(); ++slice) {
      std::vector<std::int64_t> of_slice(static_cast<std::size_t>(run.shape.rows) * kSliceUnits);
      for (std::int64_t group = 0; group < run.groups; ++group) {
        run.ops.accumulate(given, slice, group, of_slice.data());
      }
      run.ops.finish(finish, slice, of_slice.data());
      for (std::size_t i = 0; i < of_slice.size(); ++i) {
        const std::size_t row = i / kSliceUnits, unit = i % kSliceUnits;
        cpu_sums[row * static_cast<std::size_t>(padded) +
                 static_cast<std::size_t>(slice) * kSliceUnits + unit] = of_slice[i];
      }
    }
  }
  double norm() { return std::sqrt(chunked_sum_of_squares(run.gradient_.data(), run.count())); }
  void apply() {
    advance_running_mean(plan, cpu_returns, running);
    const OptimizerArgs given = optimizer_args(plan.optimizer, kRate, norm(), running);
    run.ops.optimize(given, run.count(), run.gradient_.data(), run.parameters.data(),
                     run.first_moment.data(), run.second_moment.data());
    run.build();
  }
  cuda::UpdateLog cpu_log() {
    const TableGradientArgs given = gradient_args();
    return {{FixedPoint::value(cpu_totals.loss, given.loss_scale) /
                 static_cast<double>(run.games_.episodes),
             FixedPoint::value(cpu_totals.entropy, given.entropy_scale) /
                 static_cast<double>(cpu_returns.count),
             norm()},
            run.games_.episodes,
            cpu_returns.count,
            bits_dropped};
  }

  /// Of all groups, in every lane.
  std::int64_t recorded_steps() const {
    std::int64_t sum = 0;
    for (std::int64_t group = 0; group < run.groups; ++group) sum += run.steps_[group] * kGroup;
    return sum;
  }

  // ---- what the tests change on the device ----

  static cuda::SharedSums shared(const ReturnSums& from) {
    const auto word = [](std::int64_t value) { return static_cast<unsigned long long>(value); };
    return {word(from.count),        word(from.sum),           word(from.squares_low),
            word(from.squares_high), from.saturated ? 1u : 0u, as_unsigned(as_int(from.largest))};
  }
  /// The CPU's estimates in place of the device's own.
  void upload_estimates() {
    cuda::TableTotals counted{};
    counted.episodes = static_cast<unsigned long long>(run.games_.episodes);
    counted.steps = static_cast<unsigned long long>(recorded_steps());
    totals.upload({counted});
    returns.upload({shared(cpu_returns)});
    advantages.upload({shared(cpu_advantages)});
    advantage.upload(vector_of(run.advantage));
  }
  void set_state(cuda::Stop stop, int dropped) {
    cuda::UpdateState now = state.download()[0];
    now.stop = stop;
    now.bits_dropped = dropped;
    state.upload({now});
  }

  TableRun run;
  UpdatePlan plan{};
  RunningState running{0.5, 0.25, 0.125};
  int bits_dropped = 0;
  ReturnSums cpu_returns, cpu_advantages;
  TableSums cpu_totals;
  std::vector<std::int64_t> cpu_sums;

  cuda::TableUpdateArgs args{};
  CudaArray<float> logits, advantage, grad, parameters, first_moment, second_moment, table;
  CudaArray<std::uint16_t> actions, terminated, truncated, incoming, shown, lit_entry, light_entry;
  CudaArray<std::int32_t> steps, quantised, quantised_leak, length, episodes, lit_start,
      light_start;
  CudaArray<std::int8_t> reward;
  CudaArray<std::uint32_t> active;
  CudaArray<cuda::SharedSums> returns, advantages;
  CudaArray<cuda::TableTotals> totals;
  CudaArray<cuda::TableStep> step;
  CudaArray<unsigned long long> sums;
  CudaArray<double> pixel_sums, squares, lr;
  CudaArray<cuda::UpdateState> state;
  CudaArray<cuda::UpdateLog> log;

  const LearnCase& settings() const { return c_; }

 private:
  static TableSettings settings(const LearnCase& c) {
    TableSettings s;
    s.envs = c.envs;
    s.T = c.T;
    s.hidden = c.hidden;
    s.leak = c.leak;
    s.episodic = c.episodic;
    // games that differ from each other
    s.game = {.min_skip = 6,
              .max_skip = 12,
              .repeat_below = 1u << 22,
              .max_noops = 60,
              .max_steps = c.max_steps};
    return s;
  }
  void make_plan() {
    const double bound = c_.reset_at_points ? 1 : 1 / (1 - static_cast<double>(c_.gamma));
    plan.num_envs = c_.envs;
    plan.A = 2;
    plan.gamma = c_.gamma;
    plan.baseline = c_.baseline;
    plan.normalize = c_.normalize;
    plan.sample_std = c_.sample_std;
    plan.return_scale = scale_for_bound(bound);
    plan.advantage_scale = scale_for_bound(2 * bound);
    plan.entropy_coef = c_.entropy_coef;
    plan.entropy_slope = 0.25;
    plan.entropy_scale = scale_for_bound(0.7);
    plan.optimizer = c_.optimizer;
    bits_dropped = c_.bits_dropped;
  }
  /// Environments beyond the last one and steps not played are never written.
  void clear_record() {
    for (auto* words :
         {&run.actions, &run.terminated, &run.truncated, &run.valid, &run.incoming, &run.shown}) {
      words->zero();
    }
    run.logits.zero();
    run.advantage.zero();
    run.reward.zero();
    run.active.zero();
    run.quantised.zero();
    run.quantised_leak.zero();
  }
  ReturnSums over_groups(const auto& body) {
    ReturnSums total;
    for (std::int64_t group = 0; group < run.groups; ++group) body(group, total);
    return total;
  }
  template <class T>
  static T* place(CudaArray<T>& array, const std::vector<T>& values) {
    array = CudaArray<T>(values);
    return array.data();
  }
  void upload() {
    const std::int64_t padded = run.shape.padded(), P = run.shape.pixels, R = run.shape.rows;
    const auto many = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    args.plan = plan;
    TableRolloutArgs& r = args.rollout;
    r.num_envs = c_.envs;
    r.T = c_.T;
    r.episodic = c_.episodic;
    r.policy = {run.shape, nullptr, nullptr, c_.leak};
    Record<float>& record = r.record.steps;
    record.groups = run.groups;
    record.T = c_.T;
    record.logits = place(logits, vector_of(run.logits));
    const std::vector<float> nothing(many(run.advantage.size()), std::nanf(""));
    record.advantage = place(advantage, nothing);
    record.action_bits = place(actions, vector_of(run.actions));
    record.terminated = place(terminated, vector_of(run.terminated));
    record.truncated = place(truncated, vector_of(run.truncated));
    record.steps = place(steps, vector_of(run.steps_));
    r.record.reward = place(reward, vector_of(run.reward));
    r.record.incoming = place(incoming, vector_of(run.incoming));
    r.record.rows = place(shown, vector_of(run.shown));
    r.record.active = place(active, vector_of(run.active));
    const std::vector<std::int32_t> wrong(many(run.quantised.size()), 77);
    r.record.quantised = place(quantised, wrong);
    if (c_.leak != 0) r.record.quantised_leak = place(quantised_leak, wrong);
    r.length = place(length, vector_of(run.length));
    r.episodes = place(episodes, vector_of(run.episodes));
    args.reset_at_points = c_.reset_at_points;
    args.incoming_only = c_.incoming_only;
    args.returns = place(returns, {cuda::SharedSums{}});
    args.advantages = place(advantages, {cuda::SharedSums{}});
    args.totals = place(totals, {cuda::TableTotals{}});
    args.step = place(step, {cuda::TableStep{}});
    args.lit_by = {place(lit_start, run.lit_start), place(lit_entry, run.lit_by)};
    args.lights = {place(light_start, run.light_start), place(light_entry, run.light)};
    args.sums = place(sums, std::vector<unsigned long long>(many(R * padded), 99));
    args.pixel_sums = place(pixel_sums, std::vector<double>(many(P * padded)));
    args.squares = place(squares, std::vector<double>(many(square_chunks(run.count()))));
    args.gradient = place(grad, std::vector<float>(many(run.count()), 1.0f));
    args.parameters = place(parameters, vector_of(run.parameters));
    args.first_moment = place(first_moment, vector_of(run.first_moment));
    args.second_moment = place(second_moment, vector_of(run.second_moment));
    args.rows = place(table, vector_of(run.rows));
    r.policy.rows = args.rows;
    r.policy.output = args.parameters + P * padded;
    args.lr = place(lr, {0.0, kRate, kRate, 0.0});
    args.state =
        place(state, {cuda::UpdateState{3, 1, cuda::Stop::kRunning, bits_dropped, running}});
    args.log = place(log, std::vector<cuda::UpdateLog>(4));
  }

  LearnCase c_;
};

}  // namespace lockstep::test
