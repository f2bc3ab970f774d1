// host/files/checkpoint.h's manifest trainer.json and what host/train/progress.h takes from it. The
// two files of tensors stand beside it unharmed; safetensors.cpp has their parser.
#include "host/files/checkpoint.h"

#include <cmath>
#include <cstdio>

#include "host/backend/environments.h"
#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/json_text.h"
#include "host/options/options.h"
#include "host/train/progress.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;
constexpr std::size_t kTail = std::string_view("01234567\"\n}\n").size();

Config config() {
  Config c;
  c.hidden = 2;
  return c;
}

PolicyShape shape() { return policy_shape(config(), find_environment(config().env)); }

TrainingState initial() {
  TrainingState state;
  state.parameters.assign(static_cast<std::size_t>(shape().size()), 0.25f);
  state.first_moment = state.second_moment = state.parameters;
  return state;
}

TrainProgress progress() {
  TrainProgress p;
  p.update = 3;
  p.episodes = 48;
  p.steps = 1000;
  p.seconds = 0.5;
  p.recent = {20, 21.5f};
  return p;
}

// A folder with the two files of tensors; the manifest is written by the caller.
std::filesystem::path folder() {
  const std::filesystem::path path = scratch() / "seed";
  if (!std::filesystem::exists(path)) {
    const std::string settings = to_toml(config());
    save_checkpoint(scratch(), "seed",
                    make_checkpoint(config(), settings, shape(), initial(), progress()));
  }
  return path;
}

// The same text under a checksum that holds.
std::string sealed(std::string text) {
  if (text.size() < kTail) return text;
  text.resize(text.size() - kTail);
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(crc32c(text)));
  return text + digits + "\"\n}\n";
}

void check_limits(const TrainingState& state, const TrainProgress& p) {
  for (const std::int64_t count :
       {p.update, p.episodes, p.steps, p.reached_update, p.reached_episodes, p.reached_steps,
        p.cut_steps, p.gradient_updates}) {
    check(count >= 0 && count <= kMaxCount, "a count outside of its range");
  }
  for (const float score : p.recent) check(std::isfinite(score), "a score that is no number");
  for (const double value :
       {p.seconds, p.reached_seconds, p.best_eval, state.lr_factor, double{state.beta1_power},
        double{state.beta2_power}, double{state.running_mean}}) {
    check(std::isfinite(value), "a value that is no number");
  }
}

void run(std::string_view input) {
  spill(folder() / "trainer.json", input);
  try {
    const Checkpoint checkpoint =
        bounded(64 * input.size() + (64 << 10), [] { return load_checkpoint(folder()); });
    check(checkpoint.trainer.is_object(), "a trainer state that is no object");
    check(depth_of(input) <= kMaxJsonDepth, "a manifest of many levels accepted");
    TrainingState state = initial();
    TrainProgress p;
    restore_checkpoint(checkpoint, config(), shape(), state, p);
    check_limits(state, p);

    const auto again = save_checkpoint(
        scratch(), "again", make_checkpoint(config(), to_toml(config()), shape(), state, p));
    TrainingState state_again = initial();
    TrainProgress p_again;
    restore_checkpoint(load_checkpoint(again), config(), shape(), state_again, p_again);
    check(p_again.recent == p.recent && p_again.steps == p.steps && p_again.seconds == p.seconds &&
              state_again.lr_factor == state.lr_factor &&
              state_again.running_mean == state.running_mean,
          "what was saved is restored differently");
  } catch (const BadInput&) {
    return;
  }
}

std::vector<std::string> seeds() {
  const auto manifest = [](const TrainProgress& p) {
    return slurp(
        save_checkpoint(scratch(), "other", make_checkpoint(config(), "", shape(), initial(), p)) /
        "trainer.json");
  };
  TrainProgress reached = progress();
  reached.reached = true;
  reached.reached_update = 2;
  return {slurp(folder() / "trainer.json"), manifest(TrainProgress()), manifest(reached)};
}

std::vector<std::string> words() {
  return {"\"schema_version\": ", "\"files\": {", "\"size\": ",
          "\"crc32c\": \"",       "\"env\": ",    "model.safetensors",
          "\"recent_scores\": ["};
}

std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  if (input.size() < kTail) return input;
  const std::string body = input.substr(0, input.size() - kTail);
  const std::string changed = random() % 4 == 0 ? bytes(body) : mutate_json(body, random);
  return sealed(changed + std::string(kTail, '0'));
}

const Registration registration({"checkpoint", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
