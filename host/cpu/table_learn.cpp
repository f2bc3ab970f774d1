// The stages of an update of a table policy on the CPU from the returns on. The sums are cut into
// slices of units; a thread sums a slice over the whole batch, so that nothing is left to reduce.
#include <algorithm>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/cpu/table_backend.h"
#include "kernels/table_plan.h"

namespace lockstep {

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
                               .marks = true,
                               .critic = shape_.critic != kNoCritic};
  TableRecord record = empty_table_record(shape);
  // untouched pages cost nothing, so the longest episodes are no reason to refuse
  arena_ = Buffer<std::byte>(
      arena_bytes([&](Arena& arena) { place_table_record(arena, shape, record); }));
  Arena arena(arena_.data());
  place_table_record(arena, shape, record);
  record_ = record;
  allocate_updates(static_cast<std::int32_t>(T));
  gradient_ = Buffer<float>(table_numbers(table_));
  for (int i = 0; i < tuning_.threads; ++i) {
    slice_sums_.emplace_back(std::int64_t{table_.rows} * kSliceUnits);
    hit_.emplace_back(table_.rows);
  }
  table_sums_.resize(static_cast<std::size_t>(tuning_.threads));
  lit_now_.resize(pixels_.lit.size());
  touched_.resize(static_cast<std::size_t>(table_.rows));
  squares_.resize(static_cast<std::size_t>(square_chunks(table_numbers(table_))));
}

void TableBackend::returns(std::int64_t group, std::int64_t*, ReturnSums& sums) {
  ops_->returns({record_, plan_.gamma, config_.returns == ReturnKind::kPoint,
                 config_.credit == Credit::kIncoming, plan_.return_scale},
                group, sums);
}

void TableBackend::baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) {
  ops_->baseline(args, group, sums);
}

/// Every step's integers, and the rows that have any.
void TableBackend::weigh(int bits_dropped) {
  gradient_args_.record = record_;
  gradient_args_.shape = table_;
  gradient_args_.leak = leak_;
  set_table_scales(plan_, moments_, batch_.advantages.largest,
                   table_bits(batch_.steps) + bits_dropped, gradient_args_);
  for (std::size_t i = 0; i < table_sums_.size(); ++i) {
    hit_[i].zero();
    table_sums_[i] = TableSums{.hit = hit_[i].data()};
  }
  parallel_for(record_.steps.groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->weigh(gradient_args_, group, table_sums_[static_cast<std::size_t>(thread)]);
  });
  total_ = {};
  for (const TableSums& part : table_sums_) {
    total_.loss += part.loss;
    total_.entropy += part.entropy;
    total_.saturated |= part.saturated;
  }
  saturated_ = total_.saturated;
  if (!saturated_) touch_rows();
}

void TableBackend::touch_rows() {
  for (std::size_t i = 1; i < hit_.size(); ++i) {
    for (int row = 0; row < table_.rows; ++row) hit_[0][row] |= hit_[i][row];
  }
  touched_count_ =
      table_touched(table_, hit_[0].data(), pixels_.lit_by(), lit_now_.data(), touched_.data());
}

void TableBackend::clear_slice(int thread) {
  ops_->clear({touched_count_, touched_.data()},
              slice_sums_[static_cast<std::size_t>(thread)].data());
}

TableFinishArgs TableBackend::finish_args(double unit) {
  TableFinishArgs args{};
  args.policy = view(network_);
  args.lit_by = {pixels_.lit_start.data(), lit_now_.data()};
  args.weights = network_.numbers.data();
  args.unit = unit;
  args.grad_weights = gradient_.data();
  args.grad_output = gradient_.data() + std::int64_t{table_.pixels} * table_.padded();
  return args;
}

void TableBackend::accumulate(std::int64_t slice, int thread) {
  std::int64_t* sums = slice_sums_[static_cast<std::size_t>(thread)].data();
  clear_slice(thread);
  for (std::int64_t group = 0; group < record_.steps.groups; ++group) {
    ops_->accumulate(gradient_args_, static_cast<int>(slice), group, sums);
  }
}

/// Nothing: accumulate() has summed the slice over the whole batch.
void TableBackend::reduce(std::int64_t, int) {}

void TableBackend::finish(std::int64_t slice, int thread) {
  const TableFinishArgs args = finish_args(table_unit(gradient_args_.scale, batch_.episodes));
  ops_->finish(args, static_cast<int>(slice), slice_sums_[static_cast<std::size_t>(thread)].data());
}

CpuUpdates::Totals TableBackend::totals() const {
  return {.loss = total_.loss,
          .entropy = total_.entropy,
          .loss_scale = gradient_args_.loss_scale,
          .entropy_scale = gradient_args_.entropy_scale};
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

std::array<std::span<float>, 3> TableBackend::trained() {
  const auto all = [](Buffer<float>& numbers) {
    return std::span(numbers.data(), static_cast<std::size_t>(numbers.size()));
  };
  return {all(network_.numbers), all(first_moment_), all(second_moment_)};
}

std::uint32_t TableBackend::largest(std::span<const float> numbers) const {
  return ops_->largest(static_cast<std::int64_t>(numbers.size()), numbers.data());
}

std::uint32_t TableBackend::optimize(const OptimizerArgs& args, std::int64_t first,
                                     std::int64_t count) {
  return ops_->optimize(args, count, gradient_.data() + first, network_.numbers.data() + first,
                        first_moment_.data() + first, second_moment_.data() + first);
}

}  // namespace lockstep
