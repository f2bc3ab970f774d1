// Tests for host/backend/policy_parameters.h: layout, initial values, packing. The reference
// evaluates the network from its named tensors in double.
#include "host/backend/policy_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/errors.h"
#include "host/text.h"
#include "kernels/flat_layout.h"
#include "kernels/policy.h"

namespace lockstep {
namespace policy_parameters_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr PolicyShape kMlp{PolicyKind::kMlp, 4, 2, 19};
constexpr PolicyShape kWide{PolicyKind::kMlp, 2, 3, 8};
constexpr PolicyShape kLinear{PolicyKind::kLinear, 4, 2, 0};

TEST(PolicyShape, HasPyTorchsTensors) {
  const std::vector<float> flat = initial_parameters(kMlp, Init::kKaimingUniform, 1);
  EXPECT_EQ(kMlp.size(), 19 * 4 + 19 + 2 * 19 + 2);
  EXPECT_EQ(kLinear.size(), 2 * 4 + 2);
  const auto tensors = kMlp.tensors(flat, ".exp_avg");
  ASSERT_EQ(tensors.size(), 4u);
  const char* names[] = {"layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"};
  const std::vector<std::vector<std::int64_t>> shapes = {{19, 4}, {19}, {2, 19}, {2}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(tensors[i].name, std::string(names[i]) + ".exp_avg");
    EXPECT_EQ(tensors[i].shape, shapes[i]);
  }
  EXPECT_EQ(kMlp.flatten(tensors, ".exp_avg"), flat);
  EXPECT_EQ(kLinear.tensors(std::vector<float>(10)).size(), 2u);
}

TEST(PolicyShape, LayersStandWhereKernelsLookForThem) {
  for (const PolicyShape& shape : {kMlp, kWide, kLinear}) {
    const FlatLayout flat{shape.O, shape.A, shape.H};
    const std::vector<NetworkLayer> layers = shape.layers();
    EXPECT_EQ(layers.front().weight_at, 0);
    EXPECT_EQ(layers.back().weight_at, flat.output_weight());
    EXPECT_EQ(layers.back().bias_at, flat.output_bias());
    EXPECT_EQ(layers.front().activated, shape.H > 0);
    EXPECT_FALSE(layers.back().activated);
    if (shape.H > 0) {
      EXPECT_EQ(layers.front().bias_at, flat.hidden_bias());
    }
    EXPECT_EQ(shape.size(), flat.size());
  }
  const PolicyShape pictures{PolicyKind::kMlp, 6400, 2, 7, true};
  ASSERT_EQ(pictures.layers().size(), 2u);
  EXPECT_EQ(pictures.layers()[1].weight_at, 6400 * 7);
  EXPECT_EQ(pictures.layers()[1].out, 1);
  EXPECT_FALSE(pictures.layers()[0].bias || pictures.layers()[1].bias);
  EXPECT_EQ(pictures.size(), 6401 * 7);
}

TEST(PolicyShape, TensorsTellTheSizeOfTheirNetwork) {
  for (const PolicyShape& shape : {kMlp, kWide, kLinear}) {
    const std::vector<float> flat(static_cast<std::size_t>(shape.size()));
    const NetworkSize network = network_size(shape.tensors(flat), "here");
    EXPECT_EQ(network.kind, shape.kind);
    EXPECT_EQ(network.hidden, shape.H);
  }
  auto tensors = kMlp.tensors(std::vector<float>(static_cast<std::size_t>(kMlp.size())));
  tensors[0].shape = {19, 4, 1};
  EXPECT_THAT([&] { network_size(tensors, "here"); },
              ThrowsMessage<BadInput>(HasSubstr("here: no tensor layer1.weight of rank 2")));
}

TEST(PolicyShape, NamesTheTensorThatDoesNotFit) {
  auto tensors = kMlp.tensors(std::vector<float>(static_cast<std::size_t>(kMlp.size())));
  const auto refused = [&](const char* text) {
    EXPECT_THAT([&] { kMlp.flatten(tensors); }, ThrowsMessage<BadInput>(HasSubstr(text)));
  };
  tensors[2].shape = {19, 2};
  refused("'layer2.weight' has shape [19, 2], expected [2, 19]");
  tensors[2].shape = {2, 19};
  tensors[2].data.resize(37);
  refused("'layer2.weight' has 37 values, expected 38");
  tensors[2].data.resize(38);
  tensors.pop_back();
  refused("'layer2.bias' is missing");
  EXPECT_THROW(kMlp.flatten(tensors, ".exp_avg"), BadInput);
}

TEST(PolicyShape, RefusesTensorsThatItHasNoUseFor) {
  const std::vector<float> flat(static_cast<std::size_t>(kMlp.size()));
  for (const std::string suffix : {"", ".exp_avg"}) {
    for (const char* name : {"layer3.weight", "layer1.weight.running_mean", "layer1", "\x1b[2J"}) {
      auto tensors = kMlp.tensors(flat, suffix);
      tensors.push_back({name + suffix, {1}, {0.0f}});
      EXPECT_THAT([&] { kMlp.flatten(tensors, suffix, "model.safetensors"); },
                  ThrowsMessage<BadInput>(
                      AllOf(HasSubstr("model.safetensors: tensor " + in_quotes(name + suffix) +
                                      " is not one of this policy's: layer1.weight" + suffix),
                            HasSubstr("layer2.bias" + suffix))));
    }
  }
  EXPECT_THROW(kLinear.flatten(kMlp.tensors(flat)), BadInput) << "two layers where one is wanted";
}

TEST(PolicyShape, ReadsOneOfTwoSetsInOneFile) {
  std::vector<float> flat(static_cast<std::size_t>(kMlp.size()), 1.0f);
  auto tensors = kMlp.tensors(flat, ".exp_avg");
  for (NamedTensor& other : kMlp.tensors(std::vector<float>(flat.size()), ".exp_avg_sq")) {
    tensors.push_back(std::move(other));
  }
  EXPECT_EQ(kMlp.flatten(tensors, ".exp_avg"), flat);
}

TEST(InitialParameters, NormalOnesHaveTheMomentsOfANormalDistribution) {
  const PolicyShape shape{PolicyKind::kMlp, 6400, 2, 200, true};
  ASSERT_EQ(shape.size(), 200 * 6400 + 200);
  const std::vector<float> flat = initial_parameters(shape, Init::kNormal, 11);
  double power[5] = {}, product = 0, most = 0;
  const std::size_t n = 200 * 6400;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(flat[i]) * 80;  // deviation 1 / sqrt(6400)
    double p = 1;
    for (double& sum : power) {
      sum += p;
      p *= x;
    }
    // neighbours are made of the same two random words
    if (i % 2 == 0) product += x * static_cast<double>(flat[i + 1]) * 80;
    most = std::max(most, std::abs(x));
  }
  // six standard errors: of x^k, sqrt((E x^2k - (E x^k)^2) / n); E x^2, x^4, x^6, x^8 = 1, 3, 15,
  // 105
  const double count = static_cast<double>(n);
  EXPECT_NEAR(power[1] / count, 0, 6 * std::sqrt(1 / count));
  EXPECT_NEAR(power[2] / count, 1, 6 * std::sqrt(2 / count));
  EXPECT_NEAR(power[3] / count, 0, 6 * std::sqrt(15 / count));
  EXPECT_NEAR(power[4] / count, 3, 6 * std::sqrt(96 / count));
  EXPECT_NEAR(product / (count / 2), 0, 6 * std::sqrt(2 / count));
  EXPECT_GT(most, 4.5);  // of 1.28 million; 24 bits of a word reach 5.77
  EXPECT_LT(most, 5.8);
  double squares = 0;
  for (std::size_t j = n; j < flat.size(); ++j) {
    squares += static_cast<double>(flat[j]) * static_cast<double>(flat[j]);
  }
  EXPECT_NEAR(squares, 1, 6 * std::sqrt(2.0 / 200));  // 200 of variance 1 / 200
}

TEST(InitialParameters, DoNotDependOnHowManyThreadsMakeThem) {
  const PolicyShape shape{PolicyKind::kMlp, 6400, 2, 17, true};
  for (const Init init : {Init::kNormal, Init::kKaimingUniform}) {
    const std::vector<float> flat = initial_parameters(shape, init, 3);
    EXPECT_EQ(initial_parameters(shape, init, 3), flat);
    EXPECT_NE(initial_parameters(shape, init, 4), flat);
    std::vector<float> alone;
    int others = 0;
#pragma omp parallel num_threads(2)  // regions inside of regions have one thread
#pragma omp single
    {
      alone = initial_parameters(shape, init, 3);
#pragma omp parallel num_threads(2)
#pragma omp atomic
      ++others;
    }
    EXPECT_EQ(others, 1);
    EXPECT_EQ(alone, flat);
    // the first number of a tensor does not depend on how many come after it
    const PolicyShape larger{PolicyKind::kMlp, 6400, 2, 18, true};
    const std::vector<float> more = initial_parameters(larger, init, 3);
    EXPECT_TRUE(std::equal(flat.begin(), flat.end() - 17, more.begin()));
  }
}

TEST(InitialParameters, StayInTheirBoundsAndFillThem) {
  const struct {
    Init init;
    double weight1, bias1, weight2, bias2;  // bounds
  } cases[] = {
      // Glorot: sqrt(6 / (fan_in + fan_out)); PyTorch's Linear: 1 / sqrt(fan_in)
      {Init::kXavierUniform, std::sqrt(6.0 / 68), 0, std::sqrt(6.0 / 66), 0},
      {Init::kKaimingUniform, 0.5, 0.5, 0.125, 0.125},
      {Init::kZeros, 0, 0, 0, 0},
  };
  const PolicyShape shape{PolicyKind::kMlp, 4, 2, 64};
  for (const auto& c : cases) {
    const auto tensors = shape.tensors(initial_parameters(shape, c.init, 7));
    const double bounds[] = {c.weight1, c.bias1, c.weight2, c.bias2};
    for (std::size_t i = 0; i < 4; ++i) {
      double largest = 0, sum = 0, squares = 0;
      for (const float v : tensors[i].data) {
        const double x = static_cast<double>(v);
        largest = std::max(largest, std::abs(x));
        sum += x;
        squares += x * x;
      }
      const double n = static_cast<double>(tensors[i].data.size());
      EXPECT_LE(largest, bounds[i] * (1 + 1e-6)) << tensors[i].name;
      if (n < 64) continue;
      // uniform: variance bound^2 / 3; six standard errors of mean and mean square
      EXPECT_LE(std::abs(sum / n), 6 * bounds[i] / std::sqrt(3 * n)) << tensors[i].name;
      EXPECT_NEAR(squares / n, bounds[i] * bounds[i] / 3,
                  6 * bounds[i] * bounds[i] * std::sqrt(4.0 / 45 / n))
          << tensors[i].name;
    }
  }
}

TEST(InitialParameters, DifferEverywhereAndFollowTheSeed) {
  const auto a = initial_parameters(kMlp, Init::kKaimingUniform, 1);
  EXPECT_EQ(a, initial_parameters(kMlp, Init::kKaimingUniform, 1));
  const auto b = initial_parameters(kMlp, Init::kKaimingUniform, 1 + (std::uint64_t{1} << 32));
  EXPECT_NE(a, b);
  const std::set<float> values(a.begin(), a.begin() + 19 * 5);
  EXPECT_EQ(values.size(), 19u * 5);  // weights and biases of the first layer share one bound
}

/// Logits of a network given by its tensors, in double.
std::vector<double> logits_of_tensors(const std::vector<NamedTensor>& t,
                                      const std::vector<double>& x, double leak) {
  std::vector<double> in = x;
  for (std::size_t layer = 0; layer + 1 < t.size(); layer += 2) {
    std::vector<double> out;
    for (std::size_t j = 0; j < t[layer + 1].data.size(); ++j) {
      double sum = static_cast<double>(t[layer + 1].data[j]);
      for (std::size_t i = 0; i < in.size(); ++i) {
        sum += static_cast<double>(t[layer].data[j * in.size() + i]) * in[i];
      }
      const bool last = layer + 2 == t.size();
      out.push_back(last || sum > 0 ? sum : leak * sum);
    }
    in = out;
  }
  return in;
}

/// The same from the packed form, walked as kernels/trajectory.h says.
std::vector<double> logits_of_packed(const PackedPolicy& packed, const PolicyShape& s,
                                     const std::vector<double>& x) {
  const PolicyView<float> view = packed.view();
  const int Z = logits_of(s.A);
  std::vector<double> logits(static_cast<std::size_t>(Z));
  if (view.form == PolicyForm::kLinear) {
    for (int z = 0; z < Z; ++z) {
      const float* row = view.units + z * (s.O + 1);
      double sum = static_cast<double>(row[s.O]);
      for (int i = 0; i < s.O; ++i) {
        sum += static_cast<double>(row[i]) * x[static_cast<std::size_t>(i)];
      }
      logits[static_cast<std::size_t>(z)] = sum;
    }
    return logits;
  }
  for (int z = 0; z < Z; ++z) {
    logits[static_cast<std::size_t>(z)] = static_cast<double>(view.output_bias[z]);
  }
  const int stride = unit_stride(s.O, Z);
  for (int p = 0; p < kPartials * view.chain; ++p) {
    const float* unit = view.units + p * stride;
    double h = static_cast<double>(unit[s.O]);
    for (int i = 0; i < s.O; ++i) {
      h += static_cast<double>(unit[i]) * x[static_cast<std::size_t>(i)];
    }
    if (h < 0) h *= static_cast<double>(view.leak);
    for (int z = 0; z < Z; ++z) {
      logits[static_cast<std::size_t>(z)] += h * static_cast<double>(unit[s.O + 1 + z]);
    }
  }
  return logits;
}

TEST(PackedPolicy, ComputesWhatTheTensorsSay) {
  const std::vector<double> x = {0.7, -1.3, 0.11, -0.4};
  for (const PolicyShape& shape : {kMlp, kWide, kLinear, PolicyShape{PolicyKind::kMlp, 4, 2, 1},
                                   PolicyShape{PolicyKind::kLinear, 4, 3, 0}}) {
    for (const Activation activation : {Activation::kRelu, Activation::kLeakyRelu}) {
      PackedPolicy packed(shape, {activation, 0.0});
      const auto flat = initial_parameters(shape, Init::kKaimingUniform, 3);
      packed.pack(flat);
      const std::vector<double> in(x.begin(), x.begin() + shape.O);
      const double leak = activation == Activation::kLeakyRelu ? 0.01 : 0.0;
      const auto want = logits_of_tensors(shape.tensors(flat), in, leak);
      const auto got = logits_of_packed(packed, shape, in);
      if (shape.A == 2) {
        EXPECT_NEAR(got[0], want[1] - want[0], 1e-6);
      } else {
        for (std::size_t z = 0; z < want.size(); ++z) EXPECT_NEAR(got[z], want[z], 1e-6);
      }
    }
  }
}

TEST(PackedPolicy, FoldsTheDropoutScaleIntoTheOutputWeights) {
  PackedPolicy plain(kMlp, {}), dropping(kMlp, {Activation::kRelu, 0.75});
  const auto flat = initial_parameters(kMlp, Init::kXavierUniform, 3);
  plain.pack(flat);
  dropping.pack(flat);
  const int stride = unit_stride(4, 1);
  for (int p = 0; p < kPartials * plain.view().chain; ++p) {
    EXPECT_EQ(dropping.view().units[p * stride + 5], 4 * plain.view().units[p * stride + 5]);
    EXPECT_EQ(dropping.view().units[p * stride + 1], plain.view().units[p * stride + 1]);
  }
  EXPECT_EQ(dropping.view().drop_below, 0.75 * 0x1p24);
  EXPECT_EQ(plain.view().form, PolicyForm::kRelu);
  EXPECT_EQ(dropping.view().form, PolicyForm::kGeneral);
}

/// Outputs of a packed network for one observation.
template <int O, int Y>
std::vector<float> outputs_of_packed(const PolicyShape& shape, std::span<const float> flat,
                                     Activation activation, const float (&obs)[1][O]) {
  PackedPolicy packed(shape, {activation, 0.0});
  packed.pack(flat);
  float out[1][Y];
  DropoutMask<float>* none = nullptr;
  if (shape.kind == PolicyKind::kLinear) {
    policy_logits<PolicyForm::kLinear, 1, float>(packed.view(), obs, none, out);
  } else if (activation == Activation::kRelu) {
    policy_logits<PolicyForm::kRelu, 1, float>(packed.view(), obs, none, out);
  } else {
    policy_logits<PolicyForm::kGeneral, 1, float>(packed.view(), obs, none, out);
  }
  return {out[0], out[0] + Y};
}

TEST(PackedPolicy, ACriticIsOneMoreOutputThatChangesNoLogit) {
  const float obs[1][4] = {{0.3f, -1.5f, 0.7f, 2.0f}};
  for (const int H : {0, 1, 8, 19}) {
    for (const int critic : {0, 1, 8, 13}) {
      if (H == 0 && critic > 0) continue;
      const PolicyShape shape{
          H == 0 ? PolicyKind::kLinear : PolicyKind::kMlp, 4, 2, H, false, critic};
      const std::vector<float> flat = initial_parameters(shape, Init::kKaimingUniform, 5);
      for (const Activation activation : {Activation::kRelu, Activation::kLeakyRelu}) {
        SCOPED_TRACE(testing::Message() << H << " units, critic " << critic);
        const auto both = outputs_of_packed<4, 2>(shape, flat, activation, obs);
        const auto alone = outputs_of_packed<4, 1>(shape.actor(), flat, activation, obs);
        EXPECT_EQ(both[0], alone[0]);
        // the value, by the list of layers
        const std::vector<NetworkLayer> layers = shape.layers();
        const float leak = activation == Activation::kLeakyRelu ? kLeak : 0.0f;
        const NetworkLayer& last = layers.back();
        const NetworkLayer& first = critic > 0 ? layers[layers.size() - 2] : layers.front();
        double value = static_cast<double>(flat[static_cast<std::size_t>(last.bias_at)]);
        for (int j = 0; j < last.in; ++j) {
          double h = static_cast<double>(obs[0][j % 4]);
          if (H > 0) {
            h = static_cast<double>(flat[static_cast<std::size_t>(first.bias_at + j)]);
            for (int i = 0; i < 4; ++i) {
              const auto at = static_cast<std::size_t>(first.weight_at + j * 4 + i);
              h += static_cast<double>(flat[at]) * static_cast<double>(obs[0][i]);
            }
            if (h < 0) h *= static_cast<double>(leak);
          }
          value += h * static_cast<double>(flat[static_cast<std::size_t>(last.weight_at + j)]);
        }
        EXPECT_NEAR(both[1], value, 1e-5);
      }
    }
  }
}

TEST(PolicyShape, ACriticHasTensorsOfItsOwnBehindThePolicys) {
  const auto names = [](const PolicyShape& shape) {
    const std::vector<float> flat(static_cast<std::size_t>(shape.size()));
    std::vector<std::string> all;
    for (const NamedTensor& tensor : shape.tensors(flat)) {
      all.push_back(tensor.name + " " + shape_text(tensor.shape));
    }
    return all;
  };
  PolicyShape shape = kMlp;
  shape.critic = 0;
  EXPECT_THAT(names(shape),
              ElementsAre("layer1.weight [19, 4]", "layer1.bias [19]", "layer2.weight [2, 19]",
                          "layer2.bias [2]", "value.weight [1, 19]", "value.bias [1]"));
  shape.critic = 7;
  EXPECT_THAT(names(shape), ElementsAre("layer1.weight [19, 4]", "layer1.bias [19]",
                                        "layer2.weight [2, 19]", "layer2.bias [2]",
                                        "critic.layer1.weight [7, 4]", "critic.layer1.bias [7]",
                                        "critic.layer2.weight [1, 7]", "critic.layer2.bias [1]"));
  for (const int critic : {kNoCritic, 0, 7}) {
    shape.critic = critic;
    const std::vector<float> flat = initial_parameters(shape, Init::kXavierUniform, 3);
    EXPECT_EQ(network_size(shape.tensors(flat), "here").critic, critic);
    EXPECT_EQ(shape.size(), (FlatLayout{4, 2, 19, critic}.size()));
    // the policy starts from the same weights whatever its critic is
    const std::vector<float> alone = initial_parameters(kMlp, Init::kXavierUniform, 3);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), flat.begin()));
  }
}

}  // namespace policy_parameters_test
}  // namespace lockstep
