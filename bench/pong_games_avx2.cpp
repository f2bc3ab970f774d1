// pong_games.h for avx2; compiled with its flags.
#include "bench/pong_games_impl.h"
#include "kernels/cpu/lanes/pack16_avx2.h"
#include "kernels/cpu/lanes/pack_avx2.h"

namespace lockstep::bench {
extern const PongGames pong_games_avx2;
constinit const PongGames pong_games_avx2 = {Lanes<avx2::I16>::W,
                                             PongLoop<avx2::F, avx2::I16>::play};
}  // namespace lockstep::bench
