#include "tests/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if CUEMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if CUEMU_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* object);
void __tsan_release(void* object);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace cuemu {
namespace {

namespace context = boost::context::detail;

// the scheduler's side of the switch; one kernel runs at a time, so one of each is enough
struct Host {
  void* context = nullptr;
  void* tsan = nullptr;
  void* asan_stack = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
};
Host host;

// Never freed: suspended stacks must stay reachable when LeakSanitizer looks.
std::vector<Fiber*>& pool() {
  static auto* const fibers = new std::vector<Fiber*>;
  return *fibers;
}

void left_scheduler([[maybe_unused]] void* fake_stack) {
#if CUEMU_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, &host.bottom, &host.size);
#endif
}

void main_loop(context::transfer_t from) {
  host.context = from.fctx;
  auto& fiber = *static_cast<Fiber*>(from.data);
  left_scheduler(nullptr);
  for (;;) {
    fiber.run(fiber.argument);
    leave(fiber);
  }
}

}  // namespace

Fiber* take_fiber() {
  auto& free_fibers = pool();
  if (!free_fibers.empty()) {
    Fiber* const fiber = free_fibers.back();
    free_fibers.pop_back();
    return fiber;
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const memory = ::mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED || ::mprotect(memory, page, PROT_NONE) != 0) {
    std::fprintf(stderr, "cuemu: no memory for another stack; fewer resident threads may fit\n");
    std::_Exit(86);
  }
  auto* const fiber = new Fiber;
  fiber->bottom = static_cast<char*>(memory) + page;
  fiber->context = context::make_fcontext(fiber->bottom + kStackBytes, kStackBytes, main_loop);
  return fiber;
}

void give_fiber_back(Fiber* fiber) { pool().push_back(fiber); }

void enter(Fiber& fiber, [[maybe_unused]] void* tsan_fiber) {
#if CUEMU_ASAN
  __sanitizer_start_switch_fiber(&host.asan_stack, fiber.bottom, kStackBytes);
#endif
  host.tsan = tsan_current();
  tsan_switch(tsan_fiber);
  fiber.context = context::jump_fcontext(fiber.context, &fiber).fctx;
#if CUEMU_ASAN
  __sanitizer_finish_switch_fiber(host.asan_stack, nullptr, nullptr);
#endif
}

void leave(Fiber& fiber) {
#if CUEMU_ASAN
  __sanitizer_start_switch_fiber(&fiber.asan_stack, host.bottom, host.size);
#endif
  tsan_switch(host.tsan);
  host.context = context::jump_fcontext(host.context, nullptr).fctx;
  left_scheduler(fiber.asan_stack);
}

#if CUEMU_TSAN
namespace {
constexpr unsigned kNoSync = 1;  // a switch orders nothing: only barriers do
}
void* tsan_current() { return __tsan_get_current_fiber(); }
void* tsan_create() { return __tsan_create_fiber(0); }
void tsan_destroy(void* fiber) { __tsan_destroy_fiber(fiber); }
void tsan_switch(void* fiber) { __tsan_switch_to_fiber(fiber, kNoSync); }
void tsan_acquire(void* object) { __tsan_acquire(object); }
void tsan_release(void* object) { __tsan_release(object); }
TsanBlind::TsanBlind() {
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
TsanBlind::~TsanBlind() {
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}
#else
void* tsan_current() { return nullptr; }
void* tsan_create() { return nullptr; }
void tsan_destroy(void*) {}
void tsan_switch(void*) {}
void tsan_acquire(void*) {}
void tsan_release(void*) {}
TsanBlind::TsanBlind() = default;
TsanBlind::~TsanBlind() = default;
#endif

}  // namespace cuemu
