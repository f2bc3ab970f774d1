// See threads.h.
#include "host/threads.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
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

/// Starts threads beside this one until there are `wanted` or one more is refused; ends them.
int count_startable(int wanted) {
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  try {
    while (static_cast<int>(threads.size()) + 1 < wanted) {
      threads.emplace_back([&go] { go.wait(false); });
    }
  } catch (const std::system_error&) {
    // this many then
  }
  go = true;
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size()) + 1;
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
