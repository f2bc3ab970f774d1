// The loops behind isa_kernels.h, templates over the pack. Everything is a member of a template
// named after the pack, so that no code compiled for a wide instruction set has a common name.
#pragma once

#include "bench/isa_kernels.h"
#include "envs/cartpole.h"
#include "kernels/rollout_step.h"
#include "kernels/sample_action.h"

namespace lockstep::bench {

template <class F>
struct IsaLoops {
  using U = typename Lanes<F>::U;
  using I = typename Lanes<F>::I;
  static constexpr int W = Lanes<F>::W;
  static constexpr int kChains = 12;  // > latency 4 * 2 a cycle, and fits 16 registers

  static F load(const float* from) { return Lanes<F>::load(from); }
  static U load(const std::uint32_t* from) {
    return as_unsigned(Lanes<F>::load(reinterpret_cast<const std::int32_t*>(from)));
  }
  static void store_words(std::uint32_t* to, U a) {
    store(reinterpret_cast<std::int32_t*>(to), as_signed(a));
  }

  // ---- ceilings -------------------------------------------------------------------------------

  static float fma_chains(std::int64_t rounds) {
    // separate names: an array would be kept in memory; every chain converges to 1
    const F b(0.75f), c(0.25f);
    F a0(0.0f), a1(0.1f), a2(0.2f), a3(0.3f), a4(0.4f), a5(0.5f);
    F a6(0.6f), a7(0.7f), a8(0.8f), a9(0.9f), a10(1.1f), a11(1.2f);
    for (std::int64_t i = 0; i < rounds; ++i) {
      a0 = fma(a0, b, c), a1 = fma(a1, b, c), a2 = fma(a2, b, c), a3 = fma(a3, b, c);
      a4 = fma(a4, b, c), a5 = fma(a5, b, c), a6 = fma(a6, b, c), a7 = fma(a7, b, c);
      a8 = fma(a8, b, c), a9 = fma(a9, b, c), a10 = fma(a10, b, c), a11 = fma(a11, b, c);
    }
    const F total = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7)) + ((a8 + a9) + (a10 + a11));
    float lanes[W];
    store(lanes, total);
    return lanes[0];
  }

  static std::uint32_t philox(std::int64_t calls) {
    const RandomStream stream{1, 0};
    U all(0u);
    for (std::int64_t i = 0; i < calls; ++i) {
      const auto r = random_words(stream, Purpose::kAction, 0, Lanes<F>::numbers(),
                                  U(static_cast<std::uint32_t>(i)));
      all = all ^ r.w[0] ^ r.w[1] ^ r.w[2] ^ r.w[3];
    }
    std::uint32_t lanes[W], result = 0;
    store_words(lanes, all);
    for (const std::uint32_t word : lanes) result ^= word;
    return result;
  }

  // ---- passes of the op-by-op baseline --------------------------------------------------------

  static void observe(const float* state, float* obs, std::int64_t N) {
    for (std::int64_t i = 0; i < N; ++i) {
      obs[4 * i] = state[i];
      obs[4 * i + 1] = state[N + i];
      obs[4 * i + 2] = state[2 * N + i];
      obs[4 * i + 3] = state[3 * N + i];
    }
  }

  static void draw_words(const RandomStream& stream, std::uint32_t index, std::uint32_t* words,
                         std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      const U env = U(static_cast<std::uint32_t>(i)) + Lanes<F>::numbers();
      const auto r = random_words(stream, Purpose::kAction, 0, env, U(index));
      for (int k = 0; k < 4; ++k) store_words(words + k * N + i, r.w[k]);
    }
  }

  static void draw_starts(const RandomStream& stream, const std::uint32_t* number, float* start,
                          std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      const U env = U(static_cast<std::uint32_t>(i)) + Lanes<F>::numbers();
      F fields[4];
      CartPole::save(start_state<CartPole, F>(stream, env, load(number + i)), fields);
      for (int k = 0; k < 4; ++k) store(start + k * N + i, fields[k]);
    }
  }

  static void add_bias(float* x, const float* bias, std::int64_t N, int columns) {
    if (columns == 2) {
      const float b0 = bias[0], b1 = bias[1];
      for (std::int64_t i = 0; i < N; ++i) {
        x[2 * i] += b0;
        x[2 * i + 1] += b1;
      }
      return;
    }
    for (std::int64_t i = 0; i < N; ++i) {
      float* row = x + i * columns;
      for (int k = 0; k < columns; k += W) store(row + k, load(row + k) + load(bias + k));
    }
  }

  static void relu(float* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += W) store(x + i, max(load(x + i), F(0)));
  }

  static void probability(const float* logits, float* p, std::int64_t N) {
    for (std::int64_t i = 0; i < N; ++i) p[i] = logits[2 * i] - logits[2 * i + 1];
    for (std::int64_t i = 0; i < N; i += W) {
      store(p + i, F(1.0f) / (F(1.0f) + exp(load(p + i))));
    }
  }

  static void sample(const float* p, const std::uint32_t* words, float* action, std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      const auto one = uniform<F>(load(words + i)) < load(p + i);
      store(action + i, select(one, F(1.0f), F(0)));
    }
  }

  static void step(float* state, const float* action, std::int32_t* steps, float* ended,
                   std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      F fields[4];
      for (int k = 0; k < 4; ++k) fields[k] = load(state + k * N + i);
      auto s = CartPole::restore(fields);
      const auto out = CartPole::step(s, load(action + i) > F(0));
      const I count = Lanes<F>::load(steps + i) + I(1);
      const auto end = out.terminated | (count >= I(CartPole::kMaxEpisodeSteps));
      CartPole::save(s, fields);
      for (int k = 0; k < 4; ++k) store(state + k * N + i, fields[k]);
      store(steps + i, count);
      store(ended + i, select(end, F(1.0f), F(0)));
    }
  }

  static void restart(float* state, const float* start, const float* ended, std::int32_t* steps,
                      std::uint32_t* number, std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      const auto end = load(ended + i) > F(0);
      for (int k = 0; k < 4; ++k) {
        store(state + k * N + i, select(end, load(start + k * N + i), load(state + k * N + i)));
      }
      store(steps + i, select(end, I(0), Lanes<F>::load(steps + i)));
      store_words(number + i, load(number + i) + select(end, U(1u), U(0u)));
    }
  }

  static void returns(float gamma, const float* ended, float* total, float* seen, float* value,
                      float* valid, std::int64_t N) {
    for (std::int64_t i = 0; i < N; i += W) {
      const F end = load(ended + i);
      const F known = max(load(seen + i), end);
      const F g = fma(load(total + i) * (F(1.0f) - end), F(gamma), F(1.0f)) * known;
      store(seen + i, known);
      store(total + i, g);
      store(value + i, g);
      store(valid + i, known);
    }
  }

  static double add_up(F a) {
    float lanes[W];
    store(lanes, a);
    double sum = 0;
    for (const float lane : lanes) sum += static_cast<double>(lane);
    return sum;
  }
  static double sum(const float* x, std::int64_t n) {
    F total(0);
    for (std::int64_t i = 0; i < n; i += W) total = total + load(x + i);
    return add_up(total);
  }
  static double sum_squares(const float* x, const float* valid, float mean, std::int64_t n) {
    F total(0);
    for (std::int64_t i = 0; i < n; i += W) {
      const F centred = (load(x + i) - F(mean)) * load(valid + i);
      total = fma(centred, centred, total);
    }
    return add_up(total);
  }
  static void normalise(float* x, const float* valid, float mean, float inv_std, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += W) {
      store(x + i, (load(x + i) - F(mean)) * F(inv_std) * load(valid + i));
    }
  }

  static void logit_gradient(const float* p, const float* action, const float* advantage,
                             float* grad, std::int64_t N) {
    for (std::int64_t i = 0; i < N; ++i) {
      const float g = advantage[i] * (p[i] - action[i]);
      grad[2 * i] = -g;
      grad[2 * i + 1] = g;
    }
  }
  static void relu_gradient(const float* hidden, float* grad, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += W) {
      store(grad + i, select(load(hidden + i) > F(0), load(grad + i), F(0)));
    }
  }
  static void add_column_sums(const float* x, double* sums, std::int64_t N, int columns) {
    if (columns == 2) {  // even and odd lanes
      F total(0), second(0);
      for (std::int64_t i = 0; i < 2 * N; i += 2 * W) {
        total = total + load(x + i);
        second = second + load(x + i + W);
      }
      float lanes[2 * W];
      store(lanes, total);
      store(lanes + W, second);
      for (int lane = 0; lane < 2 * W; ++lane) sums[lane % 2] += static_cast<double>(lanes[lane]);
      return;
    }
    for (int k = 0; k < columns; k += W) {
      F total(0);
      for (std::int64_t i = 0; i < N; ++i) total = total + load(x + i * columns + k);
      float lanes[W];
      store(lanes, total);
      for (int lane = 0; lane < W; ++lane) sums[k + lane] += static_cast<double>(lanes[lane]);
    }
  }

  static constexpr IsaKernels table(bool has_fma) {
    return {has_fma ? fma_chains : nullptr,
            2.0 * kChains * W,
            philox,
            4 * W,
            {observe, draw_words, draw_starts, add_bias, relu, probability, sample, step, restart,
             returns, sum, sum_squares, normalise, logit_gradient, relu_gradient, add_column_sums}};
  }
};

}  // namespace lockstep::bench
