// Tests for an update of the `classic` recipe, from the trajectory to the new weights, against
// PyTorch's way of computing it, written here once more in double and sharing nothing with
// kernels/: plain softmax over two logits, explicit dropout masks, backpropagation step by step,
// torch's Adam. tests/python/torch_reference.py holds the same against PyTorch itself.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/options/options.h"
#include "tests/support/compare.h"
#include "tests/support/update_dump.h"

namespace lockstep {
namespace classic_reference_test {

using test::UpdateDump;
using Vector = std::vector<double>;

/// The network with parameters in PolicyShape's flat layout.
struct Network {
  int O, H;
  Vector flat;
  std::size_t w1(int j, int i) const { return static_cast<std::size_t>(j * O + i); }
  std::size_t b1(int j) const { return static_cast<std::size_t>(H * O + j); }
  std::size_t w2(int a, int j) const { return static_cast<std::size_t>(H * O + H + a * H + j); }
  std::size_t b2(int a) const { return static_cast<std::size_t>(H * O + H + 2 * H + a); }
};

/// One step: activations, then its part of the gradient of -value * log pi(action).
class Step {
 public:
  Step(const Network& net, const float* obs, const std::uint8_t* kept, double keep_scale)
      : net_(net), obs_(obs), hidden_(static_cast<std::size_t>(net.H)), slope_(hidden_) {
    for (int a = 0; a < 2; ++a) logit_[a] = net.flat[net.b2(a)];
    for (int j = 0; j < net.H; ++j) {
      double h = net.flat[net.b1(j)];
      for (int i = 0; i < net.O; ++i) h += net.flat[net.w1(j, i)] * static_cast<double>(obs[i]);
      const double scale = kept[j] != 0 ? keep_scale : 0;
      const auto unit = static_cast<std::size_t>(j);
      slope_[unit] = h > 0 ? scale : 0;
      hidden_[unit] = h > 0 ? h * scale : 0;
      for (int a = 0; a < 2; ++a) logit_[a] += net.flat[net.w2(a, j)] * hidden_[unit];
    }
  }
  double log_odds() const { return logit_[1] - logit_[0]; }

  void add_gradient(int action, double value, Vector& gradient) const {
    const double largest = std::max(logit_[0], logit_[1]);
    const double e[2] = {std::exp(logit_[0] - largest), std::exp(logit_[1] - largest)};
    for (int a = 0; a < 2; ++a) {
      const double g = value * (e[a] / (e[0] + e[1]) - (a == action ? 1 : 0));
      gradient[net_.b2(a)] += g;
      for (int j = 0; j < net_.H; ++j) {
        const auto unit = static_cast<std::size_t>(j);
        gradient[net_.w2(a, j)] += g * hidden_[unit];
        const double back = g * net_.flat[net_.w2(a, j)] * slope_[unit];
        gradient[net_.b1(j)] += back;
        for (int i = 0; i < net_.O; ++i) {
          gradient[net_.w1(j, i)] += back * static_cast<double>(obs_[i]);
        }
      }
    }
  }

 private:
  const Network& net_;
  const float* obs_;
  double logit_[2];
  Vector hidden_, slope_;
};

/// Discounted returns of an episode of reward 1 a step, normalised with the sample deviation.
Vector normalised_returns(std::size_t steps, double gamma) {
  Vector value(steps);
  double total = 0, mean = 0, spread = 0;
  for (std::size_t t = steps; t-- > 0;) value[t] = total = 1 + gamma * total;
  for (const double v : value) mean += v / static_cast<double>(steps);
  for (const double v : value) spread += (v - mean) * (v - mean);
  const double deviation = std::sqrt(spread / static_cast<double>(steps - 1));
  for (double& v : value) v = (v - mean) / deviation;
  return value;
}

/// Gradient of the loss summed over the steps of the only environment; also the worst logit error.
Vector reference_gradient(const UpdateDump& dump, const Config& config, const Vector& parameters,
                          double* worst_logit) {
  const Network net{static_cast<int>(dump.O), static_cast<int>(dump.H), parameters};
  const auto steps = static_cast<std::size_t>(dump.T);
  const Vector value = normalised_returns(steps, config.gamma);
  Vector gradient(parameters.size());
  for (std::size_t t = 0; t < steps; ++t) {
    const Step step(net, dump.obs.data() + t * static_cast<std::size_t>(dump.O),
                    dump.kept.data() + t * static_cast<std::size_t>(dump.H),
                    1 / (1 - config.dropout));
    if (worst_logit != nullptr) {
      const double error = std::abs(static_cast<double>(dump.logit[t]) - step.log_odds());
      *worst_logit = std::max(*worst_logit, error);
    }
    step.add_gradient(dump.action[t], value[t], gradient);
  }
  return gradient;
}

/// torch.optim.Adam without options.
struct Adam {
  Vector m, v;
  int t = 0;
  void step(Vector& parameters, const Vector& gradient, double lr) {
    m.resize(parameters.size());
    v.resize(parameters.size());
    ++t;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
      const double m_hat = m[i] / (1 - std::pow(0.9, t));
      const double v_hat = v[i] / (1 - std::pow(0.999, t));
      parameters[i] -= lr * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
};

Vector widened(std::span<const float> values) { return {values.begin(), values.end()}; }

class ClassicReferenceTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  static constexpr std::uint32_t kUpdates = 10;

  ClassicReferenceTest() {
    config_ = resolve_config({.flags = {{"recipe", "classic"}}, .environment = {}});
    config_.seed = GetParam();
    CpuBackend backend = test::fresh_backend(config_);
    for (std::uint32_t u = 0; u < kUpdates; ++u) {
      dumps_.push_back(test::dump_update(backend, config_, u, config_.lr));
    }
  }
  Config config_;
  std::vector<UpdateDump> dumps_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, ClassicReferenceTest, testing::Range<std::uint64_t>(1, 6));

TEST_P(ClassicReferenceTest, GradientFollowsBackpropagation) {
  for (const UpdateDump& dump : dumps_) {
    double worst_logit = 0;
    const Vector want = reference_gradient(dump, config_, widened(dump.before), &worst_logit);
    ASSERT_GE(dump.T, 8);
    EXPECT_LE(worst_logit, 2e-6);
    EXPECT_LE(test::relative_l2(dump.gradient, want), 1e-5);
  }
}

TEST_P(ClassicReferenceTest, AdamFollowsPyTorchGivenTheGradient) {
  Adam adam;
  for (const UpdateDump& dump : dumps_) {
    Vector parameters = widened(dump.before);
    adam.step(parameters, widened(dump.gradient), config_.lr);
    EXPECT_LE(test::relative_l2(dump.after, parameters), 1e-6);
  }
}

TEST_P(ClassicReferenceTest, TenUpdatesOfItsOwnEndInTheSamePlace) {
  Adam adam;
  Vector parameters = widened(dumps_[0].before);
  for (const UpdateDump& dump : dumps_) {
    adam.step(parameters, reference_gradient(dump, config_, parameters, nullptr), config_.lr);
  }
  EXPECT_LE(test::relative_l2(dumps_.back().after, parameters), 1e-4);
}

TEST_P(ClassicReferenceTest, AWrongReferenceIsFarOff) {
  // what the bounds must catch, and by how much: another discount, dropout without its scale
  const UpdateDump& dump = dumps_[3];
  const Vector good = reference_gradient(dump, config_, widened(dump.before), nullptr);
  Config wrong = config_;
  wrong.gamma = 0.98;
  EXPECT_GT(test::relative_l2(reference_gradient(dump, wrong, widened(dump.before), nullptr), good),
            1e-3);
  wrong = config_;
  wrong.dropout = 0;
  EXPECT_GT(test::relative_l2(reference_gradient(dump, wrong, widened(dump.before), nullptr), good),
            1e-3);
}

}  // namespace classic_reference_test
}  // namespace lockstep
