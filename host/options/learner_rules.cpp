// What an algorithm needs of the options, and which of them mean nothing to it.
#include <cmath>
#include <initializer_list>
#include <string>

#include "host/errors.h"
#include "host/options/options.h"
#include "host/text.h"
#include "kernels/trajectory.h"

namespace lockstep {
namespace {

std::string given(const Config& c, std::string_view name) {
  return option_text(c, *find_option(name));
}

/// A rule of the algorithm: `name` must not have the value it has.
void rule(bool holds, const Config& c, std::string_view name, const std::string& reason) {
  require(holds, "--" + std::string(name) + ": " + given(c, name) + " with --algorithm " +
                     given(c, "algorithm") + " " + reason);
}

/// Options that the algorithm does not read.
void require_default(const Config& c, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    rule(given(c, name) == given(Config{}, name), c, name, "has no effect; leave it away");
  }
}

/// REINFORCE has no critic and takes one step from a batch.
void validate_reinforce(const Config& c) {
  constexpr const char* kOther = "is not offered; use --algorithm a2c or ppo";
  rule(c.critic == Critic::kNone, c, "critic", kOther);
  rule(c.epochs == 1, c, "epochs", kOther);
  rule(c.minibatches == 1, c, "minibatches", kOther);
  rule(c.normalize != Normalize::kMinibatch, c, "normalize",
       "has no minibatches; use none, scale, batch or episode");
  require_default(c, {"critic-hidden", "gae-lambda", "value-coef", "value-clip", "shuffle", "clip",
                      "target-kl"});
}

/// A normalised advantage needs another one beside it: alone in its batch or minibatch it is 0.
void require_company(const Config& c) {
  if (c.normalize == Normalize::kNone) return;
  const std::int64_t groups = (c.envs + kGroup - 1) / kGroup, tiles = groups * c.horizon;
  const bool small = c.normalize == Normalize::kMinibatch && 2 * c.minibatches > tiles;
  const std::int64_t least = small ? (c.envs - 1) % kGroup + 1 : c.envs * c.horizon;
  rule(least > 1, c, "normalize",
       "leaves an advantage of 0 where a step is alone in what it is normalised over; use none, "
       "more environments or steps, or fewer minibatches");
}

void validate_actor_critic(const Config& c) {
  rule(c.critic != Critic::kNone, c, "critic",
       "leaves nothing to learn advantages from; use shared or separate");
  rule(c.horizon >= 1, c, "horizon",
       "would learn from whole episodes; give the steps of an update, from 1 on");
  rule(c.returns != ReturnKind::kFull, c, "returns",
       "has no meaning, for the critic says what follows a step; use stepwise");
  rule(c.baseline == Baseline::kNone, c, "baseline",
       "has no meaning, for the critic is the baseline; use none");
  rule(c.normalize != Normalize::kEpisode, c, "normalize",
       "has no whole episodes to normalise; use none, scale, batch or minibatch");
  rule(c.credit == Credit::kAll, c, "credit", "is not offered; use all");
  rule(c.dropout == 0, c, "dropout", "would play with other units than it learns with; use 0");
  rule(c.store == Store::kLogits, c, "store",
       "has nothing to compare the new policy with; use logits");
  rule(!(c.critic == Critic::kSeparate && c.policy == PolicyKind::kLinear), c, "critic",
       "and --policy linear is not offered; use shared, which is linear too");
  const std::int64_t tiles = (c.envs + kGroup - 1) / kGroup * c.horizon;  // < 2^52
  rule(c.minibatches <= tiles, c, "minibatches",
       "is more than the " + std::to_string(tiles) +
           " steps of 16 environments that an update has to share out");
  require_company(c);
  if (c.algorithm == Algorithm::kPpo) return;
  require_default(c, {"clip"});
  rule(c.epochs == 1, c, "epochs", "would learn twice from what another policy did; use 1, or ppo");
  rule(std::isinf(c.target_kl), c, "target-kl", "has no epochs to leave out; use none");
}

}  // namespace

void validate_learner(const Config& config) {
  if (config.algorithm == Algorithm::kReinforce) {
    validate_reinforce(config);
  } else {
    validate_actor_critic(config);
  }
}

}  // namespace lockstep
