// The arrays of math_pack.h on AVX2; compiled with its flags.
#include "kernels/cpu/lanes/pack_avx2.h"
#include "tests/envs/math_pack.h"

namespace lockstep::test {
extern const MathBatch math_avx2;
const MathBatch math_avx2 = MathOf<avx2::F>::table();
}  // namespace lockstep::test
