// Rewards and ends of episodes for 16 environments in the engine's record layout, and the returns
// of the same by the definition, written down without a scan. Test code only.
#pragma once

#include <cstdint>
#include <vector>

#include "host/backend/environments.h"
#include "host/backend/record.h"
#include "host/cpu/isa.h"
#include "kernels/philox.h"

namespace lockstep::test {

/// One group of 16 environments; time is the outer index of every array.
class ReturnCase {
 public:
  ReturnCase(int T, bool with_reward)
      : T_(T),
        buffers_({.num_envs = kGroup,
                  .T = T,
                  .O = 4,
                  .A = 2,
                  .obs_and_logits = false,
                  .reward = with_reward,
                  .advantage = true}) {
    for (int t = 0; t < T; ++t) {
      record().terminated[t] = record().truncated[t] = 0;
      record().valid[t] = 0xffff;  // to be overwritten
    }
    record().steps[0] = T;
  }

  const Record<float>& record() const { return buffers_.record(); }
  int T() const { return T_; }
  void set_reward(int t, int lane, float value) { record().reward[t * kGroup + lane] = value; }
  void set_ends(int t, std::uint16_t terminated, std::uint16_t truncated) {
    record().terminated[t] = terminated;
    record().truncated[t] = truncated;
  }
  bool ended(int t, int lane) const {
    return (((record().terminated[t] | record().truncated[t]) >> lane) & 1) != 0;
  }
  bool valid(int t, int lane) const { return ((record().valid[t] >> lane) & 1) != 0; }
  double reward(int t, int lane) const {
    return record().reward == nullptr ? 1.0
                                      : static_cast<double>(record().reward[t * kGroup + lane]);
  }
  float value(int t, int lane) const { return record().advantage[t * kGroup + lane]; }

  /// Last step of the episode that step t belongs to, or -1 if it is not finished within T.
  int last_step(int t, int lane) const {
    while (t < T_ && !ended(t, lane)) ++t;
    return t < T_ ? t : -1;
  }
  int first_step(int t, int lane) const {
    while (t > 0 && !ended(t - 1, lane)) --t;
    return t;
  }
  /// sum over k of gamma^(k - t) r_k up to the end of the episode.
  double discounted(int t, int lane, double gamma) const {
    double sum = 0, weight = 1;
    for (int k = t; k <= last_step(t, lane); ++k, weight *= gamma) sum += weight * reward(k, lane);
    return sum;
  }

 private:
  int T_;
  RolloutBuffers buffers_;
};

/// A stream of random words for making cases.
class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  std::uint32_t word() {
    if (used_ == 4) {
      words_ = philox4x32<std::uint32_t>(count_++, 0, 0, 0, seed_);
      used_ = 0;
    }
    return words_.w[used_++];
  }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{word()} * n) >> 32);
  }
  double uniform() { return lockstep::uniform<double>(word()); }

 private:
  std::uint64_t seed_;
  PhiloxWords<std::uint32_t> words_{};
  std::uint32_t count_ = 0;
  int used_ = 4;
};

/// Every instruction set up to the one the program would choose.
inline std::vector<Isa> usable_isas() {
  std::vector<Isa> isas;
  for (int i = 0; i <= static_cast<int>(choose_isa()); ++i) isas.push_back(static_cast<Isa>(i));
  return isas;
}

inline const cpu::FloatOperations& cartpole_operations(Isa isa) {
  return operations_for(find_environment("cartpole"), isa);
}

}  // namespace lockstep::test
