// The dense policy path: networks of any number of layers, their matrix products by a BLAS library,
// rollouts one operation at a time over the whole batch. Beside the exact path, not in its place:
// its logits agree with the exact ones up to rounding, and it repeats its own bits on one device
// only. Devices: host/cpu/dense.h (OpenBLAS), host/cuda/dense.h (cuBLAS).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/backend/backend.h"
#include "host/backend/policy_parameters.h"
#include "kernels/dense.h"

namespace lockstep {

/// y = activation(W x + b).
struct DenseLayer {
  int in = 0, out = 0;
  DenseActivation activation = DenseActivation::kNone;
  std::vector<float> weight;  // [out][in], as in checkpoints
  std::vector<float> bias;    // [out]
};

/// The layers of a policy. Two actions become one row, row 1 - row 0: the log-odds of action 1, the
/// same numbers as the exact path's.
std::vector<DenseLayer> dense_layers(const PolicyShape& shape, std::span<const float> flat,
                                     Activation activation);

/// Errors: InvalidArgument naming the layer whose sizes do not fit or do not follow the one before.
void require_consistent(std::span<const DenseLayer> layers);

/// Errors: InvalidArgument if the layers do not play an environment of these sizes.
void require_plays(std::span<const DenseLayer> layers, int O, int A);
/// Rows of `values` for `inputs` a row. Errors: InvalidArgument if that leaves a rest, or none.
std::int64_t rows_of(std::size_t values, int inputs);

/// The arguments of a layer's bias and activation.
BiasArgs bias_args(const DenseLayer& layer, std::int64_t rows, const float* bias, float* values);

/// What the last step of a rollout did; views, valid until the next call.
struct DenseStep {
  const float* obs;                // [N][O] the action was chosen on
  const float* logits;             // [N][Z]
  const std::uint8_t* action;      // [N]
  const float* reward;             // [N]
  const std::uint8_t* terminated;  // [N]
  const std::uint8_t* truncated;   // [N]
};

/// The operations of the dense path on one device. It owns the weights and all buffers.
class DenseDevice {
 public:
  virtual ~DenseDevice() = default;
  /// The library behind the products and its version.
  virtual std::string library() const = 0;

  /// Errors: as require_consistent.
  virtual void set_layers(std::span<const DenseLayer> layers) = 0;

  /// Logits of observations, last bias included.
  ///
  /// Shapes:   obs [N][in] -> [N][out], host memory
  /// Result:   run_to_run: the same call on the same device gives the same bits. Against exact
  ///           arithmetic, the error bound of a dot product of n terms in any order:
  ///           |error| <= gamma_(n+1) (|W| |x| + |b|), gamma_n = n u / (1 - n u), u = 2^-24
  /// Source:   Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1
  virtual std::vector<float> forward(std::span<const float> obs) = 0;

  /// Puts all environments at the start of episode 0.
  virtual void start(const PlayRequest& request) = 0;
  /// Forward, choice, step of the environment with restart, books; `t` counts from 0.
  virtual void step(std::int32_t t) = 0;
  /// The last step, copied to the host if need be; waits for it.
  virtual DenseStep last_step() = 0;
  /// Episodes finished by each environment [N]; waits.
  virtual std::span<const std::int32_t> episodes() = 0;
  /// Fills scores, lengths and episodes.
  virtual void finish(PlayResult& result) = 0;
};

/// Backend::play() by the dense path. A record has what the exact path's has, and the result the
/// pictures that the request asks for; with whole episodes (`episodic`) nothing can be recorded.
///
/// Random:   as the exact path: the same logits give the same trajectories
/// Errors:   InvalidArgument for random actions (there is no network) and for an episodic record
PlayResult play_dense(DenseDevice& device, const PlayRequest& request, int O, int A,
                      Record<float>* record);

}  // namespace lockstep
