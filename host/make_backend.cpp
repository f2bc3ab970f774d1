// The one place that knows every backend.
#include "host/backend/cuda_plugin.h"
#include "host/backend/threads.h"
#include "host/cpu/actor_critic.h"
#include "host/cpu/number_backend.h"
#include "host/cpu/table_actor_critic.h"
#include "host/cpu/table_backend.h"
#include "host/engine_impl.h"

namespace lockstep {

std::unique_ptr<Backend> make_backend(const Config& config, const EnvironmentEntry& environment) {
  const DeviceChoice choice = choose_device(config, environment.facts->name);
  if (choice.cuda >= 0) {
    return cuda_support().plugin->make_backend(config, environment, choice.cuda);
  }
  CpuTuning tuning;
  tuning.isa = choose_isa();
  tuning.threads = thread_count(config.threads);
  if (environment.has_objects() && config.critic != Critic::kNone) {
    return std::make_unique<TableActorCritic>(config, environment, tuning);
  }
  if (environment.has_objects()) {
    return std::make_unique<TableBackend>(config, environment, tuning);
  }
  if (config.critic != Critic::kNone) {
    return std::make_unique<CpuActorCritic>(config, environment, tuning);
  }
  return std::make_unique<CpuBackend>(config, environment, tuning);
}

}  // namespace lockstep
