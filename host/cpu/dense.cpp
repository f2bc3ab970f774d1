// See dense.h.
#include "host/cpu/dense.h"

#include <algorithm>
#include <cstring>

#include "host/backend/parallel.h"
#include "host/errors.h"
#include "kernels/cpu/launchers.h"
#include "kernels/cpu/table_launchers.h"

namespace lockstep {
namespace {

// Rows of a product: a few cache-sized blocks of OpenBLAS's kernels. Of pictures one group: games
// are few and long, and larger tiles gain little (64 rows: 1.4 times as fast with 64 games, 0.36
// times with 2).
constexpr int kTile = 256, kPictureTile = 16;

}  // namespace

CpuDense::CpuDense(const EnvironmentEntry& environment, const CpuTuning& tuning)
    : blas_(Blas::get()),
      environment_(environment),
      facts_(*environment.facts),
      tuning_(tuning),
      tile_(environment.has_objects() ? kPictureTile : kTile) {
  if (environment.has_objects()) {
    const cpu::TableOperations& ops = table_operations_for(environment, tuning.isa);
    bias_ = ops.bias;
    sample_ = ops.sample;
  } else {
    const cpu::FloatOperations& ops = operations_for(environment, tuning.isa);
    bias_ = ops.bias;
    sample_ = ops.sample;
  }
}

void CpuDense::set_layers(std::span<const DenseLayer> layers) {
  require_consistent(layers);
  layers_.assign(layers.begin(), layers.end());
  int widest = 1;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) widest = std::max(widest, layers[i].out);
  for (auto& of_threads : hidden_) {
    of_threads.clear();
    for (int i = 0; i < tuning_.threads; ++i) of_threads.emplace_back(std::int64_t{tile_} * widest);
  }
}

/// One tile: [tile][in] -> products of the last layer [tile][out], its bias not added.
void CpuDense::run_layers(const float* rows, float* logits, int thread) {
  const float* x = rows;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const DenseLayer& layer = layers_[i];
    const bool last = i + 1 == layers_.size();
    float* y = last ? logits : hidden_[i % 2][static_cast<std::size_t>(thread)].data();
    blas_.multiply_transposed(tile_, layer.out, layer.in, x, layer.weight.data(), y);
    if (!last) bias_(bias_args(layer, tile_, layer.bias.data(), y), 0, tile_);
    x = y;
  }
}

std::vector<float> CpuDense::forward(std::span<const float> obs) {
  require(!layers_.empty(), "dense policy: no layers");
  const int in = layers_.front().in;
  const DenseLayer& last = layers_.back();
  const std::int64_t N = rows_of(obs.size(), in);
  const std::int64_t tiles = tiles_of(N);
  Buffer<float> rows(tiles * tile_ * in), logits(tiles * tile_ * last.out);
  rows.zero();
  std::memcpy(rows.data(), obs.data(), obs.size_bytes());
  parallel_for(tiles, tuning_.threads, [&](std::int64_t tile, int thread) {
    float* y = logits.data() + tile * tile_ * last.out;
    run_layers(rows.data() + tile * tile_ * in, y, thread);
    bias_(bias_args(last, tile_, last.bias.data(), y), 0, tile_);
  });
  return {logits.data(), logits.data() + N * last.out};
}

void CpuDense::start(const PlayRequest& request) {
  require_plays(layers_, facts_.observation_size, facts_.num_actions);
  request_ = request;
  const std::int64_t N = request.num_envs;
  const int O = facts_.observation_size;
  groups_ = (N + kGroup - 1) / kGroup;
  tiles_ = tiles_of(N);
  const std::int64_t lanes = groups_ * kGroup;
  rows_ = Buffer<float>(tiles_ * tile_ * O);
  rows_.zero();  // rows of no environment stay 0
  logits_ = Buffer<float>(tiles_ * tile_ * logits_of(facts_.num_actions));
  for (auto* b : {&running_score_, &score_}) *b = Buffer<float>(lanes);
  for (auto* b : {&running_steps_, &length_, &episodes_}) *b = Buffer<std::int32_t>(lanes);
  for (auto* b : {&running_score_, &score_}) b->zero();
  for (auto* b : {&running_steps_, &length_, &episodes_}) b->zero();
  stepper_ = std::make_unique<CpuStepper>(
      environment_, tuning_,
      StepperRequest{
          .num_envs = N, .stream = request.stream, .game = request.game, .final_obs = false});
  stepper_->reset(nullptr, nullptr);
  seen_ = stepper_->views();
  tally_ = {N,
            facts_.constant_reward,
            request.episodic,
            seen_.reward.as<const float>(),
            seen_.terminated.as<const std::uint8_t>(),
            seen_.truncated.as<const std::uint8_t>(),
            running_score_.data(),
            running_steps_.data(),
            score_.data(),
            length_.data(),
            episodes_.data()};
}

/// One operation after the other; the environments of a tile depend on no other's.
void CpuDense::play_tile(std::int64_t tile, std::int32_t t, int thread) {
  const int O = facts_.observation_size, A = facts_.num_actions, Z = logits_of(A);
  const int groups = tile_ / kGroup;
  const std::int64_t first_group = tile * groups;
  const std::int64_t end_group = std::min(first_group + groups, groups_);
  const std::int64_t first = tile * tile_;
  const std::int64_t end = std::min(first + tile_, request_.num_envs);
  const std::int32_t* done = episodes_.data();
  if (request_.episodic && std::all_of(done + first, done + end, [](int n) { return n > 0; })) {
    return;  // nobody looks at what comes after
  }
  if (seen_.obs.type == ElementType::kInt8) {
    const auto* obs = seen_.obs.as<const std::int8_t>();
    std::copy(obs + first * O, obs + end * O, rows_.data() + first * O);
  } else {
    const auto* obs = seen_.obs.as<const float>();
    std::copy(obs + first * O, obs + end * O, rows_.data() + first * O);
  }
  run_layers(rows_.data() + first * O, logits_.data() + first * Z, thread);
  const SampleArgs sample{request_.stream,
                          request_.num_envs,
                          A,
                          t,
                          request_.choice,
                          request_.epsilon,
                          layers_.back().bias.data(),
                          logits_.data(),
                          seen_.action.as<std::uint8_t>(),
                          nullptr};
  for (std::int64_t group = first_group; group < end_group; ++group) sample_(sample, group);
  for (std::int64_t group = first_group; group < end_group; ++group) stepper_->step_group(group);
  for (std::int64_t i = first; i < end; ++i) tally_item(tally_, i);
}

void CpuDense::step(std::int32_t t) {
  stepper_->prepare_step(nullptr, Restart::kSameStep);
  parallel_for(tiles_, tuning_.threads,
               [&](std::int64_t tile, int thread) { play_tile(tile, t, thread); });
}

DenseStep CpuDense::last_step() {
  return {rows_.data(),  logits_.data(),    seen_.action.as<const std::uint8_t>(),
          tally_.reward, tally_.terminated, tally_.truncated};
}

std::span<const std::int32_t> CpuDense::episodes() {
  return {episodes_.data(), static_cast<std::size_t>(request_.num_envs)};
}

void CpuDense::finish(PlayResult& result) {
  const std::int64_t N = request_.num_envs;
  result.score.assign(score_.data(), score_.data() + N);
  result.length.assign(length_.data(), length_.data() + N);
  result.episodes.assign(episodes_.data(), episodes_.data() + N);
}

}  // namespace lockstep
