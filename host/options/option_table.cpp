// The rows of the option table, and reading and writing the field of a row. A new option is one
// field in config.h, or program_options.h, and one row here.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <stdexcept>

#include "envs/game_options.h"
#include "host/options/options.h"
#include "host/text.h"

namespace lockstep {
namespace {

using Names = std::string_view;

// in the order of the enums of config.h
constexpr Names kAlgorithms[] = {"reinforce", "a2c", "ppo"};
constexpr Names kCritics[] = {"none", "shared", "separate"};
constexpr Names kShuffles[] = {"tiles", "steps"};
constexpr Names kPolicies[] = {"mlp", "linear"};
constexpr Names kActivations[] = {"relu", "leaky_relu"};
constexpr Names kInits[] = {"xavier_uniform", "kaiming_uniform", "zeros", "normal"};
constexpr Names kOptimizers[] = {"adam", "sgd", "rmsprop"};
constexpr Names kDecays[] = {"constant", "linear", "exponential"};
constexpr Names kReturns[] = {"stepwise", "full", "point"};
constexpr Names kCredits[] = {"all", "incoming"};
constexpr Names kNormalizations[] = {"none", "scale", "batch", "episode", "minibatch"};
constexpr Names kStds[] = {"population", "sample"};
constexpr Names kBaselines[] = {"none", "batch_mean", "time_mean", "running_mean"};
constexpr Names kStores[] = {"logits", "recompute"};
constexpr Names kMappings[] = {"auto", "thread", "lanes8"};
constexpr Names kDevices[] = {"auto", "cpu", "cuda"};
constexpr Names kRecipeNames[] = {"fast",  "classic", "linear", "a2c",     "ppo",
                                  "large", "sprint",  "best",   "karpathy"};

constexpr std::int64_t kMaxCount = std::int64_t{1} << 53;  // exact in every JSON reader
constexpr std::int64_t kMaxInt = 2147483647;

template <typename Member>
struct MemberType;
template <typename T>
struct MemberType<T Config::*> {
  using type = T;
};

template <auto kMember>
constexpr EnumField enum_field() {
  using Enum = typename MemberType<decltype(kMember)>::type;
  return {[](const Config& c) { return static_cast<int>(c.*kMember); },
          [](Config& c, int index) { c.*kMember = static_cast<Enum>(index); }};
}

constexpr ValueSpec positive() { return as_float32(real_between(0, kInfinity)); }
constexpr ValueSpec not_negative() { return as_float32(real_below(0, kInfinity)); }
constexpr ValueSpec limit() { return or_none(integer_in(1, kMaxCount)); }

constexpr OptionScope kRun = OptionScope::kRun;
constexpr OptionScope kCall = OptionScope::kCall;
constexpr OptionScope kSource = OptionScope::kSource;
constexpr bool kMayChange = true;

constexpr Option kTable[] = {
    {"env", "task", any_text(), &Config::env, "environment (see `lockstep list`)"},
    {"algorithm", "task", one_of(kAlgorithms), enum_field<&Config::algorithm>(),
     "how it learns; without --recipe, that of its name"},
    {"recipe", "task", one_of(kRecipeNames), &Config::recipe,
     "named set of values below all others"},
    {"envs", "task", integer_in(1, 1 << 24), &Config::envs, "environments stepped side by side"},
    {"seed", "task", seed_value(), &Config::seed, "key of all random numbers"},
    {"horizon", "task", integer_in(0, kMaxInt), &Config::horizon,
     "steps of an update with automatic reset; 0 = whole episodes"},
    {"device", "task", with_number(one_of(kDevices), "cuda"), &Config::device,
     "where to compute; auto falls back to the CPU", kRun, kMayChange},
    {"threads", "task", integer_in(0, 4096), &Config::threads,
     "threads; 0 = OMP_NUM_THREADS, else the cores allowed", kRun, kMayChange},
    {"mapping", "task", one_of(kMappings), enum_field<&Config::mapping>(),
     "GPU: a thread or 8 lanes play an environment; same results", kRun, kMayChange},
    // LS_BLOCK_SIZE is ls(1)'s
    {"block-size", "task", integer_in(0, 256), &Config::block_size,
     "GPU: threads of a block, a multiple of 32; 0 = chosen; same results", kRun, kMayChange,
     "LS_CUDA_BLOCK_SIZE"},

    {"updates", "stopping", limit(), &Config::updates, "updates of the whole run", kRun,
     kMayChange},
    {"episodes", "stopping", limit(), &Config::episodes, "episodes of the whole run", kRun,
     kMayChange},
    {"steps", "stopping", limit(), &Config::steps, "environment steps of the whole run", kRun,
     kMayChange},
    {"time-limit", "stopping", or_none(real_between(0, kInfinity)), &Config::time_limit,
     "seconds in the training loop", kRun, kMayChange},
    {"until-score", "stopping", real_between(-kInfinity, kInfinity), &Config::until_score,
     "mean score that counts as solved", kRun, kMayChange},
    {"over", "stopping", integer_in(1, 1 << 20), &Config::over,
     "last episodes the mean score is taken over"},
    {"extra-updates", "stopping", integer_in(0, kMaxCount), &Config::extra_updates,
     "updates after the threshold was reached", kRun, kMayChange},

    {"frame-skip", "game", range_in(1, kMaxFrameSkip), &Config::frame_skip,
     "frames of a step, or a range such as 2-4: drawn for each step"},
    {"repeat-action-probability", "game", real_in(0, 1), &Config::repeat_action_probability,
     "that a frame repeats the action before it: sticky actions"},
    {"noops", "game", integer_in(0, kMaxNoops), &Config::noops,
     "most frames without an action that an episode starts with"},
    {"max-pool", "game", boolean_value(), &Config::max_pool,
     "observe the maximum of the last two frames; with --math dense alone"},

    {"policy", "policy", one_of(kPolicies), enum_field<&Config::policy>(), "network"},
    {"hidden", "policy", integer_in(1, 65536), &Config::hidden, "hidden units of the mlp"},
    {"activation", "policy", one_of(kActivations), enum_field<&Config::activation>(),
     "of the hidden units"},
    {"dropout", "policy", real_below(0, 1), &Config::dropout,
     "probability of dropping a hidden unit while training"},
    {"init", "policy", one_of(kInits), enum_field<&Config::init>(),
     "initial weights; kaiming_uniform is PyTorch's Linear's, normal has variance 1 / inputs"},
    {"init-from", "policy", any_text(), &Config::init_from,
     "weights to start from: a safetensors file, checkpoint or run"},

    {"gamma", "estimator", real_in(0, 1), &Config::gamma, "discount per step"},
    {"returns", "estimator", one_of(kReturns), enum_field<&Config::returns>(),
     "reward-to-go of each step, the same up to the next point, or the whole episode's return"},
    {"credit", "estimator", one_of(kCredits), enum_field<&Config::credit>(),
     "steps with a gradient: all, or those in which the ball comes"},
    {"normalize", "estimator", one_of(kNormalizations), enum_field<&Config::normalize>(),
     "returns: scale = divide by the deviation, the others also subtract the mean"},
    {"std", "estimator", one_of(kStds), enum_field<&Config::std_kind>(),
     "standard deviation used by normalize: divide by n or by n - 1"},
    {"baseline", "estimator", one_of(kBaselines), enum_field<&Config::baseline>(),
     "subtracted from the returns; time_mean = mean at the same step"},
    {"entropy-coef", "estimator", not_negative(), &Config::entropy_coef,
     "weight of the entropy bonus"},
    {"store", "estimator", one_of(kStores), enum_field<&Config::store>(),
     "keep logits or compute them again; same results", kRun, kMayChange},

    {"critic", "critic", one_of(kCritics), enum_field<&Config::critic>(),
     "a learned value of states: one more output of the policy, or a network of its own"},
    {"critic-hidden", "critic", integer_in(1, 65536), &Config::critic_hidden,
     "hidden units of a separate critic"},
    {"gae-lambda", "critic", real_in(0, 1), &Config::gae_lambda,
     "of the advantages: 0 = one step and the value after it, 1 = the whole return"},
    {"value-coef", "critic", not_negative(), &Config::value_coef, "weight of the value loss"},
    {"value-clip", "critic", or_none(positive()), &Config::value_clip,
     "how far a value may move in an update before its loss stands still"},

    {"epochs", "passes", integer_in(1, 1 << 16), &Config::epochs,
     "times that a batch is learned from"},
    {"minibatches", "passes", integer_in(1, 1 << 20), &Config::minibatches,
     "parts of the batch, a step of the optimiser each"},
    {"shuffle", "passes", one_of(kShuffles), enum_field<&Config::shuffle>(),
     "minibatches of tiles, some steps of 16 environments, or of single steps"},
    {"clip", "passes", positive(), &Config::clip, "ppo: of the ratio of new to old probability"},
    {"target-kl", "passes", or_none(real_between(0, kInfinity)), &Config::target_kl,
     "ppo: no more epochs after one with a larger mean divergence from the policy that played"},

    {"optimizer", "optimizer", one_of(kOptimizers), enum_field<&Config::optimizer>(),
     "with PyTorch's semantics"},
    {"lr", "optimizer", positive(), &Config::lr, "learning rate"},
    {"lr-decay", "optimizer", one_of(kDecays), enum_field<&Config::lr_decay>(),
     "of the learning rate over the updates"},
    {"lr-decay-start", "optimizer", or_none(integer_in(0, kMaxCount)), &Config::lr_decay_start,
     "updates before the decay begins; none: at the threshold; a recipe's is of its decay alone"},
    {"lr-decay-updates", "optimizer", integer_in(1, kMaxCount), &Config::lr_decay_updates,
     "updates the decay takes; linear: to 0, exponential: to a tenth"},
    {"momentum", "optimizer", real_below(0, 1), &Config::momentum, "of sgd and rmsprop"},
    {"weight-decay", "optimizer", not_negative(), &Config::weight_decay,
     "L2 penalty, added to the gradient"},
    {"decoupled-weight-decay", "optimizer", not_negative(), &Config::decoupled_weight_decay,
     "shrinks the weights directly (AdamW)"},
    {"beta1", "optimizer", real_below(0, 1), &Config::beta1, "adam: decay of the gradient's mean"},
    {"beta2", "optimizer", real_below(0, 1), &Config::beta2,
     "adam: decay of the squared gradient's mean"},
    {"alpha", "optimizer", real_below(0, 1), &Config::alpha,
     "rmsprop: decay of the squared gradient's mean"},
    {"eps", "optimizer", positive(), &Config::eps, "added to the denominator of adam and rmsprop"},
    {"max-grad-norm", "optimizer", real_below(0, kInfinity), &Config::max_grad_norm,
     "clip the gradient's L2 norm; 0 = no clipping"},

    {"checkpoint-every", "files", integer_in(0, kMaxCount), &Config::checkpoint_every,
     "updates between checkpoints; 0 = only at the end", kRun, kMayChange},
    {"keep", "files", integer_in(1, 1000000), &Config::keep, "checkpoints kept", kRun, kMayChange},
    {"log-every", "files", integer_in(1, kMaxCount), &Config::log_every,
     "updates between log lines and threshold tests; the last update has both", kRun, kMayChange},
    {"eval-every", "files", integer_in(0, kMaxCount), &Config::eval_every,
     "updates between greedy evaluations; 0 = never", kRun, kMayChange},
    {"eval-episodes", "files", integer_in(1, 10000000), &Config::eval_episodes,
     "episodes of an evaluation", kRun, kMayChange},
    {"out", "files", or_empty(output_path()), &Config::out,
     "run folder; empty = runs/<env>-<next number>", kCall, kMayChange},
    {"force", "files", boolean_value(), &Config::force, "overwrite an existing run folder", kCall,
     kMayChange},
    {"resume", "files", any_text(), &Config::resume, "run folder to continue", kSource, kMayChange},

    {"config", "call", any_text(), &ProgramOptions::config, "TOML file with options", kSource,
     kMayChange},
    {"seeds", "call", any_text(), &ProgramOptions::seeds,
     "train each seed of A..B and print one summary; no run folder", kCall, kMayChange},
    {"print-config", "call", boolean_value(), &ProgramOptions::print_config,
     "print all options as TOML instead of training", kSource, kMayChange},
    {"json", "call", boolean_value(), &ProgramOptions::json, "results as one JSON document", kCall,
     kMayChange},
    {"quiet", "call", boolean_value(), &ProgramOptions::quiet, "no progress, no plot", kCall,
     kMayChange},
    {"print-every", "call", integer_in(0, kMaxCount), &ProgramOptions::print_every,
     "updates between lines of progress; 0 = by time at log points, and of classic by episodes",
     kCall, kMayChange},
};

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;  // clang before 17 does not deduce it

// a field's value as text, and from it

std::string field_text(const ValueSpec& spec, std::int64_t value) {
  return spec.optional && value == kNoLimit ? "none" : std::to_string(value);
}
std::string field_text(const ValueSpec&, std::uint64_t value) { return std::to_string(value); }
std::string field_text(const ValueSpec& spec, double value) {
  return spec.optional && value == kInfinity ? "none" : format_real(value);
}
std::string field_text(const ValueSpec&, bool value) { return value ? "true" : "false"; }
std::string field_text(const ValueSpec&, const std::string& value) { return value; }
std::string field_text(const ValueSpec&, const FrameSkip& value) {
  const std::string first = std::to_string(value.first);
  return value.first == value.last ? first : first + "-" + std::to_string(value.last);
}
std::string choice_text(const ValueSpec& spec, int choice) {
  const auto index = static_cast<std::size_t>(choice);
  return index < spec.choices.size() ? std::string(spec.choices[index]) : std::to_string(index);
}

void parse_into(const ValueSpec& spec, std::string_view text, const Origin& origin,
                std::int64_t& value) {
  value = parse_integer(spec, text, origin);
}
void parse_into(const ValueSpec&, std::string_view text, const Origin& origin,
                std::uint64_t& value) {
  value = parse_seed(text, origin);
}
void parse_into(const ValueSpec& spec, std::string_view text, const Origin& origin, double& value) {
  value = parse_real(spec, text, origin);
}
void parse_into(const ValueSpec&, std::string_view text, const Origin& origin, bool& value) {
  value = parse_boolean(text, origin);
}
void parse_into(const ValueSpec& spec, std::string_view text, const Origin& origin,
                std::string& value) {
  value = parse_text(spec, text, origin);
}
void parse_into(const ValueSpec& spec, std::string_view text, const Origin& origin,
                FrameSkip& value) {
  const auto [first, last] = parse_range(spec, text, origin);
  value = {static_cast<std::int32_t>(first), static_cast<std::int32_t>(last)};
}

}  // namespace

std::span<const Option> option_table() { return kTable; }

const Option* find_option(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTable), std::end(kTable),
                                   [&](const Option& option) { return option.name == name; });
  return found == std::end(kTable) ? nullptr : found;
}

std::string variable_name(std::string_view option) {
  const Option* row = find_option(option);
  if (row != nullptr && !row->variable.empty()) return std::string(row->variable);
  std::string name = "LS_";
  for (const char c : option) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string option_text(const Config& config, const Option& option) {
  return std::visit(
      Overloaded{
          [&](const EnumField& field) { return choice_text(option.value, field.get(config)); },
          [](const ProgramField&) -> std::string {
            throw std::logic_error("a Config has no options of the program");
          },
          [&](auto Config::*field) { return field_text(option.value, config.*field); },
      },
      option.field);
}

std::string option_text(const ProgramOptions& options, const Option& option) {
  if (!option.of_program()) return option_text(static_cast<const Config&>(options), option);
  return std::visit([&](auto field) { return field_text(option.value, options.*field); },
                    std::get<ProgramField>(option.field));
}

void set_option(Config& config, const Option& option, std::string_view text, const Origin& origin) {
  const ValueSpec& spec = option.value;
  std::visit(
      Overloaded{
          [&](const EnumField& field) { field.set(config, parse_choice(spec, text, origin)); },
          [](const ProgramField&) {
            throw std::logic_error("a Config has no options of the program");
          },
          [&](auto Config::*field) { parse_into(spec, text, origin, config.*field); },
      },
      option.field);
}

void set_option(ProgramOptions& options, const Option& option, std::string_view text,
                const Origin& origin) {
  if (!option.of_program()) {
    set_option(static_cast<Config&>(options), option, text, origin);
    return;
  }
  std::visit([&](auto field) { parse_into(option.value, text, origin, options.*field); },
             std::get<ProgramField>(option.field));
}

}  // namespace lockstep
