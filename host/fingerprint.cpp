// A 64-bit hash of a small fixed workload: trajectories, integer gradient and weights of a few
// updates. Every correct build on every machine prints the same; a commit that changes it changes
// results.
#include "host/fingerprint.h"

#include <cfloat>

#include "host/cpu/number_backend.h"
#include "host/engine.h"
#include "host/files/fnv.h"

// lockstep_flags.cmake takes back what it can of flags that change results; these it cannot
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "flags of fast mathematics change results; build without them"
#endif
static_assert(FLT_EVAL_METHOD == 0,
              "floats are computed as floats: build for SSE (-mfpmath=sse), not for the x87");

namespace lockstep {

std::uint64_t Engine::fingerprint() {
  Config config;
  config.env = "cartpole";
  config.envs = 33;
  config.hidden = 32;
  config.seed = 20200527;
  config.horizon = 96;
  config.gamma = 0.97;
  config.baseline = Baseline::kBatchMean;
  config.normalize = Normalize::kBatch;
  const EnvironmentEntry& environment = find_environment(config.env);
  CpuTuning tuning;
  tuning.isa = choose_isa();
  CpuBackend backend(config, environment, tuning);
  TrainingState state;
  state.parameters = initial_parameters(backend.shape(), Init::kXavierUniform, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  backend.upload(state);
  Fnv64 hash;
  for (std::uint32_t update = 0; update < 2; ++update) {
    const UpdateResult result = backend.update(update, config.lr);
    hash.add(std::span(result.scores));
    hash.add(backend.gradient_view());
  }
  hash.add(std::span<const float>(backend.download().parameters));
  return hash.value();
}

}  // namespace lockstep
