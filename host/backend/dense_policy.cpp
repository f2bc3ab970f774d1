// Layers of a policy, and the loop over the operations of a device.
#include "host/backend/dense_policy.h"

#include <algorithm>
#include <chrono>

#include "host/backend/machine.h"
#include "host/errors.h"

namespace lockstep {
namespace {

// Whole episodes end when all have: how often that is looked at. A look costs a device a round
// trip.
constexpr std::int32_t kLookEvery = 32;

/// Two rows become their difference.
void fold_two_actions(DenseLayer& layer) {
  const auto in = static_cast<std::size_t>(layer.in);
  for (std::size_t i = 0; i < in; ++i) layer.weight[i] = layer.weight[in + i] - layer.weight[i];
  layer.weight.resize(in);
  layer.bias = {layer.bias[1] - layer.bias[0]};
  layer.out = 1;
}

/// One step into its place of a record.
void record_step(const DenseStep& step, std::int64_t N, int O, int A, std::int32_t t,
                 Record<float>& record) {
  const int Z = logits_of(A);
  for (std::int64_t group = 0; group < record.groups; ++group) {
    const std::int64_t at = group * record.T + t;
    std::uint32_t bits[3] = {};
    const std::int64_t first = group * kGroup;
    const std::int64_t lanes = std::min<std::int64_t>(kGroup, N - first);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t env = first + lane;
      for (int o = 0; record.obs != nullptr && o < O; ++o) {
        record.obs[(at * O + o) * kGroup + lane] = step.obs[env * O + o];
      }
      for (int z = 0; record.logits != nullptr && z < Z; ++z) {
        record.logits[(at * Z + z) * kGroup + lane] = step.logits[env * Z + z];
      }
      if (record.reward != nullptr) record.reward[at * kGroup + lane] = step.reward[env];
      if (record.action != nullptr) record.action[at * kGroup + lane] = step.action[env];
      const std::uint8_t flags[3] = {step.action[env], step.terminated[env], step.truncated[env]};
      for (int i = 0; i < 3; ++i) bits[i] |= std::uint32_t{flags[i] != 0} << lane;
    }
    if (record.action_bits != nullptr) {
      record.action_bits[at] = static_cast<std::uint16_t>(bits[0]);
    }
    record.terminated[at] = static_cast<std::uint16_t>(bits[1]);
    record.truncated[at] = static_cast<std::uint16_t>(bits[2]);
    record.steps[group] = t + 1;
  }
}

bool all_finished(DenseDevice& device) {
  const auto episodes = device.episodes();
  return std::all_of(episodes.begin(), episodes.end(), [](std::int32_t n) { return n > 0; });
}

}  // namespace

std::vector<DenseLayer> dense_layers(const PolicyShape& shape, std::span<const float> flat,
                                     Activation activation) {
  const auto hidden =
      activation == Activation::kLeakyRelu ? DenseActivation::kLeakyRelu : DenseActivation::kRelu;
  std::vector<DenseLayer> layers;
  for (const NetworkLayer& layer : shape.layers()) {
    const auto weight = flat.begin() + layer.weight_at, bias = flat.begin() + layer.bias_at;
    DenseLayer dense{
        layer.in, layer.out, layer.activated ? hidden : DenseActivation::kNone, {}, {}};
    dense.weight.assign(weight, weight + layer.weights());
    dense.bias.resize(static_cast<std::size_t>(layer.out));
    if (layer.bias) std::copy(bias, bias + layer.out, dense.bias.begin());
    layers.push_back(std::move(dense));
  }
  if (layers.back().out == 2) fold_two_actions(layers.back());  // of pictures it is one row
  return layers;
}

void require_consistent(std::span<const DenseLayer> layers) {
  require(!layers.empty(), "dense policy: no layers");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const DenseLayer& layer = layers[i];
    const std::string name = "dense policy: layer " + std::to_string(i + 1);
    require(layer.in > 0 && layer.out > 0,
            name + " is " + std::to_string(layer.in) + " to " + std::to_string(layer.out));
    require(layer.weight.size() == static_cast<std::size_t>(std::int64_t{layer.in} * layer.out) &&
                layer.bias.size() == static_cast<std::size_t>(layer.out),
            name + " has " + std::to_string(layer.weight.size()) + " weights and " +
                std::to_string(layer.bias.size()) + " biases, expected " +
                std::to_string(std::int64_t{layer.in} * layer.out) + " and " +
                std::to_string(layer.out));
    require(i == 0 || layer.in == layers[i - 1].out,
            name + " takes " + std::to_string(layer.in) + " inputs, the one before gives " +
                std::to_string(i == 0 ? 0 : layers[i - 1].out));
  }
}

void require_plays(std::span<const DenseLayer> layers, int O, int A) {
  const int in = layers.empty() ? 0 : layers.front().in;
  const int out = layers.empty() ? 0 : layers.back().out;
  require(in == O && out == logits_of(A) && layers.back().activation == DenseActivation::kNone,
          "dense policy: the layers do not fit the environment: they make " + std::to_string(out) +
              " logits of " + std::to_string(in) + " numbers, expected " +
              std::to_string(logits_of(A)) + " of " + std::to_string(O));
}

std::int64_t rows_of(std::size_t values, int inputs) {
  require(values > 0 && values % static_cast<std::size_t>(inputs) == 0,
          "dense policy: " + std::to_string(values) + " observations for " +
              std::to_string(inputs) + " inputs");
  return static_cast<std::int64_t>(values) / inputs;
}

BiasArgs bias_args(const DenseLayer& layer, std::int64_t rows, const float* bias, float* values) {
  return {rows, layer.out, layer.activation, kLeak, bias, values};
}

PlayResult play_dense(DenseDevice& device, const PlayRequest& request, int O, int A,
                      Record<float>* record) {
  require(!request.random_policy, "the dense path plays a network; random actions need none");
  require(record == nullptr || !request.episodic,
          "the dense path records rollouts with automatic reset, not whole episodes");
  device.start(request);
  PlayResult result;
  const std::int64_t numbers = request.num_envs * O;  // of a step's observations
  MemoryClaim claim;                                  // until they are the caller's
  if (request.keep_pictures) {
    // one step more than is played: the caller may add what follows without a copy
    const std::int64_t reserved = numbers * (request.T + std::int64_t{1});
    claim = MemoryClaim(reserved);
    result.pictures.reserve(static_cast<std::size_t>(reserved));
    result.pictures.resize(static_cast<std::size_t>(numbers * request.T));
  }
  result.library = device.library();
  const auto start = std::chrono::steady_clock::now();
  for (std::int32_t t = 0; t < request.T; ++t) {
    device.step(t);
    if (record != nullptr || request.keep_pictures) {
      const DenseStep step = device.last_step();
      if (record != nullptr) record_step(step, request.num_envs, O, A, t, *record);
      if (request.keep_pictures) {
        std::transform(step.obs, step.obs + numbers, result.pictures.begin() + numbers * t,
                       [](float value) { return static_cast<std::int8_t>(value); });
      }
    }
    if (request.episodic && (t + 1) % kLookEvery == 0 && all_finished(device)) break;
  }
  device.finish(result);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lockstep
