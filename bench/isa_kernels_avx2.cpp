// isa_kernels.h for AVX2; compiled with its flags.
#include "bench/isa_kernels_impl.h"
#include "kernels/cpu/lanes/pack_avx2.h"

namespace lockstep::bench {
extern const IsaKernels kernels_avx2;
constinit const IsaKernels kernels_avx2 = IsaLoops<avx2::F>::table(true);
}  // namespace lockstep::bench
