// The batch operations of a table policy as plain function pointers, one table per environment and
// instruction set. This header is all the host sees; it compiles without any instruction-set flag.
#pragma once

#include "kernels/dense.h"
#include "kernels/environment_facts.h"
#include "kernels/optimizer.h"
#include "kernels/table_critic.h"

namespace lockstep::cpu {

/// Working memory of one thread in a rollout; the host allocates it, 64-byte aligned.
struct TableScratch {
  float* phi;             // [16][Hp] of the step before
  float* part;            // [Y][16][32] partial sums of outputs, zeroed
  std::uint32_t* active;  // [words][16] where nothing is recorded
};

/// What the frames of a step did to the games of a group, by lane.
struct GameFrames {
  std::int16_t reward[kGroup];
  std::int16_t row[kMaxObjects][kGroup];  // 16 bits: of the table, what the games show after it
};

struct TableOperations {
  const char* isa;  // "scalar", "avx2", "avx512"

  /// A group with whatever the arguments ask for.
  void (*rollout)(const TableRolloutArgs&, std::int64_t group, const TableScratch&);
  /// The same of uniformly random actions that are not recorded, `random_groups` groups at a time.
  int random_groups;
  void (*random)(const TableRolloutArgs&, std::int64_t group);
  void (*returns)(const TableReturnArgs&, std::int64_t group, ReturnSums&);
  /// The baseline, if any, and the largest magnitude of what is left.
  void (*baseline)(const BaselineArgs<float>&, std::int64_t group, ReturnSums&);
  void (*weigh)(const TableGradientArgs&, std::int64_t group, TableSums&);
  /// Zeroes the sums of a slice, [R][kSliceUnits], in the rows that matter.
  void (*clear)(const TableTouched&, std::int64_t* sums);
  /// Adds a group to the sums of a slice.
  void (*accumulate)(const TableGradientArgs&, int slice, std::int64_t group, std::int64_t* sums);
  void (*finish)(const TableFinishArgs&, int slice, const std::int64_t* sums);

  // with a critic (table_critic.h)
  bool (*advantages)(const AdvantageArgs<float>&, std::int64_t group, AdvantageRange&);
  void (*moments)(const MomentArgs<float>&, const Tile16&, ReturnSums&);
  void (*weigh_tile)(const TableCriticArgs&, const Tile16&, const TableScratch&, TableWeighSums&);
  void (*figures)(const ActorCriticArgs<float>&, const Tile16&, std::int64_t* sums);
  /// Adds a tile to the sums of a slice, [R][kSliceUnits], and of its outputs, [Y][kSliceUnits].
  void (*learn_tile)(const TableCriticArgs&, int slice, const Tile16&, std::int64_t* sums,
                     std::int64_t* output_sums);
  /// Returns the largest magnitude of what parameters and moments become, as largest() gives it.
  std::uint32_t (*optimize)(const OptimizerArgs&, std::int64_t n, const float* grad,
                            float* parameter, float* m, float* v);
  /// sum_of_squares().
  double (*squares)(std::int64_t n, const float* values);
  /// The largest magnitude of n numbers, as the bits of a float; NaN is above all.
  std::uint32_t (*largest)(std::int64_t n, const float* values);
  void (*build)(const TableShape&, const TableLists& lights, const float* weights, int first,
                int end, float* rows);

  // around the matrix products of the dense path; the same for every environment
  void (*bias)(const BiasArgs&, std::int64_t first_row, std::int64_t rows);
  void (*sample)(const SampleArgs&, std::int64_t group);

  /// For TableFacts::step.
  PlayFrames frames;

  /// Tasks of a rollout, for any thread in any order.
  std::int64_t tasks(const TableRolloutArgs& args) const {
    const int envs = (is_random(args) ? random_groups : 1) * kGroup;
    return (args.num_envs + envs - 1) / envs;
  }
  /// Plays one of them; `scratch` is the thread's own.
  void play(const TableRolloutArgs& args, std::int64_t task, const TableScratch& scratch) const {
    return is_random(args) ? random(args, task * random_groups) : rollout(args, task, scratch);
  }

 private:
  static bool is_random(const TableRolloutArgs& args) {
    return args.random_policy && args.record.steps.groups == 0;
  }
};

}  // namespace lockstep::cpu
