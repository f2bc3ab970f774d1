// The arrays of a step in one piece of memory, so that a test compares every byte of them. Test
// code only.
#pragma once

#include <vector>

#include "host/backend/stepper.h"

namespace lockstep::test {

/// One side's arrays in one piece of memory, all of them 0.
template <class Bytes>
struct StepSide {
  StepSide(std::int64_t envs, const StepSizes& sizes)
      : memory(std::vector<std::uint8_t>(bytes_of(envs, sizes))) {
    args.num_envs = envs;
    args.stream = {9, 0x7fffffffu};
    Arena arena(reinterpret_cast<std::byte*>(memory.data()));
    place(arena, envs, sizes, args);
  }
  static void place(Arena& arena, std::int64_t envs, const StepSizes& sizes, StepBuffers& args) {
    const std::int64_t lanes = (envs + kGroup - 1) / kGroup * kGroup;
    for_each_kept(args, sizes, placing_on(arena, lanes));
    for_each_told(args, sizes, placing_on(arena, lanes));
    placing_on(arena, lanes)(args.final_obs, sizes.obs, sizes.obs_bytes);
  }
  static std::size_t bytes_of(std::int64_t envs, const StepSizes& sizes) {
    StepBuffers none{};
    return static_cast<std::size_t>(
        arena_bytes([&](Arena& arena) { place(arena, envs, sizes, none); }));
  }

  Bytes memory;
  StepBuffers args{};
};

}  // namespace lockstep::test
