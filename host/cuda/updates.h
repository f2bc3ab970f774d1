// What every CUDA backend does around its kernels: batches of updates as so many launches of
// captured graphs, one a pass, the stages of a learner in order, what is read back after them, and
// what happens when one stops. Which arrays a stage works on and which kernels it is made of is
// left to CudaBackend and CudaTableBackend.
//
// Between the first and the last update of a batch nothing is allocated, copied or waited for; what
// an update tells is read back once, at the end. The host keeps a copy of the training state as of
// then: what a lost device takes with it is the batch under way, never the state before it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "host/backend/arena.h"
#include "host/backend/backend.h"
#include "host/backend/learner.h"
#include "host/cuda/graph.h"
#include "host/cuda/memory.h"
#include "kernels/cuda/common.h"
#include "kernels/cuda/launchers.h"

namespace lockstep {

namespace cuda {

/// What goes down to the device before a batch of updates, and what comes up after it: two ranges
/// of one arena that is laid out alike on both sides.
struct Exchange {
  double* lr;           // [slots]  down
  UpdateState* state;   // [1]      down and up
  float* parameters;    // [P]      up, as all that follows
  float* first_moment;  // [P]
  float* second_moment;
  UpdateLog* log;  // [slots]

  void place(Arena& arena, std::int64_t slots, std::int64_t num_parameters);
};

/// What comes up of the episodes of a batch of updates, cut off by the horizon: laid out alike on
/// both sides.
struct EpisodeLists {
  EpisodeSums* total;    // [slots]
  std::int32_t* length;  // [slots][listed]
  float* score;          // [slots][listed]; null with a constant reward

  void place(Arena& arena, std::int64_t slots, std::int64_t listed, bool scored) {
    arena.place(total, slots);
    arena.place(length, slots * listed);
    arena.place(score, scored ? slots * listed : 0);
  }
};

/// Score, length and number of episodes of every lane: laid out alike on both sides.
struct Outcome {
  float* score;
  std::int32_t* length;
  std::int32_t* episodes;

  void place(Arena& arena, std::int64_t lanes) {
    arena.place(score, lanes);
    arena.place(length, lanes);
    arena.place(episodes, lanes);
  }
};

}  // namespace cuda

/// How the work is cut; changes speed, never results.
struct CudaTuning {
  int device = 0;
  std::int32_t most_slots = 1024;  // updates of a batch
};

class CudaUpdates : public Backend {
 public:
  std::string name() const override { return name_; }
  void upload(const TrainingState& state) override;
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;

  const PolicyShape& shape() const { return shape_; }
  /// Most updates of one batch.
  std::int32_t slots() const { return slots_; }

 protected:
  /// What shrinks its arrays.
  const char* less_memory() const {
    return config_.critic == Critic::kNone
               ? "fewer --envs, a shorter --horizon or --store recompute shrink it"
               : "fewer --envs or a shorter --horizon shrink it";
  }

  /// Errors: as cuda_check().
  CudaUpdates(const Config& config, const EnvironmentEntry& environment, const CudaTuning& tuning,
              const Learner& learner = reinforce());

  /// What an update works on. The episode log and the sizes are known before memory is.
  struct Frame {
    std::int64_t num_parameters = 0;
    bool episodic = true;
    cuda::EpisodeLog* episode_log = nullptr;
    std::int64_t epochs = 1, minibatches = 1;  // an update has so many passes, one by the other
  };
  /// Fills in the arguments of the kernels but for pointers; called once.
  virtual Frame make_frame() = 0;
  /// Places every array of an update but those of the Exchange.
  virtual void place_arrays(Arena& arena) = 0;
  /// The memory is there: pointers that are not placed, and what is copied once.
  virtual void finish_arrays() = 0;
  /// Launches a stage; nothing where its work is in the launches of another.
  virtual void launch(Stage stage) = 0;
  /// Brings the host's training state to the device, accumulators at zero.
  virtual void push_state() = 0;
  /// Takes the training state from host_, and what read_environments() has brought.
  virtual void keep_state() = 0;
  /// Starts the copy of environments that go on from update to update to the host.
  virtual void read_environments() {}

  /// Size of the episode log of a rollout of `groups` groups, and the slots there is memory for;
  /// for make_frame().
  void choose_slots(cuda::EpisodeLog& log, std::int64_t groups, std::int32_t T, bool episodic);
  /// Places what a rollout, of numbers or of objects, tells of its episodes.
  template <class Args>
  void place_episodes(Arena& arena, Args& rollout, cuda::EpisodeLog& log) const {
    arena.place(rollout.score, log.lanes);
    arena.place(rollout.length, log.lanes);
    arena.place(rollout.episodes, log.lanes);
    const std::int64_t logged = std::int64_t{slots_} * log.capacity * log.lanes;
    arena.place(log.count, slots_ * log.lanes);
    arena.place(log.length, logged);
    arena.place(log.score, environment_->facts->constant_reward ? 0 : logged);
  }
  /// Places what a rollout of T steps saves between its launches, where it takes several.
  static void place_saved(Arena& arena, cuda::RolloutCut& cut, std::int32_t T, std::int64_t lanes,
                          std::int32_t saved_bytes) {
    std::byte* saved = nullptr;
    arena.place(saved, T > cut.steps ? lanes * saved_bytes : 0);
    cut.saved = saved;
  }
  /// Makes an update work on the Exchange.
  template <class Args>
  void use_exchange(Args& args) const {
    args.state = exchange_.state;
    args.lr = exchange_.lr;
    args.log = exchange_.log;
    args.parameters = exchange_.parameters;
    args.first_moment = exchange_.first_moment;
    args.second_moment = exchange_.second_moment;
  }
  /// Lays the results of a play out in memory: `place_rest` places the play's own arrays behind the
  /// outcome of `lanes` lanes in play_memory_.
  template <class PlaceRest>
  cuda::Outcome place_play(std::int64_t lanes, const PlaceRest& place_rest) {
    cuda::Outcome outcome{};
    const auto place = [&](Arena& arena) {
      outcome.place(arena, lanes);
      place_rest(arena);
    };
    cuda::grow(play_memory_, arena_bytes(place), [&](std::int64_t bytes) {
      return cuda::cleared_memory(bytes, "fewer --envs, --episodes or --steps shrink it", stream_);
    });
    Arena arena(play_memory_.data());
    place(arena);
    return outcome;
  }
  /// Seconds that what `launch` launches took on the device; waits for it.
  template <class Launch>
  double timed(const Launch& launch) {
    cuda::cuda_check(cudaEventRecord(play_start_.get(), stream_.get()), "taking the time");
    cuda::cuda_check(launch(), "launching a rollout");
    cuda::cuda_check(cudaEventRecord(play_end_.get(), stream_.get()), "taking the time");
    return timed_seconds();
  }
  double timed_seconds();
  /// The outcome of place_play(), and whatever copies were started before.
  void read_play(std::int64_t lanes, std::int64_t num_envs, PlayResult& result);

  void use_device() const;
  void synchronize();
  /// Starts a copy to the device.
  void push(void* to, const void* from, std::int64_t bytes, const char* what);
  /// Starts a copy from the device.
  void pull(void* to, const void* from, std::int64_t bytes, const char* what);

  Config config_;
  const EnvironmentEntry* environment_;
  CudaTuning tuning_;
  int multiprocessors_ = 1;
  std::int32_t shared_bytes_ = 0;  // the most a block can have
  std::string name_;
  PolicyShape shape_;
  UpdatePlan plan_;
  TrainingState state_;  // as of the last batch; what of it the backend keeps elsewhere is empty
  Frame frame_;

  // training; the graph goes before the memory it works on
  cuda::DeviceMemory training_;
  cuda::PinnedMemory mirror_;  // of the exchange
  cuda::Exchange exchange_{}, host_{};
  std::int32_t slots_ = 0;
  cuda::DeviceMemory episodes_;            // with --horizon: sums over environments, lists
  cuda::PinnedMemory episodes_read_;       // lists; of whole episodes lengths, then scores
  std::array<cuda::GraphExec, 3> graphs_;  // by PassStart; empty: launched one by one
  // play()
  cuda::Event play_start_, play_end_;
  cuda::DeviceMemory play_memory_;
  cuda::PinnedMemory play_read_;
  cuda::Stream stream_;  // goes first: a capture that a fault left open would keep the rest alive

 private:
  /// What a pass begins.
  enum class PassStart : std::uint8_t { kUpdate, kEpoch, kPass };
  /// How lists are made, and what to copy of episodes_.
  struct ListsPlace {
    cuda::CompactArgs args;
    std::int64_t from, bytes;
  };
  /// Of the log of whole episodes, which the host pins as much memory for, and of any at least.
  static constexpr std::int64_t kLeastLogBytes = std::int64_t{64} << 20;
  std::int32_t slots_in(std::int64_t room, const cuda::EpisodeLog& log, bool episodic) const;
  void allocate_training();
  void launch_stages(std::span<const Stage> stages);
  void launch_stages_of(PassStart start);
  void capture_update();
  void launch_passes(std::int64_t pass);
  void launch_again(int bits_dropped);
  void read_back(std::int32_t slots);
  void push_control(std::int64_t rates);
  std::optional<const char*> stop_message() const;
  void read_whole_episodes(std::int32_t slots);
  std::int64_t listed(const cuda::EpisodeLog& log) const;
  void plan_lists();
  ListsPlace place_lists(std::int32_t slots);
  void read_lists(std::int32_t slots);
  void take_episodes(std::int32_t slot, UpdateResult& result) const;
  std::vector<UpdateResult> results(std::int32_t slots);
  bool scored() const { return !environment_->facts->constant_reward; }

  const Learner* learner_;
  cuda::EpisodeLists lists_{};  // in episodes_read_; [slots][listed_]
  std::int64_t listed_ = 0;     // of an update, at most
  std::int64_t lists_working_bytes_ = 0;
  bool allocated_ = false;              // all that training needs is there
  bool stale_ = true;                   // the device's copy is not the host's
  std::optional<const char*> pending_;  // why the update after the last results failed
};

}  // namespace lockstep
