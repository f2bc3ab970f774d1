// A device, its ceilings, and backends with an update behind them: what the rows of cuda_rows.cpp
// measure and are held against.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <utility>

#include "bench/workload.h"
#include "host/cuda/number_backend.h"

namespace lockstep::bench {

/// Times work on a stream by events. Owns them.
class StreamTimer {
 public:
  StreamTimer() : start_(cuda::make_event()), end_(cuda::make_event()) {}

  /// Seconds the device takes for what `work` puts on the stream; waits for it.
  template <class Work>
  double seconds(cudaStream_t stream, Work&& work) {
    cuda::cuda_check(cudaEventRecord(start_.get(), stream), "recording an event");
    std::forward<Work>(work)();
    cuda::cuda_check(cudaEventRecord(end_.get(), stream), "recording an event");
    cuda::cuda_check(cudaEventSynchronize(end_.get()), "waiting for the device");
    float milliseconds = 0;
    cuda::cuda_check(cudaEventElapsedTime(&milliseconds, start_.get(), end_.get()),
                     "reading a time");
    return static_cast<double>(milliseconds) * 1e-3;
  }

 private:
  cuda::Event start_, end_;
};

/// What the device of the benchmarks, number 0, can do.
struct CudaCeilings {
  double fma = 0;   // flop/s of multiply-adds
  double copy = 0;  // bytes/s of a copy within the device, read plus written
};
/// Measured once per process.
const CudaCeilings& cuda_ceilings();

/// Null if there is no device, or none the kernels were built for.
const cuda::Operations* cuda_operations();

std::unique_ptr<CudaBackend> make_cuda_backend(const Config& config);

/// What an update of a backend consists of. A part launched alone leaves sums as an update would
/// not.
struct UpdateParts {
  cuda::Operations operations;
  cuda::UpdateArgs args;
  cuda::LaunchShape shape;  // as the backend chose it
  cudaStream_t stream;
  cudaGraphExec_t graph;  // of the five launches; null where launches wait (LS_SYNC_LAUNCHES)
};
/// Launches the graph, or the parts one by one where there is none.
cudaError_t launch_update(const UpdateParts& p);

/// The parts of an update of one batch size, each with the data of the one before, launched alone.
class CudaLab {
 public:
  explicit CudaLab(const Sizes& sizes);

  const Sizes& sizes() const { return sizes_; }
  const UpdateParts& parts() const { return parts_; }

  /// Seconds of one launch, behind a flush of the second-level cache and with the state of an
  /// update that is under way, or of one that has stopped.
  double seconds(cuda::Stop stop, cudaError_t (*launch)(const UpdateParts&));
  /// The same of `count` launches on end, in seconds each; nothing is flushed in between.
  double seconds_each(cuda::Stop stop, int count, cudaError_t (*launch)(const UpdateParts&));

 private:
  void set_state(cuda::Stop stop);

  Sizes sizes_;
  std::unique_ptr<CudaBackend> backend_;  // owns what the arguments point to
  cuda::Stream stream_;
  UpdateParts parts_;
  cuda::GraphExec graph_;
  StreamTimer timer_;
  cuda::DeviceMemory flushed_;  // twice the second-level cache
};

}  // namespace lockstep::bench
