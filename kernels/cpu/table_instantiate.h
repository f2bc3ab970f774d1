// Builds the table of operations of one environment of objects for one instruction set. A
// translation unit defines LS_ISA_SCALAR, LS_ISA_AVX2 or LS_ISA_AVX512, includes this header and
// the environment's, and uses LS_INSTANTIATE_TABLES(name, Type).
#pragma once

#include "kernels/cpu/dense.h"
#include "kernels/cpu/game_frames.h"
#include "kernels/cpu/launchers.h"
#include "kernels/cpu/random_games.h"
#include "kernels/cpu/returns.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/table_critic.h"
#include "kernels/cpu/table_gradient.h"
#include "kernels/cpu/table_returns.h"
#include "kernels/cpu/table_rollout.h"
#include "kernels/cpu/table_update.h"

#if defined(LS_ISA_AVX512)
#include "kernels/cpu/lanes/table_lanes_avx512.h"
#elif defined(LS_ISA_AVX2)
#include "kernels/cpu/lanes/table_lanes_avx2.h"
#else
#include "kernels/cpu/picture_step.h"
#include "kernels/watch/episode_player.h"
#endif

namespace lockstep::cpu {

template <ObjectEnv E, class F>
struct TableBatch {
  static void rollout(const TableRolloutArgs& args, std::int64_t group,
                      const TableScratch& scratch) {
    if (args.policy.shape.outputs == kTableOutputs) {
      return args.policy.leak == 0 ? table_rollout_group<E, false, F, true>(args, group, scratch)
                                   : table_rollout_group<E, true, F, true>(args, group, scratch);
    }
    return args.policy.leak == 0 ? table_rollout_group<E, false, F>(args, group, scratch)
                                 : table_rollout_group<E, true, F>(args, group, scratch);
  }
  using Widest = typename TableLanes<F>::Widest;
  static constexpr int kWidest = Lanes<Widest>::W;
  static constexpr int kRandomGroups = kWidest > kGroup ? kWidest / kGroup : 1;
  static void random(const TableRolloutArgs& args, std::int64_t group) {
    for (int lane = 0; lane < kRandomGroups * kGroup; lane += kWidest) {
      random_games<E, F, Widest, kWidest>(args, group * kGroup + lane);
    }
  }
  static void returns(const TableReturnArgs& args, std::int64_t group, ReturnSums& sums) {
    table_returns_group<F>(args, group, sums);
  }
  static void baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) {
    baseline_group<F>(args, group, sums);
  }
  static void weigh(const TableGradientArgs& args, std::int64_t group, TableSums& sums) {
    return args.leak == 0 ? table_weigh_group<F, false>(args, group, sums)
                          : table_weigh_group<F, true>(args, group, sums);
  }
  static void clear(const TableTouched& touched, std::int64_t* sums) {
    table_clear_slice<F>(touched, sums);
  }
  static void accumulate(const TableGradientArgs& args, int slice, std::int64_t group,
                         std::int64_t* sums) {
    return args.leak == 0 ? table_accumulate_group<E, false, F>(args, slice, group, sums)
                          : table_accumulate_group<E, true, F>(args, slice, group, sums);
  }
  static void finish(const TableFinishArgs& args, int slice, const std::int64_t* sums) {
    return args.weighted ? table_finish_slice<F, true>(args, slice, sums)
                         : table_finish_slice<F, false>(args, slice, sums);
  }
  static bool advantages(const AdvantageArgs<float>& args, std::int64_t group,
                         AdvantageRange& range) {
    return advantages_group<F>(args, group, range);
  }
  static void moments(const MomentArgs<float>& args, const Tile16& tile, ReturnSums& sums) {
    moments_tile<F>(args, tile, sums);
  }
  static void weigh_tile(const TableCriticArgs& args, const Tile16& tile,
                         const TableScratch& scratch, TableWeighSums& sums) {
    return args.policy.leak == 0 ? table_weigh_tile<E, false, F>(args, tile, scratch, sums)
                                 : table_weigh_tile<E, true, F>(args, tile, scratch, sums);
  }
  static void figures(const ActorCriticArgs<float>& args, const Tile16& tile, std::int64_t* sums) {
    figures_tile<F, 1>(args, tile, sums);
  }
  static void learn_tile(const TableCriticArgs& args, int slice, const Tile16& tile,
                         std::int64_t* sums, std::int64_t* output_sums) {
    return args.policy.leak == 0
               ? table_learn_tile<E, false, F>(args, slice, tile, sums, output_sums)
               : table_learn_tile<E, true, F>(args, slice, tile, sums, output_sums);
  }
  static std::uint32_t optimize(const OptimizerArgs& args, std::int64_t n, const float* grad,
                                float* parameter, float* m, float* v) {
    return table_optimize<F>(args, n, grad, parameter, m, v);
  }
  static double squares(std::int64_t n, const float* values) { return table_squares<F>(n, values); }
  static std::uint32_t largest(std::int64_t n, const float* values) {
    return table_largest<F>(n, values);
  }
  static void build(const TableShape& shape, const TableLists& lights, const float* weights,
                    int first, int end, float* rows) {
    table_build<F>(shape, lights, weights, first, end, rows);
  }
  static void bias(const BiasArgs& args, std::int64_t first_row, std::int64_t rows) {
    bias_rows<F>(args, first_row, rows);
  }
  static void sample(const SampleArgs& args, std::int64_t group) { sample_group<F>(args, group); }
  static std::uint32_t frames(const StepBuffers& args, std::int64_t group, std::uint32_t lanes,
                              GameFrames& frames) {
    return play_frames<E, typename TableLanes<F>::I16>(args, group, lanes, frames);
  }
};

template <class E>
int table_pixels(int row, std::uint16_t* pixel) {
  std::uint16_t all[E::kMaxRowPixels];
  const int count = E::pixels(row, all);
  for (int i = 0; i < count; ++i) pixel[i] = all[i];
  return count;
}

}  // namespace lockstep::cpu

#if defined(LS_ISA_AVX512)
#define LS_TABLES(name) tables_##name##_avx512
#define LS_TABLE_BATCH(Type) TableBatch<Type, avx512::F>
#define LS_TABLE_ISA "avx512"
#elif defined(LS_ISA_AVX2)
#define LS_TABLES(name) tables_##name##_avx2
#define LS_TABLE_BATCH(Type) TableBatch<Type, avx2::F>
#define LS_TABLE_ISA "avx2"
#else
#define LS_TABLES(name) tables_##name##_scalar
#define LS_TABLE_BATCH(Type) TableBatch<Type, float>
#define LS_TABLE_ISA "scalar"
#endif

#define LS_INSTANTIATE_TABLE_BATCH(name, Type)                                  \
  namespace lockstep::cpu {                                                     \
  extern const TableOperations LS_TABLES(name);                                 \
  const TableOperations LS_TABLES(name) = {LS_TABLE_ISA,                        \
                                           LS_TABLE_BATCH(Type)::rollout,       \
                                           LS_TABLE_BATCH(Type)::kRandomGroups, \
                                           LS_TABLE_BATCH(Type)::random,        \
                                           LS_TABLE_BATCH(Type)::returns,       \
                                           LS_TABLE_BATCH(Type)::baseline,      \
                                           LS_TABLE_BATCH(Type)::weigh,         \
                                           LS_TABLE_BATCH(Type)::clear,         \
                                           LS_TABLE_BATCH(Type)::accumulate,    \
                                           LS_TABLE_BATCH(Type)::finish,        \
                                           LS_TABLE_BATCH(Type)::advantages,    \
                                           LS_TABLE_BATCH(Type)::moments,       \
                                           LS_TABLE_BATCH(Type)::weigh_tile,    \
                                           LS_TABLE_BATCH(Type)::figures,       \
                                           LS_TABLE_BATCH(Type)::learn_tile,    \
                                           LS_TABLE_BATCH(Type)::optimize,      \
                                           LS_TABLE_BATCH(Type)::squares,       \
                                           LS_TABLE_BATCH(Type)::largest,       \
                                           LS_TABLE_BATCH(Type)::build,         \
                                           LS_TABLE_BATCH(Type)::bias,          \
                                           LS_TABLE_BATCH(Type)::sample,        \
                                           LS_TABLE_BATCH(Type)::frames};       \
  }

#if defined(LS_ISA_AVX512) || defined(LS_ISA_AVX2)
#define LS_INSTANTIATE_TABLES(name, Type) LS_INSTANTIATE_TABLE_BATCH(name, Type)
#else
// The baseline unit also brings what exists once per environment.
#define LS_INSTANTIATE_TABLES(id, Type)                                                      \
  LS_INSTANTIATE_TABLE_BATCH(id, Type)                                                       \
  namespace lockstep::cpu {                                                                  \
  static const TableFacts tables_of_##id = {{Type::kPixels, Type::kRows, Type::kObjects, 0}, \
                                            Type::kSide,                                     \
                                            Type::kFrames,                                   \
                                            Type::kMaxEpisodeFrames,                         \
                                            Type::kFrameLimit,                               \
                                            Type::kMaxRowPixels,                             \
                                            table_pixels<Type>,                              \
                                            picture_step_group<Type, std::int8_t>,           \
                                            picture_step_group<Type, float>};                \
  extern const EnvironmentFacts environment_facts_##id;                                      \
  const EnvironmentFacts environment_facts_##id = {                                          \
      .name = Type::kName,                                                                   \
      .summary = Type::kSummary,                                                             \
      .state_size = PictureGame<Type>::kNumbers,                                             \
      .carried_size = table_carried<Type>(),                                                 \
      .observation_size = Type::kPixels,                                                     \
      .num_actions = 2,                                                                      \
      .max_episode_steps = Type::kMaxEpisodeFrames / Type::kFrames,                          \
      .min_episode_steps = 1,                                                                \
      .constant_reward = false,                                                              \
      .max_abs_reward = Type::kMaxAbsReward,                                                 \
      .observation_limit = nullptr,                                                          \
      .replay = {},                                                                          \
      .watch = watch_facts<Type>(),                                                          \
      .tables = &tables_of_##id};                                                            \
  }
#endif
