// Forgotten waits: with lazy streams they give wrong data for some seeds, and the right calls
// never.
#include "tests/emulator/device_test.h"
#include "tests/emulator/outcome.h"

namespace cuemu_test {
namespace stream_order_test {

constexpr int kSeeds = 12;

Finding right_if(bool right) { return right ? Finding::kRight : Finding::kWrongResult; }

// A value made on one stream is read on another.
template <bool kWait>
Finding two_streams() {
  const Stream producer;
  const Stream consumer;
  const Event made(cudaEventDisableTiming);
  const Integers value(1);
  const Integers copy(1);
  EXPECT_OK(set_on(producer, value, 5));
  EXPECT_OK(cudaEventRecord(made, producer));
  if (kWait) {
    EXPECT_OK(cudaStreamWaitEvent(consumer, made));
  }
  EXPECT_OK(add_on(consumer, value, copy, 1));
  EXPECT_OK(cudaDeviceSynchronize());
  return right_if(copy.value() == 6);
}

TEST(StreamOrderTest, ReaderOnAnotherStreamNeedsAnEvent) {
  EXPECT_EQ(run_seeds({}, kSeeds, two_streams<false>), kSometimes);
  EXPECT_EQ(run_seeds({}, kSeeds, two_streams<true>), kClean);
}

// The host reads pinned memory that a copy fills.
template <bool kWait>
Finding pinned_result() {
  const Stream stream;
  const Integers device(1);
  const Integers host(1, true);
  *host = 0;
  EXPECT_OK(set_on(stream, device, 5));
  EXPECT_OK(cudaMemcpyAsync(host, device, sizeof(int), cudaMemcpyDeviceToHost, stream));
  if (kWait) {
    EXPECT_OK(cudaStreamSynchronize(stream));
  }
  return right_if(*host == 5);
}

TEST(StreamOrderTest, PinnedResultNeedsAWait) {
  EXPECT_EQ(run_seeds({}, kSeeds, pinned_result<false>), kWrong);
  EXPECT_EQ(run_seeds({}, kSeeds, pinned_result<true>), kClean);
}

// A wait for one stream says nothing about the other.
template <bool kRightStream>
Finding wait_for_one() {
  const Stream mine;
  const Stream other;
  const Integers device(1);
  const Integers host(1, true);
  *host = 0;
  EXPECT_OK(set_on(mine, device, 5));
  EXPECT_OK(cudaMemcpyAsync(host, device, sizeof(int), cudaMemcpyDeviceToHost, mine));
  const Integers unrelated(1);
  for (int i = 0; i < 2; ++i) EXPECT_OK(set_on(other, unrelated, 1));
  EXPECT_OK(cudaStreamSynchronize(kRightStream ? mine : other));
  return right_if(*host == 5);
}

TEST(StreamOrderTest, WaitForAnotherStreamIsNoWait) {
  EXPECT_EQ(run_seeds({}, kSeeds, wait_for_one<false>), kSometimes);
  EXPECT_EQ(run_seeds({}, kSeeds, wait_for_one<true>), kClean);
}

// The null stream keeps its order with blocking streams alone.
template <unsigned kFlags>
Finding null_stream_reads() {
  const Stream stream(kFlags);
  const Integers value(1);
  const Integers copy(1);
  EXPECT_OK(set_on(stream, value, 5));
  EXPECT_OK(add_on(nullptr, value, copy, 1));
  EXPECT_OK(set_on(stream, value, 9));
  EXPECT_OK(cudaDeviceSynchronize());
  return right_if(copy.value() == 6);
}

TEST(StreamOrderTest, NullStreamWaitsForBlockingStreamsAlone) {
  EXPECT_EQ(run_seeds({}, kSeeds, null_stream_reads<cudaStreamDefault>), kClean);
  EXPECT_EQ(run_seeds({}, kSeeds, null_stream_reads<cudaStreamNonBlocking>), kSometimes);
}

// Branches of a captured graph run in any order; the join comes after both.
template <bool kWait>
Finding captured_fork() {
  const Stream stream;
  const Stream side;
  const Event fork(cudaEventDisableTiming);
  const Event middle(cudaEventDisableTiming);
  const Event join(cudaEventDisableTiming);
  const Integers value(1);
  const Integers copy(1);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  {
    const lockstep::cuda::KernelLoading loading;
    EXPECT_OK(set_on(stream, value, 0));
    EXPECT_OK(add_on(side, value, copy, 0));
  }
  EXPECT_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  EXPECT_OK(cudaEventRecord(fork, stream));
  EXPECT_OK(cudaStreamWaitEvent(side, fork));
  EXPECT_OK(set_on(stream, value, 5));
  EXPECT_OK(cudaEventRecord(middle, stream));
  if (kWait) {
    EXPECT_OK(cudaStreamWaitEvent(side, middle));
  }
  EXPECT_OK(add_on(side, value, copy, 1));
  EXPECT_OK(cudaEventRecord(join, side));
  EXPECT_OK(cudaStreamWaitEvent(stream, join));
  EXPECT_OK(cudaStreamEndCapture(stream, &graph));
  EXPECT_OK(cudaGraphInstantiate(&exec, graph));
  EXPECT_OK(cudaGraphLaunch(exec, stream));
  EXPECT_OK(cudaStreamSynchronize(stream));
  EXPECT_OK(cudaGraphExecDestroy(exec));
  EXPECT_OK(cudaGraphDestroy(graph));
  return right_if(copy.value() == 6);
}

TEST(StreamOrderTest, BranchesOfAGraphNeedAnEventToo) {
  EXPECT_EQ(run_seeds({}, kSeeds, captured_fork<false>), kSometimes);
  EXPECT_EQ(run_seeds({}, kSeeds, captured_fork<true>), kClean);
}

TEST(StreamOrderTest, ForwardAndReverseOrdersAreTheExtremes) {
  EXPECT_EQ(run_child({.order = "forward"}, two_streams<false>).letter, kClean);
  EXPECT_EQ(run_child({.order = "reverse"}, two_streams<false>).letter, kWrong);
}

}  // namespace stream_order_test
}  // namespace cuemu_test
