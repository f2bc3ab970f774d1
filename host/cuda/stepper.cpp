// See stepper.h.
#include "host/cuda/stepper.h"

namespace lockstep {
namespace {

constexpr const char* kFewerEnvironments = "fewer --envs shrink it";

}  // namespace

using cuda::cuda_check;

CudaStepper::CudaStepper(const EnvironmentFacts& facts, const CudaStepKernels& kernels, int device,
                         int block, const StepperRequest& request, cudaStream_t stream)
    : kernels_(kernels),
      sizes_(step_sizes(facts, ElementType::kInt8)),
      game_(request.game),
      turns_(facts),
      device_(device),
      block_(block),
      wants_final_(request.final_obs),
      lanes_((request.num_envs + kGroup - 1) / kGroup * kGroup) {
  if (stream == nullptr) own_stream_ = cuda::make_stream();
  stream_ = stream == nullptr ? own_stream_.get() : stream;
  args_.num_envs = request.num_envs;
  args_.stream = request.stream;
  const auto place = [&](Arena& arena) {
    for_each_kept(args_, sizes_, placing_on(arena, lanes_));
    arena.place(action_, lanes_);
    arena.place(mask_, lanes_);
    arena.place(new_seed_, lanes_);
    told_from_ = arena.bytes();
    for_each_told(args_, sizes_, placing_on(arena, lanes_));
    told_bytes_ = arena.bytes() - told_from_;
  };
  memory_ = cuda::device_memory(arena_bytes(place), kFewerEnvironments);
  Arena arena(memory_.data());
  place(arena);
  cuda_check(cudaMemsetAsync(memory_.data(), 0, static_cast<std::size_t>(memory_.bytes()), stream_),
             "clearing memory");
  cuda_check(cudaMemsetAsync(args_.number, 0xff, static_cast<std::size_t>(lanes_) * 4, stream_),
             "clearing memory");
}

void CudaStepper::use_device() const { cuda_check(cudaSetDevice(device_), "choosing the device"); }

void CudaStepper::launch(const char* what) {
  cuda_check(kernels_.numbers != nullptr
                 ? kernels_.numbers->step(args_, {cuda::Mapping::kThread, block_, 1}, stream_)
                 : kernels_.objects->step(args_, game_, block_, stream_),
             what);
}

void CudaStepper::copy(void* to, const void* from, std::int64_t bytes, const char* what) {
  cuda_check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, stream_),
             what);
}

void CudaStepper::reset(const std::uint8_t* mask, const std::uint64_t* seeds) {
  use_device();
  const std::int64_t N = args_.num_envs;
  if (mask != nullptr) copy(mask_, mask, N, "copying a mask");
  if (seeds != nullptr) copy(new_seed_, seeds, N * 8, "copying seeds");
  args_.reset_only = true;
  turns_.reset();
  args_.mask = mask != nullptr ? mask_ : nullptr;
  args_.new_seed = seeds != nullptr ? new_seed_ : nullptr;
  args_.own_seeds = args_.own_seeds || seeds != nullptr;
  launch("launching a reset");
}

void CudaStepper::step(const std::uint8_t* actions, Restart restart) {
  use_device();
  if (restart == Restart::kSameStep && wants_final_ && args_.final_obs == nullptr) {
    // rows where no episode ends are never written, and yet copied
    const std::int64_t bytes = lanes_ * sizes_.obs * sizes_.obs_bytes;
    final_memory_ = cuda::device_memory(bytes, kFewerEnvironments);
    args_.final_obs = final_memory_.data();
    cuda_check(cudaMemsetAsync(args_.final_obs, 0, static_cast<std::size_t>(bytes), stream_),
               "clearing memory");
  }
  args_.reset_only = false;
  args_.restart = restart;
  args_.draw = turns_.next();
  args_.action = actions != nullptr ? actions : action_;
  launch("launching a step");
}

void CudaStepper::step_from_host(const std::uint8_t* actions, Restart restart) {
  use_device();
  copy(action_, actions, args_.num_envs, "copying actions");
  step(nullptr, restart);
}

StepViews CudaStepper::views() const {
  ArrayView here;
  here.device = device_;
  here.stream = stream_;
  return views_of(args_, sizes_, action_, here);
}

StepViews CudaStepper::on_host() {
  use_device();
  const auto pinned = [](std::int64_t bytes) { return cuda::pinned_memory(bytes); };
  cuda::grow(read_, told_bytes_, pinned);
  copy(read_.data(), memory_.data() + told_from_, told_bytes_, "copying observations");
  StepBuffers there = args_;
  Arena arena(read_.data());
  for_each_told(there, sizes_, placing_on(arena, lanes_));
  there.final_obs = nullptr;
  if (!args_.reset_only && args_.restart == Restart::kSameStep && args_.final_obs != nullptr) {
    cuda::grow(final_read_, final_memory_.bytes(), pinned);
    copy(final_read_.data(), args_.final_obs, final_memory_.bytes(), "copying observations");
    there.final_obs = final_read_.data();
  }
  cuda_check(cudaStreamSynchronize(stream_), "waiting for the device");
  return views_of(there, sizes_, nullptr, {});
}

}  // namespace lockstep
