// Barriers and warp operations: who may take part, who is released, and what comes out.
#include <bit>
#include <cstdio>
#include <cstring>

#include "tests/emulator/scheduler.h"

namespace cuemu {
namespace {

// What a lane reads that took no part: nothing plausible.
constexpr std::uint64_t kAbsent = 0xdbdbdbdbdbdbdbdbu;

// Names of files; one file has several addresses where it is compiled several times.
bool differ(const char* a, const char* b) { return a != b && std::strcmp(a, b) != 0; }

struct Lanes {
  unsigned mask;
  WarpArgument* of[32];
};

int shuffle_source(WarpOp op, int lane_index, const WarpArgument& argument) {
  const int width = argument.width;
  const int first = lane_index & ~(width - 1);
  const int last = first + width - 1;
  int source = lane_index;
  switch (op) {
    case WarpOp::kShuffle:
      return first + (argument.select & (width - 1));
    case WarpOp::kShuffleUp:
      source = lane_index - argument.select;
      return source < first ? lane_index : source;
    case WarpOp::kShuffleDown:
      source = lane_index + argument.select;
      return source > last ? lane_index : source;
    default:  // xor: lower segments may be read, higher ones not
      source = lane_index ^ argument.select;
      return source > last ? lane_index : source;
  }
}

std::uint64_t combine(WarpOp op, std::uint64_t a, std::uint64_t b) {
  const auto x = static_cast<unsigned>(a);
  const auto y = static_cast<unsigned>(b);
  const auto sx = static_cast<int>(x);
  const auto sy = static_cast<int>(y);
  switch (op) {
    case WarpOp::kAddReduce:
      return x + y;
    case WarpOp::kMinReduce:
      return x < y ? x : y;
    case WarpOp::kMaxReduce:
      return x < y ? y : x;
    case WarpOp::kMinReduceSigned:
      return sx < sy ? x : y;
    case WarpOp::kMaxReduceSigned:
      return sx < sy ? y : x;
    case WarpOp::kAndReduce:
    case WarpOp::kAll:
      return x & y;
    case WarpOp::kXorReduce:
      return x ^ y;
    default:
      return x | y;
  }
}

void resolve(WarpOp op, const Lanes& lanes) {
  std::uint64_t total = 0;
  bool first = true;
  for (int i = 0; i < 32; ++i) {
    if (lanes.of[i] == nullptr) continue;
    WarpArgument& argument = *lanes.of[i];
    if (op >= WarpOp::kShuffle && op <= WarpOp::kShuffleXor) {
      const int source = shuffle_source(op, i, argument);
      const bool present = source >= 0 && source < 32 && lanes.of[source] != nullptr;
      argument.out = present ? lanes.of[source]->in : kAbsent;
    } else if (op == WarpOp::kMatchAny) {
      unsigned equal = 0;
      for (int j = 0; j < 32; ++j) {
        if (lanes.of[j] != nullptr && lanes.of[j]->in == argument.in) equal |= 1u << j;
      }
      argument.out = equal;
    } else {
      const std::uint64_t mine =
          op == WarpOp::kBallot ? std::uint64_t{argument.in != 0} << i : argument.in;
      total = first ? mine : combine(op, total, mine);
      first = false;
    }
  }
  if (first) return;
  for (WarpArgument* const argument : lanes.of) {
    if (argument != nullptr) argument->out = total;
  }
}

}  // namespace

// Orders what each of `threads` did before against what each does next. The caller acts for all.
void Scheduler::synchronise(const std::vector<Thread*>& threads, char& tag) {
  if (!CUEMU_TSAN) return;
  void* const self = tsan_current();
  for (const Thread* const thread : threads) {
    tsan_switch(thread->tsan);
    tsan_release(&tag);
  }
  for (const Thread* const thread : threads) {
    tsan_switch(thread->tsan);
    tsan_acquire(&tag);
  }
  tsan_switch(self);
}

int Scheduler::barrier(Thread& thread, Barrier kind, int predicate, const char* file, int line) {
  Block& block = *thread.owner;
  thread.file = file;
  thread.line = line;
  if (settings().strict) {
    if (block.living != block.threads.size()) {
      fail(thread, "waits at the barrier of " + place_of(file, line) + ", but " +
                       std::to_string(block.threads.size() - block.living) +
                       " threads of its block have ended");
    }
    if (block.at_barrier > 0) {
      const Thread& first = *block.first_at_barrier;
      if (line != first.line || differ(file, first.file) || kind != block.barrier) {
        fail(thread, "waits at the barrier of " + place_of(file, line) + ", but " + name_of(first) +
                         " at that of " + place_of(first.file, first.line));
      }
    }
  }
  if (block.at_barrier++ == 0) {
    block.first_at_barrier = &thread;
    block.barrier = kind;
    block.count = 0;
  }
  block.count += predicate != 0;
  if (block.at_barrier == block.living) {
    thread.state = State::kAtBarrier;
    release_barrier(block, &thread);
  } else {
    suspend(thread, State::kAtBarrier, file, line);
  }
  return thread.barrier_result;
}

// `running` is the thread that came last: it goes on without a switch.
void Scheduler::release_barrier(Block& block, const Thread* running) {
  int result = 0;
  if (block.barrier == Barrier::kCount) result = block.count;
  if (block.barrier == Barrier::kOr) result = block.count > 0;
  if (block.barrier == Barrier::kAnd) result = block.count == static_cast<int>(block.at_barrier);
  block.at_barrier = 0;
  group_.clear();
  in_order(block.threads.size(), [&](std::size_t i) {
    Thread& thread = block.threads[i];
    if (thread.state != State::kAtBarrier) return;
    thread.barrier_result = result;
    group_.push_back(&thread);
    if (&thread == running) {
      thread.state = State::kReady;
    } else {
      make_ready(thread);
    }
  });
  synchronise(group_, block.barrier_tag);
}

void Scheduler::check_mask(const Thread& thread, unsigned mask) const {
  const bool own = (mask >> (thread.index % 32) & 1u) != 0;
  const unsigned gone = mask & thread.owner->warps[thread.index / 32].gone;
  if (own && gone == 0) return;
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  const std::string at = std::string(text) + " at " + place_of(thread.file, thread.line);
  if (!own) fail(thread, "is not in its own mask " + at);
  fail(thread, "names lane " + std::to_string(std::countr_zero(gone)) + " in its mask " + at +
                   ", which has ended or is not in the block");
}

void Scheduler::check_same_op(const Thread& a, const Thread& b) const {
  const char* what = nullptr;
  if (a.mask != b.mask) {
    what = "mask";
  } else if (a.op != b.op || a.argument->bytes != b.argument->bytes) {
    what = "warp operation";
  } else if (a.line != b.line || differ(a.file, b.file)) {
    what = "place";
  }
  if (what == nullptr) return;
  fail(a, "meets " + name_of(b) + " in a warp operation with another " + what + ": " +
              place_of(a.file, a.line) + " and " + place_of(b.file, b.line));
}

// Finishes the operation of `mask` if all its living lanes are there. Says whether it did.
bool Scheduler::try_finish_warp_op(Block& block, unsigned warp_index, unsigned mask,
                                   const Thread* running) {
  Warp& warp = block.warps[warp_index];
  const unsigned wanted = mask & ~warp.gone;
  if (wanted == 0 || (warp.waiting & wanted) != wanted) return false;
  Lanes lanes{wanted, {}};
  group_.clear();
  const Thread* first = nullptr;
  in_order(32, [&](std::size_t i) {
    if ((wanted >> i & 1u) == 0) return;
    Thread& thread = block.threads[warp_index * 32 + i];
    if (first == nullptr) first = &thread;
    if (settings().strict) check_same_op(*first, thread);
    lanes.of[i] = thread.argument;
    group_.push_back(&thread);
  });
  const WarpOp op = group_.front()->op;
  resolve(op, lanes);
  warp.waiting &= ~wanted;
  for (Thread* const thread : group_) {
    if (thread == running) {
      thread->state = State::kReady;
    } else {
      make_ready(*thread);
    }
  }
  // shuffles and votes order no memory, here as on the device
  if (op == WarpOp::kSync) synchronise(group_, block.barrier_tag);
  return true;
}

void Scheduler::warp(Thread& thread, WarpOp op, unsigned mask, WarpArgument& argument,
                     const char* file, int line) {
  Block& block = *thread.owner;
  const unsigned warp_index = thread.index / 32;
  Warp& warp = block.warps[warp_index];
  thread.file = file;
  thread.line = line;
  thread.mask = mask;
  thread.op = op;
  thread.argument = &argument;
  if (settings().strict) {
    check_mask(thread, mask);
    if (const int w = argument.width; w < 1 || w > 32 || !std::has_single_bit(unsigned(w))) {
      fail(thread, "shuffles in segments of " + std::to_string(w) + " lanes at " +
                       place_of(file, line) + "; it must be a power of two up to 32");
    }
    const unsigned others = warp.waiting & mask;
    if (others != 0) {
      const unsigned other = static_cast<unsigned>(std::countr_zero(others));
      check_same_op(thread, block.threads[warp_index * 32 + other]);
    }
  }
  warp.waiting |= 1u << (thread.index % 32);
  thread.state = State::kAtWarpOp;
  if (!try_finish_warp_op(block, warp_index, mask, &thread)) {
    suspend(thread, State::kAtWarpOp, file, line);
  }
}

int block_barrier(Barrier kind, int predicate, const char* file, int line) {
  return scheduler().barrier(Scheduler::current(), kind, predicate, file, line);
}

void warp_collective(WarpOp op, unsigned mask, WarpArgument& argument, const char* file, int line) {
  scheduler().warp(Scheduler::current(), op, mask, argument, file, line);
}

void yield_lane(const char* file, int line) { scheduler().spin(Scheduler::current(), file, line); }

void thread_fence() {
  static char tag = 0;
  tsan_acquire(&tag);
  tsan_release(&tag);
}

}  // namespace cuemu
