// The gradient's integer sums: the physics replayed, the terms of a step formed and rounded once,
// then swept by the hidden units.
//
// Fused: replay, softmax, quantisation, activity of every unit and its sums; no activation and no
// observation is stored. Not fused with the rollout: advantages follow from the whole batch.
// Mapping: a warp walks up to 32 environments through time together, a lane each. Valid steps are
// packed side by side in shared memory, 32 at a time, and read by all lanes at once: lane i sums
// for units i, i + 32, ... of a chunk, weights and int32 sums in registers, which go to the warp's
// int64 sums before kFlushSteps adds and with one atomic a sum to the batch's at the end. Chunks of
// units, and of components where a policy has many logits, are blocks over y that each replay.
// Few environments are spread over more warps, with lanes that only sum.
// Read per step and environment: 1 bit of action (a byte for more than two), 4 Z of logits unless
// they are evaluated again, 4 of advantage and 1/8 of valid in the general form.
// Limiter: issue. CartPole with 128 units takes 44.3 warp instructions a step in the sweep (4 units
// a lane: 16 FFMA, 4 FSETP, 20 predicated additions, 3 LDS) and some 11 for its share of the
// replay, the terms and the flushes, with 32 environments a warp.
// budget: gradient_kernel<CartPole, .PolicyForm.1, .*> registers<=80 spills<=0
// budget: gradient_kernel<CartPole, .PolicyForm.2, .*> registers<=128 spills<=0 loop<=178 per=4
// budget: gradient_kernel<CartPole, .PolicyForm.3, false, .*> registers<=160 spills<=0
// budget: gradient_kernel<CartPole, .PolicyForm.3, true, .*> registers<=176 spills<=0
#pragma once

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/cuda/unit_sums.cuh"
#include "kernels/replay_step.h"
#include "kernels/returns_step.h"
#include "kernels/step_terms.h"

namespace lockstep::cuda {

/// Sums over all steps whatever the units do: of the components, and of the figures, loss and
/// entropy. Lane i keeps the i-th of them, and gets the other lanes' share of it every kSteps
/// steps.
template <int kComponents, int kFigures = 2>
struct StepSums {
  static constexpr int kSteps = kFlushSteps / kWarp;
  static_assert(kComponents + kFigures <= kWarp);
  std::int32_t sum[kComponents + kFigures] = {};
  std::int64_t wide = 0;

  __device__ void flush() {
    for (int c = 0; c < kComponents + kFigures; ++c) {
      const std::int32_t total = warp_sum(sum[c]);
      if (lane_index() == c) wide += total;
      sum[c] = 0;
    }
  }
};

/// What a lane reads of one step; zeros if its environment has finished.
template <class E>
struct RecordedStep {
  ActionOf<float, E::kNumActions> action{};
  float logits[1][logits_of(E::kNumActions)] = {};
  float value = 0;  // return minus baseline
  bool valid = false;
};

/// One lane's environment in the record.
template <class E, bool kRecompute>
struct RecordedTrajectory {
  const UpdateArgs& update;
  std::int64_t group;
  int lane;
  int steps;             // played
  const float* by_time;  // baseline of the table form, or null: constant
  float constant;

  __device__ RecordedStep<E> load(int t) const {
    RecordedStep<E> step;
    if (t >= steps) return step;
    const Record<float>& record = update.rollout.record;
    const PackCursor<float> pack{record, group, lane};
    step.action = recorded_action<E, float>(record, group, lane, t);
    if constexpr (!kRecompute) {
      load_fields<float>(record.logits, group * record.T + t, lane, step.logits[0]);
    }
    if (update.table_form) {
      const bool full = update.plan.returns == ReturnMode::kFull;
      step.value = update.table.value[full ? steps : steps - t] -
                   (by_time != nullptr ? by_time[t] : constant);
      step.valid = true;
    } else {
      step.valid = pack.bits(record.valid, t);
      step.value = step.valid ? record.advantage[pack.at(t)] : 0.0f;
    }
    return step;
  }
};

/// Where a warp stands in the grid, and what it sums.
struct GradientWork {
  std::int32_t envs_per_warp;
  std::int32_t unit_chunks;
};

template <class E, PolicyForm kForm, bool kKept, bool kRecompute>
LS_KERNEL(kMaxBlock)
gradient_kernel(const __grid_constant__ UpdateArgs update, GradientWork work) {
  using Share = GradientShare<E, kKept>;
  constexpr int O = Share::O, Z = Share::Z, C = Share::C;
  constexpr int kComponents = Share::kComponents;
  constexpr bool kWhole = kComponents == C;
  constexpr bool kHasUnits = kForm != PolicyForm::kLinear;
  LS_DYNAMIC_SHARED(typename Share::Scratch, scratch);
  LS_SHARED(args, GradientArgs<float>);
  if (update.state->stop != Stop::kRunning) return;  // the whole grid
  if (threadIdx.x == 0) set_gradient_args(update, args);
  __syncthreads();

  const PolicyView<float>& policy = update.rollout.policy;
  const int chunk = static_cast<int>(blockIdx.y);
  const int first_unit = chunk % work.unit_chunks * Share::kChunk;
  const int first_component = kWhole ? 0 : chunk / work.unit_chunks * kComponents;
  const bool sums_steps = first_unit == 0;
  const float constant =
      constant_baseline(update.plan, load_sums(*update.returns), update.state->running);
  const bool by_time = update.plan.baseline == BaselineRule::kTimeMean;

  UnitSums<E, kForm, kKept> units(scratch[warp_in_block()], policy, first_unit);
  StepSums<kComponents> all;
  bool saturated = false;
  const std::int64_t warps = std::int64_t{gridDim.x} * blockDim.x / kWarp;
  for (std::int64_t warp = warp_in_grid(); warp * work.envs_per_warp < args.num_envs;
       warp += warps) {
    const std::int64_t env = warp * work.envs_per_warp + lane_index();
    const bool used = lane_index() < work.envs_per_warp && env < args.num_envs;
    const RecordedTrajectory<E, kRecompute> trajectory{update,
                                                       env / kGroup,
                                                       static_cast<int>(env % kGroup),
                                                       used ? steps_played(update.rollout, env) : 0,
                                                       by_time ? update.baseline : nullptr,
                                                       constant};
    const auto id = static_cast<std::uint32_t>(env);
    Replay<E, float> replay = start_replay<E, float>(args.stream, id);
    const int end = warp_max(trajectory.steps);
    RecordedStep<E> next = trajectory.load(0);
    for (int t = 0; t < end; ++t) {
      RecordedStep<E> step = next;
      next = trajectory.load(t + 1);  // ahead: the sums hide its latency
      float obs[1][O];
      E::template observe<float>(replay.episode.state, obs[0]);
      if constexpr (kRecompute) {
        DropoutWalk dropout{
            args.stream, policy.drop_below, policy.drop_half, id, static_cast<std::uint32_t>(t),
            {}};
        policy_logits<kForm, kPartials, float>(policy, obs, &dropout, step.logits);
      }
      replay_step<E, float>(args.stream, args.episodic, replay, step.action);

      StepTerms<FixedPoint, float, C> terms;
      step_terms<FixedPoint, float, O, Z>(args, obs[0], step.logits[0], step.action, step.value,
                                          step.valid, terms, saturated);
      if (sums_steps) {
        for (int c = 0; c < kComponents; ++c) {
          if (kWhole || first_component + c < C) all.sum[c] += terms.term[first_component + c];
        }
        all.sum[kComponents] += terms.loss;
        all.sum[kComponents + 1] += terms.entropy;
        if (t % all.kSteps == all.kSteps - 1) all.flush();
      }
      if constexpr (kHasUnits) {
        const int slot = units.reserve(step.valid);
        if (step.valid) {
          typename Share::Item& item = units.scratch.item[slot];
          for (int o = 0; o < O; ++o) item.obs[o] = obs[0][o];
          for (int c = 0; c < kComponents; ++c) {
            const bool inside = kWhole || first_component + c < C;
            item.term[c] = inside ? terms.term[first_component + c] : 0;
          }
          if constexpr (kForm == PolicyForm::kGeneral) {
            draw_kept(args.stream, policy, id, t, first_unit / 32, item.kept);
          }
        }
      }
    }
    if (sums_steps) all.flush();
  }

  if constexpr (kHasUnits) units.finish(policy, first_unit, first_component, update.sums);
  const GradientLayout layout = gradient_layout(policy, O, Z);
  const int c = lane_index();
  if (sums_steps && c < kComponents && first_component + c < C) {
    add_signed(update.sums + layout.all() + first_component + c, all.wide);
  } else if (sums_steps && first_component == 0 && c >= kComponents && c < kComponents + 2) {
    add_signed(update.sums + layout.loss() + c - kComponents, all.wide);
  }
  saturated = __any_sync(kAllLanes, saturated);
  if (saturated && c == 0) atomicOr(update.gradient_saturated, 1u);
}

inline constexpr std::int64_t kBusyWarps = 1024;  // before lanes are left idle; an estimate
inline constexpr std::int64_t kMostWarps = 8192;  // the rest in strides: fewer atomics
inline constexpr int kStaticLimit = 48 * 1024;    // bytes of shared memory a block may just ask for

template <class E, PolicyForm kForm, bool kKept>
cudaError_t gradient_form(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t stream) {
  using Share = GradientShare<E, kKept>;
  constexpr int kShared = sizeof(typename Share::Scratch);
  constexpr int kFit = (kStaticLimit - static_cast<int>(sizeof(GradientArgs<float>))) / kShared;
  static_assert(kFit >= 1);
  const bool linear = kForm == PolicyForm::kLinear;
  const int unit_chunks =
      linear ? 1 : (args.rollout.policy.hidden + Share::kChunk - 1) / Share::kChunk;
  const std::int64_t chunks = std::int64_t{unit_chunks} * Share::kComponentChunks;
  const std::int64_t N = args.rollout.num_envs;
  int envs_per_warp = kWarp;
  while (envs_per_warp > 1 && (N + envs_per_warp - 1) / envs_per_warp * chunks < kBusyWarps) {
    envs_per_warp /= 2;
  }
  const std::int64_t sets = (N + envs_per_warp - 1) / envs_per_warp;
  const std::int64_t most = kMostWarps / chunks > 0 ? kMostWarps / chunks : 1;
  const int warps = shape.block / kWarp < kFit ? shape.block / kWarp : kFit;
  const dim3 blocks = blocks_for_warps(sets < most ? sets : most, warps * kWarp);
  const bool recompute = args.rollout.record.logits == nullptr;
  return launch(
      "gradient",
      recompute ? gradient_kernel<E, kForm, kKept, true> : gradient_kernel<E, kForm, kKept, false>,
      dim3(blocks.x, static_cast<unsigned>(chunks)), dim3(warps * kWarp),
      static_cast<std::size_t>(warps) * kShared, stream, args,
      GradientWork{envs_per_warp, unit_chunks});
}

/// Adds the terms of every valid step to args.sums.
///
/// Shapes: reads the record's actions, its logits or none, and either its advantage and valid or
///         the table; args.sums as GradientLayout says
/// Result: bitwise equal to the CPU's for every launch shape: integers
/// Stream: asynchronous, after baseline()
/// Errors: those of the launch
template <class E>
cudaError_t gradient(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t stream) {
  switch (args.rollout.policy.form) {
    case PolicyForm::kLinear:
      return gradient_form<E, PolicyForm::kLinear, false>(args, shape, stream);
    case PolicyForm::kRelu:
      return gradient_form<E, PolicyForm::kRelu, false>(args, shape, stream);
    case PolicyForm::kGeneral: {
      const GradientLayout layout =
          gradient_layout(args.rollout.policy, E::kObservationSize, logits_of(E::kNumActions));
      return layout.has_kept ? gradient_form<E, PolicyForm::kGeneral, true>(args, shape, stream)
                             : gradient_form<E, PolicyForm::kGeneral, false>(args, shape, stream);
    }
    case PolicyForm::kRandom:
      return cudaSuccess;  // no parameters
  }
  return cudaErrorInvalidValue;
}

}  // namespace lockstep::cuda
