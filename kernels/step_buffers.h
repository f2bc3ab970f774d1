// What stepping environments with the caller's actions works on: Engine::step(), steppers, the
// dense path. The arrays are listed once, in for_each_kept() and for_each_told(): who places,
// clears, copies or compares them goes by these.
#pragma once

#include "kernels/trajectory.h"

namespace lockstep {

/// When an environment whose episode has ended starts its next one. Those of its three that restart
/// also start what they find ended.
enum class Restart : std::uint8_t {
  kNever,     // it stands still, reward and flags 0, until it is reset
  kNextStep,  // the next step starts it instead, whatever the action
  kSameStep,  // the step that ends an episode starts the next
};

/// Environments are rows or numbers one behind the other, but for `state`: groups, lane innermost.
/// All arrays but the caller's have room for whole groups, G = ceil(N / 16).
struct StepBuffers {
  std::int64_t num_envs;  // N
  RandomStream stream;
  bool own_seeds;  // some environment has one: `seeded` and `seed` are read

  // the call
  bool reset_only;             // start episodes, step nothing
  Restart restart;             // of a step
  bool draw;                   // of a step of numbers: draw the next starts, see draw_every()
  const std::uint8_t* action;  // [N] of a step, each in [0, A)
  const std::uint8_t* mask;    // [N] of a reset: not 0: start it; null: start all
  const std::uint64_t*
      new_seed;  // [N] of a reset: whom it starts has this seed from now on; or null

  // kept between calls; zeros at first, but for `number`: ~0, so that a reset starts episode 0
  float* state;           // [G][S][16]
  float* start;           // [G][S][16] of numbers: where the next episodes start, drawn ahead
  std::int32_t* steps;    // [16 G] steps done in the episode
  std::uint32_t* number;  // [16 G] episode number
  std::uint64_t* seed;    // [16 G] where `seeded`
  std::uint8_t* seeded;   // [16 G] 1: draws as environment 0 of its own seed
  std::int32_t* shown;    // [16 G][2 k] of pictures: rows of the table, show_rows()

  // told
  std::uint8_t* ended;       // [16 G] 1: the episode has ended and no other has begun
  float* reward;             // [16 G]
  std::uint8_t* terminated;  // [16 G]
  std::uint8_t* truncated;   // [16 G]
  void* obs;        // [16 G][O] after the step and restart: float; of pictures, int8 or float
  void* final_obs;  // [16 G][O] where an episode ended in a step with kSameStep; null: not wanted
};

/// Numbers of one environment.
struct StepSizes {
  std::int64_t state;      // S
  std::int64_t start;      // S; 0 of pictures
  std::int64_t shown;      // 2 k; 0 of numbers
  std::int64_t obs;        // O
  std::int64_t obs_bytes;  // of one of them
};

/// Calls visit(pointer, values of an environment, bytes of a value) for every array that is kept.
template <class Buffers, class Visit>
constexpr void for_each_kept(Buffers& b, const StepSizes& sizes, const Visit& visit) {
  visit(b.state, sizes.state, std::int64_t{4});
  visit(b.start, sizes.start, std::int64_t{4});
  visit(b.steps, std::int64_t{1}, std::int64_t{4});
  visit(b.number, std::int64_t{1}, std::int64_t{4});
  visit(b.seed, std::int64_t{1}, std::int64_t{8});
  visit(b.seeded, std::int64_t{1}, std::int64_t{1});
  visit(b.shown, sizes.shown, std::int64_t{4});
}
/// The same for every array that is told but final_obs, which few callers want.
template <class Buffers, class Visit>
constexpr void for_each_told(Buffers& b, const StepSizes& sizes, const Visit& visit) {
  visit(b.ended, std::int64_t{1}, std::int64_t{1});
  visit(b.reward, std::int64_t{1}, std::int64_t{4});
  visit(b.terminated, std::int64_t{1}, std::int64_t{1});
  visit(b.truncated, std::int64_t{1}, std::int64_t{1});
  visit(b.obs, sizes.obs, sizes.obs_bytes);
}

/// Where an environment draws its random numbers: a stream and its number within it.
struct Origins {
  RandomStream stream;
  std::uint32_t env;
};
/// Of an environment with a seed of its own: environment 0 of that seed, as if it were alone,
/// whatever part of a larger batch this one is.
LS_HD Origins origins_alone(const StepBuffers& args, std::uint64_t seed) {
  return {{seed, args.stream.epoch}, 0};
}
LS_HD Origins origins_of(const StepBuffers& args, std::int64_t env) {
  if (args.own_seeds && args.seeded[env] != 0) return origins_alone(args, args.seed[env]);
  return {args.stream, static_cast<std::uint32_t>(env)};
}

}  // namespace lockstep
