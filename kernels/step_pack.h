// One step of a pack of environments with the caller's actions: the body of Engine::step(). The
// automatic reset modes differ only in which lanes the host marks for reset and in same_step.
#pragma once

#include "kernels/rollout_step.h"

namespace lockstep {

template <class F>
LS_HD typename Lanes<F>::I load_bytes(const std::uint8_t* from) {
  std::int32_t lanes[Lanes<F>::W];
  for (int i = 0; i < Lanes<F>::W; ++i) lanes[i] = from[i];
  return Lanes<F>::load(lanes);
}

template <class F>
LS_HD void store_mask(std::uint8_t* to, typename Lanes<F>::M mask) {
  const std::uint32_t bits = mask_bits(mask);
  for (int i = 0; i < Lanes<F>::W; ++i) to[i] = static_cast<std::uint8_t>((bits >> i) & 1u);
}

/// to: [W][kFields].
template <class F, int kFields>
LS_HD void store_rows(float* to, const F (&field)[kFields]) {
  float lanes[kFields][Lanes<F>::W];
  for (int i = 0; i < kFields; ++i) store(lanes[i], field[i]);
  for (int w = 0; w < Lanes<F>::W; ++w) {
    for (int i = 0; i < kFields; ++i) to[w * kFields + i] = lanes[i][w];
  }
}

/// Steps lanes [lane, lane + W) of a group with the caller's actions; marked lanes start a new
/// episode instead, with the state the rollout of this stream would draw for it.
///
/// Result: bitwise. Reads and writes only its own lanes of the buffers.
template <class E, class F>
LS_HD void step_pack(const StepBuffers& args, std::int64_t group, int lane) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  using M = typename Lanes<F>::M;
  constexpr int S = E::kStateSize;
  constexpr int O = E::kObservationSize;
  const std::int64_t first = group * kGroup + lane;
  float* state = args.state + group * S * kGroup + lane;
  const U env = U(static_cast<std::uint32_t>(first)) + Lanes<F>::numbers();
  const M restart_now = load_bytes<F>(args.reset + first) >= I(1);
  const I action = load_bytes<F>(args.action + first);

  F saved[S];
  for (int s = 0; s < S; ++s) saved[s] = Lanes<F>::load(state + s * kGroup);
  Episode<E, F> episode{
      E::template restore<F>(saved), Lanes<F>::load(args.steps + first),
      as_unsigned(Lanes<F>::load(reinterpret_cast<const std::int32_t*>(args.number + first))),
      args.reset_only ? Lanes<F>::mask(0) : !restart_now};
  const auto before = episode;
  StepOutcome<F> out;
  if constexpr (E::kNumActions == 2) {
    out = advance<E, F>(episode, action >= I(1));
  } else {
    out = advance<E, F>(episode, action);
  }
  // the others ignore the step
  episode.state = select_state<E, F>(before.alive, episode.state, before.state);
  episode.steps = select(before.alive, episode.steps, before.steps);

  F obs[O];
  if (args.same_step && args.final_obs != nullptr) {
    E::template observe<F>(episode.state, obs);
    store_rows(args.final_obs + first * O, obs);
  }
  const M again = args.same_step ? restart_now | out.ended : restart_now;
  if (any(again)) {
    restart<E, F>(episode, again, start_state<E, F>(args.stream, env, episode.number + U(1u)));
  }

  E::template observe<F>(episode.state, obs);
  store_rows(args.obs + first * O, obs);
  E::template save<F>(episode.state, saved);
  for (int s = 0; s < S; ++s) store(state + s * kGroup, saved[s]);
  store(args.steps + first, episode.steps);
  store(reinterpret_cast<std::int32_t*>(args.number + first), as_signed(episode.number));
  store(args.reward + first, select(before.alive, out.reward, F(0)));
  store_mask<F>(args.terminated + first, out.terminated);
  store_mask<F>(args.truncated + first, out.truncated);
}

}  // namespace lockstep
