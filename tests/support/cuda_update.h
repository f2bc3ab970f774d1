// One update of a batch twice: played and learned from by the CPU's operations, one after another,
// and the same record and buffers on a device, for its kernels to be held against.
#pragma once

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "host/backend/policy_parameters.h"
#include "kernels/cpu/instantiate.h"
#include "kernels/cuda/launchers.h"
#include "kernels/finish_gradient.h"
#include "tests/support/cuda_array.h"

namespace lockstep::test {

struct UpdateCase {
  PolicyKind kind = PolicyKind::kMlp;
  int hidden = 16;
  PolicyOptions options{};
  std::int64_t envs = 33;
  int T = 40;
  bool episodic = false;
  bool keep_logits = true;  // on the device
  bool table = false;       // on the device; the CPU always takes the general form
  ReturnMode returns = ReturnMode::kStepwise;
  BaselineRule baseline = BaselineRule::kNone;
  NormalizeRule normalize = NormalizeRule::kScale;
  bool sample_std = false;
  float gamma = 0.97f;
  double entropy_coef = 0;
  int bits_dropped = 0;
  RandomStream stream{11, 5, 1000};
};

inline std::string text_of(const UpdateCase& c) {
  return "envs " + std::to_string(c.envs) + ", T " + std::to_string(c.T) + ", H " +
         std::to_string(c.hidden) + (c.episodic ? ", episodic" : "") +
         (c.table ? ", table" : ", general") + (c.keep_logits ? "" : ", recompute") + ", returns " +
         std::to_string(static_cast<int>(c.returns)) + ", baseline " +
         std::to_string(static_cast<int>(c.baseline)) + ", normalize " +
         std::to_string(static_cast<int>(c.normalize)) + ", dropout " +
         std::to_string(c.options.dropout) +
         (c.options.activation == Activation::kLeakyRelu ? ", leaky" : "");
}

/// Integer sums of a gradient.
struct GradientSums {
  std::vector<std::int64_t> value;
  bool saturated = false;
  bool operator==(const GradientSums&) const = default;
};

template <class E>
class CudaUpdate {
 public:
  using Cpu = cpu::Batch<E, float, 1, 1, 1, FixedPoint>;
  static constexpr int O = E::kObservationSize;
  static constexpr int A = E::kNumActions;
  static constexpr int Z = logits_of(A);

  explicit CudaUpdate(const UpdateCase& c)
      : c_(c),
        shape_{c.kind, O, A, c.kind == PolicyKind::kMlp ? c.hidden : 0},
        packed_(shape_, c.options) {
    make_parameters();
    make_plan();
    play();
    upload();
  }

  // ---- what the CPU computes ----

  /// Returns, baseline and their sums, as a CPU backend orders them.
  void estimate() {
    cpu_time_sum.assign(static_cast<std::size_t>(c_.T), 0);
    cpu_baseline.assign(static_cast<std::size_t>(c_.T), 0.0f);
    const bool by_time = plan.baseline == BaselineRule::kTimeMean;
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Cpu::returns({record_, plan.gamma, plan.returns, plan.return_scale,
                    by_time ? cpu_time_sum.data() : nullptr},
                   group, cpu_returns);
    }
    BaselineArgs<float> learn{};
    learn.record = record_;
    learn.constant = constant_baseline(plan, cpu_returns, running);
    for (std::size_t t = 0; t < cpu_baseline.size(); ++t) {
      cpu_baseline[t] = time_baseline(plan, cpu_time_sum[t]);
    }
    if (by_time) learn.baseline = cpu_baseline.data();
    learn.scale = plan.advantage_scale;
    learn.per_episode = plan.normalize == NormalizeRule::kEpisode;
    learn.sample_std = plan.sample_std;
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Cpu::baseline(learn, group, cpu_advantages);
    }
  }

  GradientArgs<float> gradient_args() const {
    GradientArgs<float> learn{};
    learn.stream = c_.stream;
    learn.num_envs = c_.envs;
    learn.episodic = c_.episodic;
    learn.policy = packed_.view();
    learn.record = record_;
    set_gradient_scales(plan, normalisation(plan, cpu_advantages), cpu_advantages.largest,
                        c_.bits_dropped, learn);
    return learn;
  }
  GradientLayout layout() const { return gradient_layout(packed_.view(), O, Z); }

  /// The sums of the gradient, after estimate().
  GradientSums gradient() const {
    const auto learn = gradient_args();
    const auto size = layout().size();
    Buffer<std::int32_t> lanes(size);
    Buffer<std::int64_t> partial(size);
    Buffer<std::uint32_t> kept(std::int64_t{cpu::kTile} * (shape_.H / 32 + 1));
    lanes.zero();
    partial.zero();
    cpu::GradientScratch<FixedPoint> scratch{lanes.data(), partial.data(), kept.data(), 0, false};
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Cpu::gradient(learn, group, scratch);
    }
    Cpu::flush(layout(), scratch);
    return {{partial.data(), partial.data() + size}, scratch.saturated};
  }

  bool valid(std::int64_t env, int t) const {
    return t < record_.steps[env / kGroup] &&
           ((record_.valid[env / kGroup * record_.T + t] >> (env % kGroup)) & 1) != 0;
  }
  float advantage(std::int64_t env, int t) const { return record_.advantage[at(env, t)]; }
  std::int64_t at(std::int64_t env, int t) const {
    return (env / kGroup * record_.T + t) * kGroup + env % kGroup;
  }
  std::int64_t episodes() const {
    return std::accumulate(episodes_, episodes_ + c_.envs, std::int64_t{0});
  }
  const UpdateCase& settings() const { return c_; }
  const PolicyShape& shape() const { return shape_; }
  PackedPolicy& packed() { return packed_; }
  const std::vector<float>& parameters() const { return parameters_; }
  Record<float>& record() { return record_; }

  // ---- the device ----

  cuda::UpdateArgs args{};
  UpdatePlan plan{};
  RunningState running{0.9, 0.999, 3.5};
  ReturnSums cpu_returns, cpu_advantages;
  std::vector<std::int64_t> cpu_time_sum;
  std::vector<float> cpu_baseline;

  CudaArray<float> logits, reward, dev_advantage, value, baseline, grad, dev_parameters,
      first_moment, second_moment, staged, units, output_bias, score;
  CudaArray<std::uint8_t> action;
  CudaArray<std::uint16_t> action_bits, terminated, truncated, dev_valid;
  CudaArray<std::int32_t> steps, length, dev_episodes, histogram;
  CudaArray<std::int64_t> time_sum;
  CudaArray<cuda::SharedSums> returns, advantages;
  CudaArray<unsigned long long> sums;
  CudaArray<unsigned> saturated;
  CudaArray<double> lr;
  CudaArray<cuda::UpdateState> state;
  CudaArray<cuda::UpdateLog> log;

  /// Puts the CPU's estimates where the device's kernels would have left them.
  void upload_estimates() {
    returns.upload({shared(cpu_returns)});
    advantages.upload({shared(cpu_advantages)});
    if (c_.table) {
      baseline.upload(cpu_baseline);
    } else {
      dev_advantage.upload(copy(record_.advantage, lanes()));
      dev_valid.upload(copy(record_.valid, words()));
    }
  }
  static cuda::SharedSums shared(const ReturnSums& s) {
    const auto bits = [](std::int64_t sum) { return static_cast<unsigned long long>(sum); };
    return {bits(s.count),        bits(s.sum),           bits(s.squares_low),
            bits(s.squares_high), s.saturated ? 1u : 0u, as_unsigned(as_int(s.largest))};
  }
  GradientSums device_gradient() const {
    GradientSums out;
    for (const unsigned long long sum : sums.download()) {
      out.value.push_back(static_cast<std::int64_t>(sum));
    }
    out.saturated = saturated.download()[0] != 0;
    return out;
  }

 private:
  std::int64_t words() const { return record_.groups * record_.T; }
  std::int64_t lanes() const { return words() * kGroup; }
  template <class T>
  static std::vector<T> copy(const T* from, std::int64_t count) {
    return from == nullptr ? std::vector<T>() : std::vector<T>(from, from + count);
  }
  template <class T>
  T* own(std::vector<Buffer<T>>& owner, std::int64_t count) {
    owner.emplace_back(count).zero();
    return owner.back().data();
  }

  void make_parameters() {
    parameters_.resize(static_cast<std::size_t>(shape_.size()));
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto words = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(i), 1, 2, 3, 4);
      parameters_[i] = uniform<float>(words.w[0]) - 0.5f;
    }
    packed_.pack(parameters_);
  }

  void make_plan() {
    double bound = 0;
    for (int t = 0; t < E::kMaxEpisodeSteps; ++t) {
      bound = bound * static_cast<double>(c_.gamma) + static_cast<double>(E::kMaxAbsReward);
    }
    plan.num_envs = c_.envs;
    plan.O = O;
    plan.A = A;
    plan.gamma = c_.gamma;
    plan.returns = c_.returns;
    plan.baseline = c_.baseline;
    plan.normalize = c_.normalize;
    plan.sample_std = c_.sample_std;
    plan.return_scale = scale_for_bound(bound);
    plan.advantage_scale = scale_for_bound(2 * bound);
    plan.entropy_coef = c_.entropy_coef;
    plan.entropy_slope = A == 2 ? 0.25 : std::log(static_cast<double>(A)) + 1;
    plan.entropy_scale = scale_for_bound(std::log(static_cast<double>(A)) * (1 + 1e-5));
    for (int o = 0; o < O; ++o) {
      plan.observation_limit[o] = static_cast<double>(E::kObservationLimit[o]);
    }
    plan.optimizer = {OptimizerRule::kAdam, 0.5, 0, 0, 0, 0.9, 0.999, 0.99, 1e-8};
  }

  void play() {
    record_.groups = (c_.envs + kGroup - 1) / kGroup;
    record_.T = c_.T;
    record_.obs = own(reals_, lanes() * O);
    record_.logits = own(reals_, lanes() * Z);
    record_.reward = E::kConstantReward ? nullptr : own(reals_, lanes());
    record_.advantage = own(reals_, lanes());
    record_.action = A == 2 ? nullptr : own(bytes_, lanes());
    record_.action_bits = A == 2 ? own(words_, words()) : nullptr;
    record_.terminated = own(words_, words());
    record_.truncated = own(words_, words());
    record_.valid = own(words_, words());
    record_.steps = own(ints_, record_.groups);
    score_ = own(reals_, record_.groups * kGroup);
    length_ = own(ints_, record_.groups * kGroup);
    episodes_ = own(ints_, record_.groups * kGroup);
    RolloutArgs<float> rollout = rollout_args();
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Cpu::rollout(rollout, group * kGroup, 1);
    }
  }
  RolloutArgs<float> rollout_args() const {
    RolloutArgs<float> rollout{};
    rollout.stream = c_.stream;
    rollout.num_envs = c_.envs;
    rollout.T = c_.T;
    rollout.episodic = c_.episodic;
    rollout.choice = ActionChoice::kSample;
    rollout.policy = packed_.view();
    rollout.record = record_;
    rollout.score = score_;
    rollout.length = length_;
    rollout.episodes = episodes_;
    return rollout;
  }

  /// Bits of lanes that had finished are set on the device: nothing may read them.
  std::vector<std::uint16_t> with_rubbish(const std::uint16_t* from) const {
    std::vector<std::uint16_t> out = copy(from, words());
    for (std::int64_t env = 0; c_.episodic && env < record_.groups * kGroup; ++env) {
      const int end = env < c_.envs ? length_[env] : 0;
      for (int t = end; t < c_.T; ++t) {
        auto& word = out[static_cast<std::size_t>(env / kGroup * c_.T + t)];
        word = static_cast<std::uint16_t>(word | (1u << (env % kGroup)));
      }
    }
    return out;
  }

  void upload() {
    const std::int64_t lane_count = record_.groups * kGroup;
    const auto P = parameters_.size();
    args.plan = plan;
    args.rollout = rollout_args();
    args.rollout.stream.epoch = 0xdead;  // the state's counts
    Record<float>& r = args.rollout.record;
    const std::vector<float> nothing, poison(static_cast<std::size_t>(lanes()), std::nanf(""));
    logits = CudaArray<float>(c_.keep_logits ? copy(record_.logits, lanes() * Z) : nothing);
    reward = CudaArray<float>(copy(record_.reward, lanes()));
    dev_advantage = CudaArray<float>(c_.table ? nothing : poison);
    dev_valid = CudaArray<std::uint16_t>(std::vector<std::uint16_t>(
        c_.table ? 0 : static_cast<std::size_t>(words()), std::uint16_t{0xffff}));
    action = CudaArray<std::uint8_t>(copy(record_.action, lanes()));
    if (A == 2) action_bits = CudaArray<std::uint16_t>(with_rubbish(record_.action_bits));
    terminated = CudaArray<std::uint16_t>(with_rubbish(record_.terminated));
    truncated = CudaArray<std::uint16_t>(with_rubbish(record_.truncated));
    steps = CudaArray<std::int32_t>(copy(record_.steps, record_.groups));
    r.obs = nullptr;
    r.logits = logits.data();
    r.reward = reward.data();
    r.advantage = dev_advantage.data();
    r.action = action.data();
    r.action_bits = action_bits.data();
    r.terminated = terminated.data();
    r.truncated = truncated.data();
    r.valid = dev_valid.data();
    r.steps = steps.data();
    score = CudaArray<float>(copy(score_, lane_count));
    length = CudaArray<std::int32_t>(copy(length_, lane_count));
    dev_episodes = CudaArray<std::int32_t>(copy(episodes_, lane_count));
    args.rollout.score = score.data();
    args.rollout.length = length.data();
    args.rollout.episodes = dev_episodes.data();

    args.table_form = c_.table;
    std::vector<std::int32_t> counts(static_cast<std::size_t>(c_.T) + 1);
    for (std::int64_t i = 0; i < c_.envs; ++i) ++counts[static_cast<std::size_t>(length_[i])];
    histogram = CudaArray<std::int32_t>(counts);
    std::vector<float> table(counts.size());
    for (std::size_t k = 1; k < table.size(); ++k) table[k] = fma(table[k - 1], c_.gamma, 1.0f);
    value = CudaArray<float>(table);
    args.table = {value.data(), histogram.data()};

    const bool by_time = plan.baseline == BaselineRule::kTimeMean;
    time_sum = CudaArray<std::int64_t>(
        std::vector<std::int64_t>(by_time ? static_cast<std::size_t>(c_.T) : 0));
    baseline = CudaArray<float>(std::vector<float>(static_cast<std::size_t>(c_.T), std::nanf("")));
    returns = CudaArray<cuda::SharedSums>({cuda::SharedSums{}});
    advantages = CudaArray<cuda::SharedSums>({cuda::SharedSums{}});
    sums = CudaArray<unsigned long long>(
        std::vector<unsigned long long>(static_cast<std::size_t>(layout().size())));
    saturated = CudaArray<unsigned>({0u});
    args.time_sum = time_sum.data();
    args.baseline = baseline.data();
    args.returns = returns.data();
    args.advantages = advantages.data();
    args.sums = sums.data();
    args.gradient_saturated = saturated.data();

    const std::vector<float> unknown(P, std::nanf(""));
    grad = CudaArray<float>(unknown);
    dev_parameters = CudaArray<float>(parameters_);
    std::vector<float> m(P), v(P);
    for (std::size_t i = 0; i < P; ++i) {
      m[i] = 0.01f * static_cast<float>(i % 7) - 0.03f;
      v[i] = 0.001f * static_cast<float>(i % 5);
    }
    first_moment = CudaArray<float>(m);
    second_moment = CudaArray<float>(v);
    staged = CudaArray<float>(std::vector<float>(3 * P, std::nanf("")));
    const PolicyView<float> view = packed_.view();
    const std::int64_t size = view.form == PolicyForm::kLinear
                                  ? Z * (O + 1)
                                  : std::int64_t{kPartials} * view.chain * unit_stride(O, Z);
    units = CudaArray<float>(copy(view.units, size));
    output_bias = CudaArray<float>(copy(view.output_bias, Z));
    args.gradient = grad.data();
    args.parameters = dev_parameters.data();
    args.first_moment = first_moment.data();
    args.second_moment = second_moment.data();
    args.staged = staged.data();
    args.num_parameters = static_cast<std::int64_t>(P);
    args.units = units.data();
    args.output_bias = output_bias.data();
    args.rollout.policy.units = units.data();
    args.rollout.policy.output_bias = output_bias.data();
    args.drop_scale = packed_.drop_scale();
    lr = CudaArray<double>({0.5, 0.01, 0.25});
    args.lr = lr.data();
    state = CudaArray<cuda::UpdateState>(
        {cuda::UpdateState{c_.stream.epoch, 1, cuda::Stop::kRunning, c_.bits_dropped, running}});
    args.state = state.data();
    log = CudaArray<cuda::UpdateLog>(std::vector<cuda::UpdateLog>(3));
    args.log = log.data();
  }

  UpdateCase c_;
  PolicyShape shape_;
  PackedPolicy packed_;
  std::vector<float> parameters_;
  Record<float> record_{};
  std::vector<Buffer<float>> reals_;
  std::vector<Buffer<std::uint8_t>> bytes_;
  std::vector<Buffer<std::uint16_t>> words_;
  std::vector<Buffer<std::int32_t>> ints_;
  float* score_ = nullptr;
  std::int32_t* length_ = nullptr;
  std::int32_t* episodes_ = nullptr;
};

}  // namespace lockstep::test
