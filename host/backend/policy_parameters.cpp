// Layout, initial values and packing of policy parameters.
#include "host/backend/policy_parameters.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "envs/math.h"
#include "host/backend/parallel.h"
#include "host/errors.h"
#include "host/text.h"
#include "kernels/pack_policy.h"
#include "kernels/philox.h"

namespace lockstep {
namespace {

constexpr const char* kFirstLayer = "layer1";
constexpr const char* kSecondLayer = "layer2";
constexpr const char* kValue = "value";
constexpr const char* kCriticFirst = "critic.layer1";
constexpr const char* kCriticSecond = "critic.layer2";
constexpr const char* kWeight = ".weight";
constexpr const char* kBias = ".bias";

/// A tensor of a layer.
struct Part {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t fan_in, fan_out;
  std::int64_t count() const { return shape.size() == 2 ? shape[0] * shape[1] : shape[0]; }
};

std::vector<Part> parts_of(const PolicyShape& shape) {
  std::vector<Part> parts;
  for (const NetworkLayer& layer : shape.layers()) {
    parts.push_back({layer.name + kWeight, {layer.out, layer.in}, layer.in, layer.out});
    if (layer.bias) parts.push_back({layer.name + kBias, {layer.out}, layer.in, layer.out});
  }
  return parts;
}

const NamedTensor* find_weight(const std::vector<NamedTensor>& tensors, const char* layer) {
  const std::string name = std::string(layer) + kWeight;
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const NamedTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

/// PolicyShape::critic of whoever has these tensors.
std::int64_t critic_of(const std::vector<NamedTensor>& tensors) {
  const NamedTensor* own = find_weight(tensors, kCriticFirst);
  if (own != nullptr && own->shape.size() == 2) return own->shape[0];
  return find_weight(tensors, kValue) != nullptr ? 0 : kNoCritic;
}

std::string names_of(const std::vector<Part>& parts, const std::string& suffix) {
  std::string names;
  for (const Part& part : parts) names += (names.empty() ? "" : ", ") + (part.name + suffix);
  return names;
}

FlatLayout flat_layout(const PolicyShape& shape) {
  return {shape.O, shape.A, shape.H, shape.critic};
}

PhiloxWords<std::uint32_t> init_words(std::uint64_t seed, std::int64_t index) {
  return random_words<std::uint32_t>({seed, 0}, Purpose::kInit, 0, 0,
                                     static_cast<std::uint32_t>(index));
}

/// Writes numbers [begin, end) of the flat array, all of one tensor.
void fill_uniform(std::uint64_t seed, float bound, std::int64_t begin, std::int64_t end,
                  float* flat) {
  for (std::int64_t i = begin; i < end; ++i) {
    const float u = uniform<float>(init_words(seed, i / 4).w[i % 4]);
    flat[i] = (2.0f * u - 1.0f) * bound;
  }
}

void fill_normal(std::uint64_t seed, float deviation, std::int64_t begin, std::int64_t end,
                 float* flat) {
  constexpr float kTwoPi = 6.2831853071795864769f;
  for (std::int64_t i = begin / 2 * 2; i < end; i += 2) {
    const auto words = init_words(seed, i / 4);
    const std::uint32_t* w = words.w + i % 4;
    const float u = uniform<float>(w[0]) + 0x1p-24f;  // (0, 1]
    const float radius = sqrt(-2.0f * log(u)) * deviation;
    float sine, cosine;
    sincos_any(kTwoPi * uniform<float>(w[1]), sine, cosine);
    if (i >= begin) flat[i] = radius * cosine;
    if (i + 1 < end) flat[i + 1] = radius * sine;
  }
}

}  // namespace

std::vector<NetworkLayer> PolicyShape::layers() const {
  std::vector<NetworkLayer> layers;
  std::int64_t at = 0;
  const auto add = [&](const char* name, int in, int out, bool activated) {
    NetworkLayer layer{name, in, out, !pictures, activated};
    layer.weight_at = at;
    layer.bias_at = at + layer.weights();
    at = layer.bias_at + (layer.bias ? out : 0);
    layers.push_back(std::move(layer));
  };
  if (kind == PolicyKind::kLinear) {
    add(kFirstLayer, O, A, false);
  } else {
    add(kFirstLayer, O, H, true);
    add(kSecondLayer, H, pictures ? 1 : A, false);
  }
  if (critic > 0) {
    add(kCriticFirst, O, critic, true);
    add(kCriticSecond, critic, 1, false);
  } else if (critic == 0) {
    add(kValue, H > 0 ? H : O, 1, false);
  }
  return layers;
}

PolicyShape PolicyShape::actor() const {
  PolicyShape shape = *this;
  shape.critic = kNoCritic;
  return shape;
}

std::int64_t PolicyShape::size() const {
  std::int64_t total = 0;
  for (const Part& part : parts_of(*this)) total += part.count();
  return total;
}

NetworkSize network_size(const std::vector<NamedTensor>& tensors, const std::string& where) {
  const NamedTensor* first = find_weight(tensors, kFirstLayer);
  if (first == nullptr || first->shape.size() != 2) {
    throw BadInput(where + ": no tensor " + kFirstLayer + kWeight + " of rank 2");
  }
  NetworkSize size{PolicyKind::kMlp, first->shape[0], critic_of(tensors)};
  if (find_weight(tensors, kSecondLayer) == nullptr) {
    size.kind = PolicyKind::kLinear;
    size.hidden = 0;
  }
  return size;
}

std::vector<NamedTensor> PolicyShape::tensors(std::span<const float> flat,
                                              const std::string& suffix) const {
  std::vector<NamedTensor> out;
  auto from = flat.begin();
  for (const Part& part : parts_of(*this)) {
    out.push_back({part.name + suffix, part.shape, {from, from + part.count()}});
    from += part.count();
  }
  return out;
}

const NamedTensor& find_tensor(const std::vector<NamedTensor>& tensors, const std::string& name,
                               const std::vector<std::int64_t>& shape, const std::string& prefix) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const NamedTensor& t) { return t.name == name; });
  if (found == tensors.end()) throw BadInput(prefix + "tensor '" + name + "' is missing");
  if (found->shape != shape) {
    throw BadInput(prefix + "tensor '" + name + "' has shape " + shape_text(found->shape) +
                   ", expected " + shape_text(shape));
  }
  const auto count =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<std::int64_t>());
  if (static_cast<std::int64_t>(found->data.size()) != count) {
    throw BadInput(prefix + "tensor '" + name + "' has " + std::to_string(found->data.size()) +
                   " values, expected " + std::to_string(count));
  }
  return *found;
}

std::vector<float> PolicyShape::flatten(const std::vector<NamedTensor>& tensors,
                                        const std::string& suffix, const std::string& where) const {
  const std::string prefix = where.empty() ? "" : where + ": ";
  const std::vector<Part> parts = parts_of(*this);
  std::vector<float> flat;
  for (const Part& part : parts) {
    const std::string name = part.name + suffix;
    const NamedTensor& found = find_tensor(tensors, name, part.shape, prefix);
    flat.insert(flat.end(), found.data.begin(), found.data.end());
  }
  for (const NamedTensor& tensor : tensors) {
    const bool known = std::any_of(parts.begin(), parts.end(), [&](const Part& part) {
      return tensor.name == part.name + suffix;
    });
    if (!known && tensor.name.ends_with(suffix)) {
      throw BadInput(prefix + "tensor " + in_quotes(tensor.name) +
                     " is not one of this policy's: " + names_of(parts, suffix));
    }
  }
  return flat;
}

std::vector<float> parameters_from(const PolicyShape& shape,
                                   const std::vector<NamedTensor>& tensors,
                                   const std::string& where, std::vector<float> initial) {
  PolicyShape theirs = shape;
  theirs.critic = static_cast<int>(critic_of(tensors));
  const std::vector<float> flat = theirs.flatten(tensors, "", where);
  if (theirs.critic == shape.critic) return flat;
  std::copy_n(flat.begin(), shape.actor().size(), initial.begin());
  return initial;
}

int critic_units(const Config& config) {
  return config.critic == Critic::kNone     ? kNoCritic
         : config.critic == Critic::kShared ? 0
                                            : static_cast<int>(config.critic_hidden);
}

PolicyShape policy_shape(const Config& config, const EnvironmentEntry& environment) {
  return {config.policy,
          environment.facts->observation_size,
          environment.facts->num_actions,
          config.policy == PolicyKind::kMlp ? static_cast<int>(config.hidden) : 0,
          environment.has_objects(),
          critic_units(config)};
}

std::vector<float> initial_parameters(const PolicyShape& shape, Init init, std::uint64_t seed,
                                      int threads) {
  constexpr std::int64_t kChunk = 4096;
  std::vector<float> flat(static_cast<std::size_t>(shape.size()));
  std::int64_t first = 0;
  for (const Part& part : parts_of(shape)) {
    const bool is_weight = part.shape.size() == 2;
    const double fan_in = static_cast<double>(part.fan_in);
    double size = 0;  // bound, or deviation
    if (init == Init::kXavierUniform && is_weight) {
      size = std::sqrt(6.0 / static_cast<double>(part.fan_in + part.fan_out));
    } else if (init == Init::kKaimingUniform || (init == Init::kNormal && is_weight)) {
      size = 1.0 / std::sqrt(fan_in);
    }
    const auto fill = init == Init::kNormal ? fill_normal : fill_uniform;
    const std::int64_t end = first + part.count();
    parallel_for((part.count() + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk, int) {
      const std::int64_t begin = first + chunk * kChunk;
      fill(seed, static_cast<float>(size), begin, std::min(begin + kChunk, end), flat.data());
    });
    first = end;
  }
  return flat;
}

template <class Real>
PackedPolicyOf<Real>::PackedPolicyOf(const PolicyShape& shape, const PolicyOptions& options)
    : shape_(shape),
      leak_(options.activation == Activation::kLeakyRelu ? Real(kLeak) : Real(0)),
      drop_scale_(static_cast<Real>(1.0 / (1.0 - options.dropout))),
      drop_below_(static_cast<std::uint32_t>(std::lround(options.dropout * 0x1p24))),
      drop_half_(options.dropout == 0.5),
      chain_((flat_layout(shape).units() + kPartials - 1) / kPartials) {
  const int Y = outputs_of(flat_layout(shape));
  if (shape.kind == PolicyKind::kLinear) {
    form_ = PolicyForm::kLinear;
    units_ = Buffer<Real>(std::int64_t{Y} * (shape.O + 1));
  } else {
    form_ = leak_ != 0 || drop_below_ != 0 ? PolicyForm::kGeneral : PolicyForm::kRelu;
    units_ = Buffer<Real>(std::int64_t{kPartials} * chain_ * unit_stride(shape.O, Y));
  }
  units_.zero();
  output_bias_.resize(static_cast<std::size_t>(Y));
}

template <class Real>
void PackedPolicyOf<Real>::pack(std::span<const Real> flat) {
  const PackArgs<Real> args{flat.data(), shape_.O,    shape_.A,     shape_.H,
                            chain_,      drop_scale_, shape_.critic};
  for (int j = 0; j < args.unit_count(); ++j) {
    for (int i = 0; i < args.unit_size(); ++i) pack_number(args, j, i, units_.data());
  }
  for (int y = 0; shape_.kind == PolicyKind::kMlp && y < args.outputs(); ++y) {
    output_bias_[static_cast<std::size_t>(y)] = packed_output_bias(args, y);
  }
}

template <class Real>
PolicyView<Real> PackedPolicyOf<Real>::view() const {
  return {form_,
          flat_layout(shape_).units(),
          chain_,
          units_.data(),
          output_bias_.data(),
          leak_,
          drop_below_,
          drop_half_};
}

template class PackedPolicyOf<float>;
template class PackedPolicyOf<double>;

}  // namespace lockstep
