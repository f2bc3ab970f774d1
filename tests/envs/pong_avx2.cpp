// The arrays of pong_pack.h on AVX2; compiled with its flags.
#include "kernels/cpu/lanes/pack16_avx2.h"
#include "tests/envs/pong_pack.h"

namespace lockstep::test {
extern const PongBatch pong_avx2;
const PongBatch pong_avx2 = PongOf<avx2::I16>::table();
}  // namespace lockstep::test
