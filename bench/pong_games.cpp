// See pong_games.h.
#include "bench/pong_games_impl.h"

namespace lockstep::bench {
namespace {
constinit const PongGames scalar = {1, PongLoop<float, std::int32_t>::play};
}

#ifdef LS_HAVE_AVX512
extern const PongGames pong_games_avx2, pong_games_avx512;
const PongGames* const pong_games[3] = {&scalar, &pong_games_avx2, &pong_games_avx512};
#else
const PongGames* const pong_games[3] = {&scalar, nullptr, nullptr};
#endif

}  // namespace lockstep::bench
