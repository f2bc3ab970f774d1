// What environments of objects, or of numbers, cannot do.
#include <string>

#include "host/backend/environments.h"
#include "host/errors.h"
#include "host/options/options.h"
#include "host/text.h"
#include "kernels/trajectory.h"

namespace lockstep {
namespace {

void require_no_game_options(const Config& c) {
  const Config plain;
  for (const std::string_view name :
       {"frame-skip", "repeat-action-probability", "noops", "max-pool", "credit"}) {
    const Option& option = *find_option(name);
    require(option_text(c, option) == option_text(plain, option),
            "--" + std::string(name) + ": " + c.env + " is no game of frames and objects");
  }
  require(c.returns != ReturnKind::kPoint,
          "--returns: point is for games with points; use stepwise or full with " + c.env);
}

void validate_game(const Config& c) {
  const auto need = [&](bool has, const std::string& given, const char* instead) {
    require(has, given + " is not offered by the pictures of " + c.env + "; use " + instead);
  };
  need(c.critic != Critic::kSeparate, "--critic: separate", "shared");
  need(c.policy == PolicyKind::kMlp, "--policy: linear", "mlp");
  need(c.hidden <= kMaxTableHidden, "--hidden: " + std::to_string(c.hidden), "1 to 1024 units");
  need(c.dropout == 0, "--dropout: " + format_real(c.dropout), "0");
  need(c.returns != ReturnKind::kFull, "--returns: full", "stepwise or point");
  need(c.baseline != Baseline::kTimeMean, "--baseline: time_mean",
       "none, batch_mean or running_mean");
  need(c.store == Store::kLogits, "--store: recompute", "logits");
  need(c.mapping == GpuMapping::kAuto, "--mapping: a choice", "auto");
  require(!(c.credit == Credit::kIncoming && c.normalize == Normalize::kEpisode),
          "--credit: incoming with --normalize episode has no whole episodes to normalise; use "
          "none, scale or batch");
}

}  // namespace

void validate_environment(const Config& config) {
  for (const EnvironmentEntry& entry : environment_entries()) {
    if (config.env != entry.facts->name) continue;
    if (entry.has_objects()) {
      validate_game(config);
    } else {
      require_no_game_options(config);
    }
  }
}

}  // namespace lockstep
