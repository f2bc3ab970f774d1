// pong_games.h for avx512; compiled with its flags.
#include "bench/pong_games_impl.h"
#include "kernels/cpu/lanes/pack16_avx512.h"
#include "kernels/cpu/lanes/pack_avx512.h"

namespace lockstep::bench {
extern const PongGames pong_games_avx512;
constinit const PongGames pong_games_avx512 = {Lanes<avx512::I16>::W,
                                               PongLoop<avx512::F, avx512::I16>::play};
}  // namespace lockstep::bench
