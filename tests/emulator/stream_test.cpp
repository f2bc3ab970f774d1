#include "tests/emulator/device_test.h"

#include <thread>

namespace cuemu_test {
namespace stream_test {

TEST(StreamTest, NothingRunsBeforeAWait) {
  const Stream stream;
  const Integers value(1);
  const long before = cuemu_counters().kernels;
  ASSERT_OK(set_on(stream, value, 1));
  EXPECT_EQ(cuemu_counters().kernels, before);
  ASSERT_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(cuemu_counters().kernels, before + 1);
}

TEST(StreamTest, QueriesComeToAnEnd) {
  const Stream stream;
  const Integers value(1);
  for (int i = 0; i < 3; ++i) ASSERT_OK(set_on(stream, value, i));
  int queries = 0;
  cudaError_t error = cudaErrorNotReady;
  while (error == cudaErrorNotReady && queries < 100) {
    error = cudaStreamQuery(stream);
    ++queries;
  }
  EXPECT_EQ(error, cudaSuccess);
  EXPECT_EQ(queries, 3);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "not ready is no error";
  EXPECT_EQ(value.value(), 2);
}

TEST(StreamTest, DestroyedStreamStillFinishesItsWork) {
  const Integers value(1);
  {
    const Stream stream;
    ASSERT_OK(set_on(stream, value, 4));
  }
  ASSERT_OK(cudaDeviceSynchronize());
  EXPECT_EQ(value.value(), 4);
}

TEST(StreamTest, RefusesHandlesThatAreNone) {
  cudaStream_t stream = nullptr;
  ASSERT_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSERT_OK(cudaStreamDestroy(stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamCreateWithFlags(nullptr, 0), cudaErrorInvalidValue);
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, 8), cudaErrorInvalidValue);
  EXPECT_EQ(cudaEventSynchronize(nullptr), cudaErrorInvalidResourceHandle);
  static_cast<void>(cudaGetLastError());
}

TEST(EventTest, WaitsForWhatWasRecordedAtTheTimeOfTheCall) {
  const Stream a;
  const Stream b;
  const Event event;
  const Integers value(1);
  const Integers copy(1);
  ASSERT_OK(set_on(a, value, 1));
  ASSERT_OK(cudaEventRecord(event, a));
  ASSERT_OK(cudaStreamWaitEvent(b, event));
  ASSERT_OK(cudaEventRecord(event, b));  // does not move the wait above
  ASSERT_OK(add_on(b, value, copy, 0));
  ASSERT_OK(cudaStreamSynchronize(b));
  EXPECT_EQ(copy.value(), 1);
}

TEST(EventTest, SynchroniseWaitsForTheRecordAndNotForMore) {
  const Stream stream;
  const Event event;
  const Integers value(1);
  ASSERT_OK(set_on(stream, value, 1));
  ASSERT_OK(cudaEventRecord(event, stream));
  ASSERT_OK(set_on(stream, value, 2));
  const long before = cuemu_counters().kernels;
  ASSERT_OK(cudaEventSynchronize(event));
  EXPECT_EQ(cuemu_counters().kernels, before + 1);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);  // makes the last step
  EXPECT_EQ(value.value(), 2);
}

TEST(EventTest, UnrecordedEventHoldsNobodyUp) {
  const Stream stream;
  const Event event;
  EXPECT_OK(cudaEventQuery(event));
  EXPECT_OK(cudaEventSynchronize(event));
  EXPECT_OK(cudaStreamWaitEvent(stream, event));
  EXPECT_OK(cudaStreamSynchronize(stream));
}

TEST(EventTest, ElapsedTimeNeedsTwoTimedEventsThatHappened) {
  const Stream stream;
  const Event start;
  const Event end;
  const Event untimed(cudaEventDisableTiming);
  float ms = -1;
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorInvalidResourceHandle);
  ASSERT_OK(cudaEventRecord(start, stream));
  ASSERT_OK(cudaEventRecord(untimed, stream));
  ASSERT_OK(cudaEventRecord(end, stream));
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
  ASSERT_OK(cudaEventSynchronize(end));
  EXPECT_OK(cudaEventElapsedTime(&ms, start, end));
  EXPECT_GE(ms, 0.0f);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, untimed), cudaErrorInvalidResourceHandle);
  static_cast<void>(cudaGetLastError());
}

TEST(HostThreadTest, TwoThreadsMayLaunchAtOnce) {
  std::vector<int> results(2);
  std::vector<std::thread> threads;
  for (int& result : results) {
    threads.emplace_back([&result] {
      const Stream stream;
      const Integers value(300);
      EXPECT_OK(cudaMemsetAsync(value, 0, 1200, stream));
      for (int i = 0; i < 5; ++i) EXPECT_OK(add_on(stream, value, value, 2, 300));
      EXPECT_OK(cudaMemcpyAsync(&result, value + 299, sizeof(int), cudaMemcpyDeviceToHost, stream));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(results, (std::vector<int>{10, 10}));
}

TEST(LiveObjectsTest, CountsWhatIsNotReleased) {
  const long before = cuemu_live_objects();
  {
    const Stream stream;
    const Event event;
    const Integers device(1);
    const Integers pinned(1, true);
    EXPECT_EQ(cuemu_live_objects(), before + 4);
  }
  EXPECT_EQ(cuemu_live_objects(), before);
}

}  // namespace stream_test
}  // namespace cuemu_test
