// What an update is made of: the stages that every backend offers, and the order in which a learner
// takes them. host/cpu/updates walks the list, host/cuda/updates captures it as a graph; a backend
// knows its stages and no learner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

/// A backend may do a stage's work in a launch or loop of the stage before or after it, and says so
/// where it does; the order of what is done is that of the list all the same.
enum class Stage : std::uint8_t {
  kRollout,     // plays and records the batch
  kCredit,      // what every step is worth: returns, baseline, moments; with a critic, advantages
  kShuffle,     // which steps of the batch are in which minibatch
  kWeigh,       // every step's gradient of the logits, and the scale it is rounded with
  kAccumulate,  // exact sums of these
  kReduce,      // sums that several have made of their parts of the batch become one
  kFinish,      // from the sums to the gradient
  kStep,        // of the optimiser, and what the policy is played from; ends the update
};

/// A pass is a step of the optimiser, from a minibatch: the whole batch, unless there are more. On
/// a device the last stages of the last pass end the update too. Where a term was out of range a
/// pass begins again, with a scale of a bit less, before anything but sums has changed.
struct Learner {
  std::vector<Stage> begin;  // of an update, once
  std::vector<Stage> epoch;  // before the passes over all minibatches, each time
  std::vector<Stage> pass;

  /// The stages of a pass that make its gradient.
  std::span<const Stage> gradient() const;
};

/// Williams 1992: a rollout, its returns, one step.
const Learner& reinforce();

/// A2C and PPO (Mnih 2016, Schulman 2017): advantages from a critic, and passes over minibatches.
const Learner& actor_critic();

}  // namespace lockstep
