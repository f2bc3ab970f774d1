// The log of finished episodes on a CUDA device: how long it is, and what the host reads of it.
#include <algorithm>
#include <numeric>

#include "host/backend/outcome.h"
#include "host/cuda/updates.h"

namespace lockstep {
namespace {

// Of the log of episodes: what a device can spare, for more updates a batch.
constexpr std::int64_t kMostLogBytes = std::int64_t{4} << 30;
constexpr std::int64_t kLogShare = 16;  // of the free memory

/// Of an update's episodes in the log: their number in every lane, lengths, and scores where
/// rewards differ.
std::int64_t episode_bytes(const cuda::EpisodeLog& log, bool scored) {
  return log.lanes * (4 + log.capacity * (scored ? 8 : 4));
}

}  // namespace

using cuda::cuda_check;

void CudaUpdates::choose_slots(cuda::EpisodeLog& log, std::int64_t groups, std::int32_t T,
                               bool episodic) {
  log.lanes = groups * kGroup;
  const std::int32_t shortest = std::max(1, environment_->facts->min_episode_steps);
  log.capacity = episodic ? 1 : std::max(1, T / shortest);
  // an episode that goes on from before may end with the first step
  if (config_.critic != Critic::kNone) log.capacity = 1 + (T - 1) / shortest;
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
    episodes_ = cuda::cleared_memory(bytes, less_memory(), stream_);
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

}  // namespace lockstep
