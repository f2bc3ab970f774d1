// The batch operations of a CUDA device for a policy with a critic, beside those of launchers.h:
//
//   rollout -> credit -> { shuffle -> [ weigh -> accumulate -> finish ] }
//
// What is in brackets is a pass, once for every minibatch; the shuffle comes before the passes of
// an epoch. Arguments are constant, so that each line is captured once; which pass of which update
// is under way is in UpdateState, which finish advances. What is left out of an update, once the
// policy has moved far enough, is launched all the same: its kernels return at once.
#pragma once

#include "kernels/actor_critic_plan.h"
#include "kernels/cuda/launchers.h"
#include "kernels/minibatch_plan.h"

namespace lockstep::cuda {

/// What is found of a whole batch; zero at the start of an update.
struct CriticBatch {
  SharedSums advantages, returns;              // of A, of A + V
  unsigned largest_advantage, largest_target;  // bits of floats >= 0: of |A|, |A + V|
  unsigned not_finite;                         // one of them is not
  RunningState before;                         // of the update
};

/// What is found of a minibatch; zero at the start of a pass.
struct CriticPass {
  SharedSums advantages;              // where they are normalised over minibatches
  unsigned largest[kMaxWeighedRows];  // [R] bits of floats >= 0
  unsigned not_finite;                // a row
  unsigned long long steps, clipped;
};

/// What the passes of an update told; zero at its start.
struct CriticTold {
  PassFigures all, before_epoch;
  RunningState running;  // behind the pass under way
  std::int32_t rescalings;
};

/// Everything the kernels of an update read and write; device pointers.
struct ActorCriticUpdateArgs {
  UpdateArgs update;    // rollout.carried with it; its table form, baseline and sums of returns
                        // are not used. sums: actor_critic_layout()
  std::int32_t critic;  // FlatLayout::critic
  std::int32_t epochs, minibatches;
  bool single_steps;  // instead of tiles; with minibatches > 1
  bool by_minibatch;  // advantages are normalised over the minibatch
  TileGrid tiles;
  float lambda;
  float value_coef, clip, value_clip;  // as ActorCriticArgs
  double target_kl;
  std::int32_t most_rescalings;  // of a pass: then the update has failed
  CriticBatch* batch;
  CriticPass* pass;
  CriticTold* told;
  std::uint32_t* order;  // tiles of the epoch as they follow each other; single_steps: [N][T] the
                         // place of each step; null: one minibatch
  float* weighed;        // [G][T][R][16]
  // as before the update
  float* kept_parameters;      // [3][P] with both moments
  std::int64_t state_numbers;  // of carried.state
  float* kept_state;
  std::int32_t* kept_steps;  // [16 G]
  float* kept_score;         // [16 G]; null where every reward is 1
};

/// Launchers, as Operations has them. Every kernel returns at once unless UpdateState::stop is
/// kRunning.
struct ActorCriticOperations {
  using Launch = cudaError_t (*)(const ActorCriticUpdateArgs&, const LaunchShape&, cudaStream_t);
  /// Keeps what the update begins with, and plays on.
  Launch rollout;
  /// Advantages and what is found of the batch.
  Launch credit;
  /// The minibatches of an epoch.
  Launch shuffle;
  /// Rows of the minibatch's steps under the weights of now.
  Launch weigh;
  /// Adds what the rows make of the observations to the sums.
  Launch accumulate;
  /// Gradient, step of the optimiser, weights in walking order; after the last pass the log. An
  /// update that fails leaves everything as it was before it.
  Launch finish;
};

}  // namespace lockstep::cuda
