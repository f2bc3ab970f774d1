// One step of a pack of environments with the caller's actions: the body of Engine::step() and of
// steppers.
#pragma once

#include <bit>

#include "kernels/rollout_step.h"
#include "kernels/step_buffers.h"

namespace lockstep {

/// Bit i of the result is the lowest bit of byte i, i < count; the others are 0.
template <int W>
LS_HD std::uint32_t load_bits(const std::uint8_t* from, int count) {
  std::uint32_t bits = 0;
  if (W % 8 == 0 && count == W) {
    for (int i = 0; i < W; i += 8) {
      std::uint64_t word;
      __builtin_memcpy(&word, from + i, 8);
      // every product of a byte and a bit has a place of its own; the uppermost eight are wanted
      const std::uint64_t gathered = (word & 0x0101010101010101u) * 0x0102040810204080u;
      bits |= static_cast<std::uint32_t>(gathered >> 56) << i;
    }
  } else {
    for (int i = 0; i < count; ++i) bits |= (from[i] & 1u) << i;
  }
  return bits;
}
/// Byte i becomes bit i, i < W.
template <int W>
LS_HD void store_bits(std::uint8_t* to, std::uint32_t bits) {
  if constexpr (W % 8 == 0) {
    for (int i = 0; i < W; i += 8) {
      // a copy of the eight bits a byte, of which byte k keeps bit k; what is not 0 carries into
      // the sign of its byte
      const std::uint64_t kept = ((bits >> i) & 0xffu) * 0x0101010101010101u & 0x8040201008040201u;
      const std::uint64_t word = (kept + 0x00406070787c7e7fu) >> 7 & 0x0101010101010101u;
      __builtin_memcpy(to + i, &word, 8);
    }
  } else {
    for (int i = 0; i < W; ++i) to[i] = static_cast<std::uint8_t>((bits >> i) & 1u);
  }
}
static_assert(std::endian::native == std::endian::little);

/// Flags of a pack in memory; lanes from `count` on are 0.
template <class F>
LS_HD typename Lanes<F>::M load_flags(const std::uint8_t* from, int count) {
  return Lanes<F>::mask(load_bits<Lanes<F>::W>(from, count));
}
template <class F>
LS_HD void store_flags(std::uint8_t* to, typename Lanes<F>::M flags) {
  store_bits<Lanes<F>::W>(to, mask_bits(flags));
}

template <class F, int A>
LS_HD ActionOf<F, A> load_actions(const std::uint8_t* from, int count) {
  if constexpr (A == 2) {
    return load_flags<F>(from, count);
  } else {
    std::int32_t lanes[Lanes<F>::W];
    for (int i = 0; i < Lanes<F>::W; ++i) lanes[i] = i < count ? from[i] : 0;
    return Lanes<F>::load(lanes);
  }
}

/// to: [W][kFields]. A pack may have a better way for some number of fields.
template <class F, int kFields>
LS_HD void store_rows(float* to, const F (&field)[kFields]) {
  if constexpr (requires { store_four(to, field); }) {
    store_four(to, field);
  } else {
    float lanes[kFields][Lanes<F>::W];
    for (int i = 0; i < kFields; ++i) store(lanes[i], field[i]);
    for (int w = 0; w < Lanes<F>::W; ++w) {
      for (int i = 0; i < kFields; ++i) to[w * kFields + i] = lanes[i][w];
    }
  }
}

template <class E, class F>
LS_HD void store_fields(float* to, const typename E::template State<F>& state) {
  F saved[E::kStateSize];
  E::template save<F>(state, saved);
  for (int s = 0; s < E::kStateSize; ++s) store(to + s * kGroup, saved[s]);
}
template <class E, class F>
LS_HD typename E::template State<F> load_state(const float* from) {
  F saved[E::kStateSize];
  for (int s = 0; s < E::kStateSize; ++s) saved[s] = Lanes<F>::load(from + s * kGroup);
  return E::template restore<F>(saved);
}

/// Which of `count` bytes of a caller are not 0. A flag of ours is 0 or 1 and costs less to load.
template <class F>
LS_HD typename Lanes<F>::M load_mask(const std::uint8_t* from, int count) {
  std::uint32_t bits = 0;
  for (int i = 0; i < count; ++i) bits |= (from[i] != 0 ? 1u : 0u) << i;
  return Lanes<F>::mask(bits);
}

/// Gives the environments of `marked` their new seeds; their episodes count from 0 again.
template <class F>
LS_HD typename Lanes<F>::U take_seeds(const StepBuffers& args, std::int64_t first,
                                      typename Lanes<F>::M marked, typename Lanes<F>::U number) {
  constexpr int W = Lanes<F>::W;
  std::int32_t numbers[W];
  store(numbers, as_signed(number));
  const std::uint32_t bits = mask_bits(marked);
  for (int w = 0; w < W; ++w) {
    if (((bits >> w) & 1u) == 0) continue;
    args.seed[first + w] = args.new_seed[first + w];
    args.seeded[first + w] = 1;
    numbers[w] = -1;
  }
  return as_unsigned(Lanes<F>::load(numbers));
}

/// Start states of the environments of `again`, which start the episodes of `number`.
template <class E, class F>
LS_HD typename E::template State<F> start_states(const StepBuffers& args, std::int64_t first,
                                                 typename Lanes<F>::M again,
                                                 typename Lanes<F>::U number) {
  constexpr int S = E::kStateSize, W = Lanes<F>::W;
  const auto env = typename Lanes<F>::U(static_cast<std::uint32_t>(first)) + Lanes<F>::numbers();
  const auto start = start_state<E, F>(args.stream, env, number);
  if (!args.own_seeds) return start;
  // one by one where a key is a lane's own: seeds come with resets of few environments, or of
  // vector environments, whose callers take longer
  F saved[S];
  float fields[S][W];
  E::template save<F>(start, saved);
  for (int s = 0; s < S; ++s) store(fields[s], saved[s]);
  std::int32_t numbers[W];
  store(numbers, as_signed(number));
  const std::uint32_t bits = mask_bits(again);
  for (int w = 0; w < W; ++w) {
    if (((bits >> w) & 1u) == 0 || args.seeded[first + w] == 0) continue;
    const Origins own = origins_of(args, first + w);
    float one[S];
    E::template save<float>(start_state<E, float>(own.stream, own.env, as_unsigned(numbers[w])),
                            one);
    for (int s = 0; s < S; ++s) fields[s][w] = one[s];
  }
  for (int s = 0; s < S; ++s) saved[s] = Lanes<F>::load(fields[s]);
  return E::template restore<F>(saved);
}

/// Steps or resets lanes [lane, lane + W) of a group. An episode starts with the state the rollout
/// of its stream would draw for it. A reset leaves those it does not start as they are, and what
/// the last step told of them.
///
/// Result: bitwise. Reads and writes only its own lanes of the buffers; those of environments >= N
///         stand still.
template <class E, class F>
LS_HD void step_pack(const StepBuffers& args, std::int64_t group, int lane) {
  using U = typename Lanes<F>::U;
  using M = typename Lanes<F>::M;
  constexpr int S = E::kStateSize;
  constexpr int O = E::kObservationSize;
  constexpr int W = Lanes<F>::W;
  constexpr bool kAhead = (kDrawAhead<E>) > 1;  // start states are drawn
  const std::int64_t first = group * kGroup + lane;
  if (first >= args.num_envs) return;
  const int count = args.num_envs - first < W ? static_cast<int>(args.num_envs - first) : W;
  const M none = Lanes<F>::mask(0), used = Lanes<F>::mask((2u << (count - 1)) - 1u);
  float* state = args.state + group * S * kGroup + lane;
  float* start = args.start + group * S * kGroup + lane;
  const M ended = load_flags<F>(args.ended + first, count);
  M marked = args.restart == Restart::kNever ? none : ended;
  if (args.reset_only) {
    marked = args.mask == nullptr ? used : load_mask<F>(args.mask + first, count);
  }

  Episode<E, F> episode{
      load_state<E, F>(state), Lanes<F>::load(args.steps + first),
      as_unsigned(Lanes<F>::load(reinterpret_cast<const std::int32_t*>(args.number + first))),
      args.reset_only ? none : M(used & !ended)};
  const auto before = episode;
  StepOutcome<F> out{F(0), none, none, none};
  if (!args.reset_only) {
    if (kAhead && args.draw) {
      store_fields<E, F>(start, start_states<E, F>(args, first, used, episode.number + U(1u)));
    }
    out = advance<E, F>(episode, load_actions<F, E::kNumActions>(args.action + first, count));
    // the others ignore the step
    episode.state = select_state<E, F>(before.alive, episode.state, before.state);
    episode.steps = select(before.alive, episode.steps, before.steps);
    out.reward = select(before.alive, out.reward, F(0));
  } else {
    const M kept = !marked;
    out.reward = select(kept, Lanes<F>::load(args.reward + first), out.reward);
    out.terminated = kept & load_flags<F>(args.terminated + first, count);
    out.truncated = kept & load_flags<F>(args.truncated + first, count);
    if (args.new_seed != nullptr) {
      episode.number = take_seeds<F>(args, first, marked, episode.number);
    }
  }

  F obs[O];
  M again = marked;
  if (args.restart == Restart::kSameStep && any(out.ended)) {
    again = marked | out.ended;
    if (args.final_obs != nullptr) {
      E::template observe<F>(episode.state, obs);
      store_rows(static_cast<float*>(args.final_obs) + first * O, obs);
    }
  }
  if (any(again)) {
    const bool drawn = kAhead && !args.reset_only;
    restart<E, F>(episode, again,
                  drawn ? load_state<E, F>(start)
                        : start_states<E, F>(args, first, again, episode.number + U(1u)));
  }

  E::template observe<F>(episode.state, obs);
  store_rows(static_cast<float*>(args.obs) + first * O, obs);
  store_fields<E, F>(state, episode.state);
  store(args.steps + first, episode.steps);
  store(reinterpret_cast<std::int32_t*>(args.number + first), as_signed(episode.number));
  store(args.reward + first, out.reward);
  store_flags<F>(args.terminated + first, out.terminated);
  store_flags<F>(args.truncated + first, out.truncated);
  store_flags<F>(args.ended + first, (ended | out.ended) & !again);
}

}  // namespace lockstep
