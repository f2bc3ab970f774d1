// See threads.h.
#include "host/backend/threads.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <limits>
#include <system_error>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

/// OpenMP's threads do not exist in a child, whose next region would wait for them for ever. They
/// are given up before a fork; the next region of either process starts new ones. LLVM's runtime
/// has a handler of its own.
void register_fork_handler() {
#if !defined(__clang__)
  static const int registered =
      pthread_atfork([] { omp_pause_resource_all(omp_pause_hard); }, nullptr, nullptr);
  static_cast<void>(registered);
#endif
}

/// Threads of this process that count for the kernel; 0 where it does not say.
std::int64_t counted_threads() {
  std::error_code error;
  std::int64_t count = 0;
  std::filesystem::directory_iterator task("/proc/self/task", error);
  for (; !error && task != std::filesystem::directory_iterator(); task.increment(error)) ++count;
  return count;
}

/// join() returns before the kernel has lowered its counts, and where they are at the limit libgomp
/// would be refused the threads that were just found possible.
void wait_until_counted(std::int64_t threads) {
  using namespace std::chrono_literals;
  const auto end = std::chrono::steady_clock::now() + 200ms;
  while (counted_threads() > threads && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(1ms);
  }
}

/// Starts threads beside this one until there are `wanted` or one more is refused; ends them.
int count_startable(int wanted) {
  const std::int64_t before = counted_threads();
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  try {
    threads.reserve(static_cast<std::size_t>(wanted));
    while (static_cast<int>(threads.size()) + 1 < wanted) {
      threads.emplace_back([&go] { go.wait(false); });
    }
  } catch (const std::exception&) {
    // this many then, whether threads or memory for them ran out
  }
  go = true;
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
  const int count = static_cast<int>(threads.size()) + 1;
  if (count < wanted) wait_until_counted(before);
  return count;
}

}  // namespace

int default_threads(double quota) {
  const int threads = std::min(omp_get_max_threads(), omp_get_thread_limit());
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return std::max(threads, 1);
  return std::max(static_cast<int>(std::min<double>(threads, std::ceil(quota))), 1);
}

int thread_count(std::int64_t wanted) {
  return wanted > 0 ? static_cast<int>(wanted) : default_threads();
}

int startable_threads(int wanted) {
  static std::atomic<int> started{1}, most{std::numeric_limits<int>::max()};
  wanted = std::min(wanted, most.load());
  if (wanted <= started) return wanted;
  register_fork_handler();
  const int count = count_startable(wanted);
  if (count < wanted) most = count;
  started = count;
  return count;
}

}  // namespace lockstep
