// The dense path on a CUDA device: cuBLAS for the products, the kernels of kernels/cuda/dense.cuh
// and sample.cuh around them, and a stepper. A step of a rollout is so many launches on one stream;
// the host waits only where it is told something.
#pragma once

#include <memory>
#include <vector>

#include "host/backend/arena.h"
#include "host/backend/dense_policy.h"
#include "host/cuda/blas.h"
#include "host/cuda/memory.h"
#include "host/cuda/stepper.h"
#include "kernels/cuda/dense_launchers.h"

namespace lockstep {

class CudaDense : public DenseDevice {
 public:
  /// Works on the current device, whose number is `device`. Errors: DeviceUnavailable without
  /// cuBLAS, as cuda_check() else.
  CudaDense(const EnvironmentEntry& environment, const CudaStepKernels& kernels, int device = 0);

  std::string library() const override { return blas_.name(); }
  void set_layers(std::span<const DenseLayer> layers) override;
  std::vector<float> forward(std::span<const float> obs) override;
  void start(const PlayRequest& request) override;
  void step(std::int32_t t) override;
  DenseStep last_step() override;
  std::span<const std::int32_t> episodes() override;
  void finish(PlayResult& result) override;

 private:
  /// A layer's parameters on the device.
  struct Place {
    float *weight, *bias;
  };
  /// The books, laid out alike on both sides.
  struct Books {
    float* score;
    std::int32_t *length, *episodes;
    void place(Arena& arena, std::int64_t lanes);
  };

  void place_rollout(Arena& arena);
  void make_activations(std::int64_t rows);
  void run_layers(const float* rows, float* logits, std::int64_t count);
  template <class T>
  void copy(T* to, const T* from, std::int64_t count, cudaMemcpyKind kind);
  template <class T>
  const T* read(std::vector<T>& to, const T* from, std::int64_t count);
  void synchronize();

  const EnvironmentFacts& facts_;
  CudaStepKernels kernels_;
  int device_;
  cuda::Stream stream_;
  cuda::CudaBlas blas_;
  std::vector<DenseLayer> layers_;
  std::vector<Place> places_;
  cuda::DeviceMemory parameters_, activations_, rollout_;
  float* hidden_[2] = {};  // [rows][widest layer]

  PlayRequest request_;
  std::int64_t groups_ = 0;
  std::int64_t widest_ = 0;
  std::unique_ptr<CudaStepper> stepper_;
  StepViews seen_;
  TallyArgs tally_{};
  Books books_{};
  float *rows_ = nullptr, *logits_ = nullptr;

  // copies for the host
  std::vector<float> obs_read_, logits_read_, reward_read_;
  std::vector<std::uint8_t> action_read_, terminated_read_, truncated_read_;
  std::vector<std::int32_t> episodes_read_;
};

}  // namespace lockstep
