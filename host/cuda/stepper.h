// Steppers of a CUDA device: a launch a step, on arrays that stay there.
#pragma once

#include "host/backend/stepper.h"
#include "host/cuda/memory.h"
#include "kernels/cuda/table_launchers.h"

namespace lockstep {

/// The operations of an environment, of numbers or of objects.
struct CudaStepKernels {
  const cuda::Operations* numbers = nullptr;
  const cuda::TableOperations* objects = nullptr;
};

class CudaStepper : public Stepper {
 public:
  /// On the current device, whose number is `device`, in blocks of so many threads. stream: whose
  /// order it follows, and who outlives it; null: one of its own.
  /// Errors: OutOfMemory; as cuda_check()
  CudaStepper(const EnvironmentFacts& facts, const CudaStepKernels& kernels, int device, int block,
              const StepperRequest& request, cudaStream_t stream = nullptr);

  void reset(const std::uint8_t* mask, const std::uint64_t* seeds) override;
  void step(const std::uint8_t* actions, Restart restart) override;
  void step_from_host(const std::uint8_t* actions, Restart restart) override;
  StepViews views() const override;
  StepViews on_host() override;

 private:
  void use_device() const;
  void launch(const char* what);
  void copy(void* to, const void* from, std::int64_t bytes, const char* what);

  CudaStepKernels kernels_;
  StepSizes sizes_;
  GameOptions game_;
  DrawTurns turns_;
  int device_, block_;
  bool wants_final_;
  std::int64_t lanes_;
  cuda::DeviceMemory memory_, final_memory_;
  cuda::PinnedMemory read_, final_read_;  // copies on the host, made where on_host() is called
  StepBuffers args_{};
  std::uint8_t *action_ = nullptr, *mask_ = nullptr;
  std::uint64_t* new_seed_ = nullptr;
  std::int64_t told_from_ = 0, told_bytes_ = 0;  // of memory_: what is told
  cuda::Stream own_stream_;                      // goes first, as those of backends do
  cudaStream_t stream_ = nullptr;
};

}  // namespace lockstep
