// How environments look to people and to other implementations. Nothing that plays or learns
// includes this: an environment has its specialisations in a header of their own, which the build
// is given as PICTURE (envs/add_environment.cmake).
#pragma once

namespace lockstep {

/// The picture of environment E, RGB, for the eye. A specialisation has
///
///   kHeight, kWidth     pixels
///   kFramesPerSecond    of the game as people play it
///   kPixelAspect        width of a pixel over its height
///
/// and either draw(state, rgb), rgb [kHeight][kWidth][3], where a step is one frame and the state
/// is all there is to see, or a class Scene, one game played frame by frame:
///
///   Scene()             after a reset
///   frame(action)       -1, 0 or 1, as ObjectEnv's step() counts them
///   is_over(), score()  points so far
///   draw(rgb)
template <class E>
struct PictureOf {
  static constexpr int kHeight = 0;  // no picture
};

/// The arcade game that E is taken from, played as its emulator would. A specialisation has
///
///   kActions            of its action set
///   kPresets            ids of registered variants, as an array of std::string_view
///   Game(preset, seed)  preset empty: the bare game. reset(), step(action), ram(cells),
///                       frame80(frame), rgb(rgb): envs/pong_ale.h has them
template <class E>
struct ArcadeOf {
  static constexpr int kActions = 0;  // no such game
};

}  // namespace lockstep
