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
// Limiter: issue.
#pragma once

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/pack_policy.h"
#include "kernels/replay_step.h"
#include "kernels/returns_step.h"
#include "kernels/step_terms.h"

namespace lockstep::cuda {

/// How the sums of a gradient are dealt out; sizes that keep a lane's share in registers.
template <class E, bool kKept>
struct GradientShare {
  static constexpr int O = E::kObservationSize;
  static constexpr int Z = logits_of(E::kNumActions);
  static constexpr int C = Z * (O + 1);
  static constexpr int kComponents = C <= 20 ? C : 16;  // of a block
  static constexpr int kComponentChunks = (C + kComponents - 1) / kComponents;
  static constexpr int kRegisters = kComponents * (kKept ? 2 : 1) + O + 1;  // of a unit
  static constexpr int kUnits = 4 * kRegisters <= 64 ? 4 : 2 * kRegisters <= 64 ? 2 : 1;
  static constexpr int kChunk = kUnits * kWarp;                         // units of a block
  static constexpr int kSums = kUnits * kComponents * (kKept ? 2 : 1);  // of a lane

  /// A valid step on its way to the units.
  struct alignas(16) Item {
    float obs[O];
    std::int32_t term[kComponents];
    std::uint32_t kept[kUnits];  // general form: dropout mask of the chunk's units
  };
  struct Scratch {  // of a warp, in shared memory
    Item item[kWarp];
    std::int64_t wide[kSums][kWarp];
  };
};

/// Words [first, first + kWords) of the dropout mask of step t; kWords divides 4 and `first`.
template <int kWords>
__device__ inline void draw_kept(const RandomStream& stream, const PolicyView<float>& policy,
                                 std::uint32_t env, int t, int first,
                                 std::uint32_t (&word)[kWords]) {
  const auto index = static_cast<std::uint32_t>(t);
  if (policy.drop_below == 0) {
    for (int i = 0; i < kWords; ++i) word[i] = ~0u;
  } else if (policy.drop_half) {
    const auto r = dropout_words<float>(stream, env, index, first / 4);
    for (int i = 0; i < kWords; ++i) word[i] = r.w[kWords == 4 ? i : first % 4 + i];
  } else {
    for (int i = 0; i < kWords; ++i) {
      word[i] = 0;
      for (int j = 32 * (first + i); j < 32 * (first + i + 1) && j < policy.hidden; j += 4) {
        const auto r = dropout_words<float>(stream, env, index, j / 4);
        for (int k = 0; k < 4; ++k) {
          word[i] |= is_dropped<float>(r.w[k], policy.drop_below) ? 0u : 1u << (j % 32 + k);
        }
      }
    }
  }
}

/// The sums of a warp over its chunk of hidden units.
template <class E, PolicyForm kForm, bool kKept>
struct UnitSums {
  using Share = GradientShare<E, kKept>;
  static constexpr int O = Share::O;
  static constexpr int kUnits = Share::kUnits;
  static constexpr int kComponents = Share::kComponents;

  typename Share::Scratch& scratch;
  int filled = 0;  // items waiting
  int adds = 0;    // into a register since the last flush
  float weight[kUnits][O + 1];
  std::int32_t active[kUnits][kComponents] = {};
  std::int32_t kept[kUnits][kComponents] = {};

  __device__ UnitSums(typename Share::Scratch& shared, const PolicyView<float>& policy,
                      int first_unit)
      : scratch(shared) {
    for (int u = 0; u < kUnits; ++u) {
      const int j = first_unit + u * kWarp + lane_index();
      const float* unit =
          policy.units + walking_position(j, policy.chain) * unit_stride(O, Share::Z);
      for (int i = 0; i <= O; ++i) weight[u][i] = j < policy.hidden ? unit[i] : 0.0f;
    }
    for (int s = 0; s < Share::kSums; ++s) scratch.wide[s][lane_index()] = 0;
  }

  __device__ void add(const typename Share::Item& from) {
    const typename Share::Item item = from;  // read once, not under each unit's condition
    for (int u = 0; u < kUnits; ++u) {
      bool is_active = hidden_unit<float, O>(weight[u], item.obs) > 0.0f;
      if constexpr (kForm == PolicyForm::kGeneral) {
        const bool is_kept = ((item.kept[u] >> lane_index()) & 1u) != 0;
        is_active = is_active & is_kept;
        if (kKept && is_kept) {
          for (int c = 0; c < kComponents; ++c) kept[u][c] += item.term[c];
        }
      }
      // a branch, not selects: nvcc makes predicated additions of it, one instruction each
      if (is_active) {
        for (int c = 0; c < kComponents; ++c) active[u][c] += item.term[c];
      }
    }
  }

  /// Adds the items waiting.
  __device__ void sweep() {
    if (adds + filled > kFlushSteps) flush();
    __syncwarp(kAllLanes);
    int i = 0;
    for (; i + 4 <= filled; i += 4) {
      for (int k = 0; k < 4; ++k) add(scratch.item[i + k]);
    }
    for (; i < filled; ++i) add(scratch.item[i]);
    __syncwarp(kAllLanes);
    adds += filled;
    filled = 0;
  }

  /// Where the lane puts its item, if it has one; null otherwise.
  __device__ typename Share::Item* place(bool valid) {
    const unsigned have = __ballot_sync(kAllLanes, valid);
    const int count = __popc(have);
    if (filled + count > kWarp) sweep();
    const int slot = filled + __popc(have & ((1u << lane_index()) - 1u));
    filled += count;
    return valid ? &scratch.item[slot] : nullptr;
  }

  __device__ void flush() {
    for (int u = 0; u < kUnits; ++u) {
      for (int c = 0; c < kComponents; ++c) {
        const int s = u * kComponents + c;
        scratch.wide[s][lane_index()] += active[u][c];
        active[u][c] = 0;
        if constexpr (kKept) {
          scratch.wide[kUnits * kComponents + s][lane_index()] += kept[u][c];
          kept[u][c] = 0;
        }
      }
    }
    adds = 0;
  }

  /// Adds everything to the batch's sums.
  __device__ void finish(const PolicyView<float>& policy, int first_unit, int first_component,
                         unsigned long long* sums) {
    sweep();
    flush();
    const GradientLayout layout = gradient_layout(policy, O, Share::Z);
    for (int u = 0; u < kUnits; ++u) {
      const int j = first_unit + u * kWarp + lane_index();
      if (j >= policy.hidden) continue;
      const std::int64_t position = walking_position(j, policy.chain);
      for (int c = 0; c < kComponents && first_component + c < Share::C; ++c) {
        const int s = u * kComponents + c;
        const int to = first_component + c;
        add_signed(sums + layout.active(position) + to, scratch.wide[s][lane_index()]);
        if constexpr (kKept) {
          add_signed(sums + layout.kept(position) + to,
                     scratch.wide[kUnits * kComponents + s][lane_index()]);
        }
      }
    }
  }
};

/// Sums over all steps whatever the units do: of the components, the loss and the entropy. Lane i
/// keeps the i-th of them, and gets the other lanes' share of it every kSteps steps.
template <int kComponents>
struct StepSums {
  static constexpr int kSteps = kFlushSteps / kWarp;
  static_assert(kComponents + 2 <= kWarp);
  std::int32_t sum[kComponents + 2] = {};
  std::int64_t wide = 0;

  __device__ void flush() {
    for (int c = 0; c < kComponents + 2; ++c) {
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
        typename Share::Item* item = units.place(step.valid);
        if (item != nullptr) {
          for (int o = 0; o < O; ++o) item->obs[o] = obs[0][o];
          for (int c = 0; c < kComponents; ++c) {
            const bool inside = kWhole || first_component + c < C;
            item->term[c] = inside ? terms.term[first_component + c] : 0;
          }
          if constexpr (kForm == PolicyForm::kGeneral) {
            draw_kept(args.stream, policy, id, t, first_unit / 32, item->kept);
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
