// The parameters of a policy: one flat float array for the optimiser, named tensors for files, and
// the walking order the kernels read. Names and shapes are PyTorch's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/backend/buffer.h"
#include "host/backend/environments.h"
#include "host/config.h"
#include "host/tensor.h"
#include "kernels/flat_layout.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// A layer of a network, and where its numbers stand in the flat array of parameters. Its tensors
/// are `name`.weight [out, in] and, with a bias, `name`.bias [out].
struct NetworkLayer {
  std::string name;
  int in = 0, out = 0;
  bool bias = true;
  bool activated = false;      // by the policy's activation; else it is the output
  std::int64_t weight_at = 0;  // of its first weight
  std::int64_t bias_at = 0;    // of its first bias

  std::int64_t weights() const { return std::int64_t{in} * out; }
};

/// The parameters are one flat array, layer by layer, weights before the bias; a critic's stand
/// behind the policy's.
struct PolicyShape {
  PolicyKind kind = PolicyKind::kMlp;
  int O = 0, A = 0, H = 0;  // H = 0 for the linear policy
  bool pictures = false;    // of an environment of objects
  int critic = kNoCritic;   // units of the critic's own layer; 0: it shares the policy's

  /// What initial values, tensors and their names, and the dense path are made of: layer1 [H, O]
  /// and layer2 [A, H]; linear: layer1 [A, O]; of pictures: layer1 [H, O] and layer2 [1, H], the
  /// logit of action 1, and no biases. A critic adds value [1, H or O] where it shares layer1, else
  /// critic.layer1 [C, O] and critic.layer2 [1, C].
  std::vector<NetworkLayer> layers() const;
  /// The policy without its critic: its parameters come first.
  PolicyShape actor() const;
  std::int64_t size() const;
  /// Name, shape and values of each tensor of a flat array of size().
  std::vector<NamedTensor> tensors(std::span<const float> flat,
                                   const std::string& suffix = "") const;
  /// Inverse of tensors(); other tensors may stand beside them if their names do not end with
  /// `suffix`. Errors: BadInput naming the tensor that is missing, misshapen or of no such policy,
  /// after `where`, such as the name of a file.
  std::vector<float> flatten(const std::vector<NamedTensor>& tensors,
                             const std::string& suffix = "", const std::string& where = "") const;
};

/// The tensor of that name. Errors: BadInput after `prefix` if it is missing, has another shape or
/// not as many values as its shape says.
const NamedTensor& find_tensor(const std::vector<NamedTensor>& tensors, const std::string& name,
                               const std::vector<std::int64_t>& shape, const std::string& prefix);

/// What the tensors of a policy say of its network, whatever its environment is.
struct NetworkSize {
  PolicyKind kind = PolicyKind::kMlp;
  std::int64_t hidden = 0;          // units; 0: linear
  std::int64_t critic = kNoCritic;  // as PolicyShape::critic
};
/// Errors: BadInput after `where` if there is no first layer of rank 2.
NetworkSize network_size(const std::vector<NamedTensor>& tensors, const std::string& where);

/// Parameters of `shape` from the tensors of a policy whose critic may be of another kind, or none:
/// the policy's are theirs, and so are the critic's where it is of the same kind; else the critic
/// stays as in `initial`, parameters of the shape. Errors: as flatten()
std::vector<float> parameters_from(const PolicyShape& shape,
                                   const std::vector<NamedTensor>& tensors,
                                   const std::string& where, std::vector<float> initial);

/// PolicyShape::critic of a configuration.
int critic_units(const Config& config);

/// The shape a configuration asks for in an environment.
PolicyShape policy_shape(const Config& config, const EnvironmentEntry& environment);

/// Initial parameters; biases are 0 except with kaiming_uniform (PyTorch's Linear default).
/// Random: purpose init, index = flat position / 4, word position mod 4; normal: words 0 and 1 of
/// an index make two numbers, words 2 and 3 another two (Box & Muller 1958).
/// Result: the same whatever the threads.
std::vector<float> initial_parameters(const PolicyShape& shape, Init init, std::uint64_t seed,
                                      int threads = 1);

/// Activation and dropout of a policy, as the kernels want them.
struct PolicyOptions {
  Activation activation = Activation::kRelu;
  double dropout = 0.0;
};
inline constexpr float kLeak = 0.01f;  // slope of leaky ReLU below 0; PyTorch's default

/// A policy in walking order, ready for the kernels (PolicyView); in float, or in double for
/// oracles.
template <class Real>
class PackedPolicyOf {
 public:
  PackedPolicyOf(const PolicyShape& shape, const PolicyOptions& options);
  /// Rearranges parameters; call after each change of them. There may be more than the shape has:
  /// a critic's, where it has none.
  void pack(std::span<const Real> flat);
  PolicyView<Real> view() const;
  Real drop_scale() const { return drop_scale_; }  // 1 / (1 - dropout)

 private:
  PolicyShape shape_;
  PolicyForm form_;
  Real leak_;
  Real drop_scale_;
  std::uint32_t drop_below_;
  bool drop_half_;
  int chain_;
  Buffer<Real> units_;
  std::vector<Real> output_bias_;
};
using PackedPolicy = PackedPolicyOf<float>;

}  // namespace lockstep
