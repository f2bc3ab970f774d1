// The scalar version of isa_kernels.h, the choice among versions, and the measured ceiling.
#include "bench/isa_kernels.h"

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "bench/isa_kernels_impl.h"

namespace lockstep::bench {

#ifdef LS_HAVE_AVX512
extern const IsaKernels kernels_avx2, kernels_avx512;
#endif

namespace {

constexpr IsaKernels kScalar = IsaLoops<float>::table(false);

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double measure_fma_peak(const IsaKernels& kernels) {
  if (kernels.fma_chains == nullptr) return 0;
  constexpr std::int64_t kRounds = 600000;  // about a millisecond
  double best = 0;
  for (int window = 0; window < 100; ++window) {
    const double start = thread_seconds();
    benchmark::DoNotOptimize(kernels.fma_chains(kRounds));
    const double seconds = thread_seconds() - start;
    best = std::max(best, static_cast<double>(kRounds) * kernels.flops_per_round / seconds);
  }
  return best;
}

}  // namespace

const IsaKernels& isa_kernels(Isa isa) {
#ifdef LS_HAVE_AVX512
  if (isa == Isa::kAvx2) return kernels_avx2;
  if (isa == Isa::kAvx512) return kernels_avx512;
#endif
  (void)isa;
  return kScalar;
}

double fma_peak(Isa isa) {
  static std::array<double, 3> peak{-1, -1, -1};
  double& known = peak[static_cast<std::size_t>(isa)];
  if (known < 0) known = measure_fma_peak(isa_kernels(isa));
  return known;
}

bool has_isa(Isa isa) { return isa <= choose_isa(); }

}  // namespace lockstep::bench
