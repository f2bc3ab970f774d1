// The CPU backend of environments of objects: policies that read tables instead of pixels
// (kernels/object_tables.h). Splits batches over threads and calls the operations of the chosen
// instruction set. Owns the buffers that its stages work on.
#pragma once

#include <vector>

#include "host/backend/table_lists.h"
#include "host/backend/table_record.h"
#include "host/cpu/isa.h"
#include "host/cpu/updates.h"
#include "kernels/cpu/table_launchers.h"

namespace lockstep {

class TableBackend : public CpuUpdates {
 public:
  /// Of 16 games: some 100 us of a network's forward.
  static constexpr std::int64_t kStepsWorthAThread = 16;

  TableBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning);

  void upload(const TrainingState& state) override;
  TrainingState download() const override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  std::unique_ptr<Stepper> make_stepper(const StepperRequest& request) override;

  void rollout(std::uint32_t epoch) override;
  /// dW1 [P][Hp], then dw2 [Hp].
  std::span<const float> gradient_view() const override;
  const TableRecord& record() const { return record_; }
  const Record<float>& steps() const override { return record_.steps; }

 protected:
  TableBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning,
               const Learner& learner);

  /// Weights and the table made of them.
  struct Network {
    Network() = default;
    explicit Network(const TableShape& shape)
        : numbers(table_numbers(shape)), rows(std::int64_t{shape.rows} * shape.padded()) {}

    Buffer<float> numbers;  // W1 [P][Hp], w2 [Hp]
    Buffer<float> rows;     // [R][Hp]
  };
  TableView view(const Network& network) const;
  void build(Network& network);
  /// What an update plays, with the policy and the record of now.
  TableRolloutArgs training_rollout(std::uint32_t epoch);
  void run_rollout(const TableRolloutArgs& args);
  virtual void allocate_training();
  cpu::TableScratch scratch_of(std::size_t thread);

  void tell_episodes(UpdateResult& result) const override;
  /// Episodes that ended in the rollout, and what their environments had done before it.
  void list_episodes(const EnvironmentStates& before, UpdateResult& result) const;
  void returns(std::int64_t group, std::int64_t* time_sum, ReturnSums& sums) override;
  void baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) override;
  void weigh(int bits_dropped) override;
  /// From the rows that the threads have hit to what clear_slice() and finish_args() go by.
  void touch_rows();
  void clear_slice(int thread);
  TableFinishArgs finish_args(double unit);
  std::int64_t parts() const override { return table_.slices(); }
  void accumulate(std::int64_t slice, int thread) override;
  void reduce(std::int64_t slice, int thread) override;
  void finish(std::int64_t slice, int thread) override;
  Totals totals() const override;
  double gradient_norm() override;
  std::array<std::span<float>, 3> trained() override;
  std::uint32_t largest(std::span<const float> numbers) const override;
  std::uint32_t optimize(const OptimizerArgs& args, std::int64_t first,
                         std::int64_t count) override;
  void renew() override { build(network_); }

  const cpu::TableOperations* ops_;
  TableShape table_;
  float leak_;
  TablePixels pixels_;
  GameOptions game_;  // of training

  Network network_, played_;                               // training; evaluation
  Buffer<float> first_moment_, second_moment_, gradient_;  // as Network::numbers
  double lr_factor_ = 1;

  // per thread
  std::vector<Buffer<float>> phi_, part_;
  std::vector<Buffer<std::uint32_t>> active_;
  std::vector<Buffer<std::int64_t>> slice_sums_;
  std::vector<Buffer<std::uint8_t>> hit_;
  std::vector<TableSums> table_sums_;

  Buffer<std::byte> arena_;
  TableRecord record_{};
  std::vector<std::uint16_t> lit_now_, touched_;
  std::int32_t touched_count_ = 0;
  std::vector<double> squares_;  // per chunk
  TableSums total_;              // of the last gradient
  TableGradientArgs gradient_args_{};
};

}  // namespace lockstep
