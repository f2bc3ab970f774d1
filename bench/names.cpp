// See names.h.
#include "bench/names.h"

namespace lockstep::bench {

std::string backend_name(Isa isa, int threads) {
  return std::string("cpu_") + isa_name(isa) + "_x" + std::to_string(threads);
}

std::string benchmark_name(const std::string& op, const std::string& backend) {
  return "BM_" + op + "/cartpole/" + backend;
}

std::string benchmark_name(const std::string& op, const std::string& backend, std::int64_t N,
                           std::int64_t T) {
  return benchmark_name(op, backend) + "/N:" + std::to_string(N) + "/T:" + std::to_string(T);
}

}  // namespace lockstep::bench
