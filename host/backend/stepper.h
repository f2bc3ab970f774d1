// Environments stepped with the caller's actions, in memory of their device that belongs to the
// stepper: nothing is allocated or waited for in a step, and on a device nothing is copied.
// Engine::step() is one reader of it, on the host; vector environments and other libraries read the
// views. Implementations: host/cpu/stepper.h, host/cuda/stepper.h.
#pragma once

#include <cstdint>
#include <memory>

#include "envs/game_options.h"
#include "host/backend/arena.h"
#include "kernels/environment_facts.h"
#include "kernels/step_buffers.h"

namespace lockstep {

/// Of the values of an array. kUint8: 0 or 1, but for actions.
enum class ElementType : std::uint8_t { kFloat32, kInt8, kUint8 };

/// An array where it is, in the layout of rows: what DLPack or an array interface need to know.
struct ArrayView {
  void* data = nullptr;  // null: there is none
  ElementType type = ElementType::kFloat32;
  int rank = 1;
  std::int64_t shape[2] = {0, 1};
  std::int64_t strides[2] = {1, 1};  // in values
  int device = -1;                   // a CUDA device's number; -1: memory of the host
  void* stream = nullptr;  // the device's stream that writes it, in whose order it is read

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

/// What a stepper has to show; pointers stay, contents change with every call.
struct StepViews {
  ArrayView obs;         // [N, O] after the call: float; of a game its difference pictures
  ArrayView final_obs;   // [N, O] where an episode ended in a step with kSameStep; null before one
  ArrayView reward;      // [N] float
  ArrayView terminated;  // [N] the world ended the episode
  ArrayView truncated;   // [N] the time limit ended it; both may be 1
  ArrayView ended;       // [N] the episode has ended and no other has begun
  ArrayView action;      // [N] uint8 of the stepper's own, for those who have none where it steps
};

/// What is to be stepped.
struct StepperRequest {
  std::int64_t num_envs = 0;
  RandomStream stream{};
  GameOptions game{};                         // of a game
  ElementType pictures = ElementType::kInt8;  // of a game, on the CPU; a device has int8 alone
  bool final_obs = true;                      // false: kSameStep keeps none
};

class Stepper {
 public:
  virtual ~Stepper() = default;

  /// Starts new episodes in all environments, or in those with mask[i] != 0; the first call takes
  /// all. With seeds, environment i from now on draws its starts and noise as environment 0 of the
  /// stream with seed seeds[i] does, from episode 0 on: as if it were alone; without, it goes on in
  /// its stream. What steps told of others stays.
  ///
  /// Shapes: mask [N] or null, seeds [N] or null; memory of the host, or of the stepper's device
  /// Errors: as cuda_check() on a device
  virtual void reset(const std::uint8_t* mask, const std::uint64_t* seeds) = 0;
  /// Steps every environment. Nothing is checked: it is for callers whose actions are in [0, A).
  ///
  /// Shapes: actions [N], memory of the stepper's device that holds them until the step is done, in
  ///         the order of its stream; null: the stepper's own
  /// Stream: on a device asynchronous; allocates in the first step with kSameStep alone
  /// Errors: OutOfMemory then; as cuda_check() on a device
  virtual void step(const std::uint8_t* actions, Restart restart) = 0;
  /// The same with actions in memory of the host. As with masks and seeds of a reset, pinned memory
  /// is the caller's again after the next on_host(), other memory at once.
  virtual void step_from_host(const std::uint8_t* actions, Restart restart) = 0;

  virtual StepViews views() const = 0;
  /// What the last call told, in memory of the host: the CPU's own, or copies that are waited for,
  /// but for `action`; final_obs where that call was a step with kSameStep.
  virtual StepViews on_host() = 0;
};

/// The sizes of an environment's arrays.
inline StepSizes step_sizes(const EnvironmentFacts& facts, ElementType pictures) {
  const bool objects = facts.tables != nullptr;
  return {.state = facts.state_size,
          .start = objects ? 0 : facts.state_size,
          .shown = objects ? 2 * facts.tables->shape.objects : 0,
          .obs = facts.observation_size,
          .obs_bytes = objects && pictures == ElementType::kInt8 ? 1 : 4};
}

/// Which steps of numbers draw starts: the first after a reset, from then on one in draw_every().
class DrawTurns {
 public:
  explicit DrawTurns(const EnvironmentFacts& facts) : every_(draw_every(facts.min_episode_steps)) {}
  void reset() { since_ = 0; }
  /// Whether the next step does.
  bool next() {
    const bool draws = since_ == 0;
    since_ = (since_ + 1) % every_;
    return draws;
  }

 private:
  int every_, since_ = 0;
};

/// Visitor for for_each_kept() and for_each_told() that places arrays of `lanes` environments.
inline auto placing_on(Arena& arena, std::int64_t lanes) {
  return [&arena, lanes]<class T>(T*& field, std::int64_t values, std::int64_t bytes) {
    std::byte* at = nullptr;
    arena.place(at, lanes * values * bytes);
    field = static_cast<T*>(static_cast<void*>(at));
  };
}

/// The views of placed arrays. `like` gives device and stream; `action` is the stepper's own.
inline StepViews views_of(const StepBuffers& b, const StepSizes& sizes, std::uint8_t* action,
                          const ArrayView& like) {
  const auto rows = [&](void* data) {
    ArrayView view = like;
    view.data = data;
    view.type = sizes.obs_bytes == 1 ? ElementType::kInt8 : ElementType::kFloat32;
    view.rank = 2;
    view.shape[0] = b.num_envs;
    view.shape[1] = view.strides[0] = sizes.obs;
    return view;
  };
  const auto numbers = [&](void* data, ElementType type) {
    ArrayView view = like;
    view.data = data;
    view.type = type;
    view.shape[0] = b.num_envs;
    return view;
  };
  return {rows(b.obs),
          rows(b.final_obs),
          numbers(b.reward, ElementType::kFloat32),
          numbers(b.terminated, ElementType::kUint8),
          numbers(b.truncated, ElementType::kUint8),
          numbers(b.ended, ElementType::kUint8),
          numbers(action, ElementType::kUint8)};
}

}  // namespace lockstep
