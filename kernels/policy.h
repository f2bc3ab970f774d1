// The policy of one step: logits of the network, dropout masks, and the choice of an action.
// Templates over the number type; V packs side by side give the processor independent work.
#pragma once

#include "kernels/philox.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Which hidden units live this step: bit j mod 32 of word j / 32 is unit j.
template <class F>
struct DropoutMask {
  typename Lanes<F>::U word[kMaxHidden / 32];

  LS_HD typename Lanes<F>::M kept(int unit) const {
    using U = typename Lanes<F>::U;
    return (word[unit >> 5] & U(1u << (unit & 31))) != U(0u);
  }
};

/// Draws the mask of step t, words 0 .. ceil(H/32)-1, into `word`.
/// Random: purpose dropout, index t; p = 0.5: bit j mod 128 of draw j/128, else word j mod 4 of
/// draw j/4. A set bit keeps the unit.
template <class F, class Policy>
LS_HD void draw_dropout(const RandomStream& stream, const Policy& policy, typename Lanes<F>::U env,
                        std::uint32_t t, typename Lanes<F>::U* word) {
  using U = typename Lanes<F>::U;
  if (policy.drop_half) {
    for (int j = 0; j < policy.hidden; j += 128) {
      const auto r =
          random_words(stream, Purpose::kDropout, static_cast<std::uint32_t>(j / 128), env, t);
      for (int i = 0; i < 4 && j + 32 * i < policy.hidden; ++i) word[j / 32 + i] = r.w[i];
    }
    return;
  }
  for (int j = 0; j < policy.hidden; j += 32) {
    U bits(0u);
    for (int i = 0; i < 32; i += 4) {
      const auto r =
          random_words(stream, Purpose::kDropout, static_cast<std::uint32_t>((j + i) / 4), env, t);
      for (int k = 0; k < 4; ++k) {
        // 24-bit words compare as floats without loss
        const auto dropped = to_float(r.w[k] >> 8) < to_float(U(policy.drop_below));
        bits = bits ^ select(dropped, U(0u), U(1u << (i + k)));
      }
    }
    word[j / 32] = bits;
  }
}

/// Pre-activation of one unit: fma(w0, o0, fma(w1, o1, ... fma(wn, on, b))).
template <class F, int O>
LS_HD F hidden_unit(const typename Lanes<F>::Scalar* unit, const F (&obs)[O]) {
  F h = F(unit[O]);
  for (int i = O - 1; i >= 0; --i) h = fma(F(unit[i]), obs[i], h);
  return h;
}

template <class F>
LS_HD F activate(F h, F leak) {
  return select(h > F(0), h, leak * h);
}

/// Logits of V packs of environments.
///
/// Shapes:   obs [V][O], logits [V][Z] out; `mask` [V], read by the general form with dropout only
/// Result:   bitwise. A logit is kPartials interleaved fma chains from +0 over units r, r + 8, ...,
///           a binary tree over them with strides 1, 2, 4, then the bias.
/// Cost:     H * (O + Z) fma + H max per environment
template <PolicyForm kForm, int kInFlight, class F, int V, int O, int Z>
LS_HD void policy_logits(const PolicyView<typename Lanes<F>::Scalar>& policy, const F (&obs)[V][O],
                         const DropoutMask<F>* mask, F (&logits)[V][Z]) {
  if constexpr (kForm == PolicyForm::kLinear) {
    for (int v = 0; v < V; ++v) {
      for (int z = 0; z < Z; ++z) {
        logits[v][z] = hidden_unit<F, O>(policy.units + z * (O + 1), obs[v]);
      }
    }
  } else {
    constexpr int kStride = unit_stride(O, Z);
    const bool dropout = kForm == PolicyForm::kGeneral && policy.drop_below != 0;
    F partial[kPartials][V][Z];
    for (int r0 = 0; r0 < kPartials; r0 += kInFlight) {
      F sum[kInFlight][V][Z];
      for (int r = 0; r < kInFlight; ++r)
        for (int v = 0; v < V; ++v)
          for (int z = 0; z < Z; ++z) sum[r][v][z] = F(0);
      const auto* unit = policy.units + r0 * policy.chain * kStride;
      for (int k = 0; k < policy.chain; ++k, unit += kStride) {
        for (int r = 0; r < kInFlight; ++r) {
          const auto* w = unit + r * policy.chain * kStride;
          for (int v = 0; v < V; ++v) {
            F h = hidden_unit<F, O>(w, obs[v]);
            if constexpr (kForm == PolicyForm::kRelu) {
              h = max(h, F(0));
            } else {
              h = activate(h, F(policy.leak));
              if (dropout) h = select(mask[v].kept(r0 + r + kPartials * k), h, F(0));
            }
            for (int z = 0; z < Z; ++z) sum[r][v][z] = fma(F(w[O + 1 + z]), h, sum[r][v][z]);
          }
        }
      }
      for (int r = 0; r < kInFlight; ++r)
        for (int v = 0; v < V; ++v)
          for (int z = 0; z < Z; ++z) partial[r0 + r][v][z] = sum[r][v][z];
    }
    for (int v = 0; v < V; ++v) {
      for (int z = 0; z < Z; ++z) {
        const F a = (partial[0][v][z] + partial[1][v][z]) + (partial[2][v][z] + partial[3][v][z]);
        const F b = (partial[4][v][z] + partial[5][v][z]) + (partial[6][v][z] + partial[7][v][z]);
        logits[v][z] = (a + b) + F(policy.output_bias[z]);
      }
    }
  }
}

}  // namespace lockstep
