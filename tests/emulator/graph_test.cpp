#include "tests/emulator/device_test.h"

namespace cuemu_test {
namespace graph_test {

using lockstep::cuda::KernelLoading;

LS_KERNEL(1) late_kernel(int* out) { *out = 1; }
LS_KERNEL(1) later_kernel(int* out) { *out = 2; }

class GraphTest : public testing::Test {
 protected:
  void SetUp() override {
    const KernelLoading loading;
    ASSERT_OK(set_on(stream_, value_, 0));
    ASSERT_OK(add_on(stream_, value_, value_, 0));
  }
  void TearDown() override {
    if (exec_ != nullptr) {
      EXPECT_OK(cudaGraphExecDestroy(exec_));
    }
    if (graph_ != nullptr) {
      EXPECT_OK(cudaGraphDestroy(graph_));
    }
    static_cast<void>(cudaGetLastError());
    EXPECT_EQ(cuemu_live_objects(), 2 + live_);
  }

  cudaStreamCaptureStatus status() const {
    cudaStreamCaptureStatus result{};
    EXPECT_OK(cudaStreamIsCapturing(stream_, &result));
    return result;
  }
  void begin() { ASSERT_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal)); }
  // Ends a capture that something before has spoilt.
  void expect_invalidated() {
    EXPECT_EQ(status(), cudaStreamCaptureStatusInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph_), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph_, nullptr);
    EXPECT_EQ(status(), cudaStreamCaptureStatusNone);
  }

  const long live_ = cuemu_live_objects();
  const Stream stream_;
  const Integers value_{1};
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
};

TEST_F(GraphTest, RunsWhatWasCapturedAtEachLaunch) {
  ASSERT_OK(cudaMemset(value_, 0, sizeof(int)));
  begin();
  EXPECT_EQ(status(), cudaStreamCaptureStatusActive);
  for (int i = 0; i < 3; ++i) ASSERT_OK(add_on(stream_, value_, value_, 2));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
  EXPECT_EQ(value_.value(), 0) << "capture runs nothing";
  std::size_t nodes = 0;
  ASSERT_OK(cudaGraphGetNodes(graph_, nullptr, &nodes));
  EXPECT_EQ(nodes, 3u);
  std::vector<cudaGraphNode_t> handles(5);
  nodes = handles.size();
  ASSERT_OK(cudaGraphGetNodes(graph_, handles.data(), &nodes));
  EXPECT_EQ(nodes, 3u);
  EXPECT_EQ(handles[3], nullptr);
  ASSERT_OK(cudaGraphInstantiate(&exec_, graph_));
  const cuemu::Counters before = cuemu_counters();
  for (int i = 0; i < 2; ++i) ASSERT_OK(cudaGraphLaunch(exec_, stream_));
  ASSERT_OK(cudaStreamSynchronize(stream_));
  EXPECT_EQ(value_.value(), 12);
  EXPECT_EQ(cuemu_counters().launches, before.launches + 2);
  EXPECT_EQ(cuemu_counters().kernels, before.kernels + 6);
}

TEST_F(GraphTest, WorkOfOtherStreamsIsNotCaptured) {
  const Stream other;
  begin();
  ASSERT_OK(set_on(other, value_, 3));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
  std::size_t nodes = 9;
  ASSERT_OK(cudaGraphGetNodes(graph_, nullptr, &nodes));
  EXPECT_EQ(nodes, 0u);
  ASSERT_OK(cudaStreamSynchronize(other));
  EXPECT_EQ(value_.value(), 3);
}

TEST_F(GraphTest, CopiesReadTheirSourceWhenTheGraphRuns) {
  const Integers pinned(1, true);
  begin();
  *pinned = 1;
  ASSERT_OK(cudaMemcpyAsync(value_, pinned, sizeof(int), cudaMemcpyHostToDevice, stream_));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
  ASSERT_OK(cudaGraphInstantiate(&exec_, graph_));
  *pinned = 2;
  ASSERT_OK(cudaGraphLaunch(exec_, stream_));
  ASSERT_OK(cudaStreamSynchronize(stream_));
  EXPECT_EQ(value_.value(), 2);
}

TEST_F(GraphTest, ExecutableOutlivesItsGraphAndItsHandle) {
  begin();
  ASSERT_OK(set_on(stream_, value_, 6));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
  ASSERT_OK(cudaGraphInstantiate(&exec_, graph_));
  ASSERT_OK(cudaGraphDestroy(graph_));
  ASSERT_OK(cudaGraphLaunch(exec_, stream_));
  ASSERT_OK(cudaGraphExecDestroy(exec_));
  EXPECT_EQ(cudaGraphInstantiate(&exec_, graph_), cudaErrorInvalidValue);
  graph_ = nullptr;
  EXPECT_EQ(cudaGraphLaunch(exec_, stream_), cudaErrorInvalidValue);
  exec_ = nullptr;
  ASSERT_OK(cudaStreamSynchronize(stream_));
  EXPECT_EQ(value_.value(), 6);
}

TEST_F(GraphTest, WaitOnTheCapturingStreamIsRefused) {
  begin();
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(set_on(stream_, value_, 1), cudaErrorStreamCaptureInvalidated);
  expect_invalidated();
}

TEST_F(GraphTest, AKernelHasToBeLoadedBefore) {
  const auto run = [&](void (*kernel)(int*)) {
    return launch("late", kernel, dim3(1), dim3(1), 0, stream_, static_cast<int*>(value_));
  };
  begin();
  EXPECT_EQ(run(late_kernel), cudaErrorStreamCaptureUnsupported);
  expect_invalidated();
  begin();
  cudaFuncAttributes attributes{};
  EXPECT_EQ(cudaFuncGetAttributes(&attributes, late_kernel), cudaErrorStreamCaptureUnsupported);
  expect_invalidated();
  ASSERT_OK(run(late_kernel));  // a launch loads as well as a question does
  {
    const KernelLoading loading;
    ASSERT_OK(run(later_kernel));
  }
  ASSERT_OK(cudaStreamSynchronize(stream_));
  EXPECT_EQ(value_.value(), 1) << "loading runs nothing";
  begin();
  EXPECT_OK(run(late_kernel));
  EXPECT_OK(run(later_kernel));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
}

TEST_F(GraphTest, AllocationIsRefused) {
  begin();
  int* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
  expect_invalidated();
}

TEST_F(GraphTest, FreeIsRefusedAndLeavesTheMemory) {
  int* memory = nullptr;
  ASSERT_OK(cudaMalloc(&memory, 4));
  begin();
  EXPECT_EQ(cudaFree(memory), cudaErrorStreamCaptureUnsupported);
  expect_invalidated();
  EXPECT_OK(cudaFree(memory));
}

TEST_F(GraphTest, BlockingCopyIsRefused) {
  begin();
  int host = 0;
  EXPECT_EQ(cudaMemcpy(&host, value_, sizeof host, cudaMemcpyDeviceToHost),
            cudaErrorStreamCaptureUnsupported);
  expect_invalidated();
}

TEST_F(GraphTest, RelaxedModeAllowsAllocation) {
  ASSERT_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  int* memory = nullptr;
  EXPECT_OK(cudaMalloc(&memory, 4));
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
  EXPECT_OK(cudaFree(memory));
}

TEST_F(GraphTest, CapturedEventCannotBeWaitedForByTheHost) {
  const Event event;
  begin();
  ASSERT_OK(cudaEventRecord(event, stream_));
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorCapturedEvent);
  expect_invalidated();
}

TEST_F(GraphTest, CaptureMayNotDependOnWorkOutsideOfIt) {
  const Stream other;
  const Event event;
  ASSERT_OK(cudaEventRecord(event, other));
  begin();
  EXPECT_EQ(cudaStreamWaitEvent(stream_, event), cudaErrorStreamCaptureIsolation);
  expect_invalidated();
}

TEST_F(GraphTest, ForkMustBeJoined) {
  const Stream side;
  const Event fork;
  begin();
  ASSERT_OK(cudaEventRecord(fork, stream_));
  ASSERT_OK(cudaStreamWaitEvent(side, fork));
  ASSERT_OK(set_on(side, value_, 1));
  EXPECT_EQ(cudaStreamEndCapture(side, &graph_), cudaErrorStreamCaptureUnmatched);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph_), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(status(), cudaStreamCaptureStatusNone);
  EXPECT_OK(cudaStreamSynchronize(side));
}

TEST_F(GraphTest, NullStreamCannotCaptureNorTouchABlockingStreamThatDoes) {
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  const Stream blocking(cudaStreamDefault);
  ASSERT_OK(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
  EXPECT_EQ(set_on(nullptr, value_, 1), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(cudaStreamEndCapture(blocking, &graph_), cudaErrorStreamCaptureInvalidated);
}

TEST_F(GraphTest, EndWithoutBeginIsRefused) {
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph_), cudaErrorIllegalState);
  begin();
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
  ASSERT_OK(cudaStreamEndCapture(stream_, &graph_));
}

}  // namespace graph_test
}  // namespace cuemu_test
