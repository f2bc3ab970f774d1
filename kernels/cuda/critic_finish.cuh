// The end of a pass, in one block: as finish.cuh, from the sums to the gradient of policy and
// critic, its norm, the optimiser and the weights in walking order; then everything is made ready
// for the next pass, and behind the last one of an update for the next update.
//
// Whether the passes of an epoch have moved the policy far enough to leave out the rest is decided
// here: the kernels of what is left out return at once, and this one only counts them. An update
// that fails, in whichever pass, goes back to what it began with.
// Read and written: the sums once, some 60 bytes a parameter; of the last pass the number of
// episodes of each environment. Limiter: latency, of doubles and of a dozen barriers.
// budget: critic_finish_kernel<256> registers<=96 spills<=0
#pragma once

#include "kernels/cuda/critic_steps.cuh"
#include "kernels/cuda/finish.cuh"

namespace lockstep::cuda {

/// Gives an update up: everything is as it was before it.
__device__ inline void fail_update(const ActorCriticUpdateArgs& args, Stop why) {
  for_each_kept(args, threadIdx.x, blockDim.x, [](auto& now, auto& kept) { now = kept; });
  if (threadIdx.x != 0) return;
  args.update.state->running = args.batch->before;
  args.update.state->stop = why;
}

/// Makes ready for a pass, the next one or the same again.
__device__ inline void clear_pass(const ActorCriticUpdateArgs& args, const GradientLayout& layout) {
  clear_array(args.update.sums, layout.size());
  if (threadIdx.x != 0) return;
  *args.pass = {};
  *args.update.gradient_saturated = 0;
}

/// What the sums of a pass tell. One thread.
__device__ inline UpdateFigures pass_figures(const ActorCriticUpdateArgs& args,
                                             const GradientLayout& layout, const float* scale,
                                             double grad_norm) {
  const auto steps = static_cast<double>(args.pass->steps);
  const auto mean = [&](int figure) {
    return SharedFixedPoint::value(args.update.sums[layout.loss() + figure],
                                   scale[layout.components + figure]) /
           steps;
  };
  UpdateFigures figures;
  figures.policy_loss = mean(kPolicyLoss);
  figures.entropy = mean(kEntropy);
  figures.grad_norm = grad_norm;
  figures.value_loss = mean(kValueLoss);
  figures.approx_kl = mean(kKl);
  figures.clip_fraction = static_cast<double>(args.pass->clipped) / steps;
  return figures;
}

/// Adds up what a pass tells; whether those behind it are left out. One thread.
__device__ inline bool tell_pass(const ActorCriticUpdateArgs& args, const UpdateFigures& figures) {
  CriticTold& told = *args.told;
  told.all.add(figures);
  told.rescalings += args.update.state->bits_dropped;
  if ((args.update.state->pass + 1) % args.minibatches != 0) return false;
  const bool ended = told.all.kl_since(told.before_epoch) > args.target_kl;
  told.before_epoch = told.all;
  return ended;
}

/// Goes on to the next pass, or to the next update. All threads of the block; `warps` is shared
/// memory nobody else uses, `ended` is the first thread's.
template <int kWarps>
__device__ inline void go_on(const ActorCriticUpdateArgs& args, bool ended,
                             std::int64_t (&warps)[kWarps]) {
  const UpdateArgs& update = args.update;
  const bool last = update.state->pass + 1 == std::int64_t{args.epochs} * args.minibatches;
  const std::int64_t episodes = block_sum(last ? count_episodes(update) : 0, warps);  // a barrier
  if (threadIdx.x != 0) return;
  UpdateState& state = *update.state;
  state.bits_dropped = 0;
  ++state.pass;
  state.ended = ended ? 1 : 0;
  if (!last) return;
  const ReturnSums advantages = load_sums(args.batch->advantages);
  const double explained = explained_variance(advantages, advantage_scale(args),
                                              load_sums(args.batch->returns), target_scale(args));
  update.log[state.slot] = {args.told->all.mean(explained), episodes, advantages.count,
                            args.told->rescalings};
  *args.batch = {};
  *args.told = {};
  state = {state.epoch + 1, state.slot + 1, Stop::kRunning, 0, state.running, 0, 0, 0};
}

template <int kBlock>
LS_KERNEL(kBlock, 1)
critic_finish_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  LS_SHARED(part, double[kBlock]);
  LS_SHARED(warps, std::int64_t[kBlock / kWarp]);
  LS_SHARED(optimizer, OptimizerArgs);
  LS_SHARED(scale, float[kMaxWeighedRows * (kMaxObservation + 1)]);
  const UpdateArgs& update = args.update;
  const UpdatePlan& plan = update.plan;
  const PolicyView<float>& policy = update.rollout.policy;
  const int O = plan.O, Y = logits_of(plan.A) + 1;
  const GradientLayout layout = actor_critic_layout(policy, O, Y - 1);
  const int thread = static_cast<int>(threadIdx.x);
  const Stop stop = update.state->stop;
  const std::int32_t bits_dropped = update.state->bits_dropped;
  const bool left_out = update.state->ended != 0;
  if (stop != Stop::kRunning) return;
  const bool no_advantage = args.batch->not_finite != 0, no_gradient = args.pass->not_finite != 0;
  const bool saturated = *update.gradient_saturated != 0;
  __syncthreads();  // everybody has read what is written from here on
  if (left_out) return go_on(args, true, warps);
  if (no_advantage) return fail_update(args, Stop::kAdvantageNotFinite);
  if (no_gradient) return fail_update(args, Stop::kGradientNotFinite);
  if (saturated && bits_dropped >= args.most_rescalings) {
    return fail_update(args, Stop::kSaturated);
  }
  if (saturated) {
    clear_pass(args, layout);  // for smaller scales
    if (thread == 0) update.state->stop = Stop::kSaturated;
    return;
  }

  set_term_scales(args, scale);  // a barrier
  const FinishArgs<float, SharedFixedPoint> finish{policy,
                                                   layout,
                                                   update.sums,
                                                   scale,
                                                   O,
                                                   plan.A,
                                                   update.drop_scale,
                                                   static_cast<double>(args.pass->steps),
                                                   update.gradient,
                                                   args.critic,
                                                   O + 1};
  const int numbers = O + 1 + Y;  // of a unit
  for (int i = thread; i < layout.units * numbers; i += kBlock) {
    finish_number(finish, i / numbers, i % numbers);
  }
  if (thread == kBlock - 1) finish_output(finish);
  const double norm = block_norm(update, part);
  if (!(norm <= kLargestDouble)) return fail_update(args, Stop::kGradientNotFinite);

  if (thread == 0) {
    args.told->running = update.state->running;
    optimizer =
        optimizer_args(plan.optimizer, update.lr[update.state->slot], norm, args.told->running);
  }
  __syncthreads();
  if (!block_step(update, optimizer)) return fail_update(args, Stop::kParameterNotFinite);
  block_pack(update, args.critic);
  bool ended = false;
  if (thread == 0) {
    ended = tell_pass(args, pass_figures(args, layout, scale, norm));
    update.state->running = args.told->running;
  }
  __syncthreads();  // the sums have been told
  clear_pass(args, layout);
  go_on(args, ended, warps);
}

/// Ends the pass: new parameters and state, behind the last one the log; or the reason to stop.
///
/// Result: bitwise equal to the CPU's gradient, norm, optimiser, weights and figures
/// Stream: asynchronous, after critic_accumulate()
/// Errors: those of the launch
inline cudaError_t critic_finish(const ActorCriticUpdateArgs& args, const LaunchShape&,
                                 cudaStream_t stream) {
  return launch("critic_finish", critic_finish_kernel<kSquareParts>, dim3(1), dim3(kSquareParts), 0,
                stream, args);
}

}  // namespace lockstep::cuda
