// Parallel loop over independent tasks. Which thread runs a task is left to chance; nothing that is
// computed may depend on it.
#pragma once

#include <omp.h>

#include <cstdint>

#include "host/backend/threads.h"

namespace lockstep {

/// Calls body(task, thread) for every task in [0, tasks), thread < threads, with fewer threads
/// where the machine does not let so many be started. No thread is started where one task or one
/// thread is all there is, nor for fewer than `grain` tasks each: a region costs a microsecond, and
/// far more on a busy machine, where its threads wait for each other.
template <class Body>
void parallel_for(std::int64_t tasks, int threads, Body&& body, std::int64_t grain = 1) {
  if (threads > tasks / grain) threads = static_cast<int>(tasks / grain);
  if (threads > 1) threads = startable_threads(threads);
  if (threads <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

}  // namespace lockstep
