// What both backends of the CPU do around their kernels: the stages of an update in a learner's
// order, credit, figures, the step of the optimiser, and the way back from an update that failed.
// Which arrays a stage works on and which kernels it calls is left to CpuBackend and TableBackend.
// Nothing is allocated between the first and the last stage of an update.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "host/backend/backend.h"
#include "host/backend/learner.h"
#include "host/backend/outcome.h"
#include "host/cpu/isa.h"
#include "kernels/optimizer.h"

namespace lockstep {

/// How the work is cut; changes speed, never results.
struct CpuTuning {
  Isa isa = Isa::kScalar;
  int threads = 1;
  int groups_per_block = 0;  // groups advanced together; 0 = by batch size
};

class CpuUpdates : public Backend {
 public:
  std::string name() const override { return "cpu"; }
  /// One update a call: a log point costs the CPU nothing.
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;

  // The parts of an update, in order; public for tests and benchmarks. credit() also settles
  // whether there is anything to learn, and gradient() is the stages from weigh to finish.
  virtual void rollout(std::uint32_t epoch) = 0;
  virtual void credit();
  int gradient();  // -> gradient_view(); returns the rescalings needed
  /// Changes nothing but powers of beta where a number would leave the finite ones.
  /// Errors: NumericError, then.
  void take_step(double lr, double grad_norm);

  virtual std::span<const float> gradient_view() const = 0;
  /// What the last rollout recorded, by step.
  virtual const Record<float>& steps() const = 0;
  const PolicyShape& shape() const { return shape_; }
  Moments advantage_moments() const { return moments_; }

 protected:
  /// All that an update takes from its whole batch beside the gradient's sums. Nothing in it has an
  /// order, and what follows credit() looks at these and not at groups, so that processes which
  /// share a batch would add theirs up within credit(): returns, with their sums by time, before
  /// the baseline, advantages after it.
  struct Batch {
    ReturnSums returns, advantages;
    std::int64_t steps = 0;     // recorded, by groups: most that a sum is made of
    std::int64_t episodes = 0;  // finished
  };
  /// What the sums of a gradient tell beside it.
  struct Totals {
    std::int64_t loss = 0, entropy = 0;
    float loss_scale = 1, entropy_scale = 1;
  };

  /// Environments of `grain` groups are worth a thread in credit().
  CpuUpdates(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning,
             std::int64_t grain, const Learner& learner = reinforce());

  /// What every update needs whatever its kernels, for T steps.
  void allocate_updates(std::int32_t T);
  /// Running quantities from a state that begins, and how large its numbers are.
  void begin_from(const RunningState& running);

  /// What an update is done with, and what it tells.
  struct Turn {
    std::uint32_t epoch = 0;  // number of the update
    double lr = 0;
    int bits_dropped = 0;  // of the pass under way
    UpdateResult result{};
  };
  /// The passes of an update, from a batch that has something to learn from.
  virtual void learn(Turn& turn);
  /// A pass, from its beginning with a bit less as long as a term is out of range.
  void repeat_until_in_range(std::span<const Stage> pass, Turn& turn);
  /// Does the stages one after another; false if a term was out of range, and then not those
  /// behind.
  bool walk(std::span<const Stage> stages, Turn& turn);
  /// What a pass that has its gradient tells. Errors: NumericError
  virtual void set_figures(UpdateResult& result);
  const Learner& learner() const { return *learner_; }
  std::int64_t grain() const { return grain_; }

  // The stages. A backend splits its sums into parts, which are accumulated, reduced and finished
  // one by one, each by one thread, so that the sums of a part are finished while a cache has them.
  virtual void tell_episodes(UpdateResult& result) const = 0;
  /// Returns of a group, and where asked for their sums by step.
  virtual void returns(std::int64_t group, std::int64_t* time_sum, ReturnSums& sums) = 0;
  virtual void baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) = 0;
  /// Where there are minibatches: makes those of another time over the batch.
  virtual void shuffle() {}
  virtual void weigh(int bits_dropped) = 0;
  virtual std::int64_t parts() const = 0;
  virtual void accumulate(std::int64_t part, int thread) = 0;
  virtual void reduce(std::int64_t part, int thread) = 0;
  virtual void finish(std::int64_t part, int thread) = 0;
  virtual Totals totals() const = 0;
  virtual double gradient_norm() = 0;
  /// Parameters and moments.
  virtual std::array<std::span<float>, 3> trained() = 0;
  /// The largest magnitude of some numbers, as optimize() gives it.
  virtual std::uint32_t largest(std::span<const float> numbers) const;
  /// Steps numbers [first, first + count). Returns the largest magnitude of what they and their
  /// moments have become, as the bits of a float; NaN is above all.
  virtual std::uint32_t optimize(const OptimizerArgs& args, std::int64_t first,
                                 std::int64_t count) = 0;
  /// Makes anew what the policy is played from.
  virtual void renew() = 0;

  Config config_;
  const EnvironmentEntry* environment_;
  CpuTuning tuning_;
  PolicyShape shape_;
  UpdatePlan plan_;
  RandomStream stream_{};  // of the update under way
  Outcome outcome_;
  RunningState running_;
  Batch batch_;
  Moments moments_{0, 1};
  /// A term of the gradient was out of range; raised by weigh(), or by reduce() where there is one
  /// part alone.
  bool saturated_ = false;

 private:
  template <class Body>
  ReturnSums sum_over_groups(const Body& body);
  void run(Stage stage, Turn& turn);
  void run_by_part(std::span<const Stage> stages);

  std::int64_t grain_;
  const Learner* learner_;
  std::uint32_t largest_state_ = 0;      // magnitude of a parameter or moment: bits of a float
  std::vector<ReturnSums> return_sums_;  // per thread
  std::vector<std::vector<std::int64_t>> time_sums_;  // per thread [T], where there are any
  std::vector<float> baseline_;                       // [T]
};

/// The bits of a float without its sign: those of infinity are above those of all numbers, and
/// NaN's above these.
inline std::uint32_t magnitude_bits(float value) {
  return __builtin_bit_cast(std::uint32_t, value) & 0x7fffffffu;
}

}  // namespace lockstep
