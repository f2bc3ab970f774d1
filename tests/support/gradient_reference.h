// The gradient of an update in double, from what a backend recorded in float, and how far the
// integer gradient may be from it.
//
// A term g x enters a sum as round(g x 2^k) 2^-k. The integer rounding costs 2^-(k+1). In float, g
// takes 2 roundings of the advantage, 7 of the probability (exp 2.4, sum, quotient, product), one
// of the product and two of the entropy's part, and g x one more: 16 units of the term's magnitude
// cover them. A unit active in one arithmetic only costs its whole term.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "host/cpu/number_backend.h"
#include "tests/support/double_batch.h"

namespace lockstep::test {

/// The float weights a backend computes with, in double: the same function, more digits.
struct WidePolicy {
  WidePolicy(const PolicyShape& shape, const PolicyOptions& options, std::span<const float> flat)
      : packed(shape, options) {
    packed.pack(flat);
    narrow = packed.view();
    const int Z = logits_of(shape.A);
    const std::int64_t count = narrow.form == PolicyForm::kLinear
                                   ? Z * (shape.O + 1)
                                   : kPartials * narrow.chain * unit_stride(shape.O, Z);
    units.assign(narrow.units, narrow.units + count);
    output_bias.assign(narrow.output_bias, narrow.output_bias + Z);
    view = {narrow.form,       narrow.hidden,      narrow.chain,
            units.data(),      output_bias.data(), static_cast<double>(narrow.leak),
            narrow.drop_below, narrow.drop_half};
  }
  WidePolicy(const WidePolicy&) = delete;
  WidePolicy& operator=(const WidePolicy&) = delete;

  PackedPolicy packed;
  PolicyView<float> narrow;
  std::vector<double> units, output_bias;
  PolicyView<double> view;
};

/// What the gradient reads of a record; float values are exact in double.
template <class E>
void copy_record(const Record<float>& from, Record<double>& to) {
  constexpr int O = E::kObservationSize, Z = logits_of(E::kNumActions);
  for (std::int64_t group = 0; group < from.groups; ++group) {
    to.steps[group] = from.steps[group];
    for (std::int64_t i = group * from.T; i < group * from.T + from.steps[group]; ++i) {
      to.valid[i] = from.valid[i];
      if (E::kNumActions == 2) to.action_bits[i] = from.action_bits[i];
      const auto copy = [&](const auto* source, auto* target, int fields) {
        for (std::int64_t at = i * fields * kGroup; at < (i + 1) * fields * kGroup; ++at) {
          target[at] = source[at];
        }
      };
      copy(from.advantage, to.advantage, 1);
      copy(from.obs, to.obs, O);
      copy(from.logits, to.logits, Z);
      if (E::kNumActions > 2) copy(from.action, to.action, 1);
    }
  }
}

/// What each sum of a gradient may be off by: by unit's position and component, then those over all
/// steps.
template <class E>
class SumErrors {
 public:
  static constexpr int O = E::kObservationSize, Z = logits_of(E::kNumActions), C = Z * (O + 1);

  /// mean, inv_std and entropy_coef as the gradient uses them; scales [O + 1].
  SumErrors(const WidePolicy& policy, const RandomStream& stream, std::span<const float> scales,
            double mean, double inv_std, double entropy_coef)
      : policy_(policy),
        stream_(stream),
        scales_(scales),
        mean_(mean),
        inv_std_(inv_std),
        entropy_coef_(entropy_coef),
        units_(policy.view.form == PolicyForm::kLinear ? 0 : kPartials * policy.view.chain),
        error_(static_cast<std::size_t>((units_ + 1) * C)) {}

  void add_batch(const Record<float>& r, std::int64_t envs) {
    for (std::int64_t env = 0; env < envs; ++env) {
      const std::int64_t group = env / kGroup;
      for (int t = 0; t < r.steps[group]; ++t) {
        if (((r.valid[group * r.T + t] >> (env % kGroup)) & 1) != 0) add_step(r, env, t);
      }
    }
  }
  const double* of_unit(int position) const { return error_.data() + std::int64_t{position} * C; }
  const double* of_all() const { return of_unit(units_); }
  int units() const { return units_; }
  int flips() const { return flips_; }

 private:
  void add_step(const Record<float>& r, std::int64_t env, int t) {
    const std::int64_t step = env / kGroup * r.T + t, lane = env % kGroup;
    float obs[O];
    double wide[O + 1], spread = 0;
    for (int o = 0; o < O; ++o) {
      obs[o] = r.obs[(step * O + o) * kGroup + lane];
      wide[o] = static_cast<double>(obs[o]);
    }
    wide[O] = 1;
    for (int z = 0; z < Z; ++z) {
      spread = std::max(spread,
                        std::fabs(static_cast<double>(r.logits[(step * Z + z) * kGroup + lane])));
    }
    const double advantage =
        (static_cast<double>(r.advantage[step * kGroup + lane]) - mean_) * inv_std_;
    const double magnitude = std::fabs(advantage) + entropy_coef_ * (2 + 2 * spread);
    for (int o = 0; o <= O; ++o) {
      term_size_[o] = magnitude * std::fabs(wide[o]);
      const double scale = static_cast<double>(scales_[static_cast<std::size_t>(o)]);
      term_error_[o] = 0.5 / scale + 16 * 0x1p-24 * term_size_[o];
    }
    add(units_, 1, false);
    DropoutMask<float> mask;
    const auto& narrow = policy_.narrow;
    if (narrow.drop_below != 0) {
      draw_dropout<float>(stream_, narrow, static_cast<std::uint32_t>(env),
                          static_cast<std::uint32_t>(t), mask.word);
    }
    for (int position = 0; position < units_; ++position) {
      const int j = position / narrow.chain + kPartials * (position % narrow.chain);
      if (j >= narrow.hidden || (narrow.drop_below != 0 && !mask.kept(j))) continue;
      const std::int64_t unit = std::int64_t{position} * unit_stride(O, Z);
      const bool active = hidden_unit<float, O>(narrow.units + unit, obs) > 0;
      double h = 0;
      for (int o = 0; o <= O; ++o) h += policy_.view.units[unit + o] * wide[o];
      const bool flipped = active != (h > 0);
      flips_ += flipped;
      add(position, active ? 1 + 2 * policy_.view.leak : policy_.view.leak, flipped);
    }
  }
  void add(int position, double weight, bool flipped) {
    double* error = error_.data() + std::int64_t{position} * C;
    for (int c = 0; c < C; ++c) {
      error[c] += weight * term_error_[c % (O + 1)] + (flipped ? term_size_[c % (O + 1)] : 0);
    }
  }

  const WidePolicy& policy_;
  RandomStream stream_;
  std::span<const float> scales_;
  double mean_, inv_std_, entropy_coef_;
  int units_;
  std::vector<double> error_;
  int flips_ = 0;
  double term_error_[O + 1], term_size_[O + 1];
};

/// From errors of sums to errors of parameters: kernels/finish_gradient.h with absolute values.
template <class E>
std::vector<double> parameter_errors(const SumErrors<E>& sums, const WidePolicy& policy,
                                     const PolicyShape& shape) {
  constexpr int O = E::kObservationSize, A = E::kNumActions, Z = logits_of(A);
  const int H = shape.H;
  std::vector<double> error(static_cast<std::size_t>(shape.size()));
  const auto at = [&](int i) -> double& { return error[static_cast<std::size_t>(i)]; };
  const auto rows = [&](int first, int stride, int z, double value) {
    at(first + z * stride) = value;
    if (A == 2) at(first + stride) = value;
  };
  for (int position = 0; position < sums.units(); ++position) {
    const int j = position / policy.view.chain + kPartials * (position % policy.view.chain);
    if (j >= H) continue;
    const double* unit = policy.view.units + std::int64_t{position} * unit_stride(O, Z);
    const double* e = sums.of_unit(position);
    for (int i = 0; i <= O; ++i) {
      double& of_input = at(i < O ? j * O + i : H * O + j);
      for (int z = 0; z < Z; ++z) of_input += std::fabs(unit[O + 1 + z]) * e[z * (O + 1) + i];
    }
    for (int z = 0; z < Z; ++z) {
      double sum = 0;
      for (int i = 0; i <= O; ++i) sum += std::fabs(unit[i]) * e[z * (O + 1) + i];
      rows(H * (O + 1) + j, H, z, static_cast<double>(policy.packed.drop_scale()) * sum);
    }
  }
  for (int z = 0; z < Z; ++z) {
    for (int i = 0; H == 0 && i < O; ++i) rows(i, O, z, sums.of_all()[z * (O + 1) + i]);
    rows(H == 0 ? A * O : H * (O + 1) + A * H, 1, z, sums.of_all()[z * (O + 1) + O]);
  }
  return error;
}

struct GradientReference {
  std::vector<double> gradient, bound;  // one a parameter
  int flips;                            // units active in float but not in double, or the reverse
};

/// After backend.rollout(epoch), estimate() and gradient(); episodic mode. `parameters` acted.
template <class E>
GradientReference gradient_reference(const CpuBackend& backend, const Config& config,
                                     std::uint32_t epoch, std::span<const float> parameters) {
  const PolicyOptions options{config.activation, config.dropout};
  const WidePolicy policy(backend.shape(), options, parameters);
  const RandomStream stream{config.seed, epoch};
  DoubleBatch<E> batch(backend.shape(), options, config.envs, backend.record().T);
  batch.stream() = stream;
  copy_record<E>(backend.record(), batch.record());
  const auto as_float = [](double value) { return static_cast<double>(static_cast<float>(value)); };
  const double mean = as_float(backend.advantage_moments().mean);
  const double inv_std = as_float(backend.advantage_moments().inv_std);
  const double entropy_coef = as_float(config.entropy_coef);
  const double episodes = static_cast<double>(config.envs);
  SumErrors<E> errors(policy, stream, backend.gradient_scales(), mean, inv_std, entropy_coef);
  errors.add_batch(backend.record(), config.envs);
  GradientReference out;
  out.gradient = batch.gradient(policy.view, static_cast<double>(policy.packed.drop_scale()),
                                {mean, inv_std, entropy_coef, false}, episodes);
  out.bound = parameter_errors<E>(errors, policy, backend.shape());
  for (std::size_t i = 0; i < out.bound.size(); ++i) {
    // and one rounding to float at the end
    out.bound[i] = out.bound[i] / episodes + 0x1p-24 * std::fabs(out.gradient[i]);
  }
  out.flips = errors.flips();
  return out;
}

}  // namespace lockstep::test
