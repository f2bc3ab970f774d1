// See stepper.h.
#include "host/cpu/stepper.h"

#include <algorithm>

#include "host/backend/parallel.h"
#include "kernels/cpu/launchers.h"
#include "kernels/cpu/table_launchers.h"

namespace lockstep {
namespace {

// Groups of a task, and tasks worth a thread: a step of 16 environments of numbers takes some
// 100 ns, one of as many games some 2 us, and 5 us or more where chance plays with them.
constexpr std::int64_t kNumberGroups = 32, kPictureGroups = 1;
constexpr std::int64_t kTasksWorthAThread = 8;

}  // namespace

CpuStepper::CpuStepper(const EnvironmentEntry& environment, const CpuTuning& tuning,
                       const StepperRequest& request)
    : sizes_(step_sizes(*environment.facts, request.pictures)),
      game_(request.game),
      turns_(*environment.facts),
      threads_(tuning.threads),
      wants_final_(request.final_obs) {
  if (environment.has_objects()) {
    const TableFacts& tables = *environment.facts->tables;
    pictures_ = request.pictures == ElementType::kInt8 ? tables.step : tables.step_floats;
    frames_ = table_operations_for(environment, tuning.isa).frames;
  } else {
    numbers_ = operations_for(environment, tuning.isa).step;
  }
  args_.num_envs = request.num_envs;
  args_.stream = request.stream;
  const std::int64_t lanes = (request.num_envs + kGroup - 1) / kGroup * kGroup;
  const auto place = [&](Arena& arena) {
    for_each_kept(args_, sizes_, placing_on(arena, lanes));
    for_each_told(args_, sizes_, placing_on(arena, lanes));
    arena.place(action_, lanes);
  };
  memory_ = Buffer<std::byte>(arena_bytes(place));
  memory_.zero();
  Arena arena(memory_.data());
  place(arena);
  std::fill_n(args_.number, lanes, ~0u);
}

void CpuStepper::run() {
  const std::int64_t groups = (args_.num_envs + kGroup - 1) / kGroup;
  const std::int64_t each = numbers_ != nullptr ? kNumberGroups : kPictureGroups;
  parallel_for((groups + each - 1) / each, threads_,
               [&](std::int64_t task, int) {
                 const std::int64_t end = std::min((task + 1) * each, groups);
                 for (std::int64_t group = task * each; group < end; ++group) step_group(group);
               },
               kTasksWorthAThread);
}

void CpuStepper::reset(const std::uint8_t* mask, const std::uint64_t* seeds) {
  args_.reset_only = true;
  turns_.reset();
  args_.mask = mask;
  args_.new_seed = seeds;
  args_.own_seeds = args_.own_seeds || seeds != nullptr;
  run();
}

void CpuStepper::prepare_step(const std::uint8_t* actions, Restart restart) {
  args_.reset_only = false;
  args_.restart = restart;
  args_.draw = turns_.next();
  args_.action = actions != nullptr ? actions : action_;
  if (restart != Restart::kSameStep || !wants_final_ || args_.final_obs != nullptr) return;
  const std::int64_t lanes = (args_.num_envs + kGroup - 1) / kGroup * kGroup;
  final_memory_ = Buffer<std::byte>(lanes * sizes_.obs * sizes_.obs_bytes);
  args_.final_obs = final_memory_.data();
}

void CpuStepper::step(const std::uint8_t* actions, Restart restart) {
  prepare_step(actions, restart);
  run();
}

StepViews CpuStepper::on_host() {
  StepViews views = this->views();
  if (args_.reset_only || args_.restart != Restart::kSameStep) views.final_obs.data = nullptr;
  return views;
}

}  // namespace lockstep
