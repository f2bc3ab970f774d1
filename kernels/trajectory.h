// What a rollout records, and the argument structs of the batch operations. Plain structs of
// pointers and numbers, passed by value; they own nothing. Letters: kernels/README.md.
//
// Records are stored in groups of 16 environments, [G][T][field][16]: rollout and gradient stream
// through memory whatever the vector width, and N need not be a multiple of anything. Lanes of
// environments
// >= N never play: their `valid` bits stay 0.
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace lockstep {

inline constexpr int kGroup = 16;             // environments of a group
inline constexpr int kPartials = 8;           // R, interleaved partial sums of a logit
inline constexpr int kMaxHidden = 4096;       // largest H with dropout
inline constexpr int kMaxTableHidden = 1024;  // largest H of a policy that sees pictures
inline constexpr int kLanes8MaxHidden = 128;  // where 8 lanes hold H: 16 units each in registers
inline constexpr int kMaxObservation = 15;
inline constexpr int kFlushSteps = 256;  // F, adds into one int32 accumulator between flushes
inline constexpr float kQuantisedLimit = 8388607.0f;  // L = floor((2^31 - 1) / F)

/// Logits evaluated per step: two actions need one, the log-odds of action 1.
LS_HD constexpr int logits_of(int num_actions) { return num_actions == 2 ? 1 : num_actions; }

/// How many steps ahead a start state may be drawn: no episode is shorter, so none ends twice
/// between two draws.
LS_HD constexpr int draw_every(int min_episode_steps) {
  return min_episode_steps >= 8 ? 8 : min_episode_steps >= 4 ? 4 : 1;
}

template <class Real>
struct Record {
  std::int64_t groups;         // G = ceil(N / 16)
  std::int32_t T;              // steps there is room for
  Real* obs;                   // [G][T][O][16] observation the action was chosen on; null: not kept
  Real* logits;                // [G][T][Z][16]; null: not kept
  Real* reward;                // [G][T][16]; null: not kept (constant reward)
  Real* value;                 // [G][T][16] of the state the action was chosen in; null: no critic
  Real* next_value;            // [G][T][16] of the state after the step, written where the step
                               // truncated an episode or was the last one; with `value`
  Real* advantage;             // [G][T][16] return, minus baseline; written by returns()
  std::uint8_t* action;        // [G][T][16] more than two actions
  std::uint16_t* action_bits;  // [G][T] bit = lane; two actions
  std::uint16_t* terminated;   // [G][T]
  std::uint16_t* truncated;    // [G][T]
  std::uint16_t* valid;        // [G][T] step belongs to a finished episode; written by returns()
  std::int32_t* steps;         // [G] steps recorded
};

enum class RecordField : std::uint8_t {
  kObs,
  kLogits,
  kReward,
  kValue,
  kNextValue,
  kAdvantage,
  kAction,
  kActionBits,
  kTerminated,
  kTruncated,
  kValid,
  kSteps
};

/// The list of fields, once: calls visit(field, count, pointers...) for each, with the pointer of
/// every record and the number of values where it is there; 0 of the action that A does not have.
/// Placing, copying and comparing records are made of it (host/backend/record.h). All records have
/// the groups and T of the first one.
template <class Visit, class First, class... More>
constexpr void for_each_field(int O, int A, Visit&& visit, First& first, More&... more) {
  const std::int64_t words = first.groups * first.T, lanes = words * kGroup;
  visit(RecordField::kObs, lanes * O, first.obs, more.obs...);
  visit(RecordField::kLogits, lanes * logits_of(A), first.logits, more.logits...);
  visit(RecordField::kReward, lanes, first.reward, more.reward...);
  visit(RecordField::kValue, lanes, first.value, more.value...);
  visit(RecordField::kNextValue, lanes, first.next_value, more.next_value...);
  visit(RecordField::kAdvantage, lanes, first.advantage, more.advantage...);
  visit(RecordField::kAction, A == 2 ? 0 : lanes, first.action, more.action...);
  visit(RecordField::kActionBits, A == 2 ? words : 0, first.action_bits, more.action_bits...);
  visit(RecordField::kTerminated, words, first.terminated, more.terminated...);
  visit(RecordField::kTruncated, words, first.truncated, more.truncated...);
  visit(RecordField::kValid, words, first.valid, more.valid...);
  visit(RecordField::kSteps, first.groups, first.steps, more.steps...);
}

/// How the network is evaluated; the form is a compile-time choice inside the kernels.
enum class PolicyForm : std::uint8_t {
  kRandom,   // no network: uniformly random actions
  kLinear,   // logits = W obs + b
  kRelu,     // one hidden layer, ReLU, no dropout: the fast path
  kGeneral,  // one hidden layer, leaky ReLU and/or dropout
};

/// Weights in the order they are walked: partial sum r = j mod 8 outermost, then j / 8. A unit is
/// O weights, its bias and its Z output weights (scaled by 1 / (1 - dropout)), padded to `stride`;
/// units beyond H are zero. For two actions the output row is W2[1] - W2[0] and the bias b2[1] -
/// b2[0]. The linear policy stores Z rows of O weights and a bias. With a critic there are Y = Z +
/// 1 outputs, the value last, and H counts the critic's own units too (flat_layout.h).
template <class Real>
struct PolicyView {
  PolicyForm form;
  std::int32_t hidden;       // H; 0 for the linear policy
  std::int32_t chain;        // units per partial sum, ceil(H / 8)
  const Real* units;         // [8][chain][stride], or linear [Z][O + 1]
  const Real* output_bias;   // [Z]
  Real leak;                 // slope below 0
  std::uint32_t drop_below;  // dropout: a unit is dropped if its 24-bit word < drop_below
  bool drop_half;            // p = 0.5 exactly: one random bit a unit
};

/// Floats a unit takes in PolicyView::units.
LS_HD constexpr int unit_stride(int O, int Z) { return (O + 1 + Z + 3) / 4 * 4; }

enum class ActionChoice : std::uint8_t { kSample, kGreedy, kEpsilon };

/// Environments that go on from rollout to rollout, in the middle of their episodes; groups, lane
/// innermost. Read at the start unless `fresh`, written at the end. Steps before the rollout are
/// not in its score and length.
template <class Real>
struct CarriedEpisodes {
  Real* state;          // [G][S][16]; null: every rollout starts new episodes
  std::int32_t* steps;  // [16 G] done in the episode under way
  Real* score;          // [16 G] sum of its rewards; null where every reward is 1
  bool fresh;           // nothing is there yet: episodes start, as if nothing were carried
};

template <class Real>
struct RolloutArgs {
  RandomStream stream;
  std::int64_t num_envs;  // N
  std::int32_t T;         // most steps played
  bool episodic;          // one whole episode each; else automatic reset and exactly T steps
  ActionChoice choice;
  float epsilon;  // kEpsilon
  PolicyView<Real> policy;
  Record<Real> record;
  CarriedEpisodes<Real> carried;  // with a critic alone
  Real* score;                    // [16 G] sum of rewards over finished episodes
  std::int32_t* length;           // [16 G] steps of finished episodes
  std::int32_t* episodes;         // [16 G] episodes finished
};

enum class ReturnMode : std::uint8_t { kStepwise, kFull };

/// Order-free sums over the valid steps, merged by addition.
struct ReturnSums {
  std::int64_t count = 0;         // valid steps
  std::int64_t sum = 0;           // of quantised values
  std::int64_t squares_low = 0;   // of their squares: low 32 bits summed
  std::int64_t squares_high = 0;  //                   high 32 bits summed
  bool saturated = false;
  float largest = 0;  // max |value|
};
LS_HD void merge(ReturnSums& into, const ReturnSums& from) {
  into.count += from.count;
  into.sum += from.sum;
  into.squares_low += from.squares_low;
  into.squares_high += from.squares_high;
  into.saturated |= from.saturated;
  into.largest = max(into.largest, from.largest);
}

template <class Real>
struct ReturnArgs {
  Record<Real> record;
  Real gamma;
  ReturnMode mode;
  float scale;             // 2^k of the quantisation
  std::int64_t* time_sum;  // [T] quantised returns summed over environments; null: not wanted
};

template <class Real>
struct BaselineArgs {
  Record<Real> record;
  const Real* baseline;  // [T], or null: `constant`
  Real constant;
  float scale;       // 2^k of the quantisation
  bool per_episode;  // normalise within each episode
  bool sample_std;   // n - 1
};

template <class Real>
struct GradientArgs {
  RandomStream stream;  // dropout masks; start states when the physics is replayed
  std::int64_t num_envs;
  bool episodic;
  PolicyView<Real> policy;
  Record<Real> record;  // obs and logits null: replayed from start states and actions
  Real mean;            // g = ((A - mean) * inv_std) * d
  Real inv_std;
  Real entropy_coef;                 // added to the logit gradient of every valid step
  float scale[kMaxObservation + 1];  // [O + 1] 2^k per component: observations, then 1
  float loss_scale;                  // 2^k of -A log pi; largest magnitudes never saturate
  float entropy_scale;               // 2^k of the entropy
};

}  // namespace lockstep
