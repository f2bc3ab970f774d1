// Constants of an environment, for the host: what every device and every instruction set has in
// common. This header compiles without any instruction-set flag.
#pragma once

#include <cstdint>

#include "kernels/object_tables.h"
#include "kernels/step_buffers.h"
#include "kernels/watch/watch.h"

namespace lockstep {

/// One environment stepped alone from given states, in float32 or in the reference float64.
struct ReplayOperations {
  void (*reset)(const RandomStream&, std::uint32_t env, double* state);  // [S]
  /// Advances `state` [S] in place; fills obs [O]; returns reward and terminated.
  void (*step)(double* state, std::uint8_t action, bool float64, float* reward,
               std::uint8_t* terminated);
  void (*observe)(const double* state, float* obs);
  bool has_float64;  // a reference arithmetic exists
};

namespace cpu {
struct GameFrames;
/// Plays the frames of a step in those games of a group, of some, that it leaves with rewards and
/// rows alone; returns which. TableOperations::frames of an instruction set.
using PlayFrames = std::uint32_t (*)(const StepBuffers&, std::int64_t group, std::uint32_t lanes,
                                     GameFrames&);
}  // namespace cpu

/// Constants of an environment of objects beside its EnvironmentFacts, for the host.
struct TableFacts {
  TableShape shape;        // hidden = 0
  int side;                // the picture is side x side
  int frames;              // of a step without options
  int max_episode_frames;  // GameOptions::max_steps of an episode must not come to more
  int frame_limit;         // nor to more than this where pictures are drawn
  int max_row_pixels;
  /// Writes the pixels of a row, ascending; returns how many.
  int (*pixels)(int row, std::uint16_t* pixel);
  /// One step of a group with the caller's actions, in pictures of int8 or of floats:
  /// kernels/picture_step.h. The state has EnvironmentFacts::state_size numbers.
  void (*step)(const StepBuffers&, const GameOptions&, std::int64_t group, cpu::PlayFrames);
  void (*step_floats)(const StepBuffers&, const GameOptions&, std::int64_t group, cpu::PlayFrames);
};

/// Constants of an environment, for the host.
struct EnvironmentFacts {
  const char* name;
  const char* summary;
  int state_size;
  int carried_size;  // numbers of an environment whose episode goes on from update to update
  int observation_size, num_actions, max_episode_steps, min_episode_steps;
  bool constant_reward;
  float max_abs_reward;
  const float* observation_limit;  // [O]
  ReplayOperations replay;
  WatchFacts watch{};
  const TableFacts* tables = nullptr;  // of an environment of objects
};

}  // namespace lockstep
