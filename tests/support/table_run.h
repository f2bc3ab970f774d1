// A whole run of a table policy over the operations of kernels/cpu/table_launchers.h: buffers, the
// passes of an update in their order, threads. Test code; the smallest host there can be.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/backend/buffer.h"
#include "host/backend/parallel.h"
#include "kernels/cpu/launchers.h"
#include "kernels/cpu/table_launchers.h"
#include "kernels/environment_facts.h"
#include "kernels/update_plan.h"

namespace lockstep::cpu {
extern const EnvironmentFacts environment_facts_pong;
extern const TableOperations tables_pong_scalar, tables_pong_avx2, tables_pong_avx512;
}  // namespace lockstep::cpu

namespace lockstep::test {

struct TableSettings {
  std::int64_t envs = 32;
  std::int32_t T = 4096;
  int hidden = 200;
  float leak = 0;
  int threads = 1;
  bool episodic = true;
  bool random_policy = false;
  GameOptions game{.max_steps = 16302};
  std::uint64_t seed = 1;
  float gamma = 0.98f;
  bool reset_at_points = true;
  bool incoming_only = false;
  double entropy_coef = 0;
  double lr = 0.01;
  OptimizerPlan optimizer{OptimizerRule::kAdam, 0, 1e-3, 0, 0, 0.9, 0.999, 0.99, 1e-8};
};

/// What a play says about its games.
struct TableGames {
  std::int64_t steps = 0, episodes = 0;
  double score = 0;  // summed
};

class TableRun {
 public:
  TableRun(const cpu::TableOperations& operations, const TableSettings& settings)
      : ops(operations), set(settings), facts(*cpu::environment_facts_pong.tables) {
    shape = facts.shape;
    shape.hidden = set.hidden;
    groups = (set.envs + kGroup - 1) / kGroup;
    const std::int64_t Hp = shape.padded(), n = count(), steps = groups * set.T;
    for (Buffer<float>* b : {&parameters, &gradient_, &first_moment, &second_moment}) {
      *b = Buffer<float>(n);
      b->zero();
    }
    rows = Buffer<float>(shape.rows * Hp);
    logits = Buffer<float>(steps * kGroup);
    advantage = Buffer<float>(steps * kGroup);
    for (Buffer<std::uint16_t>* b : {&actions, &terminated, &truncated, &valid, &incoming}) {
      *b = Buffer<std::uint16_t>(steps);
    }
    steps_ = Buffer<std::int32_t>(groups);
    reward = Buffer<std::int8_t>(steps * kGroup);
    shown = Buffer<std::uint16_t>(steps * kGroup * shape.objects);
    active = Buffer<std::uint32_t>(steps * kGroup * shape.words());
    quantised = Buffer<std::int32_t>(steps * kGroup);
    if (set.leak != 0) quantised_leak = Buffer<std::int32_t>(steps * kGroup);
    used = Buffer<std::int32_t>(groups * kGroup);
    score = Buffer<float>(groups * kGroup);
    length = Buffer<std::int32_t>(groups * kGroup);
    episodes = Buffer<std::int32_t>(groups * kGroup);
    for (int i = 0; i < set.threads; ++i) {
      phi.emplace_back(kGroup * Hp);
      partials.emplace_back(kGroup * kTableParts);
      partials.back().zero();
      idle.emplace_back(kGroup * shape.words());
      sums.emplace_back(std::int64_t{shape.rows} * kSliceUnits);
      hit.emplace_back(shape.rows);
    }
    make_lists();
    lit_now.resize(lit_by.size());
    touched_rows.resize(static_cast<std::size_t>(shape.rows));
  }

  std::int64_t count() const { return (std::int64_t{shape.pixels} + 1) * shape.padded(); }
  float* output() { return parameters.data() + std::int64_t{shape.pixels} * shape.padded(); }
  TableView view() { return {shape, rows.data(), output(), set.leak}; }
  TableRecord record() {
    TableRecord r{};
    r.steps.groups = groups;
    r.steps.T = set.T;
    r.steps.logits = logits.data();
    r.steps.advantage = advantage.data();
    r.steps.action_bits = actions.data();
    r.steps.terminated = terminated.data();
    r.steps.truncated = truncated.data();
    r.steps.valid = valid.data();
    r.steps.steps = steps_.data();
    r.reward = reward.data();
    r.incoming = incoming.data();
    r.rows = shown.data();
    r.active = active.data();
    r.quantised = quantised.data();
    r.quantised_leak = quantised_leak.data();
    r.used = used.data();
    return r;
  }

  /// Makes the table from the weights.
  void build() {
    constexpr int kRows = 256;
    parallel_for((shape.rows + kRows - 1) / kRows, set.threads, [&](std::int64_t i, int) {
      const int first = static_cast<int>(i) * kRows;
      ops.build(shape, {light_start.data(), light.data()}, parameters.data(), first,
                std::min(first + kRows, shape.rows), rows.data());
    });
  }

  TableGames play(std::uint32_t epoch, ActionChoice choice, bool keep) {
    TableRolloutArgs args{};
    args.stream = {set.seed, epoch};
    args.num_envs = set.envs;
    args.T = set.T;
    args.episodic = set.episodic;
    args.choice = choice;
    args.epsilon = 0.25f;
    args.random_policy = set.random_policy;
    args.game = set.game;
    args.policy = view();
    if (keep) args.record = record();
    args.score = score.data();
    args.length = length.data();
    args.episodes = episodes.data();
    parallel_for(ops.tasks(args), set.threads, [&](std::int64_t task, int thread) {
      const auto i = static_cast<std::size_t>(thread);
      ops.play(args, task, {phi[i].data(), partials[i].data(), idle[i].data()});
    });
    TableGames games;
    for (std::int64_t i = 0; i < set.envs; ++i) {
      games.steps += length[i];
      games.episodes += episodes[i];
      games.score += static_cast<double>(score[i]);
    }
    games_ = games;
    return games;
  }

  /// Returns, normalised over the batch.
  void estimate() {
    const ReturnSums returns = over_groups([&](std::int64_t group, ReturnSums& into) {
      ops.returns({record(), set.gamma, set.reset_at_points, set.incoming_only, return_scale()},
                  group, into);
    });
    BaselineArgs<float> args{};
    args.record = record().steps;
    args.scale = return_scale();
    const ReturnSums advantages =
        over_groups([&](std::int64_t group, ReturnSums& into) { ops.baseline(args, group, into); });
    valid_steps = returns.count;
    moments_ = moments(returns.count, returns.sum, squares_of(returns), return_scale(), false);
    largest = largest_advantage(moments_, advantages.largest) * (1 + 1e-5);
    in_range = !returns.saturated && !advantages.saturated;
  }

  TableGradientArgs gradient_args(int bits_dropped) {
    TableGradientArgs args{};
    args.record = record();
    args.shape = shape;
    args.leak = set.leak;
    args.mean = static_cast<float>(moments_.mean);
    args.inv_std = static_cast<float>(moments_.inv_std);
    args.entropy_coef = static_cast<float>(set.entropy_coef);
    args.scale = table_gradient_scale(largest + set.entropy_coef + 1e-30, bits_dropped);
    args.loss_scale = scale_for_bound(largest * static_cast<double>(kMaxNegLogProb) + 1e-30);
    args.entropy_scale = scale_for_bound(0.7);
    return args;
  }

  /// The sums of the batch gradient, and the gradient; false if a term was out of range.
  bool gradient(int bits_dropped = 0) {
    const TableGradientArgs args = gradient_args(bits_dropped);
    std::vector<TableSums> parts(hit.size());
    for (std::size_t i = 0; i < hit.size(); ++i) {
      hit[i].zero();
      parts[i].hit = hit[i].data();
    }
    parallel_for(groups, set.threads, [&](std::int64_t group, int thread) {
      ops.weigh(args, group, parts[static_cast<std::size_t>(thread)]);
    });
    total = {};
    for (const TableSums& part : parts) {
      total.loss += part.loss;
      total.entropy += part.entropy;
      total.saturated |= part.saturated;
      for (int r = 0; r < shape.rows; ++r) hit[0][r] |= part.hit[r];
    }
    if (total.saturated) return false;
    TableFinishArgs finish{};
    finish.policy = view();
    finish.lit_by = {lit_start.data(), lit_now.data()};
    const TableTouched touched{
        table_touched(shape, hit[0].data(), {lit_start.data(), lit_by.data()}, lit_now.data(),
                      touched_rows.data()),
        touched_rows.data()};
    finish.weights = parameters.data();
    finish.unit = 1.0 / static_cast<double>(args.scale) /
                  static_cast<double>(std::max<std::int64_t>(games_.episodes, 1));
    finish.grad_weights = gradient_.data();
    finish.grad_output = gradient_.data() + std::int64_t{shape.pixels} * shape.padded();
    parallel_for(shape.slices(), set.threads, [&](std::int64_t slice, int thread) {
      auto& sum = sums[static_cast<std::size_t>(thread)];
      ops.clear(touched, sum.data());
      for (std::int64_t group = 0; group < groups; ++group) {
        ops.accumulate(args, static_cast<int>(slice), group, sum.data());
      }
      ops.finish(finish, static_cast<int>(slice), sum.data());
    });
    return true;
  }

  void apply() {
    const OptimizerArgs args = optimizer_args(set.optimizer, set.lr, 0, running);
    constexpr std::int64_t kChunk = 1 << 15;
    const std::int64_t n = count();
    parallel_for((n + kChunk - 1) / kChunk, set.threads, [&](std::int64_t i, int) {
      const std::int64_t at = i * kChunk;
      ops.optimize(args, std::min(kChunk, n - at), gradient_.data() + at, parameters.data() + at,
                   first_moment.data() + at, second_moment.data() + at);
    });
    build();
  }

  float return_bound() const {
    const float most = cpu::environment_facts_pong.max_abs_reward;
    return set.reset_at_points ? most : most / (1 - std::min(set.gamma, 0.9999f));
  }
  float return_scale() const { return scale_for_bound(static_cast<double>(return_bound())); }

  const cpu::TableOperations& ops;
  TableSettings set;
  const TableFacts& facts;
  TableShape shape;
  std::int64_t groups;
  Buffer<float> parameters, gradient_, first_moment, second_moment;  // [P + 1][Hp], w2 last
  Buffer<float> rows, logits, advantage, score;
  Buffer<std::uint16_t> actions, terminated, truncated, valid, incoming, shown;
  Buffer<std::int32_t> steps_, quantised, quantised_leak, used, length, episodes;
  Buffer<std::int8_t> reward;
  Buffer<std::uint32_t> active;
  std::vector<Buffer<float>> phi, partials;
  std::vector<Buffer<std::uint32_t>> idle;
  std::vector<Buffer<std::int64_t>> sums;
  std::vector<Buffer<std::uint8_t>> hit;
  std::vector<std::int32_t> light_start, lit_start;
  std::vector<std::uint16_t> light, lit_by, lit_now, touched_rows;
  std::int64_t valid_steps = 0;
  Moments moments_{};
  double largest = 0;  // |advantage| after normalisation
  bool in_range = true;
  TableSums total;
  TableGames games_;
  RunningState running;

 private:
  template <class Body>
  ReturnSums over_groups(const Body& body) {
    std::vector<ReturnSums> parts(static_cast<std::size_t>(set.threads));
    parallel_for(groups, set.threads, [&](std::int64_t group, int thread) {
      body(group, parts[static_cast<std::size_t>(thread)]);
    });
    ReturnSums sum;
    for (const ReturnSums& part : parts) {
      sum.count += part.count;
      sum.sum += part.sum;
      sum.squares_low += part.squares_low;
      sum.squares_high += part.squares_high;
      sum.saturated |= part.saturated;
      sum.largest = std::max(sum.largest, part.largest);
    }
    return sum;
  }
  void make_lists() {
    std::vector<std::vector<std::uint16_t>> by(static_cast<std::size_t>(shape.pixels));
    std::vector<std::uint16_t> pixel(static_cast<std::size_t>(facts.max_row_pixels));
    light_start.push_back(0);
    for (int r = 0; r < shape.rows; ++r) {
      const int n = facts.pixels(r, pixel.data());
      for (int i = 0; i < n; ++i) {
        light.push_back(pixel[static_cast<std::size_t>(i)]);
        by[pixel[static_cast<std::size_t>(i)]].push_back(static_cast<std::uint16_t>(r));
      }
      light_start.push_back(static_cast<std::int32_t>(light.size()));
    }
    lit_start.push_back(0);
    for (const auto& list : by) {
      lit_by.insert(lit_by.end(), list.begin(), list.end());
      lit_start.push_back(static_cast<std::int32_t>(lit_by.size()));
    }
  }
};

}  // namespace lockstep::test
