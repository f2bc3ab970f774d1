// Execution stacks of CUDA threads, and the switches between them and the scheduler, with what each
// sanitizer must be told about a switch. Nothing here knows about blocks or barriers.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define CUEMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CUEMU_ASAN 1
#endif
#endif
#ifndef CUEMU_ASAN
#define CUEMU_ASAN 0
#endif
// CUEMU_TSAN is defined by the build: these files are compiled without -fsanitize=thread themselves
#ifndef CUEMU_TSAN
#define CUEMU_TSAN 0
#endif

namespace cuemu {

inline constexpr std::size_t kStackBytes = std::size_t{256} << 10;

/// A stack with a guard page, and what is suspended on it.
struct Fiber {
  void* context = nullptr;
  char* bottom = nullptr;
  void* asan_stack = nullptr;
  void (*run)(void*) = nullptr;  ///< what to do when entered after it came to its end
  void* argument = nullptr;
};

/// A fiber without work; from the pool, or a new one. Ends the process when no stack can be mapped.
Fiber* take_fiber();
void give_fiber_back(Fiber* fiber);

/// Scheduler -> fiber, until the fiber leaves. `tsan_fiber` is what TSan shall call this thread.
void enter(Fiber& fiber, void* tsan_fiber);
/// Fiber -> scheduler, until it is entered again.
void leave(Fiber& fiber);

// ThreadSanitizer's view of a CUDA thread; all do nothing without it.
void* tsan_current();
void* tsan_create();
void tsan_destroy(void* fiber);
void tsan_switch(void* fiber);
void tsan_acquire(void* object);
void tsan_release(void* object);

/// While one lives, TSan does not look at what this host or CUDA thread does.
struct TsanBlind {
  TsanBlind();
  ~TsanBlind();
  TsanBlind(const TsanBlind&) = delete;
  TsanBlind& operator=(const TsanBlind&) = delete;
};

}  // namespace cuemu
