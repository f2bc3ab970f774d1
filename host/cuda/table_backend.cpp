// Rollouts of a table policy beside training, and what its CUDA backend is before it computes. The
// update is table_learn.cpp.
#include "host/cuda/table_backend.h"

#include <algorithm>

#include "host/backend/record.h"
#include "host/cuda/dense.h"
#include "host/cuda/launch_steps.h"

namespace lockstep {

namespace cuda {

TableLaunchShape choose_table_shape(const Config& config, std::int64_t num_envs,
                                    int multiprocessors, std::int32_t shared_bytes) {
  // Eight environments a warp load weights once for all of them; up to two groups a multiprocessor
  // half as many in twice the warps hide more of a step's latency. Counted, not measured.
  constexpr std::int64_t kFull = 2 * kGroup + 1;
  constexpr int kUsualBlock = 128;
  TableLaunchShape shape{};
  shape.block = config.block_size > 0 ? static_cast<std::int32_t>(config.block_size) : kUsualBlock;
  shape.envs_per_warp = num_envs >= kFull * multiprocessors ? 8 : 4;
  shape.gradient_block = kMaxGradientBlock;
  shape.multiprocessors = multiprocessors;
  shape.shared_bytes = shared_bytes;
  return shape;
}

void DevicePixels::place(Arena& arena, const TablePixels& pixels) {
  const auto place_list = [&](TableLists& list, const auto& start, const auto& entry) {
    std::int32_t* starts = nullptr;
    std::uint16_t* entries = nullptr;
    arena.place(starts, static_cast<std::int64_t>(start.size()));
    arena.place(entries, static_cast<std::int64_t>(entry.size()));
    list = {starts, entries};
  };
  place_list(lights, pixels.light_start, pixels.light);
  place_list(lit_by, pixels.lit_start, pixels.lit);
}

}  // namespace cuda

using cuda::cuda_check;

CudaTableBackend::CudaTableBackend(const Config& config, const EnvironmentEntry& environment,
                                   const cuda::TableOperations& operations,
                                   const CudaTuning& tuning)
    : CudaUpdates(config, environment, tuning),
      ops_(&operations),
      table_(table_shape(*environment.facts->tables, shape_)),
      leak_(config.activation == Activation::kLeakyRelu ? kLeak : 0.0f),
      pixels_(*environment.facts->tables) {}

void CudaTableBackend::push_pixels(const cuda::DevicePixels& to) {
  constexpr const char* kWhat = "copying the pixels of a table";
  const auto push_list = [&](const TableLists& list, const auto& start, const auto& entry) {
    push(const_cast<std::int32_t*>(list.start), start.data(),
         static_cast<std::int64_t>(start.size() * sizeof start[0]), kWhat);
    push(const_cast<std::uint16_t*>(list.entry), entry.data(),
         static_cast<std::int64_t>(entry.size() * sizeof entry[0]), kWhat);
  };
  push_list(to.lights, pixels_.light_start, pixels_.light);
  push_list(to.lit_by, pixels_.lit_start, pixels_.lit);
}

PlayResult CudaTableBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                                  Record<float>* record) {
  use_device();
  if (request.dense) {
    CudaDense dense(*environment_, {.objects = ops_}, tuning_.device);
    dense.set_layers(dense_layers(shape_, parameters, config_.activation));
    return play_dense(dense, request, shape_.O, shape_.A, record);
  }
  const bool network = !request.random_policy;
  const std::int64_t n = network ? table_numbers(table_) : 0;
  TableRolloutArgs args = table_rollout_args(request);
  args.policy = {table_, nullptr, nullptr, leak_};
  const TableRecordShape shape{
      .num_envs = request.num_envs, .T = request.T, .table = table_, .steps = true};
  const std::int64_t lanes = (request.num_envs + kGroup - 1) / kGroup * kGroup;
  if (record != nullptr) args.record = empty_table_record(shape);
  cuda::TableLaunchShape launch =
      cuda::choose_table_shape(config_, request.num_envs, multiprocessors_, shared_bytes_);
  launch.cut.steps = cuda::launch_steps(launch, args);
  float *numbers = nullptr, *rows = nullptr;
  cuda::DevicePixels pixels{};
  const cuda::Outcome outcome = place_play(lanes, [&](Arena& arena) {
    arena.place(numbers, n);
    arena.place(rows, network ? std::int64_t{table_.rows} * table_.padded() : 0);
    pixels.place(arena, pixels_);
    place_saved(arena, launch.cut, args.T, lanes, ops_->saved_bytes);
    if (record != nullptr) place_table_record(arena, shape, args.record);
  });
  args.score = outcome.score;
  args.length = outcome.length;
  args.episodes = outcome.episodes;
  std::vector<float> layout(static_cast<std::size_t>(n));
  if (network) {
    to_table_layout(table_, parameters, layout.data());
    push(numbers, layout.data(), n * std::int64_t{sizeof(float)}, "copying the policy");
    push_pixels(pixels);
    cuda_check(ops_->build({table_, pixels.lights, numbers, rows}, launch, stream_.get()),
               "launching the table");
    args.policy.rows = rows;
    args.policy.output = numbers + std::int64_t{table_.pixels} * table_.padded();
  }
  PlayResult result;
  result.seconds = timed([&] { return ops_->play(args, launch, stream_.get()); });
  std::vector<std::int8_t> reward;
  if (record != nullptr) {
    const std::int64_t steps = args.record.steps.groups * request.T * kGroup;
    const auto copy = [&](auto* to, const auto* source, std::int64_t count) {
      pull(to, source, count * static_cast<std::int64_t>(sizeof *to), "copying a trajectory");
    };
    if (!network) args.record.steps.logits = nullptr;     // there are none
    copy_record(0, 2, *record, args.record.steps, copy);  // without observations
    reward.resize(static_cast<std::size_t>(steps));
    copy(reward.data(), args.record.reward, steps);
    result.rows.resize(static_cast<std::size_t>(steps * table_.objects));
    copy(result.rows.data(), args.record.rows, steps * table_.objects);
  }
  read_play(lanes, request.num_envs, result);
  if (record != nullptr && record->reward != nullptr) {
    std::copy(reward.begin(), reward.end(), record->reward);
  }
  return result;
}

std::unique_ptr<Stepper> CudaTableBackend::make_stepper(const StepperRequest& request) {
  use_device();
  const auto shape =
      cuda::choose_table_shape(config_, request.num_envs, multiprocessors_, shared_bytes_);
  return std::make_unique<CudaStepper>(*environment_->facts, CudaStepKernels{.objects = ops_},
                                       tuning_.device, shape.block, request);
}

}  // namespace lockstep
