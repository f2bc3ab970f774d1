// Updates on a CUDA device: memory, the captured graph, and what the host does when one stops.
#include <algorithm>
#include <cstring>

#include "host/cuda_backend.h"
#include "kernels/cuda/common.h"

namespace lockstep {
namespace {

constexpr std::int64_t kEpisodeLogBytes = std::int64_t{64} << 20;
constexpr const char* kLessMemory =
    "fewer --envs, a shorter --horizon or --store recompute shrink it";

}  // namespace

using cuda::cuda_check;
using cuda::Stop;

void cuda::Exchange::place(Arena& arena, std::int64_t slots, std::int64_t num_parameters) {
  arena.place(lr, slots);
  arena.place(state, 1);
  arena.place(parameters, num_parameters);
  arena.place(first_moment, num_parameters);
  arena.place(second_moment, num_parameters);
  arena.place(log, slots);
}

/// Every array of an update; the sizes that args_ and slots_ say.
void CudaBackend::place_training(Arena& arena) {
  cuda::UpdateArgs& a = args_;
  const auto& facts = *environment_->facts;
  const std::int64_t T = a.rollout.T, P = a.num_parameters, lanes = a.episode_log.lanes;
  exchange_.place(arena, slots_, P);

  const std::int64_t cleared_from = arena.bytes();
  arena.place(a.time_sum, plan_.baseline == BaselineRule::kTimeMean ? T : 0);
  arena.place(a.table.histogram, a.table_form ? T + 1 : 0);
  arena.place(a.returns, 1);
  arena.place(a.advantages, 1);
  arena.place(a.sums, gradient_layout(a.rollout.policy, plan_.O, logits_of(plan_.A)).size());
  arena.place(a.gradient_saturated, 1);
  cleared_bytes_ = arena.bytes() - cleared_from;

  arena.place(a.gradient, P);
  arena.place(a.staged, 3 * P);
  arena.place(a.units, cuda::unit_numbers(a.rollout.policy, plan_.O, plan_.A));
  arena.place(a.output_bias, logits_of(plan_.A));
  float* value = nullptr;
  arena.place(value, a.table_form ? T + 1 : 0);
  a.table.value = value;
  arena.place(a.baseline, plan_.baseline == BaselineRule::kTimeMean ? T : 0);
  arena.place(a.rollout.score, lanes);
  arena.place(a.rollout.length, lanes);
  arena.place(a.rollout.episodes, lanes);
  const std::int64_t logged = std::int64_t{slots_} * a.episode_log.capacity * lanes;
  arena.place(a.episode_log.count, slots_ * lanes);
  arena.place(a.episode_log.length, logged);
  arena.place(a.episode_log.score, facts.constant_reward ? 0 : logged);
  // a step's return is in the table then, and its number says whether it is valid
  place_record(arena,
               {.num_envs = config_.envs,
                .T = a.rollout.T,
                .O = plan_.O,
                .A = plan_.A,
                .logits = config_.store == Store::kLogits,
                .reward = !facts.constant_reward,
                .advantage = !a.table_form},
               a.rollout.record);
}

/// Training memory exists from the first update on; stepping and evaluation need none.
void CudaBackend::allocate_training() {
  if (update_graph_) return;
  const auto& facts = *environment_->facts;
  const bool episodic = config_.horizon == 0;
  cuda::UpdateArgs& a = args_;
  a = {};
  a.plan = plan_;
  a.rollout.stream = {config_.seed, 0};
  a.rollout.num_envs = config_.envs;
  a.rollout.T = static_cast<std::int32_t>(episodic ? facts.max_episode_steps : config_.horizon);
  a.rollout.episodic = episodic;
  a.rollout.choice = ActionChoice::kSample;
  a.rollout.policy = packed_.view();
  a.rollout.record = empty_record({.num_envs = config_.envs, .T = a.rollout.T});
  a.table_form = facts.constant_reward && episodic && plan_.normalize != NormalizeRule::kEpisode;
  a.num_parameters = shape_.size();
  a.drop_scale = packed_.drop_scale();
  a.episode_log.lanes = a.rollout.record.groups * kGroup;
  const std::int32_t shortest = std::max(1, facts.min_episode_steps);
  a.episode_log.capacity = episodic ? 1 : std::max(1, a.rollout.T / shortest);
  const std::int64_t slot_bytes =
      a.episode_log.lanes * (4 + a.episode_log.capacity * (facts.constant_reward ? 4 : 8));
  slots_ = static_cast<std::int32_t>(
      std::clamp(kEpisodeLogBytes / slot_bytes, std::int64_t{1}, std::int64_t{tuning_.most_slots}));
  launch_shape_ =
      cuda::choose_launch_shape(config_, a.rollout.policy, config_.envs, multiprocessors_);

  const auto place = [&](Arena& arena) { place_training(arena); };
  training_ = cuda::device_memory(arena_bytes(place), kLessMemory);
  Arena arena(training_.data());
  place(arena);
  a.state = exchange_.state;
  a.lr = exchange_.lr;
  a.log = exchange_.log;
  a.parameters = exchange_.parameters;
  a.first_moment = exchange_.first_moment;
  a.second_moment = exchange_.second_moment;
  a.rollout.policy.units = a.units;
  a.rollout.policy.output_bias = a.output_bias;
  cleared_ = a.time_sum != nullptr ? reinterpret_cast<std::byte*>(a.time_sum)
             : a.table_form        ? reinterpret_cast<std::byte*>(a.table.histogram)
                                   : reinterpret_cast<std::byte*>(a.returns);

  mirror_ = cuda::pinned_memory(
      arena_bytes([&](Arena& counting) { host_.place(counting, slots_, a.num_parameters); }));
  Arena mirror(mirror_.data());
  host_.place(mirror, slots_, a.num_parameters);
  if (episodic) {  // else their number is known after the updates
    episodes_read_ = cuda::pinned_memory(slots_ * slot_bytes);
  }
  if (a.table_form) {
    // the return of a step with so many steps to go, by the recursion of the general form
    std::vector<float> value(static_cast<std::size_t>(a.rollout.T) + 1, 0.0f);
    for (std::size_t k = 1; k < value.size(); ++k) {
      value[k] = __builtin_fmaf(value[k - 1], plan_.gamma, 1.0f);
    }
    cuda_check(cudaMemcpyAsync(const_cast<float*>(a.table.value), value.data(),
                               value.size() * sizeof(float), cudaMemcpyHostToDevice, stream_.get()),
               "copying the table of returns");
  }
  stale_ = true;
  update_graph_ = cuda::capture_graph(stream_, [&] {
    cuda_check(ops_->rollout(a, launch_shape_, stream_.get()), "launching the rollout");
    cuda_check(ops_->returns(a, launch_shape_, stream_.get()), "launching the returns");
    cuda_check(ops_->baseline(a, launch_shape_, stream_.get()), "launching the baseline");
    cuda_check(ops_->gradient(a, launch_shape_, stream_.get()), "launching the gradient");
    cuda_check(ops_->finish(a, stream_.get()), "launching the end of the update");
  });
}

/// Brings state_ to the device: parameters in both forms, and accumulators at zero.
void CudaBackend::push_state() {
  const auto bytes = static_cast<std::size_t>(args_.num_parameters) * sizeof(float);
  const auto copy = [&](float* to, const void* from, std::size_t size) {
    cuda_check(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, stream_.get()),
               "copying the training state");
  };
  copy(args_.parameters, state_.parameters.data(), bytes);
  copy(args_.first_moment, state_.first_moment.data(), bytes);
  copy(args_.second_moment, state_.second_moment.data(), bytes);
  packed_.pack(state_.parameters);
  const PolicyView<float> view = packed_.view();
  const auto units = static_cast<std::size_t>(cuda::unit_numbers(view, plan_.O, plan_.A));
  copy(args_.units, view.units, units * sizeof(float));
  copy(args_.output_bias, view.output_bias,
       static_cast<std::size_t>(logits_of(plan_.A)) * sizeof(float));
  cuda_check(cudaMemsetAsync(cleared_, 0, static_cast<std::size_t>(cleared_bytes_), stream_.get()),
             "clearing the accumulators");
}

/// Learning rates, if any, and the update's state.
void CudaBackend::push_control(std::int64_t rates) {
  std::byte* const from = rates > 0 ? reinterpret_cast<std::byte*>(host_.lr)
                                    : reinterpret_cast<std::byte*>(host_.state);
  const auto end = reinterpret_cast<std::byte*>(host_.state + 1);
  cuda_check(
      cudaMemcpyAsync(training_.data() + (from - mirror_.data()), from,
                      static_cast<std::size_t>(end - from), cudaMemcpyHostToDevice, stream_.get()),
      "copying the state of the updates");
}

/// Waits for the device and brings state, parameters and the log of `slots` updates to host_; with
/// whole episodes also their lengths and scores.
void CudaBackend::read_back(std::int32_t slots) {
  const auto* const from = reinterpret_cast<std::byte*>(host_.state);
  const auto* const end = reinterpret_cast<std::byte*>(host_.log + slots);
  const auto offset = from - mirror_.data();
  cuda_check(
      cudaMemcpyAsync(mirror_.data() + offset, training_.data() + offset,
                      static_cast<std::size_t>(end - from), cudaMemcpyDeviceToHost, stream_.get()),
      "copying results");
  if (args_.rollout.episodic) read_episodes(slots, slots * args_.episode_log.lanes);
  synchronize();
}

/// Starts the copy of `episodes` lengths and, if rewards differ, as many scores.
void CudaBackend::read_episodes(std::int32_t slots, std::int64_t episodes) {
  const cuda::EpisodeLog& log = args_.episode_log;
  const std::int64_t bytes = episodes * 4;
  const std::int32_t* length = log.length;
  const float* score = log.score;
  cuda::grow(episodes_read_, 2 * bytes, [](std::int64_t b) { return cuda::pinned_memory(b); });
  if (!args_.rollout.episodic) {
    cuda::CompactArgs compact{log, slots, config_.envs, nullptr, nullptr, nullptr};
    const auto place = [&](Arena& arena) {
      arena.place(compact.offset, slots * config_.envs + 1);
      arena.place(compact.length, episodes);
      arena.place(compact.score, score == nullptr ? 0 : episodes);
    };
    cuda::grow(episodes_, arena_bytes(place),
               [](std::int64_t b) { return cuda::device_memory(b, kLessMemory); });
    Arena arena(episodes_.data());
    place(arena);
    cuda_check(cuda::compact_episodes(compact, stream_.get()), "listing the episodes");
    length = compact.length;
    score = compact.score;
  }
  const auto copy = [&](std::int64_t to, const void* from) {
    cuda_check(cudaMemcpyAsync(episodes_read_.data() + to, from, static_cast<std::size_t>(bytes),
                               cudaMemcpyDeviceToHost, stream_.get()),
               "copying episodes");
  };
  copy(0, length);
  if (score != nullptr) copy(bytes, score);
}

void CudaBackend::launch_update() {
  cuda_check(cudaGraphLaunch(update_graph_.get(), stream_.get()), "launching an update");
}

/// Gradient and end of the update under way, with scales that lose so many bits.
void CudaBackend::launch_again(int bits_dropped) {
  host_.state->stop = Stop::kRunning;
  host_.state->bits_dropped = bits_dropped;
  push_control(0);
  cuda_check(ops_->gradient(args_, launch_shape_, stream_.get()), "launching the gradient");
  cuda_check(ops_->finish(args_, stream_.get()), "launching the end of the update");
}

/// Why the updates stopped, if they did, in the words every backend uses.
std::optional<const char*> CudaBackend::stop_message() const {
  switch (host_.state->stop) {
    case Stop::kRunning:
      return {};
    case Stop::kReturnRange:
      return numeric_error::kReturnRange;
    case Stop::kSaturated:
      return numeric_error::kSaturated;
    case Stop::kGradientNotFinite:
      return numeric_error::kGradient;
    case Stop::kParameterNotFinite:
      return numeric_error::kParameter;
  }
  return "the device reports a state it cannot be in";
}

std::vector<UpdateResult> CudaBackend::updates(std::uint32_t epoch, std::span<const double> lr) {
  if (pending_) throw NumericError(*std::exchange(pending_, std::nullopt));
  use_device();
  allocate_training();
  const auto count =
      static_cast<std::int32_t>(std::min<std::size_t>(lr.size(), static_cast<std::size_t>(slots_)));
  if (std::exchange(stale_, true)) push_state();  // until all is well the host's copy counts
  std::copy_n(lr.begin(), count, host_.lr);
  *host_.state = {epoch, 0, Stop::kRunning, 0, state_};
  push_control(count);

  for (std::int32_t i = 0; i < count; ++i) launch_update();
  read_back(count);
  while (host_.state->stop == Stop::kSaturated && host_.state->bits_dropped < kMaxRescalings) {
    launch_again(host_.state->bits_dropped + 1);
    for (std::int32_t i = host_.state->slot + 1; i < count; ++i) launch_update();
    read_back(count);
  }
  const std::optional<const char*> message = stop_message();
  const std::int32_t done = message ? host_.state->slot : count;
  if (done == 0) throw NumericError(*message);
  std::vector<UpdateResult> out = results(done, count);
  pending_ = message;
  stale_ = message.has_value();  // the failed update left sums behind

  const auto P = args_.num_parameters;
  state_.parameters.assign(host_.parameters, host_.parameters + P);
  state_.first_moment.assign(host_.first_moment, host_.first_moment + P);
  state_.second_moment.assign(host_.second_moment, host_.second_moment + P);
  static_cast<RunningState&>(state_) = host_.state->running;
  return out;
}

/// What the first `slots` updates tell, of `read` that were read back.
std::vector<UpdateResult> CudaBackend::results(std::int32_t slots, std::int32_t read) {
  const bool episodic = args_.rollout.episodic;
  std::int64_t total = 0;
  for (std::int32_t slot = 0; slot < slots; ++slot) total += host_.log[slot].episodes;
  if (!episodic) {
    read_episodes(slots, total);
    synchronize();
  }
  const std::int64_t lanes = args_.episode_log.lanes;
  const std::int64_t listed = episodic ? read * lanes : total;
  const auto* const lengths = reinterpret_cast<const std::int32_t*>(episodes_read_.data());
  const auto* const scores = reinterpret_cast<const float*>(lengths + listed);
  std::vector<UpdateResult> out(static_cast<std::size_t>(slots));
  std::int64_t first = 0;
  for (std::int32_t slot = 0; slot < slots; ++slot) {
    const cuda::UpdateLog& log = host_.log[slot];
    UpdateResult& result = out[static_cast<std::size_t>(slot)];
    if (episodic) first = slot * lanes;
    const std::int64_t end = first + log.episodes;
    result.lengths.assign(lengths + first, lengths + end);
    if (args_.episode_log.score != nullptr) {
      result.scores.assign(scores + first, scores + end);
    } else {
      result.scores.assign(lengths + first, lengths + end);
    }
    first = end;
    result.steps = config_.envs * config_.horizon;
    if (episodic) {
      for (const std::int32_t length : result.lengths) result.steps += length;
    }
    result.cut_steps = result.steps - log.valid_steps;
    result.policy_loss = log.policy_loss;
    result.entropy = log.entropy;
    result.grad_norm = log.grad_norm;
    result.rescalings = log.rescalings;
  }
  return out;
}

std::vector<float> CudaBackend::read_gradient() {
  use_device();
  std::vector<float> gradient(static_cast<std::size_t>(args_.num_parameters));
  cuda_check(cudaMemcpy(gradient.data(), args_.gradient, gradient.size() * sizeof(float),
                        cudaMemcpyDeviceToHost),
             "copying the gradient");
  return gradient;
}

}  // namespace lockstep
