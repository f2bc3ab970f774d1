// A build without CUDA: no device, no rows.
#include "bench/cuda_bench.h"

namespace lockstep::bench {

bool cuda_is_emulated() { return false; }
std::map<std::string, std::string> cuda_context() { return {}; }
void check_cuda_correctness() {}
void register_cuda(const Sizes&) {}

}  // namespace lockstep::bench
