// The CPU backend of environments of objects: policies that read tables instead of pixels
// (kernels/object_tables.h). Splits batches over threads and calls the operations of the chosen
// instruction set; nothing is allocated between the first and the last step of an update.
#pragma once

#include <vector>

#include "host/backend/backend.h"
#include "host/backend/table_lists.h"
#include "host/backend/table_record.h"
#include "host/cpu/number_backend.h"
#include "kernels/cpu/table_launchers.h"

namespace lockstep {

class TableBackend : public Backend {
 public:
  TableBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning);

  std::string name() const override { return "cpu"; }
  void upload(const TrainingState& state) override;
  TrainingState download() const override;
  /// One update a call.
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  void step(const StepBuffers& buffers) override;

  // The parts of an update, in order; public for tests and benchmarks.
  void rollout(std::uint32_t epoch);
  void estimate();                          // returns, baseline, normalisation
  int gradient();                           // -> gradient_view(); returns the rescalings needed
  void apply(double lr, double grad_norm);  // optimiser, then the tables

  /// dW1 [P][Hp], then dw2 [Hp].
  std::span<const float> gradient_view() const;
  const TableRecord& record() const { return record_; }
  const PolicyShape& shape() const { return policy_; }

 private:
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
  void run_rollout(const TableRolloutArgs& args);
  void allocate_training();
  bool accumulate(const TableGradientArgs& args);
  TableGradientArgs gradient_args(int bits_dropped) const;
  UpdateResult one_update(std::uint32_t epoch, double lr);
  double gradient_norm();
  template <class Body>
  ReturnSums sum_over_groups(const Body& body);

  Config config_;
  const EnvironmentEntry* environment_;
  CpuTuning tuning_;
  const cpu::TableOperations* ops_;
  PolicyShape policy_;
  TableShape table_;
  float leak_;
  UpdatePlan plan_;
  TablePixels pixels_;
  GameOptions game_;  // of training

  Network network_, played_;                               // training; evaluation
  Buffer<float> first_moment_, second_moment_, gradient_;  // as Network::numbers
  RunningState running_;
  double lr_factor_ = 1;
  std::uint32_t largest_state_ = 0;  // magnitude of a parameter or moment: bits of a float

  // per thread
  std::vector<Buffer<float>> phi_, part_;
  std::vector<Buffer<std::uint32_t>> active_;
  std::vector<Buffer<std::int64_t>> slice_sums_;
  std::vector<Buffer<std::uint8_t>> hit_;
  std::vector<ReturnSums> return_sums_;
  std::vector<TableSums> table_sums_;

  Buffer<std::byte> arena_;
  TableRecord record_{};
  Outcome outcome_;
  std::vector<std::uint16_t> lit_now_, touched_;
  std::vector<double> squares_;  // per chunk
  TableSums total_;              // of the last gradient
  TableGradientArgs last_args_{};
  Moments moments_{0, 1};
  float largest_ = 0;  // |advantage| before normalisation
  std::int64_t valid_steps_ = 0;
};

}  // namespace lockstep
