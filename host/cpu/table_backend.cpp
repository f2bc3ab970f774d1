// Buffers, rollouts and steps of a table policy on the CPU; the learning half is table_learn.cpp.
#include "host/cpu/table_backend.h"

#include <algorithm>
#include <chrono>

#include "host/backend/parallel.h"
#include "host/cpu/dense.h"
#include "host/cpu/stepper.h"

namespace lockstep {

TableBackend::TableBackend(const Config& config, const EnvironmentEntry& environment,
                           const CpuTuning& tuning)
    : TableBackend(config, environment, tuning, reinforce()) {}

TableBackend::TableBackend(const Config& config, const EnvironmentEntry& environment,
                           const CpuTuning& tuning, const Learner& learner)
    : CpuUpdates(config, environment, tuning, /*grain=*/1, learner),
      ops_(&table_operations_for(environment, tuning.isa)),
      table_(table_shape(*environment.facts->tables, shape_)),
      leak_(config.activation == Activation::kLeakyRelu ? kLeak : 0.0f),
      pixels_(*environment.facts->tables),
      game_(game_options(config, environment, config.noops)) {
  for (int i = 0; i < tuning_.threads; ++i) {
    phi_.emplace_back(std::int64_t{kGroup} * table_.padded());
    part_.emplace_back(std::int64_t{table_.outputs} * kGroup * kTableParts).zero();
    active_.emplace_back(std::int64_t{kGroup} * table_.words());
  }
}

TableView TableBackend::view(const Network& network) const {
  return {table_, network.rows.data(),
          network.numbers.data() + std::int64_t{table_.pixels} * table_.padded(), leak_};
}

void TableBackend::build(Network& network) {
  constexpr int kRows = 256;  // a task
  parallel_for((table_.rows + kRows - 1) / kRows, tuning_.threads, [&](std::int64_t task, int) {
    const int first = static_cast<int>(task) * kRows;
    ops_->build(table_, pixels_.lights(), network.numbers.data(), first,
                std::min(first + kRows, table_.rows), network.rows.data());
  });
}

void TableBackend::upload(const TrainingState& state) {
  const std::int64_t n = table_numbers(table_);
  if (network_.numbers.size() == 0) {
    network_ = Network(table_);
    first_moment_ = Buffer<float>(n);
    second_moment_ = Buffer<float>(n);
  }
  to_table_layout(table_, state.parameters, network_.numbers.data());
  to_table_layout(table_, state.first_moment, first_moment_.data());
  to_table_layout(table_, state.second_moment, second_moment_.data());
  lr_factor_ = state.lr_factor;
  begin_from(state);
  build(network_);
}

TrainingState TableBackend::download() const {
  TrainingState state;
  static_cast<RunningState&>(state) = running_;
  state.lr_factor = lr_factor_;
  state.parameters = from_table_layout(table_, network_.numbers.data());
  state.first_moment = from_table_layout(table_, first_moment_.data());
  state.second_moment = from_table_layout(table_, second_moment_.data());
  return state;
}

void TableBackend::run_rollout(const TableRolloutArgs& args) {
  parallel_for(ops_->tasks(args), tuning_.threads, [&](std::int64_t task, int thread) {
    ops_->play(args, task, scratch_of(static_cast<std::size_t>(thread)));
  });
}

cpu::TableScratch TableBackend::scratch_of(std::size_t thread) {
  return {phi_[thread].data(), part_[thread].data(), active_[thread].data()};
}

TableRolloutArgs TableBackend::training_rollout(std::uint32_t epoch) {
  allocate_training();
  stream_ = {config_.seed, epoch};
  TableRolloutArgs args{};
  args.stream = stream_;
  args.num_envs = config_.envs;
  args.T = record_.steps.T;
  args.episodic = config_.horizon == 0;
  args.choice = ActionChoice::kSample;
  args.game = game_;
  args.policy = view(network_);
  args.record = record_;
  outcome_.receive(args);
  return args;
}

void TableBackend::rollout(std::uint32_t epoch) { run_rollout(training_rollout(epoch)); }

void TableBackend::tell_episodes(UpdateResult& result) const { list_episodes({}, result); }

void TableBackend::list_episodes(const EnvironmentStates& before, UpdateResult& result) const {
  const auto* reward = record_.reward;
  collect_episodes(
      config_, outcome_, record_.steps,
      [reward](std::int64_t i) { return static_cast<float>(reward[i]); }, result, before);
}

PlayResult TableBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                              Record<float>* record) {
  if (request.dense) {
    CpuDense device(*environment_, tuning_);
    device.set_layers(dense_layers(shape_.actor(), parameters, config_.activation));
    return play_dense(device, request, shape_.O, shape_.A, record);
  }
  const TableShape shape = table_shape(*environment_->facts->tables, shape_.actor());
  if (!request.random_policy) {
    if (played_.numbers.size() == 0) played_ = Network(shape);
    to_table_layout(shape, parameters, played_.numbers.data());
    build(played_);
  }
  Outcome outcome(request.num_envs);
  TableRolloutArgs args = table_rollout_args(request);
  args.policy = view(played_);
  args.policy.shape = shape;
  outcome.receive(args);
  Buffer<std::byte> memory;
  const TableRecordShape wanted{.num_envs = request.num_envs, .T = request.T, .table = shape};
  if (record != nullptr) {
    args.record = empty_table_record(wanted);
    args.record.steps = *record;
    memory = Buffer<std::byte>(
        arena_bytes([&](Arena& arena) { place_table_record(arena, wanted, args.record); }));
    Arena arena(memory.data());
    place_table_record(arena, wanted, args.record);
  }
  const auto start = std::chrono::steady_clock::now();
  run_rollout(args);
  PlayResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.copy_to(result, request.num_envs);
  if (record != nullptr) {
    const std::int64_t steps = record->groups * record->T * kGroup;
    if (record->reward != nullptr) {
      std::copy(args.record.reward, args.record.reward + steps, record->reward);
    }
    result.rows.assign(args.record.rows, args.record.rows + steps * table_.objects);
  }
  return result;
}

std::unique_ptr<Stepper> TableBackend::make_stepper(const StepperRequest& request) {
  return std::make_unique<CpuStepper>(*environment_, tuning_, request);
}

}  // namespace lockstep
