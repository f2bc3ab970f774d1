// See names.h.
#include "bench/names.h"

namespace lockstep::bench {

std::string backend_name(Isa isa, int threads) {
  return std::string("cpu_") + isa_name(isa) + "_x" + std::to_string(threads);
}

std::string benchmark_name(const std::string& op, const std::string& backend, const char* env) {
  return "BM_" + op + "/" + env + "/" + backend;
}

std::string benchmark_name(const std::string& op, const std::string& backend, std::int64_t N,
                           std::int64_t T, const char* env) {
  return benchmark_name(op, backend, env) + "/N:" + std::to_string(N) + "/T:" + std::to_string(T);
}

std::string PongNames::environment(Isa isa) const {
  return benchmark_name(op::kEnvironment, backend_name(isa, 1), sizes.pong_games,
                        sizes.pong_games_steps, "pong");
}
std::string PongNames::policy(Isa isa) const {
  return benchmark_name(op::kPolicy, backend_name(isa, 1), sizes.pong_envs, sizes.pong_steps,
                        "pong");
}
std::string PongNames::training(Isa isa) const {
  return benchmark_name(op::kSolvePong, backend_name(isa, 1), "pong");
}
std::string PongNames::fixed(Isa isa) const {
  return benchmark_name(op::kFixed, backend_name(isa, 1), "pong");
}
std::string PongNames::dense_forward() const {
  return benchmark_name(op::kPolicy, kOpByOpBackend, "pong");
}
std::string PongNames::dense_training() const {
  return benchmark_name(op::kTraining, kOpByOpBackend, "pong");
}
std::string PongNames::ale() const { return benchmark_name(op::kEnvironment, kAleBackend, "pong"); }

}  // namespace lockstep::bench
