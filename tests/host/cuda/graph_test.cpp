// Tests for host/cuda/graph.h.
#include "host/cuda/graph.h"

#include <gtest/gtest.h>

#include <cuemu/control.h>
#include "kernels/cuda/launch_mode.h"

namespace lockstep::cuda {
namespace graph_test {

TEST(CaptureGraph, EndsTheCaptureWhateverHappens) {
  const long before = cuemu_live_objects();
  {
    const Stream stream = make_stream();
    const auto fail = [] {
      if (!KernelLoading::on()) throw CudaError(cudaErrorInvalidValue, "no");
    };
    EXPECT_THROW(capture_graph(stream, fail), CudaError);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
    cuda_check(cudaStreamIsCapturing(stream.get(), &status), "asking");
    EXPECT_EQ(status, cudaStreamCaptureStatusNone);
    const GraphExec graph = capture_graph(stream, [] {});
    EXPECT_TRUE(graph);
  }
  EXPECT_EQ(cuemu_live_objects(), before);
}

}  // namespace graph_test
}  // namespace lockstep::cuda
