// Batches of updates on a CUDA device: memory, the captured graph, and what the host does when one
// stops.
#include "host/cuda/updates.h"

#include <algorithm>
#include <cstdio>
#include <mutex>

namespace lockstep {
namespace {

/// A minute of silence looks like a program that hangs.
void tell_of_compilation() {
  static std::once_flag once;
  bool from_ptx = false;
  cuda::cuda_check(cuda::compiles_kernels(from_ptx), "looking for the kernels");
  if (!from_ptx) return;
  std::call_once(once, [] {
    std::fputs("lockstep: compiling kernels for this GPU; the driver keeps them\n", stderr);
  });
}

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

CudaUpdates::CudaUpdates(const Config& config, const EnvironmentEntry& environment,
                         const CudaTuning& tuning, const Learner& learner)
    : config_(config),
      environment_(&environment),
      tuning_(tuning),
      shape_(policy_shape(config, environment)),
      plan_(update_plan(config, *environment.facts)),
      learner_(&learner) {
  use_device();
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, tuning.device), "reading a device's properties");
  name_ = "cuda:" + std::to_string(tuning.device) + " " + properties.name;
  multiprocessors_ = std::max(1, properties.multiProcessorCount);
  shared_bytes_ = static_cast<std::int32_t>(properties.sharedMemPerBlockOptin);
  tell_of_compilation();
  stream_ = cuda::make_stream();
  play_start_ = cuda::make_event();
  play_end_ = cuda::make_event();
}

/// The current device belongs to the thread, and calls may come from any.
void CudaUpdates::use_device() const {
  cuda_check(cudaSetDevice(tuning_.device), "choosing a device");
}

void CudaUpdates::synchronize() {
  cuda_check(cudaStreamSynchronize(stream_.get()), "waiting for the device");
}

void CudaUpdates::push(void* to, const void* from, std::int64_t bytes, const char* what) {
  cuda_check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice,
                             stream_.get()),
             what);
}

void CudaUpdates::pull(void* to, const void* from, std::int64_t bytes, const char* what) {
  cuda_check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost,
                             stream_.get()),
             what);
}

void CudaUpdates::upload(const TrainingState& state) {
  state_ = state;
  stale_ = true;
  pending_.reset();
}

/// Training memory exists from the first update on; stepping and evaluation need none.
void CudaUpdates::allocate_training() {
  if (allocated_) return;
  frame_ = make_frame();
  const auto place = [&](Arena& arena) {
    exchange_.place(arena, slots_, frame_.num_parameters);
    place_arrays(arena);
  };
  // lists as well: what a run needs is there before its first update, or is refused
  const auto allocate = [&] {
    training_ = {};
    training_ = cuda::device_memory(arena_bytes(place), less_memory());
    if (frame_.episodic) return;
    plan_lists();
    static_cast<void>(place_lists(slots_));
  };
  try {
    allocate();
  } catch (const OutOfMemory&) {
    // the log took its share before it was known what the rest needs
    const std::int32_t fewest = slots_in(kLeastLogBytes, *frame_.episode_log, frame_.episodic);
    if (fewest >= slots_) throw;
    slots_ = fewest;
    allocate();
  }
  const std::int64_t exchange_bytes =
      arena_bytes([&](Arena& counting) { host_.place(counting, slots_, frame_.num_parameters); });
  clear(training_.data(), exchange_bytes, stream_);
  Arena arena(training_.data());
  place(arena);
  mirror_ = cuda::pinned_memory(exchange_bytes);
  Arena mirror(mirror_.data());
  host_.place(mirror, slots_, frame_.num_parameters);
  if (frame_.episodic) {
    episodes_read_ = cuda::pinned_memory(slots_ * frame_.episode_log->lanes * (scored() ? 8 : 4));
    const cuda::EpisodeLog& log = *frame_.episode_log;
    clear(log.length, slots_ * log.lanes * 4, stream_);
    if (log.score != nullptr) clear(log.score, slots_ * log.lanes * 4, stream_);
  }
  finish_arrays();
  stale_ = true;
  capture_update();
  allocated_ = true;
}

/// Learning rates, if any, and the update's state.
void CudaUpdates::push_control(std::int64_t rates) {
  std::byte* const from = rates > 0 ? reinterpret_cast<std::byte*>(host_.lr)
                                    : reinterpret_cast<std::byte*>(host_.state);
  const auto end = reinterpret_cast<std::byte*>(host_.state + 1);
  push(training_.data() + (from - mirror_.data()), from, end - from,
       "copying the state of the updates");
}

/// Waits for the device and brings state, parameters, the log of `slots` updates and what is told
/// of their episodes to the host.
void CudaUpdates::read_back(std::int32_t slots) {
  const auto* const from = reinterpret_cast<std::byte*>(host_.state);
  const auto* const end = reinterpret_cast<std::byte*>(host_.log + slots);
  const auto offset = from - mirror_.data();
  pull(mirror_.data() + offset, training_.data() + offset, end - from, "copying results");
  if (frame_.episodic) {
    read_whole_episodes(slots);
  } else {
    read_lists(slots);
  }
  read_environments();
  synchronize();
}

void CudaUpdates::launch_stages(std::span<const Stage> stages) {
  for (const Stage stage : stages) launch(stage);
}

/// What pass number `pass` of an update is launched with: what comes before it, unless another pass
/// of its update, or of its epoch, has been there.
void CudaUpdates::launch_stages_of(PassStart start) {
  if (start == PassStart::kUpdate) launch_stages(learner_->begin);
  if (start != PassStart::kPass) launch_stages(learner_->epoch);
  launch_stages(learner_->pass);
}

void CudaUpdates::capture_update() {
  const auto capture = [&](PassStart start) {
    graphs_[static_cast<std::size_t>(start)] =
        cuda::capture_graph(stream_, [&] { launch_stages_of(start); });
  };
  capture(PassStart::kUpdate);
  if (frame_.epochs > 1) capture(PassStart::kEpoch);
  if (frame_.minibatches > 1) capture(PassStart::kPass);
}

/// The passes of an update from number `pass` on.
void CudaUpdates::launch_passes(std::int64_t pass) {
  for (; pass < frame_.epochs * frame_.minibatches; ++pass) {
    const PassStart start = pass == 0                        ? PassStart::kUpdate
                            : pass % frame_.minibatches == 0 ? PassStart::kEpoch
                                                             : PassStart::kPass;
    const cuda::GraphExec& graph = graphs_[static_cast<std::size_t>(start)];
    if (!graph) {
      launch_stages_of(start);
    } else {
      cuda_check(cudaGraphLaunch(graph.get(), stream_.get()), "launching an update");
    }
  }
}

/// The pass under way from its beginning, with scales that lose so many bits, and those behind it.
void CudaUpdates::launch_again(int bits_dropped) {
  host_.state->stop = Stop::kRunning;
  host_.state->bits_dropped = bits_dropped;
  push_control(0);
  launch_stages(learner_->pass);
  launch_passes(host_.state->pass + 1);
}

/// Why the updates stopped, if they did, in the words every backend uses.
std::optional<const char*> CudaUpdates::stop_message() const {
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
    case Stop::kAdvantageNotFinite:
      return numeric_error::kAdvantage;
  }
  return "the device reports a state it cannot be in";
}

std::vector<UpdateResult> CudaUpdates::updates(std::uint32_t epoch, std::span<const double> lr) {
  if (pending_) throw NumericError(*std::exchange(pending_, std::nullopt));
  use_device();
  allocate_training();
  const auto count =
      static_cast<std::int32_t>(std::min<std::size_t>(lr.size(), static_cast<std::size_t>(slots_)));
  if (std::exchange(stale_, true)) push_state();  // until all is well the host's copy counts
  std::copy_n(lr.begin(), count, host_.lr);
  *host_.state = {epoch, 0, Stop::kRunning, 0, state_};
  host_.state->fresh = state_.environments.state.empty() ? 1 : 0;
  push_control(count);

  for (std::int32_t i = 0; i < count; ++i) launch_passes(0);
  read_back(count);
  while (host_.state->stop == Stop::kSaturated && host_.state->bits_dropped < kMaxRescalings) {
    launch_again(host_.state->bits_dropped + 1);
    for (std::int32_t i = host_.state->slot + 1; i < count; ++i) launch_passes(0);
    read_back(count);
  }
  const std::optional<const char*> message = stop_message();
  const std::int32_t done = message ? host_.state->slot : count;
  if (done == 0) throw NumericError(*message);
  std::vector<UpdateResult> out = results(done);
  pending_ = message;
  stale_ = message.has_value();  // the failed update left sums behind
  keep_state();
  static_cast<RunningState&>(state_) = host_.state->running;
  return out;
}

/// What the first `slots` updates tell.
std::vector<UpdateResult> CudaUpdates::results(std::int32_t slots) {
  std::vector<UpdateResult> out(static_cast<std::size_t>(slots));
  for (std::int32_t slot = 0; slot < slots; ++slot) {
    const cuda::UpdateLog& log = host_.log[slot];
    UpdateResult& result = out[static_cast<std::size_t>(slot)];
    result.episodes = log.episodes;
    take_episodes(slot, result);
    result.steps = frame_.episodic ? result.length_sum : config_.envs * config_.horizon;
    static_cast<UpdateFigures&>(result) = log;
    result.rescalings = log.rescalings;
    result.carried = config_.critic != Critic::kNone;
  }
  return out;
}

double CudaUpdates::timed_seconds() {
  synchronize();
  float milliseconds = 0;
  cuda_check(cudaEventElapsedTime(&milliseconds, play_start_.get(), play_end_.get()),
             "taking the time");
  return static_cast<double>(milliseconds) / 1000.0;
}

void CudaUpdates::read_play(std::int64_t lanes, std::int64_t num_envs, PlayResult& result) {
  cuda::Outcome read{};
  const std::int64_t bytes = arena_bytes([&](Arena& counting) { read.place(counting, lanes); });
  cuda::grow(play_read_, bytes, [](std::int64_t b) { return cuda::pinned_memory(b); });
  Arena pinned(play_read_.data());
  read.place(pinned, lanes);
  pull(play_read_.data(), play_memory_.data(), bytes, "copying results");
  synchronize();
  result.score.assign(read.score, read.score + num_envs);
  result.length.assign(read.length, read.length + num_envs);
  result.episodes.assign(read.episodes, read.episodes + num_envs);
}

}  // namespace lockstep
