// What a table policy's rollout and gradient should be, in double and from pixels: the recorded
// actions are played again, pictures are drawn, and the dense network W1 (frame - frame before) is
// evaluated and differentiated step by step. Nothing of the tables is used. Test code.
#pragma once

#include <cmath>
#include <vector>

#include "envs/pong_objects.h"
#include "kernels/sample_action.h"
#include "tests/support/table_run.h"

namespace lockstep::test {

/// One recorded step of one environment, played again.
struct DenseStep {
  std::vector<std::int16_t> pixel;  // where the difference frame is not 0
  std::vector<std::int8_t> value;   // -1 or 1
  int reward = 0;
  bool ended = false, first = false, incoming = false, action = false;
  double value_to_go = 0;  // G
  bool valid = false;
};

/// Where env's step t is in arrays [G][T][16].
inline std::int64_t step_at(const TableRun& run, std::int64_t env, int t) {
  return (env / kGroup * run.set.T + t) * kGroup + env % kGroup;
}
inline bool bit_at(const TableRun& run, const Buffer<std::uint16_t>& bits, std::int64_t env,
                   int t) {
  return ((bits[env / kGroup * run.set.T + t] >> (env % kGroup)) & 1) != 0;
}

/// All steps of an environment, from its recorded actions; T cuts off unfinished episodes.
inline std::vector<DenseStep> dense_replay(const TableRun& run, std::int64_t env) {
  constexpr int kPixels = ObjectPong::kPixels;
  std::vector<DenseStep> steps;
  std::vector<std::uint8_t> before(kPixels), now(kPixels);
  std::vector<std::int8_t> difference(kPixels);
  auto state = ObjectPong::reset<std::int32_t>();
  bool first = true;
  for (int t = 0; t < run.steps_[env / kGroup]; ++t) {
    DenseStep step;
    draw_frame80(pong_picture::view_of(state), now.data());
    difference_frame80(now.data(), first ? nullptr : before.data(), difference.data());
    for (int p = 0; p < kPixels; ++p) {
      if (difference[static_cast<std::size_t>(p)] == 0) continue;
      step.pixel.push_back(static_cast<std::int16_t>(p));
      step.value.push_back(difference[static_cast<std::size_t>(p)]);
    }
    before.swap(now);
    step.first = first;
    step.incoming = state.serve == 0 && state.ball_y > 36 && state.vel_x < 0;
    step.action = bit_at(run, run.actions, env, t);
    const int lead = state.human_score - state.cpu_score;
    for (int f = 0; f < 4 && !Pong::is_over(state); ++f) {
      Pong::frame<std::int32_t>(state, {step.action ? -Pong::kPaddleStep : Pong::kPaddleStep, 0});
    }
    step.reward = state.human_score - state.cpu_score - lead;
    step.ended = Pong::is_over(state);
    first = step.ended;
    steps.push_back(step);
    if (!step.ended) continue;
    if (run.set.episodic) break;
    state = ObjectPong::reset<std::int32_t>();
  }
  double total = 0;
  bool finished = false;
  for (std::size_t t = steps.size(); t-- > 0;) {
    DenseStep& s = steps[t];
    finished |= s.ended;
    if (s.ended || (run.set.reset_at_points && s.reward != 0)) total = 0;
    total = finished ? s.reward + static_cast<double>(run.set.gamma) * total : 0;
    s.value_to_go = total;
    s.valid = finished && (!run.set.incoming_only || s.incoming);
  }
  return steps;
}

/// Hidden layer before rho, and logit, of a replayed step.
struct DenseOutput {
  std::vector<double> hidden;
  double logit = 0;
};
inline DenseOutput dense_forward(TableRun& run, const DenseStep& step) {
  const auto H = static_cast<std::size_t>(run.shape.hidden);
  DenseOutput out;
  out.hidden.assign(H, 0);
  if (step.first) return out;
  for (std::size_t i = 0; i < step.pixel.size(); ++i) {
    const float* w = run.parameters.data() + step.pixel[i] * std::int64_t{run.shape.padded()};
    for (std::size_t j = 0; j < H; ++j) {
      out.hidden[j] += static_cast<double>(w[j]) * step.value[i];
    }
  }
  for (std::size_t j = 0; j < H; ++j) {
    const double h = out.hidden[j];
    out.logit +=
        static_cast<double>(run.output()[j]) * (h > 0 ? h : static_cast<double>(run.set.leak) * h);
  }
  return out;
}

/// Gradient of the loss, laid out as TableRun::gradient_, with what the batch was normalised by.
struct DenseGradient {
  std::vector<double> values;
  double loss = 0, entropy = 0;  // summed over the valid steps
  std::int64_t steps = 0;        // valid ones
  int odd_masks = 0;  // units whose recorded activity is not the sign of a clearly nonzero h
};
inline DenseGradient dense_gradient(TableRun& run) {
  std::vector<std::vector<DenseStep>> games;
  double sum = 0, squares = 0;
  DenseGradient out;
  for (std::int64_t env = 0; env < run.set.envs; ++env) {
    games.push_back(dense_replay(run, env));
    for (const DenseStep& s : games.back()) {
      if (!s.valid) continue;
      ++out.steps;
      sum += s.value_to_go;
      squares += s.value_to_go * s.value_to_go;
    }
  }
  const double n = static_cast<double>(out.steps), mean = sum / n;
  const double deviation = std::sqrt(squares / n - mean * mean);
  out.values.assign(static_cast<std::size_t>(run.count()), 0);
  const std::int64_t Hp = run.shape.padded();
  double* const output = out.values.data() + ObjectPong::kPixels * Hp;
  for (std::int64_t env = 0; env < run.set.envs; ++env) {
    const auto& steps = games[static_cast<std::size_t>(env)];
    for (int t = 0; t < static_cast<int>(steps.size()); ++t) {
      const DenseStep& s = steps[static_cast<std::size_t>(t)];
      if (!s.valid) continue;
      const DenseOutput f = dense_forward(run, s);
      const double advantage = (s.value_to_go - mean) / deviation;
      const double p = 1 / (1 + std::exp(-f.logit)), z = f.logit;
      out.loss -= advantage * std::log(s.action ? p : 1 - p);
      out.entropy -= p * std::log(p) + (1 - p) * std::log(1 - p);
      const double g =
          (advantage * (p - (s.action ? 1 : 0)) + run.set.entropy_coef * z * p * (1 - p)) /
          static_cast<double>(run.games_.episodes);
      if (s.first) continue;
      for (int j = 0; j < run.shape.hidden; ++j) {
        const std::int64_t word = (step_at(run, env, t) - env % kGroup) * run.shape.words() +
                                  j / 32 * kGroup + env % kGroup;
        const bool active = ((run.active[word] >> (j % 32)) & 1u) != 0;
        const double h = f.hidden[static_cast<std::size_t>(j)];
        if (active != (h > 0) && std::fabs(h) > 1e-6) ++out.odd_masks;
        const double slope = active ? 1 : static_cast<double>(run.set.leak);
        output[j] += g * slope * h;
        const double back = g * slope * static_cast<double>(run.output()[j]);
        for (std::size_t i = 0; i < s.pixel.size(); ++i) {
          out.values[static_cast<std::size_t>(s.pixel[i] * Hp + j)] += back * s.value[i];
        }
      }
    }
  }
  return out;
}

/// Weights of a fresh network: W ~ N(0, 1) / sqrt(fan in), zero in padding units.
inline void initialise(TableRun& run, std::uint64_t seed) {
  const auto normal = [&](std::uint32_t unit, std::uint32_t index) {
    const auto r = random_words<std::uint32_t>({seed, 0}, Purpose::kInit, 0, unit, index);
    const double u = (r.w[0] + 0.5) * 0x1p-32, v = r.w[1] * 0x1p-32;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  };
  for (int p = 0; p <= run.shape.pixels; ++p) {
    const double fan_in = p < run.shape.pixels ? run.shape.pixels : run.shape.hidden;
    for (int j = 0; j < run.shape.hidden; ++j) {
      run.parameters[std::int64_t{p} * run.shape.padded() + j] = static_cast<float>(
          normal(static_cast<std::uint32_t>(j), static_cast<std::uint32_t>(p)) / std::sqrt(fan_in));
    }
  }
  run.build();
}

/// Operations of the instruction sets this machine has; the scalar ones first.
inline std::vector<const cpu::TableOperations*> usable_tables() {
  std::vector<const cpu::TableOperations*> all = {&cpu::tables_pong_scalar};
#if defined(LS_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    all.push_back(&cpu::tables_pong_avx2);
  }
#endif
#if defined(LS_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    all.push_back(&cpu::tables_pong_avx512);
  }
#endif
  return all;
}

}  // namespace lockstep::test
