// The baseline: the same rollout and the same REINFORCE update done one operation at a time over
// the whole batch, as array libraries do it: OpenBLAS for the matrix products, one pass over memory
// for everything else. It is meant to be a strong one: the passes are vectorised with our own
// packs, the environment step, exponential and generator are ours, random numbers are shared by
// four steps, and nothing is allocated in the loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/isa_kernels.h"
#include "host/backend/buffer.h"
#include "host/backend/policy_parameters.h"

namespace lockstep::bench {

/// CartPole with a 4-H-2 ReLU network on one thread; H a multiple of 16, N too. Horizon mode;
/// returns are normalised over the batch, the optimiser is Adam.
///
/// Backward recomputes the hidden layer step by step: kept for all T it would take 4 H bytes a
/// step.
class OpByOp {
 public:
  struct Settings {
    std::int64_t N = 0;
    std::int32_t T = 0;
    int H = 128;
    std::uint64_t seed = 1;
    double gamma = 0.99, lr = 0.03;
    Isa isa = Isa::kScalar;  // of the passes
    bool record = true;      // keep what update() needs; false: rollout() alone
  };
  explicit OpByOp(const Settings& settings);

  void set_parameters(const std::vector<float>& flat);  // PolicyShape's flat layout
  void rollout(std::uint32_t epoch);
  void estimate();
  void gradient();  // -> gradient_view()
  void apply();

  /// rollout, returns, gradient, optimiser.
  void update(std::uint32_t epoch) {
    rollout(epoch);
    estimate();
    gradient();
    apply();
  }
  const std::vector<float>& gradient_view() const { return grad_; }
  std::int64_t episodes() const { return episodes_; }

  /// OpenBLAS's version and the kernels it chose, e.g. "SkylakeX".
  static std::string library();

 private:
  const float* forward(const float* obs);  // hidden_; returns it

  Settings s_;
  const Passes* passes_;
  std::vector<float> parameters_, grad_, m_, v_;
  double beta1_power_ = 1, beta2_power_ = 1;
  std::int64_t episodes_ = 0;
  Buffer<float> state_, start_, hidden_, grad_hidden_, logits_, bias1_, weight1_grad_;
  Buffer<std::int32_t> steps_;
  Buffer<std::uint32_t> number_, words_;
  Buffer<float> obs_, action_, p_, ended_, value_, valid_;  // [T][N] records
  Buffer<float> total_, seen_;
};

}  // namespace lockstep::bench
