// Tests for host/backend/threads.h. The process stands in for a machine that refuses threads: it
// answers pthread_create() itself.
#include "host/backend/threads.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <vector>

#include "host/backend/parallel.h"
#include "host/engine.h"
#include "tests/support/training.h"

namespace {
std::atomic<int> threads_left{1 << 20};  // that may still be started
}  // namespace

// libgomp and the standard library find this one first
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (--threads_left < 0) return EAGAIN;
  return real(thread, attributes, start, argument);
}

namespace lockstep {
namespace threads_test {

constexpr int kMany = 7;

/// What a region of kMany threads does: each task once, whoever runs it. True if so.
bool region_works() {
  std::vector<std::atomic<int>> runs(100);
  parallel_for(100, kMany, [&](std::int64_t task, int) { ++runs[static_cast<std::size_t>(task)]; });
  return std::all_of(runs.begin(), runs.end(), [](const auto& count) { return count == 1; });
}

/// Runs `body` in a child: its exit status, or 128 + SIGALRM if it has not ended in 100 s.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(100);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// first, for what a process found out about its threads stays with it; the rest is in children
TEST(StartableThreads, AreAsManyAsThereCanBe) {
  for (const int possible : {0, 1, 3}) {
    EXPECT_EQ(in_child([possible] {
                threads_left = possible;
                const int found = startable_threads(kMany);
                threads_left = possible;  // as if libgomp asked the same machine
                return found == possible + 1 && region_works() ? 0 : found + 10;
              }),
              0)
        << possible << " more threads";
  }
  EXPECT_EQ(in_child([] { return startable_threads(kMany); }), kMany);
  EXPECT_EQ(in_child([] { return startable_threads(1); }), 1);
}

TEST(StartableThreads, AreTriedOnce) {
  for (const int possible : {kMany - 1, 2}) {
    EXPECT_EQ(in_child([possible] {
                threads_left = possible;  // none is left for a second try
                startable_threads(kMany);
                return startable_threads(kMany);
              }),
              possible + 1);
  }
}

TEST(StartableThreads, AreGoneForTheKernelTooWhereOneWasRefused) {
  const auto tasks = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  };
  EXPECT_EQ(in_child([&] {
              const auto before = tasks();
              threads_left = 200;
              startable_threads(300);
              return tasks() <= before ? 0 : 1;
            }),
            0);
}

TEST(DefaultThreads, AreTheVariablesElseTheCoresOfTheQuota) {
  const int limit = omp_get_thread_limit();  // OMP_THREAD_LIMIT
  const int cores = std::min(omp_get_num_procs(), limit);
  omp_set_num_threads(cores);
  ::unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(default_threads(1000.0), cores);
  EXPECT_EQ(default_threads(1.0), 1);
  EXPECT_EQ(default_threads(0.2), 1);
  EXPECT_EQ(default_threads(1.2), std::min(2, cores)) << "rounded up";
  EXPECT_EQ(thread_count(0), default_threads());
  EXPECT_EQ(thread_count(5), 5);
  ::setenv("OMP_NUM_THREADS", "3", 1);
  omp_set_num_threads(3);  // the variable was read when the process started
  EXPECT_EQ(default_threads(1.0), std::min(3, limit)) << "what a user asks for";
  omp_set_num_threads(cores);
  ::unsetenv("OMP_NUM_THREADS");
}

std::vector<NamedTensor> trained() {
  Config config = test::small_config(64);
  config.threads = kMany;
  config.updates = 2;
  Engine engine(config);
  TrainHooks hooks;
  hooks.write_files = false;
  engine.train(hooks);
  return engine.policy();
}

TEST(Fork, AChildOfAProcessThatTrainedTrainsWithTheSameBits) {
  ASSERT_TRUE(region_works());
  const std::vector<NamedTensor> expected = trained();
  const auto same = [&] {
    const std::vector<NamedTensor> found = trained();
    bool equal = found.size() == expected.size() && region_works();
    for (std::size_t i = 0; equal && i < found.size(); ++i)
      equal = found[i].data == expected[i].data;
    return equal ? 0 : 1;
  };
  EXPECT_EQ(in_child(same), 0);
  EXPECT_EQ(same(), 0) << "the parent goes on";
  EXPECT_EQ(in_child([&] { return in_child(same); }), 0) << "a grandchild";
}

}  // namespace threads_test
}  // namespace lockstep
