// Every setting of a training run, one field per option. Names, ranges, defaults of the recipes and
// help texts stand once, in the option table (host/options/option_table.cpp); this file is plain
// data. What only a call of the program has is beside it: host/options/program_options.h.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace lockstep {

enum class Algorithm { kReinforce, kA2c, kPpo };
enum class Critic { kNone, kShared, kSeparate };
enum class Shuffle { kTiles, kSteps };
enum class PolicyKind { kMlp, kLinear };
enum class Activation { kRelu, kLeakyRelu };
enum class Init { kXavierUniform, kKaimingUniform, kZeros, kNormal };
enum class OptimizerKind { kAdam, kSgd, kRmsprop };
enum class LrDecay { kConstant, kLinear, kExponential };
enum class ReturnKind { kStepwise, kFull, kPoint };
enum class Credit { kAll, kIncoming };
enum class Normalize { kNone, kScale, kBatch, kEpisode, kMinibatch };
enum class StdKind { kPopulation, kSample };
enum class Baseline { kNone, kBatchMean, kTimeMean, kRunningMean };
enum class Store { kLogits, kRecompute };
enum class GpuMapping { kAuto, kThread, kLanes8 };

/// Frames of a step of a game: `first`, or a number from first..last drawn for each step.
struct FrameSkip {
  std::int32_t first = 4, last = 4;
};

struct Config {
  // what is trained
  std::string env = "cartpole";  // name in the environment list
  Algorithm algorithm = Algorithm::kReinforce;
  std::string recipe = "fast";  // named set of defaults
  std::int64_t envs = 16;       // N, environments stepped side by side
  std::uint64_t seed = 1;       // key of the counter-based generator
  std::int64_t horizon = 0;     // 0 = episodic; T > 0 = fixed T steps an update with autoreset
  std::string device = "auto";  // auto | cpu | cuda | cuda:N
  std::int64_t threads = 0;     // 0 = as default_threads() (host/backend/threads.h) counts
  GpuMapping mapping = GpuMapping::kAuto;  // of environments to threads of a GPU
  std::int64_t block_size = 0;             // threads of a block of a GPU; 0 = chosen

  // when to stop (totals of the run, also with resume); -1 = no limit
  std::int64_t updates = -1;
  std::int64_t episodes = -1;
  std::int64_t steps = -1;
  double time_limit = std::numeric_limits<double>::infinity();  // seconds
  double until_score = 475.0;                                   // mean score that counts as solved
  std::int64_t over = 25;                                       // episodes the mean is taken over
  std::int64_t extra_updates = 0;  // updates after the threshold was reached

  // game: environments of frames alone, such as pong
  FrameSkip frame_skip;                    // as text "4", or "2-4"
  double repeat_action_probability = 0.0;  // that a frame repeats the action before ("sticky")
  bool max_pool = false;                   // observe the maximum of the last two frames
  std::int64_t noops = 0;                  // an episode starts with 0..noops frames without action

  // policy
  PolicyKind policy = PolicyKind::kMlp;
  std::int64_t hidden = 128;  // H
  Activation activation = Activation::kRelu;
  double dropout = 0.0;  // probability of dropping a hidden unit
  Init init = Init::kXavierUniform;
  std::string init_from;  // safetensors file or checkpoint; empty = none

  // estimator
  double gamma = 1.0;  // discount
  ReturnKind returns = ReturnKind::kStepwise;
  Credit credit = Credit::kAll;  // steps that have a gradient
  Normalize normalize = Normalize::kScale;
  StdKind std_kind = StdKind::kPopulation;
  Baseline baseline = Baseline::kTimeMean;
  double entropy_coef = 0.0;
  Store store = Store::kLogits;

  // critic: what a2c and ppo learn advantages from
  Critic critic = Critic::kNone;
  std::int64_t critic_hidden = 64;  // units of a separate one
  double gae_lambda = 0.95;
  double value_coef = 0.5;
  double value_clip = std::numeric_limits<double>::infinity();  // infinite = none

  // passes over a batch
  std::int64_t epochs = 1;       // times that the batch is learned from
  std::int64_t minibatches = 1;  // steps of the optimiser each time
  Shuffle shuffle = Shuffle::kTiles;
  double clip = 0.2;                                           // ppo: of the ratio
  double target_kl = std::numeric_limits<double>::infinity();  // infinite = none

  // optimiser
  OptimizerKind optimizer = OptimizerKind::kAdam;
  double lr = 0.03;
  LrDecay lr_decay = LrDecay::kConstant;
  std::int64_t lr_decay_start = 0;       // update the decay begins at; -1: when solved
  std::int64_t lr_decay_updates = 1000;  // after so many more: linear: rate 0; exponential: a tenth
  double momentum = 0.0;
  double weight_decay = 0.0;            // added to the gradient (L2)
  double decoupled_weight_decay = 0.0;  // AdamW's: shrinks the parameter directly
  double beta1 = 0.9;                   // Adam
  double beta2 = 0.999;                 // Adam
  double alpha = 0.99;                  // RMSProp's smoothing
  double eps = 1e-8;
  double max_grad_norm = 0.0;  // 0 = no clipping

  // what is written
  std::string out;                    // run folder; empty = runs/<env>-<next number>
  bool force = false;                 // overwrite an existing run folder
  std::int64_t checkpoint_every = 0;  // updates; 0 = only at the end
  std::int64_t keep = 3;              // checkpoints kept
  std::string resume;                 // run folder to continue
  std::int64_t log_every = 1;         // updates
  std::int64_t eval_every = 0;        // updates; 0 = never
  std::int64_t eval_episodes = 100;
};

}  // namespace lockstep
