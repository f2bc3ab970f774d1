// Rollout of uniformly random actions of which nothing is recorded: games alone, as many lanes side
// by side as the widest pack of an instruction set has, so that a state stays in registers. The
// games are those that table_rollout.h plays.
#pragma once

#include "kernels/cpu/table_game.h"

namespace lockstep::cpu {

/// Plays `kLanes` environments from `first` on; those beyond the batch play unseen.
///
/// Shapes: results as TableRolloutArgs says; its policy and record are not read
/// Result: bitwise that of table_rollout_group(), for every I and kLanes.
/// Random: purpose random action, index t/128, bit t mod 128, t = steps since the epoch began;
///         game_noise.h.
template <class E, class F, class I, int kLanes>
void random_games(const TableRolloutArgs& args, std::int64_t first) {
  std::uint32_t alive = lanes_in_use<kLanes>(args.num_envs, first);
  TableGame<E, F, I, kLanes> game(args, first);
  TableScores<E, I, kLanes> scores(args.game.max_steps);
  TableWords<F, kLanes> random;
  for (int t = 0; t < args.T && alive != 0; ++t) {
    random.draw(args, game, t);
    std::uint32_t actions = 0;
    for (int p = 0; p < TableWords<F, kLanes>::kPacks; ++p) {
      actions |= mask_bits(random.uniform(p, t)) << (p * Lanes<F>::W);
    }
    game.step(actions, t);
    scores.add(game.reward, t);
    const std::uint32_t begun = game.over | scores.late(t);
    if (begun == 0) continue;
    game.restart(begun);
    scores.close(begun & alive, begun, t);
    if (args.episodic) alive &= ~begun;
  }
  scores.write(args, first);
}

}  // namespace lockstep::cpu
