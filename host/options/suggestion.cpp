// See suggestion.h.
#include "host/options/suggestion.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <vector>

namespace lockstep {
namespace {

using Synonym = std::pair<std::string_view, std::string_view>;

// What Gymnasium, Stable-Baselines3, CleanRL, RLlib, EnvPool and PyTorch call it.
constexpr Synonym kSynonyms[] = {
    // options
    {"learning-rate", "lr"},
    {"step-size", "lr"},
    {"lr-schedule", "lr-decay"},
    {"anneal-lr", "lr-decay"},
    {"batch-size", "envs"},
    {"num-envs", "envs"},
    {"n-envs", "envs"},
    {"num-environments", "envs"},
    {"parallel", "envs"},
    {"env-id", "env"},
    {"environment", "env"},
    {"game", "env"},
    {"discount", "gamma"},
    {"discount-factor", "gamma"},
    {"total-timesteps", "steps"},
    {"timesteps", "steps"},
    {"max-steps", "steps"},
    {"num-steps", "horizon"},
    {"num-steps", "steps"},
    {"n-steps", "horizon"},
    {"n-steps", "steps"},
    {"rollout-length", "horizon"},
    {"unroll-length", "horizon"},
    {"iterations", "updates"},
    {"num-iterations", "updates"},
    {"num-episodes", "episodes"},
    {"n-eval-episodes", "eval-episodes"},
    {"eval-freq", "eval-every"},
    {"save-freq", "checkpoint-every"},
    {"checkpoint-freq", "checkpoint-every"},
    {"log-interval", "log-every"},
    {"ent-coef", "entropy-coef"},
    {"entropy", "entropy-coef"},
    {"hidden-size", "hidden"},
    {"hidden-dim", "hidden"},
    {"units", "hidden"},
    {"optim", "optimizer"},
    {"l2", "weight-decay"},
    {"grad-clip", "max-grad-norm"},
    {"clip-grad-norm", "max-grad-norm"},
    {"gradient-clipping", "max-grad-norm"},
    {"epsilon", "eps"},
    {"epsilon", "mode"},
    {"deterministic", "mode"},
    {"stochastic", "mode"},
    {"frameskip", "frame-skip"},
    {"action-repeat", "frame-skip"},
    {"sticky-actions", "repeat-action-probability"},
    {"noop-max", "noops"},
    {"num-workers", "threads"},
    {"num-threads", "threads"},
    {"n-jobs", "threads"},
    {"gpu", "device"},
    {"cuda", "device"},
    {"reward-threshold", "until-score"},
    {"target-score", "until-score"},
    {"output", "out"},
    {"output-dir", "out"},
    {"log-dir", "out"},
    {"output", "save"},
    {"out", "save"},
    {"load", "init-from"},
    {"pretrained", "init-from"},
    {"checkpoint", "resume"},
    // commands
    {"test", "eval"},
    {"evaluate", "eval"},
    {"learn", "train"},
    {"simulate", "rollout"},
    {"run", "rollout"},
    {"play", "view"},
    {"watch", "view"},
    {"enjoy", "view"},
    {"record", "render"},
    {"video", "render"},
    {"benchmark", "bench"},
    {"envs", "list"},
    {"version", "info"},
    {"doctor", "info"},
    // values
    {"gpu", "cuda"},
    {"glorot", "xavier_uniform"},
    {"he", "kaiming_uniform"},
    {"deterministic", "greedy"},
    {"argmax", "greedy"},
    {"stochastic", "sample"},
};

constexpr std::size_t kLongest =
    64;  // a hostile key of a megabyte must not cost a gigabyte of work
constexpr std::size_t kShortestStart = 3;  // letters that say which name they begin

/// In small letters, with '-' for '_'.
std::string plain(std::string_view text) {
  std::string result(text.substr(0, kLongest));
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
    return c == '_' ? '-' : static_cast<char>(std::tolower(c));
  });
  return result;
}

/// Whether all of `part` stands in `whole` between its ends and dashes: "num-envs" holds "envs".
bool holds_words(const std::string& whole, const std::string& part) {
  return !part.empty() && ("-" + whole + "-").find("-" + part + "-") != std::string::npos;
}

bool shares_a_beginning(const std::string& a, const std::string& b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  return shorter >= kShortestStart && a.compare(0, shorter, b, 0, shorter) == 0;
}

/// The index of the text that `word` is a few typing errors away from, or -1.
int nearest_spelling(const std::string& word, const std::vector<std::string>& texts) {
  int nearest = -1, smallest = 1 << 20;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t longer = std::max(word.size(), texts[i].size());
    const int distance = edit_distance(word, texts[i]);
    if (distance > static_cast<int>(longer / 3) || distance >= smallest) continue;
    smallest = distance;
    nearest = static_cast<int>(i);
  }
  return nearest;
}

int first_of(const std::string& word, const std::vector<std::string>& texts,
             bool (*fits)(const std::string&, const std::string&)) {
  const auto found =
      std::find_if(texts.begin(), texts.end(), [&](const auto& text) { return fits(word, text); });
  return found == texts.end() ? -1 : static_cast<int>(found - texts.begin());
}

}  // namespace

std::span<const Synonym> synonyms() { return kSynonyms; }

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names) {
  const std::string wanted = plain(word);
  std::vector<std::string> spellings, others;  // of the names, and of their synonyms
  std::vector<std::string_view> meanings;      // of the synonyms
  for (const std::string_view name : names) spellings.push_back(plain(name));
  for (const auto& [other, meaning] : kSynonyms) {
    if (std::find(names.begin(), names.end(), meaning) == names.end()) continue;
    others.emplace_back(other);
    meanings.push_back(meaning);
  }
  const auto name = [&](int i) { return i < 0 ? "" : names[static_cast<std::size_t>(i)]; };
  const auto meaning = [&](int i) { return i < 0 ? "" : meanings[static_cast<std::size_t>(i)]; };
  const auto equal = [](const std::string& a, const std::string& b) { return a == b; };
  for (const std::string_view found :
       {name(first_of(wanted, spellings, equal)), meaning(first_of(wanted, others, equal)),
        name(nearest_spelling(wanted, spellings)), meaning(nearest_spelling(wanted, others)),
        name(first_of(wanted, spellings, shares_a_beginning)),
        name(first_of(wanted, spellings, holds_words)),
        name(first_of(wanted, spellings, [](const std::string&a, const std::string&b) {
          return holds_words(b, a);
        }))}) {
    if (!found.empty()) return found;
  }
  return {};
}

std::string nearest_hint(std::string_view word, std::span<const std::string_view> names,
                         std::string_view dashes) {
  const std::string_view nearest = nearest_name(word, names);
  if (nearest.empty()) return "";
  return "; the nearest is '" + std::string(dashes) + std::string(nearest) + "'";
}

int edit_distance(std::string_view a, std::string_view b) {
  // optimal string alignment: three rows of the usual table; Boytsov 2011, section 2.2
  std::vector<int> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

}  // namespace lockstep
