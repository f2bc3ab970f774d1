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

/// Steps the environments of a recorded rollout.
class Repetition {
 public:
  Repetition(Backend& backend, const EnvironmentFacts& facts, std::int64_t envs,
             const RandomStream& stream)
      : backend_(&backend), stepper_(facts, envs), stream_(stream) {
    for (std::int64_t i = 0; i < stepper_.groups * kGroup; ++i) stepper_.reset[i] = 1;
    run({.reset_only = true, .same_step = false});
  }

  /// actions: [N].
  void step(const std::uint8_t* actions) {
    std::copy_n(actions, stepper_.N, stepper_.action.data());
    // lanes beyond N start again at every step: nothing in them can grow
    std::fill_n(stepper_.reset.data(), stepper_.N, std::uint8_t{0});
    run({.reset_only = false, .same_step = false});
  }
  /// ended: [N], not 0 where the next episode starts.
  void restart(const std::uint8_t* ended) {
    std::copy_n(ended, stepper_.N, stepper_.reset.data());
    run({.reset_only = true, .same_step = false});
  }
  /// Appends environment i's observation.
  template <class T>
  void append(std::int64_t i, std::vector<T>& to) const {
    const float* row = stepper_.obs.data() + i * stepper_.O;
    for (std::int64_t o = 0; o < stepper_.O; ++o) to.push_back(static_cast<T>(row[o]));
  }

 private:
  void run(Stepper::How how) {
    StepBuffers buffers = stepper_.buffers(stream_.seed, how);
    buffers.stream = stream_;
    backend_->step(buffers);
  }

  Backend* backend_;
  Stepper stepper_;
  RandomStream stream_;
};

/// The two arrays of one type.
template <class T>
void add(Repetition repetition, const Trajectory& t, std::vector<T>& obs,
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
  const std::unique_ptr<Backend> stepping = make_backend(again, environment);
  Repetition repetition(*stepping, facts, trajectory.N, request.stream);
  if (trajectory.pictures.empty()) {
    add(std::move(repetition), trajectory, trajectory.obs, trajectory.final_obs);
  } else {
    add(std::move(repetition), trajectory, trajectory.pictures, trajectory.final_pictures);
  }
}

}  // namespace lockstep
