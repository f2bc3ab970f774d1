// Two sets of measurements held against each other: which rows became slower than allowed.
#pragma once

#include <string>
#include <vector>

#include "bench/measurements.h"

namespace lockstep::bench {

/// The words are NVBench's.
enum class Verdict {
  kSame,       // SAME  no slower than allowed
  kFast,       // FAST  faster, beyond the noise
  kSlow,       // SLOW  slower than allowed, beyond the noise: a regression
  kAmbiguous,  // AMBG  the noise covers the limit: measure again
  kUnknown,    // ????  fewer than three repetitions on one side: no noise is known
};
const char* verdict_word(Verdict verdict);

struct Change {
  std::string name;
  double before = 0, now = 0;  // medians, seconds
  double change = 0;           // (now - before) / before
  double noise = 0;            // two standard errors of `change`
  Verdict verdict = Verdict::kUnknown;
};

struct Comparison {
  std::vector<Change> changes;  // rows of both, by name
  std::vector<std::string> only_before, only_now;
  std::vector<std::string> warnings;  // the machines or builds are not the same
  int count(Verdict verdict) const;
};

/// `max_regress` is a fraction: 0.05 allows 5 %.
///
/// A median's standard error is taken as 1.2533 * 1.4826 * MAD / sqrt(n), normal noise assumed; a
/// verdict needs two of them. Errors: BadInput if no row could be judged, or if `before` was
/// measured on a GPU that is not the one of `now`.
Comparison compare(const Measurements& before, const Measurements& now, double max_regress);

std::string comparison_text(const Comparison& comparison, double max_regress);
std::string comparison_json(const Comparison& comparison, double max_regress);

}  // namespace lockstep::bench
