// The integer sums of a pass: what the rows of a minibatch's steps make of their observations,
// swept by the hidden units as in gradient.cuh.
//
// Mapping: a warp takes two rows of 16 environments at a time, a lane a step, and packs those whose
// terms are not all zero side by side in shared memory; then lane i sums for units i, i + 32, ...
// of a chunk. All outputs are summed for every unit, also where a critic has units of its own:
// their weights to a logit are 0, and so is what becomes of these sums. Read per step: 4 (O + Z +
// 5). Limiter: issue; CartPole with 128 units, 10 components: some 64 warp instructions a step in
// the sweep.
//
// budget: critic_sums_kernel<CartPole, .*> registers<=168 spills<=0
#pragma once

#include "kernels/cuda/critic_steps.cuh"
#include "kernels/cuda/gradient.cuh"

namespace lockstep::cuda {

template <class E, bool kHasUnits>
LS_KERNEL(kMaxBlock)
critic_sums_kernel(const __grid_constant__ ActorCriticUpdateArgs args, std::int32_t unit_chunks) {
  constexpr int Z = logits_of(E::kNumActions), Y = Z + 1, R = weighed_rows(Z);
  using Share = GradientShare<E, false, Y>;
  constexpr int O = Share::O, C = Share::C;
  constexpr int kComponents = Share::kComponents;
  constexpr bool kWhole = kComponents == C;
  LS_DYNAMIC_SHARED(typename Share::Scratch, scratch);
  LS_SHARED(scale, float[C + kWeighedFigures]);
  if (!learns(args) || args.pass->not_finite != 0) return;  // the whole grid
  set_term_scales(args, scale);

  const Record<float>& record = args.update.rollout.record;
  const PolicyView<float>& policy = args.update.rollout.policy;
  const int chunk = static_cast<int>(blockIdx.y);
  const int first_unit = chunk % unit_chunks * Share::kChunk;
  const int first_component = kWhole ? 0 : chunk / unit_chunks * kComponents;
  const bool sums_steps = first_unit == 0;
  const int half = lane_index() / kGroup, lane = lane_index() % kGroup;

  // which units are active does not depend on how they are when they are not
  UnitSums<E, PolicyForm::kRelu, false, Y> units(scratch[warp_in_block()], policy, first_unit);
  StepSums<kComponents, kWeighedFigures> all;
  bool saturated = false;
  int turn = 0;
  const MinibatchRows rows(args);
  const std::int64_t warps = std::int64_t{gridDim.x} * blockDim.x / kWarp;
  for (std::int64_t pair = warp_in_grid(); 2 * pair < rows.count(); pair += warps, ++turn) {
    const MinibatchStep step = rows.at(2 * pair + half, lane);
    float row[R] = {}, obs[O] = {};
    if (step.valid) {
      load_fields<float>(args.weighed, step.step, lane, row);
      load_fields<float>(record.obs, step.step, lane, obs);
    }
    std::int32_t term[C];
    bool any_term = false;
    for (int c = 0; c < C; ++c) {
      const int o = c % (O + 1);
      const float value = o < O ? row[c / (O + 1)] * obs[o < O ? o : 0] : row[c / (O + 1)];
      term[c] = FixedPoint::quantise<float>(value, scale[c], step.valid, saturated);
      any_term |= term[c] != 0;
    }
    if (sums_steps) {
      for (int c = 0; c < kComponents; ++c) {
        if (kWhole || first_component + c < C) all.sum[c] += term[first_component + c];
      }
      for (int f = 0; f < kWeighedFigures; ++f) {
        all.sum[kComponents + f] +=
            FixedPoint::quantise<float>(row[Y + f], scale[C + f], step.valid, saturated);
      }
      if (turn % all.kSteps == all.kSteps - 1) all.flush();
    }
    if constexpr (kHasUnits) {
      const int slot = units.reserve(any_term);
      if (any_term) {
        typename Share::Item& item = units.scratch.item[slot];
        for (int o = 0; o < O; ++o) item.obs[o] = obs[o];
        for (int c = 0; c < kComponents; ++c) {
          const bool inside = kWhole || first_component + c < C;
          item.term[c] = inside ? term[first_component + c] : 0;
        }
      }
    }
  }
  if (sums_steps) all.flush();

  if constexpr (kHasUnits) units.finish(policy, first_unit, first_component, args.update.sums);
  const GradientLayout layout = actor_critic_layout(policy, O, Z);
  const int c = lane_index();
  if (sums_steps && c < kComponents && first_component + c < C) {
    add_signed(args.update.sums + layout.all() + first_component + c, all.wide);
  } else if (sums_steps && first_component == 0 && c >= kComponents &&
             c < kComponents + kWeighedFigures) {
    add_signed(args.update.sums + layout.loss() + c - kComponents, all.wide);
  }
  saturated = __any_sync(kAllLanes, saturated);
  if (saturated && c == 0) atomicOr(args.update.gradient_saturated, 1u);
}

inline constexpr std::int64_t kPairsAWarp = 8;  // before there are more warps; an estimate

/// Adds the terms of the minibatch's steps to args.update.sums.
///
/// Shapes: actor_critic_layout()
/// Result: bitwise equal to the CPU's for every launch shape: integers. Of units that have no
///         weight to an output there are sums where the CPU has none; no gradient comes of them.
/// Stream: asynchronous, after critic_weigh()
/// Errors: those of the launch
template <class E>
cudaError_t critic_accumulate(const ActorCriticUpdateArgs& args, const LaunchShape& shape,
                              cudaStream_t stream) {
  using Share = GradientShare<E, false, logits_of(E::kNumActions) + 1>;
  constexpr int kShared = sizeof(typename Share::Scratch);
  constexpr int kScales = (Share::C + kWeighedFigures) * static_cast<int>(sizeof(float)) + 16;
  constexpr int kFit = (kStaticLimit - kScales) / kShared;
  static_assert(kFit >= 1);
  const PolicyView<float>& policy = args.update.rollout.policy;
  const bool linear = policy.form == PolicyForm::kLinear;
  const int unit_chunks = linear ? 1 : (policy.hidden + Share::kChunk - 1) / Share::kChunk;
  const std::int64_t chunks = std::int64_t{unit_chunks} * Share::kComponentChunks;
  const std::int64_t sets = (most_rows(args) + 2 * kPairsAWarp - 1) / (2 * kPairsAWarp);
  const std::int64_t most = kMostWarps / chunks > 0 ? kMostWarps / chunks : 1;
  const int warps = shape.block / kWarp < kFit ? shape.block / kWarp : kFit;
  const dim3 blocks = blocks_for_warps(sets < most ? sets : most, warps * kWarp);
  return launch("critic_sums", linear ? critic_sums_kernel<E, false> : critic_sums_kernel<E, true>,
                dim3(blocks.x, static_cast<unsigned>(chunks)),
                dim3(static_cast<unsigned>(warps * kWarp)),
                static_cast<std::size_t>(warps) * kShared, stream, args, unit_chunks);
}

}  // namespace lockstep::cuda
