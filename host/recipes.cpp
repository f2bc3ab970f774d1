// The recipes: named sets of values that stand above the defaults and below everything a user
// sets. Values are text as in the option table, so that a recipe cannot hold what a user could not
// write.
#include "host/options.h"

namespace lockstep {
namespace {

using Value = std::pair<std::string_view, std::string_view>;

// Found by search over fresh seeds: what reaches 475 soonest and stays there. Time-dependent mean
// and plain scaling keep late steps of long episodes from being punished for being late.
constexpr Value kFast[] = {
    {"policy", "mlp"},      {"hidden", "128"},       {"init", "xavier_uniform"},
    {"envs", "16"},         {"optimizer", "adam"},   {"lr", "0.03"},
    {"gamma", "1"},         {"returns", "stepwise"}, {"baseline", "time_mean"},
    {"normalize", "scale"}, {"std", "population"},   {"until-score", "475"},
    {"over", "25"},         {"extra-updates", "20"}, {"updates", "1000"},
};

// The textbook script: one episode an update, returns normalised within it.
constexpr Value kClassic[] = {
    {"policy", "mlp"},
    {"hidden", "128"},
    {"init", "kaiming_uniform"},
    {"dropout", "0.5"},
    {"envs", "1"},
    {"optimizer", "adam"},
    {"lr", "0.01"},
    {"gamma", "0.99"},
    {"returns", "stepwise"},
    {"baseline", "none"},
    {"normalize", "episode"},
    {"std", "sample"},
    {"episodes", "500"},
    {"until-score", "475"},
    {"over", "25"},
    {"extra-updates", "0"},
};

constexpr Value kLinear[] = {
    {"policy", "linear"},    {"init", "zeros"},
    {"envs", "12"},          {"optimizer", "adam"},
    {"lr", "0.4"},           {"gamma", "1"},
    {"returns", "stepwise"}, {"baseline", "time_mean"},
    {"normalize", "scale"},  {"std", "population"},
    {"until-score", "475"},  {"over", "25"},
    {"extra-updates", "20"}, {"updates", "1000"},
};

constexpr Recipe kRecipes[] = {
    {"fast", "reaches 475 soonest and stays there", kFast},
    {"classic", "one environment, one episode an update, dropout, returns normalised per episode",
     kClassic},
    {"linear", "linear softmax policy", kLinear},
};

}  // namespace

std::span<const Recipe> recipes() { return kRecipes; }

}  // namespace lockstep
