// What an environment of objects is: a game seen as a square picture whose lit pixels are a
// disjoint union of few rows of a table (kernels/object_tables.h), played with two actions. One
// header a game, like the environments of env.h; envs/pong_objects.h is one.
#pragma once

#include <concepts>

#include "envs/game_options.h"
#include "envs/int_lanes.h"

namespace lockstep {

/// What one step gives back beside the new state.
template <class I>
struct ObjectStep {
  I reward;                   // points
  typename Lanes<I>::M over;  // the game is won or lost
};

/// Constants and functions the engine relies on, checked for one integer type.
template <class E, class I = std::int32_t>
concept ObjectEnv = requires(typename E::template State<I> state, typename Lanes<I>::M mask,
                             I (&row)[E::kObjects], I lanes, bool (*of_frame)(int),
                             std::uint16_t (&pixel)[E::kMaxRowPixels], I (&saved)[E::kStateSize],
                             const typename E::template State<std::int32_t>* states,
                             std::uint8_t* picture) {
  { E::kName } -> std::convertible_to<const char*>;
  { E::kSummary } -> std::convertible_to<const char*>;
  requires E::kSide >= 1 && E::kPixels == E::kSide* E::kSide;  // pixel = row * side + column
  requires E::kRows >= 2 && E::kRows <= 32768;                 // of the table; row 0 is nothing
  // the first objects' rows are these first ones: few that many steps show, for a fast memory
  requires E::kNearObjects <= E::kObjects;
  requires E::kNearRows <= E::kRows;
  // rows from here on are rare, and only the last object has them: a fast memory may leave them out
  requires E::kNearRows <= E::kUsualRows&& E::kUsualRows <= E::kRows;
  requires E::kFrames >= 1;                         // of a step without options
  requires E::kMaxEpisodeFrames >= E::kFrames;      // beyond, other pictures may come
  requires E::kFrameLimit >= E::kMaxEpisodeFrames;  // of an episode, for those who draw
  requires E::kMaxAbsReward >
  0;  // of a step
  { E::template start<I>(lanes, 0) } -> std::same_as<typename E::template State<I>>;
  E::restart(state, mask, state);
  { E::template step<I>(state, mask) } -> std::same_as<ObjectStep<I>>;
  { E::step(state, mask, 4, of_frame, of_frame, lanes) } -> std::same_as<ObjectStep<I>>;
  E::rows(state, row);
  { E::incoming(state) } -> std::same_as<typename Lanes<I>::M>;
  { E::pixels(0, pixel) } -> std::same_as<int>;
  E::template save<I>(state, saved);
  { E::template restore<I>(saved) } -> std::same_as<typename E::template State<I>>;
  E::draw(states, 1, picture);  // any states, those the table has no rows for included
  { E::lit(E::look(states, 1), 0) } -> std::same_as<bool>;  // a pixel of the same picture
};

}  // namespace lockstep
