// Runs the CUDA threads of one kernel at a time, each on a fiber, in the order that was asked for.
// A thread gives way only where it must wait (barrier, warp operation) or spins.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "tests/emulator/fiber.h"
#include "tests/emulator/settings.h"

namespace cuemu {

struct Block;

enum class State { kReady, kAtBarrier, kAtWarpOp, kSpinning, kDone };

/// One CUDA thread.
struct Thread : Lane {
  Block* owner = nullptr;
  unsigned index = 0;  ///< linear, within the block
  State state = State::kReady;
  Fiber* fiber = nullptr;
  void* tsan = nullptr;
  const char* file = nullptr;  ///< where it waits
  int line = 0;
  int barrier_result = 0;
  // of the warp operation it waits in
  unsigned mask = 0;
  WarpOp op = WarpOp::kSync;
  WarpArgument* argument = nullptr;
};

struct Warp {
  unsigned waiting = 0;  ///< lanes in a warp operation
  unsigned gone = 0;     ///< lanes that have ended, or that the block's size leaves out
};

struct SharedMemory {
  const void* slot;
  void* data;
};

/// A resident block.
struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<SharedMemory> shared;
  std::size_t static_bytes = 0;
  void* dynamic = nullptr;
  unsigned living = 0;
  unsigned at_barrier = 0;
  Barrier barrier = Barrier::kPlain;
  const Thread* first_at_barrier = nullptr;
  int count = 0;         ///< threads at the barrier whose predicate holds
  char barrier_tag = 0;  ///< what TSan synchronises on
};

class Scheduler {
 public:
  /// Runs all blocks of `kernel` to their end. `number` makes the random order of each launch its
  /// own.
  void run(const Kernel& kernel, std::uint64_t number);

  // called by the running CUDA thread
  int barrier(Thread& thread, Barrier kind, int predicate, const char* file, int line);
  void warp(Thread& thread, WarpOp op, unsigned mask, WarpArgument& argument, const char* file,
            int line);
  void spin(Thread& thread, const char* file, int line);
  void* shared(Thread& thread, const void* slot, std::size_t bytes, std::size_t alignment);
  [[noreturn]] void fail(const Thread& thread, const std::string& message) const;

  static Thread& current();

 private:
  void order_blocks();
  void start_block(std::uint64_t index);
  void end_block(Block& block);
  void end_wave();
  Thread* pick();
  void dispatch(Thread& thread);
  void thread_ended(Thread& thread);
  void suspend(Thread& thread, State state, const char* file, int line);
  void make_ready(Thread& thread);
  // visits 0..count-1, or the other way round when the order is reverse
  template <class Visit>
  static void in_order(std::size_t count, Visit visit) {
    const bool reverse = settings().order == Order::kReverse;
    for (std::size_t i = 0; i < count; ++i) visit(reverse ? count - 1 - i : i);
  }
  void release_barrier(Block& block, const Thread* running);
  void synchronise(const std::vector<Thread*>& threads, char& tag);
  bool try_finish_warp_op(Block& block, unsigned warp, unsigned mask, const Thread* running);
  void check_mask(const Thread& thread, unsigned mask) const;
  void check_same_op(const Thread& a, const Thread& b) const;
  [[noreturn]] void report_stuck(const char* what) const;

  const Kernel* kernel_ = nullptr;
  std::uint64_t random_ = 0;
  std::vector<std::uint64_t> block_order_;
  std::size_t next_block_ = 0;
  std::vector<std::unique_ptr<Block>> live_;
  std::vector<std::unique_ptr<Block>> spare_;
  std::vector<Thread*> ready_;  ///< a ring, so that nothing is allocated while a CUDA thread runs
  std::size_t ready_begin_ = 0;
  std::size_t ready_count_ = 0;
  std::vector<Thread*> spinning_;
  std::vector<Thread*> group_;  ///< scratch of the thread that releases others
  std::uint64_t idle_yields_ = 0;
  // TSan: stacks are used once within a wave, since reuse would look like a race
  std::vector<Fiber*> used_fibers_;
  std::vector<void*> used_tsan_;
  std::size_t started_in_wave_ = 0;
  char wave_tag_ = 0;
};

/// The one scheduler; callers hold the device lock.
Scheduler& scheduler();

std::string place_of(const char* file, int line);
std::string name_of(const Thread& thread);

}  // namespace cuemu
