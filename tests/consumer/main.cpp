// A user's program: trains CartPole through the public API alone and says how well it went.
// Built against the installed package, so it sees no header that is not installed.
#include <cstdio>

#include "host/engine.h"

int main() {
  lockstep::Config config;
  config.seed = 7;
  lockstep::Engine engine(config);
  lockstep::TrainHooks hooks;
  hooks.write_files = false;
  const lockstep::TrainResult result = engine.train(hooks);
  std::printf("%s: %lld updates, mean score %.1f, reached %s\n",
              lockstep::build_info().version.c_str(), static_cast<long long>(result.updates),
              result.mean_score, result.reached ? "yes" : "no");
  return result.reached ? 0 : 1;
}
