// host/files/checkpoint.h's manifest trainer.json and what host/train/progress.h takes from it and
// from optimizer.safetensors: an input is a manifest or, of a run with a critic, a manifest, a zero
// byte and that file. What else there is of tensors stands beside them unharmed; safetensors.cpp
// has their parser.
#include "host/files/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "host/backend/environments.h"
#include "host/cpu/actor_critic.h"
#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/json_text.h"
#include "host/files/safetensors.h"
#include "host/options/options.h"
#include "host/train/progress.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;
constexpr std::size_t kTail = std::string_view("01234567\"\n}\n").size();
constexpr std::string_view kCorridor = "\"env\": \"corridor\"";

struct Input {
  std::string manifest, optimizer;
  bool has_optimizer = false;
};
Input split(std::string_view text) {
  const std::size_t zero = text.find('\0');
  if (zero == std::string_view::npos) return {std::string(text), "", false};
  return {std::string(text.substr(0, zero)), std::string(text.substr(zero + 1)), true};
}
std::string joined(const Input& input) {
  if (!input.has_optimizer) return input.manifest;
  return input.manifest + '\0' + input.optimizer;
}

Config plain_config() {
  Config c;
  c.hidden = 2;
  return c;
}
/// Of a run whose episodes go on from update to update; scores are carried in the corridor alone.
Config critic_config(const char* env) {
  Config c = plain_config();
  c.env = env;
  c.algorithm = Algorithm::kPpo;
  c.critic = Critic::kSeparate;
  c.critic_hidden = 2;
  c.envs = 3;
  c.horizon = 4;
  c.epochs = c.minibatches = 1;
  c.baseline = Baseline::kNone;
  c.threads = 1;
  return c;
}
Config config_of(const Input& input) {
  if (!input.has_optimizer) return plain_config();
  return critic_config(input.manifest.find(kCorridor) == std::string::npos ? "cartpole"
                                                                           : "corridor");
}

const EnvironmentEntry& environment_of(const Config& config) {
  return find_environment(config.env);
}
PolicyShape shape_of(const Config& config) { return policy_shape(config, environment_of(config)); }

TrainingState initial(const Config& config) {
  TrainingState state;
  state.parameters.assign(static_cast<std::size_t>(shape_of(config).size()), 0.25f);
  state.first_moment = state.second_moment = state.parameters;
  if (config.critic == Critic::kNone) return state;
  const EnvironmentFacts& facts = *environment_of(config).facts;
  state.environments.state.assign(static_cast<std::size_t>(config.envs * facts.state_size), 1.0f);
  state.environments.steps = {0, 1, facts.max_episode_steps - 1};
  if (!facts.constant_reward) state.environments.score = {0, -0.5f, 1};
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

// A folder with the two files of tensors; what an input has is written over them by the caller.
std::filesystem::path folder(const Config& config) {
  const std::string name = config.critic == Critic::kNone ? "plain" : config.env;
  const std::filesystem::path path = scratch() / name;
  if (!std::filesystem::exists(path)) {
    save_checkpoint(
        scratch(), name,
        make_checkpoint(config, to_toml(config), shape_of(config), initial(config), progress()));
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

// A manifest with the size and checksum that the file of tensors has.
std::string describing(std::string manifest, std::string_view optimizer) {
  const auto put = [&](const char* key, const char* until, const std::string& value) {
    const std::size_t file = manifest.find("\"optimizer.safetensors\": {");
    const std::size_t name = file == std::string::npos ? file : manifest.find(key, file);
    if (name == std::string::npos) return;
    const std::size_t from = name + std::string_view(key).size();
    const std::size_t end = std::min(manifest.find_first_of(until, from), manifest.size());
    manifest.replace(from, end - from, value);
  };
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(crc32c(optimizer)));
  put("\"crc32c\": \"", "\"", digits);
  put("\"size\": ", "\n,}", std::to_string(optimizer.size()));
  return manifest;
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

void check_environments(const Config& config, const EnvironmentStates& states) {
  const EnvironmentFacts& facts = *environment_of(config).facts;
  const auto N = static_cast<std::size_t>(config.envs);
  check(states.state.size() == N * static_cast<std::size_t>(facts.state_size),
        "not a state of every environment");
  check(states.steps.size() == N, "not the steps of every environment");
  check(states.score.size() == (facts.constant_reward ? 0 : N),
        "not the score of every environment");
  for (const std::int32_t steps : states.steps) {
    check(steps >= 0 && steps < facts.max_episode_steps, "steps that no episode has");
  }
  for (const auto* values : {&states.state, &states.score}) {
    for (const float value : *values) check(std::isfinite(value), "a state that is no number");
  }
}

// An update from a state that was accepted: whatever the environments are in the middle of, it
// comes to an end or to a numeric error.
void go_on(const Config& config, const TrainingState& state, const TrainProgress& p) {
  CpuActorCritic backend(config, environment_of(config), {.threads = 1});
  backend.upload(state);
  try {
    backend.update(static_cast<std::uint32_t>(p.update), config.lr);
  } catch (const NumericError&) {
    return;
  }
}

void run(std::string_view text) {
  const Input input = split(text);
  const Config config = config_of(input);
  const PolicyShape shape = shape_of(config);
  const std::filesystem::path path = folder(config);
  spill(path / "trainer.json", input.manifest);
  if (input.has_optimizer) spill(path / "optimizer.safetensors", input.optimizer);
  try {
    const Checkpoint checkpoint =
        bounded(64 * text.size() + (64 << 10), [&] { return load_checkpoint(path); });
    check(checkpoint.trainer.is_object(), "a trainer state that is no object");
    check(depth_of(input.manifest) <= kMaxJsonDepth, "a manifest of many levels accepted");
    TrainingState state = initial(config);
    state.environments = {};
    TrainProgress p;
    restore_checkpoint(checkpoint, config, shape, state, p);
    check_limits(state, p);
    const bool carries = config.critic != Critic::kNone && p.update > 0;
    if (carries) check_environments(config, state.environments);

    const auto again = save_checkpoint(scratch(), "again",
                                       make_checkpoint(config, to_toml(config), shape, state, p));
    TrainingState state_again = initial(config);
    state_again.environments = {};
    TrainProgress p_again;
    restore_checkpoint(load_checkpoint(again), config, shape, state_again, p_again);
    check(p_again.recent == p.recent && p_again.steps == p.steps && p_again.seconds == p.seconds &&
              state_again.lr_factor == state.lr_factor &&
              state_again.running_mean == state.running_mean &&
              state_again.environments.state == state.environments.state &&
              state_again.environments.steps == state.environments.steps &&
              state_again.environments.score == state.environments.score,
          "what was saved is restored differently");
    if (carries) go_on(config, state, p);
  } catch (const BadInput&) {
    return;
  }
}

std::vector<std::string> seeds() {
  const auto saved = [](const Config& config, const TrainProgress& p) {
    const auto path = save_checkpoint(
        scratch(), "other", make_checkpoint(config, "", shape_of(config), initial(config), p));
    const bool critic = config.critic != Critic::kNone;
    return joined({slurp(path / "trainer.json"),
                   critic ? slurp(path / "optimizer.safetensors") : "", critic});
  };
  TrainProgress reached = progress();
  reached.reached = true;
  reached.reached_update = 2;
  const Config plain = plain_config();
  return {slurp(folder(plain) / "trainer.json"), saved(plain, TrainProgress()),
          saved(plain, reached), saved(critic_config("cartpole"), progress()),
          saved(critic_config("corridor"), progress())};
}

std::vector<std::string> words() {
  return {"\"schema_version\": ", "\"files\": {",       "\"size\": ",
          "\"crc32c\": \"",       "\"env\": ",          "model.safetensors",
          "\"recent_scores\": [", "environments.state", "environments.steps"};
}

// A file of the same tensors but for one: those of environments are found by name and shape, and
// what they hold is looked at.
std::string mutate_tensors(const std::string& file, Random& random,
                           const std::function<std::string(std::string)>& bytes) {
  static constexpr float kWild[] = {-1, 0.5f, 19, 20, 499, 500, 1e5f, 3e9f, 1e30f, -3e38f, NAN};
  std::vector<NamedTensor> tensors;
  try {
    tensors = parse_safetensors(file, "FILE");
  } catch (const BadInput&) {
    return bytes(file);
  }
  if (tensors.empty() || random() % 8 == 0) return bytes(file);
  const auto any = [&]() -> NamedTensor& { return tensors[below(random, tensors.size())]; };
  NamedTensor* chosen = &any();
  for (NamedTensor& tensor : tensors) {
    if (tensor.name.starts_with("environments.") && random() % 2 == 0) chosen = &tensor;
  }
  switch (random() % 8) {
    case 0:
      tensors.erase(tensors.begin() + (chosen - tensors.data()));
      break;
    case 1:  // another's name: the list of names is what it was
      std::swap(chosen->name, any().name);
      break;
    case 2:
      chosen->shape.insert(chosen->shape.begin(), 1);
      break;
    case 3: {  // fewer or more of them, none to twice as many
      if (chosen->shape.empty()) break;
      const std::size_t row = chosen->data.size() /
                              std::max<std::size_t>(1, static_cast<std::size_t>(chosen->shape[0]));
      chosen->shape[0] = static_cast<std::int64_t>(
          below(random, 2 * static_cast<std::size_t>(chosen->shape[0]) + 1));
      chosen->data.resize(row * static_cast<std::size_t>(chosen->shape[0]), 0.5f);
      break;
    }
    default:
      if (chosen->data.empty()) break;
      chosen->data[below(random, chosen->data.size())] = kWild[below(random, std::size(kWild))];
  }
  return serialize_safetensors(tensors, {{"format", "pt"}});
}

std::string mutate(std::string text, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  Input input = split(text);
  if (input.manifest.size() < kTail) return text;
  std::string body = input.manifest.substr(0, input.manifest.size() - kTail);
  if (input.has_optimizer && random() % 4 != 0) {
    input.optimizer = mutate_tensors(input.optimizer, random, bytes);
  } else {
    body = random() % 4 == 0 ? bytes(body) : mutate_json(body, random);
  }
  if (input.has_optimizer) body = describing(body, input.optimizer);
  input.manifest = sealed(body + std::string(kTail, '0'));
  return joined(input);
}

const Registration registration({"checkpoint", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
