// isa_kernels.h for AVX-512; compiled with its flags.
#include "bench/isa_kernels_impl.h"
#include "kernels/cpu/lanes/pack_avx512.h"

namespace lockstep::bench {
extern const IsaKernels kernels_avx512;
constinit const IsaKernels kernels_avx512 = IsaLoops<avx512::F>::table(true);
}  // namespace lockstep::bench
