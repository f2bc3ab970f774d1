// The learning half of an update of a table policy on the CPU: estimate, gradient, apply.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/cpu/table_backend.h"
#include "host/errors.h"
#include "kernels/table_plan.h"

namespace lockstep {
namespace {

constexpr std::int64_t kOptimizerChunk = 1 << 14;  // four arrays of it stay in a second-level cache

/// Below it no step of an optimiser can overflow from numbers that are themselves below it.
constexpr std::uint32_t kTame = 0x58635fa9;  // the bits of 1e15f

std::uint32_t bits_of(float value) { return __builtin_bit_cast(std::uint32_t, value); }

void raise_to(std::atomic<std::uint32_t>& most, std::uint32_t value) {
  std::uint32_t seen = most.load();
  while (seen < value && !most.compare_exchange_weak(seen, value)) {
  }
}

}  // namespace

/// Training buffers exist from the first update on; evaluation needs none.
void TableBackend::allocate_training() {
  if (record_.steps.groups > 0) return;
  const std::int64_t T = config_.horizon > 0 ? config_.horizon : game_.max_steps;
  const TableRecordShape shape{.num_envs = config_.envs,
                               .T = static_cast<std::int32_t>(T),
                               .table = table_,
                               .steps = true,
                               .training = true,
                               .leaky = leak_ != 0,
                               .marks = true};
  TableRecord record = empty_table_record(shape);
  // untouched pages cost nothing, so the longest episodes are no reason to refuse
  arena_ = Buffer<std::byte>(
      arena_bytes([&](Arena& arena) { place_table_record(arena, shape, record); }));
  Arena arena(arena_.data());
  place_table_record(arena, shape, record);
  record_ = record;
  outcome_ = Outcome(config_.envs);
  gradient_ = Buffer<float>(table_numbers(table_));
  for (int i = 0; i < tuning_.threads; ++i) {
    slice_sums_.emplace_back(std::int64_t{table_.rows} * kSliceUnits);
    hit_.emplace_back(table_.rows);
  }
  return_sums_.resize(static_cast<std::size_t>(tuning_.threads));
  table_sums_.resize(static_cast<std::size_t>(tuning_.threads));
  lit_now_.resize(pixels_.lit.size());
  touched_.resize(static_cast<std::size_t>(table_.rows));
  squares_.resize(static_cast<std::size_t>(square_chunks(table_numbers(table_))));
}

template <class Body>
ReturnSums TableBackend::sum_over_groups(const Body& body) {
  std::fill(return_sums_.begin(), return_sums_.end(), ReturnSums{});
  parallel_for(record_.steps.groups, tuning_.threads, [&](std::int64_t group, int thread) {
    body(group, return_sums_[static_cast<std::size_t>(thread)]);
  });
  ReturnSums sum;
  for (const ReturnSums& part : return_sums_) merge(sum, part);
  return sum;
}

void TableBackend::estimate() {
  const TableReturnArgs returns_args{record_, plan_.gamma, config_.returns == ReturnKind::kPoint,
                                     config_.credit == Credit::kIncoming, plan_.return_scale};
  const ReturnSums returns = sum_over_groups(
      [&](std::int64_t group, ReturnSums& sums) { ops_->returns(returns_args, group, sums); });
  BaselineArgs<float> args{};
  args.record = record_.steps;
  args.scale = plan_.advantage_scale;
  args.per_episode = plan_.normalize == NormalizeRule::kEpisode;
  args.sample_std = plan_.sample_std;
  args.constant = constant_baseline(plan_, returns, running_);
  advance_running_mean(plan_, returns, running_);
  const ReturnSums advantages = sum_over_groups(
      [&](std::int64_t group, ReturnSums& sums) { ops_->baseline(args, group, sums); });
  if (returns.saturated || advantages.saturated) {
    throw NumericError(numeric_error::kReturnRange);
  }
  largest_ = advantages.largest;
  valid_steps_ = returns.count;
  moments_ = normalisation(plan_, advantages);
}

TableGradientArgs TableBackend::gradient_args(int bits_dropped) const {
  TableGradientArgs args{};
  args.record = record_;
  args.shape = table_;
  args.leak = leak_;
  set_table_scales(plan_, moments_, largest_, bits_dropped, args);
  return args;
}

/// Sums, and the gradient from them; false if a term was out of range.
bool TableBackend::accumulate(const TableGradientArgs& args) {
  for (std::size_t i = 0; i < table_sums_.size(); ++i) {
    hit_[i].zero();
    table_sums_[i] = TableSums{.hit = hit_[i].data()};
  }
  parallel_for(record_.steps.groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->weigh(args, group, table_sums_[static_cast<std::size_t>(thread)]);
  });
  total_ = {};
  for (const TableSums& part : table_sums_) {
    total_.loss += part.loss;
    total_.entropy += part.entropy;
    total_.saturated |= part.saturated;
    for (int row = 0; row < table_.rows; ++row) hit_[0][row] |= part.hit[row];
  }
  if (total_.saturated) return false;

  const TableTouched touched{
      table_touched(table_, hit_[0].data(), pixels_.lit_by(), lit_now_.data(), touched_.data()),
      touched_.data()};
  TableFinishArgs finish{};
  finish.policy = view(network_);
  finish.lit_by = {pixels_.lit_start.data(), lit_now_.data()};
  finish.weights = network_.numbers.data();
  finish.unit = table_unit(args.scale, outcome_.count(config_.envs));
  finish.grad_weights = gradient_.data();
  finish.grad_output = gradient_.data() + std::int64_t{table_.pixels} * table_.padded();
  parallel_for(table_.slices(), tuning_.threads, [&](std::int64_t slice, int thread) {
    std::int64_t* sums = slice_sums_[static_cast<std::size_t>(thread)].data();
    ops_->clear(touched, sums);
    for (std::int64_t group = 0; group < record_.steps.groups; ++group) {
      ops_->accumulate(args, static_cast<int>(slice), group, sums);
    }
    ops_->finish(finish, static_cast<int>(slice), sums);
  });
  return true;
}

int TableBackend::gradient() {
  std::int64_t steps = 0;
  for (std::int64_t group = 0; group < record_.steps.groups; ++group) {
    steps += std::int64_t{record_.steps.steps[group]} * kGroup;
  }
  const int few = table_bits(steps);
  int rescalings = 0;
  last_args_ = gradient_args(few);
  while (!accumulate(last_args_)) {
    if (++rescalings > kMaxRescalings) throw NumericError(numeric_error::kSaturated);
    last_args_ = gradient_args(few + rescalings);
  }
  return rescalings;
}

std::span<const float> TableBackend::gradient_view() const {
  return {gradient_.data(), static_cast<std::size_t>(gradient_.size())};
}

double TableBackend::gradient_norm() {
  const std::int64_t n = gradient_.size();
  parallel_for(square_chunks(n), tuning_.threads, [&](std::int64_t chunk, int) {
    squares_[static_cast<std::size_t>(chunk)] =
        ops_->squares(square_chunk_size(n, chunk), gradient_.data() + chunk * kSquareChunk);
  });
  double sum = 0;
  for (const double part : squares_) sum += part;
  return std::sqrt(sum);
}

/// Optimises in place. Where numbers are so large that a step could overflow, copies are kept to go
/// back to; otherwise none can, and a copy of all of them would cost as much as the step.
void TableBackend::apply(double lr, double grad_norm) {
  const OptimizerArgs args = optimizer_args(plan_.optimizer, lr, grad_norm, running_);
  const std::int64_t n = table_numbers(table_);
  const std::int64_t chunks = (n + kOptimizerChunk - 1) / kOptimizerChunk;
  const std::array<Buffer<float>*, 3> state = {&network_.numbers, &first_moment_, &second_moment_};
  const bool tame = grad_norm < 1e15 && lr < 1e6 && largest_state_ < kTame;
  std::array<Buffer<float>, 3> kept;
  for (std::size_t i = 0; !tame && i < kept.size(); ++i) {
    kept[i] = Buffer<float>(n);
    std::copy(state[i]->data(), state[i]->data() + n, kept[i].data());
  }
  std::atomic<std::uint32_t> largest{0};
  parallel_for(chunks, tuning_.threads, [&](std::int64_t chunk, int) {
    const std::int64_t at = chunk * kOptimizerChunk;
    const std::int64_t count = std::min(kOptimizerChunk, n - at);
    ops_->optimize(args, count, gradient_.data() + at, network_.numbers.data() + at,
                   first_moment_.data() + at, second_moment_.data() + at);
    for (const Buffer<float>* numbers : state) {
      raise_to(largest, ops_->largest(count, numbers->data() + at));
    }
  });
  if (largest >= bits_of(INFINITY)) {
    for (std::size_t i = 0; !tame && i < kept.size(); ++i) *state[i] = std::move(kept[i]);
    throw NumericError(numeric_error::kParameter);
  }
  largest_state_ = largest;
  build(network_);
}

}  // namespace lockstep
