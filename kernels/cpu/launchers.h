// The batch operations of the CPU as plain function pointers: one table per environment and
// instruction set. A call works on one block or group; the host splits the batch over threads.
// This header is all the host sees; it compiles without any instruction-set flag.
#pragma once

#include <cstdint>

#include "kernels/actor_critic_step.h"
#include "kernels/cpu/scratch.h"
#include "kernels/dense.h"
#include "kernels/fixed_point.h"
#include "kernels/step_buffers.h"

namespace lockstep::cpu {

template <class Real, class Acc>
struct Operations {
  const char* isa;     // "scalar", "avx2", "avx512"
  int lanes;           // W
  int block_sizes[3];  // groups one rollout call may advance together, descending, last 1

  /// Plays `groups` groups, one of block_sizes, from environment `first_env` on.
  void (*rollout)(const RolloutArgs<Real>&, std::int64_t first_env, int groups);
  void (*returns)(const ReturnArgs<Real>&, std::int64_t group, ReturnSums&);
  void (*baseline)(const BaselineArgs<Real>&, std::int64_t group, ReturnSums&);
  void (*gradient)(const GradientArgs<Real>&, std::int64_t group, GradientScratch<Acc>&);
  /// Moves what is left in the lanes into scratch.partial.
  void (*flush)(const GradientLayout&, GradientScratch<Acc>&);
  void (*step)(const StepBuffers&, std::int64_t group);

  // with a critic (actor_critic.h)
  bool (*advantages)(const AdvantageArgs<Real>&, std::int64_t group, AdvantageRange&);
  void (*moments)(const MomentArgs<Real>&, const Tile16&, ReturnSums&);
  void (*weigh)(const ActorCriticArgs<Real>&, const Tile16&, WeighSums&);
  void (*learn)(const ActorCriticArgs<Real>&, const Tile16&, GradientScratch<Acc>&);

  // around the matrix products of the dense path; the same for every environment
  void (*bias)(const BiasArgs&, std::int64_t first_row, std::int64_t rows);
  void (*sample)(const SampleArgs&, std::int64_t group);
};

using FloatOperations = Operations<float, FixedPoint>;

}  // namespace lockstep::cpu
