// Builds the table of batch operations of one environment for one instruction set. A generated
// translation unit defines LS_ISA_SCALAR, LS_ISA_AVX2 or LS_ISA_AVX512, includes this header and
// the environment's, and uses LS_INSTANTIATE_ENVIRONMENT(name, Type).
#pragma once

#include "kernels/cpu/actor_critic.h"
#include "kernels/cpu/dense.h"
#include "kernels/cpu/gradient.h"
#include "kernels/cpu/launchers.h"
#include "kernels/cpu/returns.h"
#include "kernels/cpu/rollout.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/step.h"

#if defined(LS_ISA_AVX512)
#include "kernels/cpu/lanes/pack_avx512.h"
#elif defined(LS_ISA_AVX2)
#include "kernels/cpu/lanes/pack_avx2.h"
#else
#include "kernels/cpu/replay.h"
#include "kernels/watch/episode_player.h"
#endif

namespace lockstep::cpu {

/// The batch operations of environment E on packs F. kSmall and kLarge are numbers of groups that
/// may advance together, kUnits the hidden units a gradient sweep keeps in registers: sizes that
/// suit the instruction set; they change speed, never results.
template <class E, class F, int kSmall, int kLarge, int kUnits, class Acc>
struct Batch {
  using Real = typename Lanes<F>::Scalar;
  static constexpr int kLanes = Lanes<F>::W;
  static constexpr int kSizes[3] = {kLarge, kSmall, 1};

  template <PolicyForm kForm, int kGroups>
  static void rollout_groups(const RolloutArgs<Real>& args, std::int64_t first_env) {
    constexpr int kPacks = kGroups * kGroup / Lanes<F>::W;
    if (args.record.value != nullptr) {
      if constexpr (kForm != PolicyForm::kRandom) {
        rollout_block<E, kForm, false, F, kPacks, true>(args, first_env);
      }
    } else if (args.episodic) {
      rollout_block<E, kForm, true, F, kPacks>(args, first_env);
    } else {
      rollout_block<E, kForm, false, F, kPacks>(args, first_env);
    }
  }
  template <PolicyForm kForm>
  static void rollout_form(const RolloutArgs<Real>& args, std::int64_t first_env, int groups) {
    if constexpr (kLarge > 1) {
      if (groups == kLarge) return rollout_groups<kForm, kLarge>(args, first_env);
      if (groups == kSmall) return rollout_groups<kForm, kSmall>(args, first_env);
    }
    rollout_groups<kForm, 1>(args, first_env);
  }
  static void rollout(const RolloutArgs<Real>& args, std::int64_t first_env, int groups) {
    switch (args.policy.form) {
      case PolicyForm::kRandom:
        return rollout_form<PolicyForm::kRandom>(args, first_env, groups);
      case PolicyForm::kLinear:
        return rollout_form<PolicyForm::kLinear>(args, first_env, groups);
      case PolicyForm::kRelu:
        return rollout_form<PolicyForm::kRelu>(args, first_env, groups);
      case PolicyForm::kGeneral:
        return rollout_form<PolicyForm::kGeneral>(args, first_env, groups);
    }
  }
  static void returns(const ReturnArgs<Real>& args, std::int64_t group, ReturnSums& sums) {
    returns_group<F>(args, group, sums);
  }
  static void baseline(const BaselineArgs<Real>& args, std::int64_t group, ReturnSums& sums) {
    baseline_group<F>(args, group, sums);
  }
  static void gradient(const GradientArgs<Real>& args, std::int64_t group,
                       GradientScratch<Acc>& scratch) {
    switch (args.policy.form) {
      case PolicyForm::kLinear:
        return gradient_group<Acc, E, PolicyForm::kLinear, F, kUnits>(args, group, scratch);
      case PolicyForm::kRelu:
        return gradient_group<Acc, E, PolicyForm::kRelu, F, kUnits>(args, group, scratch);
      case PolicyForm::kGeneral:
        return gradient_group<Acc, E, PolicyForm::kGeneral, F, 1>(args, group, scratch);
      case PolicyForm::kRandom:
        return;  // no parameters
    }
  }
  static void flush(const GradientLayout& layout, GradientScratch<Acc>& scratch) {
    flush_lanes<Acc, F>(layout, scratch);
  }
  static bool advantages(const AdvantageArgs<Real>& args, std::int64_t group,
                         AdvantageRange& range) {
    return advantages_group<F>(args, group, range);
  }
  static void moments(const MomentArgs<Real>& args, const Tile16& tile, ReturnSums& sums) {
    moments_tile<F>(args, tile, sums);
  }
  static void weigh(const ActorCriticArgs<Real>& args, const Tile16& tile, WeighSums& sums) {
    switch (args.policy.form) {
      case PolicyForm::kLinear:
        return weigh_tile<E, PolicyForm::kLinear, F>(args, tile, sums);
      case PolicyForm::kRelu:
        return weigh_tile<E, PolicyForm::kRelu, F>(args, tile, sums);
      case PolicyForm::kGeneral:
        return weigh_tile<E, PolicyForm::kGeneral, F>(args, tile, sums);
      case PolicyForm::kRandom:
        return;  // no parameters
    }
  }
  static void learn(const ActorCriticArgs<Real>& args, const Tile16& tile,
                    GradientScratch<Acc>& scratch) {
    switch (args.policy.form) {
      case PolicyForm::kLinear:
        return learn_tile<Acc, E, PolicyForm::kLinear, F, kUnits>(args, tile, scratch);
      case PolicyForm::kRelu:
        return learn_tile<Acc, E, PolicyForm::kRelu, F, kUnits>(args, tile, scratch);
      case PolicyForm::kGeneral:
        return learn_tile<Acc, E, PolicyForm::kGeneral, F, 1>(args, tile, scratch);
      case PolicyForm::kRandom:
        return;  // no parameters
    }
  }
  static void step(const StepBuffers& args, std::int64_t group) { step_group<E, F>(args, group); }
  static void bias(const BiasArgs& args, std::int64_t first_row, std::int64_t rows) {
    bias_rows<F>(args, first_row, rows);
  }
  static void sample(const SampleArgs& args, std::int64_t group) { sample_group<F>(args, group); }
};

}  // namespace lockstep::cpu

#if defined(LS_ISA_AVX512)
#define LS_OPERATIONS(name) operations_##name##_avx512
#define LS_BATCH(Type) Batch<Type, avx512::F, 4, 8, 4, FixedPoint>
#define LS_ISA_NAME "avx512"
#elif defined(LS_ISA_AVX2)
#define LS_OPERATIONS(name) operations_##name##_avx2
#define LS_BATCH(Type) Batch<Type, avx2::F, 2, 4, 2, FixedPoint>
#define LS_ISA_NAME "avx2"
#else
#define LS_OPERATIONS(name) operations_##name##_scalar
#define LS_BATCH(Type) Batch<Type, float, 1, 1, 1, FixedPoint>
#define LS_ISA_NAME "scalar"
#endif

#define LS_INSTANTIATE_BATCH(name, Type)                         \
  namespace lockstep::cpu {                                      \
  extern const FloatOperations LS_OPERATIONS(name);              \
  const FloatOperations LS_OPERATIONS(name) = {                  \
      LS_ISA_NAME,                                               \
      LS_BATCH(Type)::kLanes,                                    \
      {LS_BATCH(Type)::kSizes[0], LS_BATCH(Type)::kSizes[1], 1}, \
      LS_BATCH(Type)::rollout,                                   \
      LS_BATCH(Type)::returns,                                   \
      LS_BATCH(Type)::baseline,                                  \
      LS_BATCH(Type)::gradient,                                  \
      LS_BATCH(Type)::flush,                                     \
      LS_BATCH(Type)::step,                                      \
      LS_BATCH(Type)::advantages,                                \
      LS_BATCH(Type)::moments,                                   \
      LS_BATCH(Type)::weigh,                                     \
      LS_BATCH(Type)::learn,                                     \
      LS_BATCH(Type)::bias,                                      \
      LS_BATCH(Type)::sample};                                   \
  }

#if defined(LS_ISA_AVX512) || defined(LS_ISA_AVX2)
#define LS_INSTANTIATE_ENVIRONMENT(name, Type) LS_INSTANTIATE_BATCH(name, Type)
#else
// The baseline unit also brings what exists once per environment.
#define LS_INSTANTIATE_ENVIRONMENT(name, Type) \
  LS_INSTANTIATE_BATCH(name, Type)             \
  LS_INSTANTIATE_REPLAY(name, Type)
#endif
