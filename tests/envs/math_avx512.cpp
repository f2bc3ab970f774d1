// The arrays of math_pack.h on AVX-512; compiled with its flags.
#include "kernels/cpu/lanes/pack_avx512.h"
#include "tests/envs/math_pack.h"

namespace lockstep::test {
extern const MathBatch math_avx512;
const MathBatch math_avx512 = MathOf<avx512::F>::table();
}  // namespace lockstep::test
