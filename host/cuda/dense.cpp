// See dense.h.
#include "host/cuda/dense.h"

#include <algorithm>

#include "host/errors.h"

namespace lockstep {
namespace {

constexpr const char* kAdvice = "fewer --envs or --episodes shrink it";

}  // namespace

using cuda::cuda_check;

CudaDense::CudaDense(const EnvironmentEntry& environment, const CudaStepKernels& kernels,
                     int device)
    : facts_(*environment.facts),
      kernels_(kernels),
      device_(device),
      stream_(cuda::make_stream()),
      blas_(stream_) {}

template <class T>
void CudaDense::copy(T* to, const T* from, std::int64_t count, cudaMemcpyKind kind) {
  cuda_check(
      cudaMemcpyAsync(to, from, static_cast<std::size_t>(count) * sizeof(T), kind, stream_.get()),
      "copying");
}

void CudaDense::synchronize() {
  cuda_check(cudaStreamSynchronize(stream_.get()), "waiting for the device");
}

void CudaDense::set_layers(std::span<const DenseLayer> layers) {
  require_consistent(layers);
  layers_.assign(layers.begin(), layers.end());
  places_.assign(layers.size(), {});
  widest_ = 1;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
    widest_ = std::max<std::int64_t>(widest_, layers[i].out);
  }
  const auto place = [&](Arena& arena) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      arena.place(places_[i].weight, std::int64_t{layers_[i].in} * layers_[i].out);
      arena.place(places_[i].bias, layers_[i].out);
    }
  };
  cuda::grow(parameters_, arena_bytes(place),
             [](std::int64_t bytes) { return cuda::device_memory(bytes, "smaller layers"); });
  Arena arena(parameters_.data());
  place(arena);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const DenseLayer& layer = layers_[i];
    copy(places_[i].weight, layer.weight.data(), std::int64_t{layer.in} * layer.out,
         cudaMemcpyHostToDevice);
    copy(places_[i].bias, layer.bias.data(), layer.out, cudaMemcpyHostToDevice);
  }
  synchronize();
}

/// Room for the hidden layers of a batch: two that take turns, one where there is but one.
void CudaDense::make_activations(std::int64_t rows) {
  const std::size_t hidden = layers_.size() - 1;
  const auto place = [&](Arena& arena) {
    for (std::size_t i = 0; i < 2; ++i) arena.place(hidden_[i], i < hidden ? rows * widest_ : 0);
  };
  cuda::grow(activations_, arena_bytes(place),
             [](std::int64_t bytes) { return cuda::device_memory(bytes, kAdvice); });
  Arena arena(activations_.data());
  place(arena);
}

/// [count][in] -> products of the last layer [count][out], its bias not added.
void CudaDense::run_layers(const float* rows, float* logits, std::int64_t count) {
  const float* x = rows;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const DenseLayer& layer = layers_[i];
    const bool last = i + 1 == layers_.size();
    float* y = last ? logits : hidden_[i % 2];
    blas_.multiply_transposed(static_cast<int>(count), layer.out, layer.in, x, places_[i].weight,
                              y);
    if (!last) {
      cuda_check(cuda::dense_operations.bias(bias_args(layer, count, places_[i].bias, y),
                                             cuda::kDenseBlock, stream_.get()),
                 "launching a layer");
    }
    x = y;
  }
}

std::vector<float> CudaDense::forward(std::span<const float> obs) {
  require(!layers_.empty(), "dense policy: no layers");
  const DenseLayer& last = layers_.back();
  const std::int64_t N = rows_of(obs.size(), layers_.front().in);
  make_activations(N);
  float *rows = nullptr, *logits = nullptr;
  const auto place = [&](Arena& arena) {
    arena.place(rows, N * layers_.front().in);
    arena.place(logits, N * last.out);
  };
  const cuda::DeviceMemory memory = cuda::device_memory(arena_bytes(place), kAdvice);
  Arena arena(memory.data());
  place(arena);
  copy(rows, obs.data(), N * layers_.front().in, cudaMemcpyHostToDevice);
  run_layers(rows, logits, N);
  cuda_check(cuda::dense_operations.bias(bias_args(last, N, places_.back().bias, logits),
                                         cuda::kDenseBlock, stream_.get()),
             "launching a layer");
  std::vector<float> result(static_cast<std::size_t>(N * last.out));
  copy(result.data(), logits, N * last.out, cudaMemcpyDeviceToHost);
  synchronize();
  return result;
}

void CudaDense::Books::place(Arena& arena, std::int64_t lanes) {
  arena.place(score, lanes);
  arena.place(length, lanes);
  arena.place(episodes, lanes);
}

void CudaDense::place_rollout(Arena& arena) {
  const std::int64_t lanes = groups_ * kGroup;
  const int O = facts_.observation_size;
  books_.place(arena, lanes);
  arena.place(tally_.running_score, lanes);
  arena.place(tally_.running_steps, lanes);
  arena.place(rows_, lanes * O);
  arena.place(logits_, lanes * logits_of(facts_.num_actions));
}

void CudaDense::start(const PlayRequest& request) {
  require_plays(layers_, facts_.observation_size, facts_.num_actions);
  request_ = request;
  groups_ = (request.num_envs + kGroup - 1) / kGroup;
  make_activations(request.num_envs);
  cuda::grow(rollout_, arena_bytes([&](Arena& arena) { place_rollout(arena); }),
             [](std::int64_t bytes) { return cuda::device_memory(bytes, kAdvice); });
  Arena arena(rollout_.data());
  place_rollout(arena);
  cuda::clear(rollout_.data(), arena.bytes(), stream_);
  stepper_.reset();  // its memory goes before there is new
  stepper_ = std::make_unique<CudaStepper>(facts_, kernels_, device_, cuda::kDenseBlock,
                                           StepperRequest{.num_envs = request.num_envs,
                                                          .stream = request.stream,
                                                          .game = request.game,
                                                          .final_obs = false},
                                           stream_.get());
  stepper_->reset(nullptr, nullptr);
  seen_ = stepper_->views();
  tally_.num_envs = request.num_envs;
  tally_.constant_reward = facts_.constant_reward;
  tally_.first_episode = request.episodic;
  tally_.reward = seen_.reward.as<const float>();
  tally_.terminated = seen_.terminated.as<const std::uint8_t>();
  tally_.truncated = seen_.truncated.as<const std::uint8_t>();
  tally_.score = books_.score;
  tally_.length = books_.length;
  tally_.episodes = books_.episodes;
  synchronize();
}

void CudaDense::step(std::int32_t t) {
  const auto& dense = cuda::dense_operations;
  const std::int64_t N = request_.num_envs;
  const std::int64_t numbers = N * facts_.observation_size;
  if (seen_.obs.type == ElementType::kInt8) {
    cuda_check(dense.widen(seen_.obs.as<const std::int8_t>(), rows_, numbers, cuda::kDenseBlock,
                           stream_.get()),
               "launching the pictures");
  } else {
    copy(rows_, seen_.obs.as<const float>(), numbers, cudaMemcpyDeviceToDevice);
  }
  run_layers(rows_, logits_, N);
  const SampleArgs sample{request_.stream,
                          N,
                          facts_.num_actions,
                          t,
                          request_.choice,
                          request_.epsilon,
                          places_.back().bias,
                          logits_,
                          seen_.action.as<std::uint8_t>(),
                          nullptr};
  cuda_check(dense.sample(sample, cuda::kDenseBlock, stream_.get()), "launching the choice");
  stepper_->step(nullptr, Restart::kSameStep);
  cuda_check(dense.tally(tally_, cuda::kDenseBlock, stream_.get()), "launching the books");
}

/// Starts a copy to the host; the pointer is good after synchronize().
template <class T>
const T* CudaDense::read(std::vector<T>& to, const T* from, std::int64_t count) {
  to.resize(static_cast<std::size_t>(count));
  copy(to.data(), from, count, cudaMemcpyDeviceToHost);
  return to.data();
}

DenseStep CudaDense::last_step() {
  const std::int64_t N = request_.num_envs;
  const int Z = logits_of(facts_.num_actions);
  const DenseStep step{read<float>(obs_read_, rows_, N * facts_.observation_size),
                       read<float>(logits_read_, logits_, N * Z),
                       read<std::uint8_t>(action_read_, seen_.action.as<std::uint8_t>(), N),
                       read<float>(reward_read_, tally_.reward, N),
                       read<std::uint8_t>(terminated_read_, tally_.terminated, N),
                       read<std::uint8_t>(truncated_read_, tally_.truncated, N)};
  synchronize();
  return step;
}

std::span<const std::int32_t> CudaDense::episodes() {
  read<std::int32_t>(episodes_read_, books_.episodes, request_.num_envs);
  synchronize();
  return episodes_read_;
}

void CudaDense::finish(PlayResult& result) {
  const std::int64_t N = request_.num_envs;
  read<float>(result.score, books_.score, N);
  read<std::int32_t>(result.length, books_.length, N);
  read<std::int32_t>(result.episodes, books_.episodes, N);
  synchronize();
}

}  // namespace lockstep
