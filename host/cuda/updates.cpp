// Batches of updates on a CUDA device: memory, the captured graph, and what the host does when one
// stops.
#include "host/cuda/updates.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <numeric>

#include "host/backend/outcome.h"

namespace lockstep {
namespace {

// The log of episodes: what a device can spare, for more updates a batch; of whole episodes, which
// the host pins as much memory for, the least.
constexpr std::int64_t kLeastLogBytes = std::int64_t{64} << 20;
constexpr std::int64_t kMostLogBytes = std::int64_t{4} << 30;
constexpr std::int64_t kLogShare = 16;  // of the free memory

/// Of an update's episodes in the log: their number in every lane, lengths, and scores where
/// rewards differ.
std::int64_t episode_bytes(const cuda::EpisodeLog& log, bool scored) {
  return log.lanes * (4 + log.capacity * (scored ? 8 : 4));
}

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

void CudaUpdates::choose_slots(cuda::EpisodeLog& log, std::int64_t groups, std::int32_t T,
                               bool episodic) {
  log.lanes = groups * kGroup;
  const std::int32_t shortest = std::max(1, environment_->facts->min_episode_steps);
  log.capacity = episodic ? 1 : std::max(1, T / shortest);
  std::int64_t room = kLeastLogBytes;
  if (!episodic) {
    std::size_t free = 0, total = 0;
    cuda_check(cudaMemGetInfo(&free, &total), "asking for the memory that is free");
    room = std::clamp(static_cast<std::int64_t>(free) / kLogShare, kLeastLogBytes, kMostLogBytes);
  }
  slots_ = slots_in(room, log, episodic);
}

/// Updates whose episodes fit into `room` bytes, at least one.
std::int32_t CudaUpdates::slots_in(std::int64_t room, const cuda::EpisodeLog& log,
                                   bool episodic) const {
  std::int64_t bytes = episode_bytes(log, scored());
  if (!episodic) {
    bytes += (config_.envs + 1) * std::int64_t{sizeof(cuda::EpisodeSums)} +
             listed(log) * (scored() ? 8 : 4);
  }
  return static_cast<std::int32_t>(
      std::clamp(room / bytes, std::int64_t{1}, std::int64_t{tuning_.most_slots}));
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
    training_ = cuda::device_memory(arena_bytes(place), kLessMemory);
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
  update_graph_ = cuda::capture_graph(stream_, [&] { launch_all(); });
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
  synchronize();
}

/// Starts the copy of every environment's length and, if rewards differ, score.
void CudaUpdates::read_whole_episodes(std::int32_t slots) {
  const cuda::EpisodeLog& log = *frame_.episode_log;
  const std::int64_t bytes = slots * log.lanes * 4;
  pull(episodes_read_.data(), log.length, bytes, "copying episodes");
  if (!scored()) return;
  pull(episodes_read_.data() + slots_ * log.lanes * 4, log.score, bytes, "copying episodes");
}

/// How many episodes of an update are listed, at most.
std::int64_t CudaUpdates::listed(const cuda::EpisodeLog& log) const {
  return std::min(most_listed_, config_.envs * log.capacity);
}

/// What making the longest lists takes beside them.
void CudaUpdates::plan_lists() {
  cuda::CompactArgs args{};
  args.slots = slots_;
  args.num_envs = config_.envs;
  cuda_check(cuda::working_memory(args, lists_working_bytes_), "planning the lists");
}

/// Lays out the lists of so many updates, and what making them takes, in memory that grows when
/// more is to be listed than ever before.
CudaUpdates::ListsPlace CudaUpdates::place_lists(std::int32_t slots) {
  listed_ = listed(*frame_.episode_log);
  ListsPlace to{};
  to.args.log = *frame_.episode_log;
  to.args.state = exchange_.state;
  to.args.slots = slots;
  to.args.num_envs = config_.envs;
  to.args.listed = listed_;
  to.args.working_bytes = lists_working_bytes_;
  cuda::EpisodeLists lists{};
  const auto place = [&](Arena& arena) {
    arena.place(to.args.before, slots * config_.envs + 1);
    arena.place(to.args.working, to.args.working_bytes);
    to.from = arena.bytes();
    lists.place(arena, slots, listed_, scored());
  };
  const std::int64_t bytes = arena_bytes(place);
  to.bytes = bytes - to.from;
  if (episodes_.bytes() < bytes) {
    episodes_ = {};  // the old one goes before the new one comes
    episodes_ = cuda::cleared_memory(bytes, kLessMemory, stream_);
  }
  if (episodes_read_.bytes() < to.bytes) {
    episodes_read_ = {};
    episodes_read_ = cuda::pinned_memory(to.bytes);
  }
  Arena arena(episodes_.data()), mirror(episodes_read_.data());
  place(arena);
  lists_.place(mirror, slots, listed_, scored());
  to.args.total = lists.total;
  to.args.length = lists.length;
  to.args.score = lists.score;
  return to;
}

/// Lists the episodes of the updates on the device and starts the copy of the lists.
void CudaUpdates::read_lists(std::int32_t slots) {
  const ListsPlace to = place_lists(slots);
  cuda_check(cuda::compact_episodes(to.args, stream_.get()), "listing the episodes");
  pull(episodes_read_.data(), episodes_.data() + to.from, to.bytes, "copying episodes");
}

void CudaUpdates::launch_stages(std::span<const Stage> stages) {
  for (const Stage stage : stages) launch(stage);
}

void CudaUpdates::launch_all() {
  launch_stages(learner_->begin);
  launch_stages(learner_->pass);
}

void CudaUpdates::launch_update() {
  if (!update_graph_) return launch_all();
  cuda_check(cudaGraphLaunch(update_graph_.get(), stream_.get()), "launching an update");
}

/// The pass under way from its beginning, with scales that lose so many bits.
void CudaUpdates::launch_again(int bits_dropped) {
  host_.state->stop = Stop::kRunning;
  host_.state->bits_dropped = bits_dropped;
  push_control(0);
  launch_stages(learner_->pass);
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
  std::vector<UpdateResult> out = results(done);
  pending_ = message;
  stale_ = message.has_value();  // the failed update left sums behind
  keep_state();
  static_cast<RunningState&>(state_) = host_.state->running;
  return out;
}

/// What was read of an update's episodes.
void CudaUpdates::take_episodes(std::int32_t slot, UpdateResult& result) const {
  const std::int64_t lanes = frame_.episode_log->lanes;
  const auto* lengths = reinterpret_cast<const std::int32_t*>(episodes_read_.data());
  const auto* scores = reinterpret_cast<const float*>(lengths + slots_ * lanes);
  std::int64_t first = slot * lanes, listed = result.episodes;
  if (!frame_.episodic) {
    lengths = lists_.length;
    scores = lists_.score;
    first = slot * listed_;
    listed = std::min(listed, listed_);
  }
  lengths += first;
  result.length_sum = frame_.episodic ? std::accumulate(lengths, lengths + listed, std::int64_t{0})
                                      : lists_.total[slot].steps;
  const std::int64_t unlisted = listed - std::min(listed, most_listed_);
  result.lengths.assign(lengths + unlisted, lengths + listed);
  if (scored()) {
    scores += first;
    result.score_sum = frame_.episodic ? sum_of_scores({scores, static_cast<std::size_t>(listed)})
                                       : lists_.total[slot].score.value();
    result.scores.assign(scores + unlisted, scores + listed);
  } else {  // a point a step
    result.score_sum = static_cast<double>(result.length_sum);
    result.scores.assign(lengths + unlisted, lengths + listed);
  }
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
