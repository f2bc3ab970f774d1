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

/// The words of draw `draw` of the dropout mask of step t.
/// Random: purpose dropout, index t; p = 0.5: bit j mod 128 of draw j/128, else word j mod 4 of
/// draw j/4.
template <class F>
LS_HD PhiloxWords<typename Lanes<F>::U> dropout_words(const RandomStream& stream,
                                                      typename Lanes<F>::U env, std::uint32_t t,
                                                      int draw) {
  return random_words(stream, Purpose::kDropout, static_cast<std::uint32_t>(draw), env, t);
}

/// Whether a unit with a word of its own is dropped: 24-bit words compare as floats without loss.
template <class F>
LS_HD auto is_dropped(typename Lanes<F>::U word, std::uint32_t drop_below) {
  return to_float(word >> 8) < to_float(typename Lanes<F>::U(drop_below));
}

/// Draws the mask of step t, words 0 .. ceil(H/32)-1, into `word`. A set bit keeps the unit.
template <class F, class Policy>
LS_HD void draw_dropout(const RandomStream& stream, const Policy& policy, typename Lanes<F>::U env,
                        std::uint32_t t, typename Lanes<F>::U* word) {
  using U = typename Lanes<F>::U;
  if (policy.drop_half) {
    for (int j = 0; j < policy.hidden; j += 128) {
      const auto r = dropout_words<F>(stream, env, t, j / 128);
      for (int i = 0; i < 4 && j + 32 * i < policy.hidden; ++i) word[j / 32 + i] = r.w[i];
    }
    return;
  }
  for (int j = 0; j < policy.hidden; j += 32) {
    U bits(0u);
    for (int i = 0; i < 32; i += 4) {
      const auto r = dropout_words<F>(stream, env, t, (j + i) / 4);
      for (int k = 0; k < 4; ++k) {
        const auto dropped = is_dropped<F>(r.w[k], policy.drop_below);
        bits = bits ^ select(dropped, U(0u), U(1u << (i + k)));
      }
    }
    word[j / 32] = bits;
  }
}

/// The same mask without an array, for one environment whose units are visited in ascending order,
/// each once: words are drawn where the walk comes to them.
struct DropoutWalk {
  RandomStream stream;
  std::uint32_t drop_below;
  bool half;
  std::uint32_t env, t;
  PhiloxWords<std::uint32_t> words;

  LS_HD bool kept(int unit) {
    if (!half) {
      if (unit % 4 == 0) words = dropout_words<float>(stream, env, t, unit / 4);
      return !is_dropped<float>(words.w[unit % 4], drop_below);
    }
    if (unit % 128 == 0) {
      words = dropout_words<float>(stream, env, t, unit / 128);
    } else if (unit % 32 == 0) {
      for (int i = 0; i < 3; ++i) words.w[i] = words.w[i + 1];
    }
    return ((words.w[0] >> (unit % 32)) & 1u) != 0;
  }
};

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

/// Units are stored with this alignment, in bytes, so that a thread loads four numbers at once.
inline constexpr int kUnitAlignment = 16;

/// Number i of a unit that lengthens a ReLU or leaky chain without a trace: its h is +0, and adding
/// (-0) h changes no sum, not even a zero's sign.
LS_HD constexpr float unit_padding(int i, int O) { return i > O ? -0.0f : 0.0f; }

/// Units of a chain that one turn of the loop over it takes; a policy type with kTurn has chains of
/// whole turns.
template <class Policy>
LS_HD constexpr int units_per_turn() {
  if constexpr (requires { Policy::kTurn; }) {
    return Policy::kTurn;
  } else {
    return 1;
  }
}

/// Adds up partial sums [kFirst, kFirst + kCount) of the logits of V packs: a binary tree walked
/// depth first, so that few sums are alive, with kInFlight chains of fma side by side at a leaf.
template <PolicyForm kForm, int kInFlight, int kFirst, int kCount, class F, class Policy,
          class Mask, int V, int O, int Z>
LS_HD void add_partials(const Policy& policy, const F (&obs)[V][O], Mask* mask, F (&total)[V][Z]) {
  if constexpr (kCount > kInFlight) {
    F right[V][Z];
    add_partials<kForm, kInFlight, kFirst, kCount / 2, F>(policy, obs, mask, total);
    add_partials<kForm, kInFlight, kFirst + kCount / 2, kCount / 2, F>(policy, obs, mask, right);
    for (int v = 0; v < V; ++v)
      for (int z = 0; z < Z; ++z) total[v][z] = total[v][z] + right[v][z];
  } else {
    using Real = typename Lanes<F>::Scalar;
    constexpr int kStride = unit_stride(O, Z);
    const bool dropout = kForm == PolicyForm::kGeneral && policy.drop_below != 0;
    F sum[kCount][V][Z];
    for (int r = 0; r < kCount; ++r)
      for (int v = 0; v < V; ++v)
        for (int z = 0; z < Z; ++z) sum[r][v][z] = F(0);
    const Real* unit = policy.units + kFirst * policy.chain * kStride;
    for (int k0 = 0; k0 < policy.chain; k0 += units_per_turn<Policy>()) {
      LS_UNROLL
      for (int k = k0; k < k0 + units_per_turn<Policy>(); ++k, unit += kStride) {
        LS_UNROLL
        for (int r = 0; r < kCount; ++r) {
          const Real* w = static_cast<const Real*>(
              __builtin_assume_aligned(unit + r * policy.chain * kStride, kUnitAlignment));
          LS_UNROLL
          for (int v = 0; v < V; ++v) {
            F h = hidden_unit<F, O>(w, obs[v]);
            if constexpr (kForm == PolicyForm::kRelu) {
              h = max(h, F(0));
            } else {
              h = activate(h, F(policy.leak));
              if (dropout) h = select(mask[v].kept(kFirst + r + kPartials * k), h, F(0));
            }
            for (int z = 0; z < Z; ++z) sum[r][v][z] = fma(F(w[O + 1 + z]), h, sum[r][v][z]);
          }
        }
      }
    }
    for (int stride = 1; stride < kCount; stride *= 2)
      for (int r = 0; r < kCount; r += 2 * stride)
        for (int v = 0; v < V; ++v)
          for (int z = 0; z < Z; ++z) sum[r][v][z] = sum[r][v][z] + sum[r + stride][v][z];
    for (int v = 0; v < V; ++v)
      for (int z = 0; z < Z; ++z) total[v][z] = sum[0][v][z];
  }
}

/// Logits of V packs of environments.
///
/// Shapes:   obs [V][O], logits [V][Z] out; `mask` [V], read by the general form with dropout only
///           (a DropoutMask, or with kInFlight = kPartials a DropoutWalk)
/// Result:   bitwise. A logit is kPartials interleaved fma chains from +0 over units r, r + 8, ...,
///           a binary tree over them with strides 1, 2, 4, then the bias.
/// Cost:     H * (O + Z) fma + H max per environment
template <PolicyForm kForm, int kInFlight, class F, int V, int O, int Z, class Policy, class Mask>
LS_HD void policy_logits(const Policy& policy, const F (&obs)[V][O], Mask* mask,
                         F (&logits)[V][Z]) {
  if constexpr (kForm == PolicyForm::kLinear) {
    for (int v = 0; v < V; ++v) {
      for (int z = 0; z < Z; ++z) {
        logits[v][z] = hidden_unit<F, O>(policy.units + z * (O + 1), obs[v]);
      }
    }
  } else {
    add_partials<kForm, kInFlight, 0, kPartials, F>(policy, obs, mask, logits);
    for (int v = 0; v < V; ++v)
      for (int z = 0; z < Z; ++z) logits[v][z] = logits[v][z] + F(policy.output_bias[z]);
  }
}

}  // namespace lockstep
