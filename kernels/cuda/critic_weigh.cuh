// The gradient of every output of a minibatch's steps, under the weights of now, and how large it
// is: the scale of the sums is not known before.
//
// Mapping: a thread a step of an environment, half a warp a row of the record; the weights are in
// shared memory where they fit, read by all lanes at once. Read per step: 4 (O + Z + 2) and the
// action; written: 4 (Z + 5). Limiter: issue, as in the rollout.
// budget: critic_weigh_kernel<CartPole, .*> registers<=80 spills<=0
#pragma once

#include "kernels/cuda/critic_credit.cuh"
#include "kernels/cuda/rollout.cuh"
#include "kernels/replay_step.h"

namespace lockstep::cuda {

/// What weighing needs to know beside the step; one thread fills it in for a block. `plan` is room
/// to work in.
__device__ inline void set_weigh_args(const ActorCriticUpdateArgs& args, UpdatePlan& plan,
                                      ActorCriticArgs<float>& weigh) {
  plan = args.update.plan;
  plan.advantage_scale = advantage_scale(args);
  const Moments moments = normalisation(
      plan, load_sums(args.by_minibatch ? args.pass->advantages : args.batch->advantages));
  weigh.mean = static_cast<float>(moments.mean);
  weigh.inv_std = static_cast<float>(moments.inv_std);
  weigh.entropy_coef = static_cast<float>(plan.entropy_coef);
  weigh.value_coef = args.value_coef;
  weigh.clip = args.clip;
  weigh.value_clip = args.value_clip;
}

template <class E, PolicyForm kForm, bool kShared>
LS_KERNEL(kMaxBlock)
critic_weigh_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  constexpr int O = E::kObservationSize;
  constexpr int Z = logits_of(E::kNumActions);
  constexpr int R = weighed_rows(Z);
  LS_DYNAMIC_SHARED(float, units);
  LS_SHARED(weigh, ActorCriticArgs<float>);
  LS_SHARED(plan, UpdatePlan);
  if (!learns(args)) return;  // the whole grid
  if (threadIdx.x == 0) set_weigh_args(args, plan, weigh);
  __syncthreads();
  PaddedPolicy padded{args.update.rollout.policy};
  if constexpr (kShared) padded = padded_policy<O, Z + 1>(args.update.rollout.policy, units);

  const Record<float>& record = args.update.rollout.record;
  const MinibatchRows rows(args);
  float largest[R] = {};
  bool wrong = false;
  std::int64_t steps = 0, clipped = 0;
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = thread_in_grid(); i < rows.count() * kGroup; i += threads) {
    const MinibatchStep step = rows.at(i / kGroup, static_cast<int>(i % kGroup));
    if (!step.there) continue;
    WeighedStep<float, Z> out{};
    if (step.valid) {
      float obs[1][O], outputs[1][Z + 1], old_logits[Z];
      load_fields<float>(record.obs, step.step, step.lane, obs[0]);
      load_fields<float>(record.logits, step.step, step.lane, old_logits);
      constexpr DropoutMask<float>* kNoDropout = nullptr;
      if constexpr (kShared) {
        policy_logits<kForm, 1, float>(padded, obs, kNoDropout, outputs);
      } else {
        policy_logits<kForm, 1, float>(args.update.rollout.policy, obs, kNoDropout, outputs);
      }
      out = weigh_step<float, Z>(weigh, outputs[0], old_logits, record.value[step.at()],
                                 record.advantage[step.at()],
                                 recorded_action<E, float>(record, step.group, step.lane, step.t));
      ++steps;
      clipped += out.clipped ? 1 : 0;
    }
    for (int r = 0; r < R; ++r) {
      const float size = abs(out.row[r]);
      wrong |= !(size <= kLargestNumber);
      largest[r] = max(size, largest[r]);
      args.weighed[(step.step * R + r) * kGroup + step.lane] = out.row[r];
    }
  }
  for (int r = 0; r < R; ++r) raise_to(args.pass->largest + r, largest[r]);
  wrong = __any_sync(kAllLanes, wrong);
  steps = warp_sum(steps);
  clipped = warp_sum(clipped);
  if (lane_index() != 0) return;
  if (wrong) atomicOr(&args.pass->not_finite, 1u);
  if (steps != 0) add_signed(&args.pass->steps, steps);
  if (clipped != 0) add_signed(&args.pass->clipped, clipped);
}

/// Writes the rows of the minibatch's steps, and what is found of them.
///
/// Result: bitwise equal to the CPU's; weigh_step() is the definition
/// Stream: asynchronous
/// Errors: those of the launches
template <class E>
cudaError_t critic_weigh(const ActorCriticUpdateArgs& args, const LaunchShape& shape,
                         cudaStream_t stream) {
  constexpr int O = E::kObservationSize, Y = logits_of(E::kNumActions) + 1;
  const PolicyView<float>& policy = args.update.rollout.policy;
  const std::int64_t threads = most_rows(args) * kGroup;
  if (args.by_minibatch) {
    const cudaError_t status =
        launch("critic_moments", critic_moments_kernel<true>, row_blocks(threads, kMaxBlock),
               dim3(kMaxBlock), 0, stream, args);
    if (status != cudaSuccess) return status;
  }
  const auto start = [&](auto kernel, std::size_t bytes) {
    return launch("critic_weigh", kernel, row_blocks(threads, shape.block),
                  dim3(static_cast<unsigned>(shape.block)), bytes, stream, args);
  };
  if (policy.form == PolicyForm::kLinear) {
    return start(critic_weigh_kernel<E, PolicyForm::kLinear, false>, 0);
  }
  constexpr std::size_t kStatic = sizeof(ActorCriticArgs<float>) + sizeof(UpdatePlan) + 64;
  const std::size_t bytes = padded_bytes<O, Y>(policy);
  const bool fits = bytes + kStatic <= kPlainShared;
  if (policy.form == PolicyForm::kRelu) {
    return fits ? start(critic_weigh_kernel<E, PolicyForm::kRelu, true>, bytes)
                : start(critic_weigh_kernel<E, PolicyForm::kRelu, false>, 0);
  }
  return fits ? start(critic_weigh_kernel<E, PolicyForm::kGeneral, true>, bytes)
              : start(critic_weigh_kernel<E, PolicyForm::kGeneral, false>, 0);
}

}  // namespace lockstep::cuda
