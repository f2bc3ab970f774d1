// The arrays of pong_pack.h on AVX-512; compiled with its flags.
#include "kernels/cpu/lanes/pack16_avx512.h"
#include "tests/envs/pong_pack.h"

namespace lockstep::test {
extern const PongBatch pong_avx512;
const PongBatch pong_avx512 = PongOf<avx512::I16>::table();
}  // namespace lockstep::test
