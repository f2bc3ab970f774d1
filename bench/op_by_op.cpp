// See op_by_op.h.
#include "bench/op_by_op.h"

#include <cblas.h>

#include <cmath>
#include <cstring>

#include "host/errors.h"
#include "kernels/optimizer.h"

namespace lockstep::bench {
namespace {

constexpr int O = 4, A = 2;

/// C [m, n] = a A B + b C, row-major; a transposed operand is given as stored.
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, const float* b, float beta, float* c) {
  const auto i = [](std::int64_t x) { return static_cast<blasint>(x); };
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
              transpose_b ? CblasTrans : CblasNoTrans, i(m), i(n), i(k), 1.0f, a,
              i(transpose_a ? m : k), b, i(transpose_b ? k : n), beta, c, i(n));
}

}  // namespace

OpByOp::OpByOp(const Settings& settings) : s_(settings), passes_(&isa_kernels(s_.isa).passes) {
  require(s_.N % 16 == 0 && s_.H % 16 == 0, "op-by-op baseline: N and H must be multiples of 16");
  openblas_set_num_threads(1);
  const PolicyShape shape{PolicyKind::kMlp, O, A, s_.H};
  grad_.resize(static_cast<std::size_t>(shape.size()));
  m_.resize(grad_.size());
  v_.resize(grad_.size());
  const std::int64_t N = s_.N, H = s_.H, steps = s_.record ? N * s_.T : N;
  for (auto* b : {&state_, &start_}) *b = Buffer<float>(4 * N);
  for (auto* b : {&hidden_, &grad_hidden_}) *b = Buffer<float>(N * H);
  logits_ = Buffer<float>(A * N);
  bias1_ = Buffer<float>(H);
  weight1_grad_ = Buffer<float>(O * H);
  steps_ = Buffer<std::int32_t>(N);
  number_ = Buffer<std::uint32_t>(N);
  words_ = Buffer<std::uint32_t>(4 * N);
  obs_ = Buffer<float>(O * steps);
  for (auto* b : {&action_, &p_, &ended_, &value_, &valid_}) *b = Buffer<float>(steps);
  for (auto* b : {&total_, &seen_}) *b = Buffer<float>(N);
  // first touches of memory are not part of what is timed
  for (auto* b : {&obs_, &action_, &p_, &ended_, &value_, &valid_, &hidden_, &grad_hidden_})
    b->zero();
}

void OpByOp::set_parameters(const std::vector<float>& flat) {
  parameters_ = flat;
  m_.assign(flat.size(), 0.0f);
  v_.assign(flat.size(), 0.0f);
  beta1_power_ = beta2_power_ = 1;
}

const float* OpByOp::forward(const float* obs) {
  const std::int64_t N = s_.N, H = s_.H;
  std::memcpy(bias1_.data(), parameters_.data() + H * O, static_cast<std::size_t>(H) * 4);
  gemm(false, true, N, H, O, obs, parameters_.data(), 0, hidden_.data());
  passes_->add_bias(hidden_.data(), bias1_.data(), N, s_.H);
  passes_->relu(hidden_.data(), N * H);
  return hidden_.data();
}

void OpByOp::rollout(std::uint32_t epoch) {
  const std::int64_t N = s_.N, H = s_.H;
  const RandomStream stream{s_.seed, epoch};
  const float* weight2 = parameters_.data() + H * O + H;
  const float* bias2 = weight2 + A * H;
  number_.zero();
  steps_.zero();
  passes_->draw_starts(stream, number_.data(), state_.data(), N);
  for (std::int64_t i = 0; i < N; ++i) number_[i] = 1;  // from here on the next episode's
  for (std::int32_t t = 0; t < s_.T; ++t) {
    const std::int64_t row = s_.record ? t * N : 0;
    float* obs = obs_.data() + O * row;
    float* p = p_.data() + row;
    float* action = action_.data() + row;
    float* ended = ended_.data() + row;
    if (t % 4 == 0) {
      passes_->draw_words(stream, static_cast<std::uint32_t>(t / 4), words_.data(), N);
      passes_->draw_starts(stream, number_.data(), start_.data(), N);
    }
    passes_->observe(state_.data(), obs, N);
    gemm(false, true, N, A, H, forward(obs), weight2, 0, logits_.data());
    passes_->add_bias(logits_.data(), bias2, N, A);
    passes_->probability(logits_.data(), p, N);
    passes_->sample(p, words_.data() + t % 4 * N, action, N);
    passes_->step(state_.data(), action, steps_.data(), ended, N);
    passes_->restart(state_.data(), start_.data(), ended, steps_.data(), number_.data(), N);
  }
  episodes_ = 0;
  for (std::int64_t i = 0; i < N; ++i) episodes_ += number_[i] - 1;
}

void OpByOp::estimate() {
  const std::int64_t N = s_.N, all = N * s_.T;
  total_.zero();
  seen_.zero();
  for (std::int32_t t = s_.T - 1; t >= 0; --t) {
    passes_->returns(static_cast<float>(s_.gamma), ended_.data() + t * N, total_.data(),
                     seen_.data(), value_.data() + t * N, valid_.data() + t * N, N);
  }
  // row by row, so that float sums stay short
  double count = 0, sum = 0, squares = 0;
  for (std::int64_t i = 0; i < all; i += N) {
    count += passes_->sum(valid_.data() + i, N);
    sum += passes_->sum(value_.data() + i, N);
  }
  const double mean = count > 0 ? sum / count : 0;
  for (std::int64_t i = 0; i < all; i += N) {
    squares +=
        passes_->sum_squares(value_.data() + i, valid_.data() + i, static_cast<float>(mean), N);
  }
  const double inv_std = squares > 0 ? 1 / std::sqrt(squares / count) : 0;
  passes_->normalise(value_.data(), valid_.data(), static_cast<float>(mean),
                     static_cast<float>(inv_std), all);
}

void OpByOp::gradient() {
  const std::int64_t N = s_.N, H = s_.H;
  const float* weight2 = parameters_.data() + H * O + H;
  float* bias1_grad = grad_.data() + H * O;
  float* weight2_grad = bias1_grad + H;
  float* bias2_grad = weight2_grad + A * H;
  std::vector<double> bias1_sums(static_cast<std::size_t>(H)), bias2_sums(A);
  for (std::int32_t t = 0; t < s_.T; ++t) {
    const float beta = t == 0 ? 0.0f : 1.0f;
    const float* obs = obs_.data() + O * t * N;
    const float* hidden = forward(obs);
    float* grad_logits = logits_.data();
    passes_->logit_gradient(p_.data() + t * N, action_.data() + t * N, value_.data() + t * N,
                            grad_logits, N);
    passes_->add_column_sums(grad_logits, bias2_sums.data(), N, A);
    gemm(true, false, A, H, N, grad_logits, hidden, beta, weight2_grad);
    gemm(false, false, N, H, A, grad_logits, weight2, 0, grad_hidden_.data());
    passes_->relu_gradient(hidden, grad_hidden_.data(), N * H);
    passes_->add_column_sums(grad_hidden_.data(), bias1_sums.data(), N, s_.H);
    gemm(true, false, O, H, N, obs, grad_hidden_.data(), beta, weight1_grad_.data());
  }
  for (std::int64_t j = 0; j < H; ++j) {
    for (int i = 0; i < O; ++i) {
      grad_[static_cast<std::size_t>(j * O + i)] = weight1_grad_[i * H + j];
    }
    bias1_grad[j] = static_cast<float>(bias1_sums[static_cast<std::size_t>(j)]);
  }
  for (int a = 0; a < A; ++a)
    bias2_grad[a] = static_cast<float>(bias2_sums[static_cast<std::size_t>(a)]);
  const float scale = 1.0f / static_cast<float>(episodes_ > 0 ? episodes_ : 1);
  for (float& g : grad_) g *= scale;
}

void OpByOp::apply() {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999;
  beta1_power_ *= kBeta1;
  beta2_power_ *= kBeta2;
  OptimizerArgs args{};
  args.rule = OptimizerRule::kAdam;
  args.lr = static_cast<float>(s_.lr / (1 - beta1_power_));
  args.shrink = args.grad_scale = 1.0f;
  args.one_minus_beta1 = static_cast<float>(1 - kBeta1);
  args.beta2 = static_cast<float>(kBeta2);
  args.one_minus_beta2 = static_cast<float>(1 - kBeta2);
  args.bias_correction2 = static_cast<float>(std::sqrt(1 - beta2_power_));
  args.eps = 1e-8f;
  for (std::size_t i = 0; i < grad_.size(); ++i) {
    optimizer_step(args, grad_[i], parameters_[i], m_[i], v_[i]);
  }
}

std::string OpByOp::library() {
  return std::string(openblas_get_config()) + ", kernels " + openblas_get_corename();
}

}  // namespace lockstep::bench
