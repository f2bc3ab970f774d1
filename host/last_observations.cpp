// What a rollout shows after its last step and at the ends of its episodes, where the record holds
// the next start already. The recorded actions are stepped once more, on the CPU, whose bits are
// those of every backend; the rollouts themselves stay as fast as without.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "host/engine_impl.h"

namespace lockstep {
namespace {

/// Steps the environments of a recorded rollout; T: float, or int8 of pictures.
template <class T>
class Repetition {
 public:
  explicit Repetition(std::unique_ptr<Stepper> stepper) : stepper_(std::move(stepper)) {
    stepper_->reset(nullptr, nullptr);
  }

  /// actions: [N].
  void step(const std::uint8_t* actions) { stepper_->step(actions, Restart::kNever); }
  /// ended: [N], not 0 where the next episode starts.
  void restart(const std::uint8_t* ended) { stepper_->reset(ended, nullptr); }
  /// Appends environment i's observation.
  void append(std::int64_t i, std::vector<T>& to) const {
    const ArrayView obs = stepper_->views().obs;
    const T* row = obs.as<const T>() + i * obs.strides[0];
    to.insert(to.end(), row, row + obs.shape[1]);
  }

 private:
  std::unique_ptr<Stepper> stepper_;
};

/// The two arrays of one type.
template <class T>
void add(Repetition<T> repetition, const Trajectory& t, std::vector<T>& obs,
         std::vector<T>& final_obs) {
  const auto steps = static_cast<std::size_t>(t.T * t.N);
  std::vector<std::uint8_t> ended(steps);
  std::transform(t.terminated.begin(), t.terminated.end(), t.truncated.begin(), ended.begin(),
                 [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a | b); });
  const auto ends = std::count(ended.begin(), ended.end(), std::uint8_t{1});
  final_obs.reserve(static_cast<std::size_t>(ends * t.O));
  for (std::int64_t step = 0; step < t.T; ++step) {
    repetition.step(t.action.data() + step * t.N);
    const std::uint8_t* row = ended.data() + step * t.N;
    for (std::int64_t i = 0; i < t.N; ++i) {
      if (row[i] != 0) repetition.append(i, final_obs);
    }
    if (std::any_of(row, row + t.N, [](std::uint8_t e) { return e != 0; })) repetition.restart(row);
  }
  obs.resize(steps * static_cast<std::size_t>(t.O));
  for (std::int64_t i = 0; i < t.N; ++i) repetition.append(i, obs);
}

}  // namespace

void Engine::Impl::add_last_observations(const PlayRequest& request, Trajectory& trajectory) const {
  Config again = config;
  again.device = "cpu";
  again.max_pool = request.game.max_pool;
  std::unique_ptr<Stepper> stepper =
      make_backend(again, environment)
          ->make_stepper({.num_envs = trajectory.N,
                          .stream = request.stream,
                          .game = game_options(again, environment, again.noops, true)});
  if (trajectory.pictures.empty()) {
    add(Repetition<float>(std::move(stepper)), trajectory, trajectory.obs, trajectory.final_obs);
  } else {
    add(Repetition<std::int8_t>(std::move(stepper)), trajectory, trajectory.pictures,
        trajectory.final_pictures);
  }
}

}  // namespace lockstep
