#include "tests/emulator/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/emulator/runtime.h"

namespace cuemu {

constinit thread_local Lane* lane = nullptr;

namespace {

constexpr std::size_t kWaveThreads = 2048;  // of a wave, under TSan
// a round is one look of every spinning thread; nothing else happened for that many rounds
constexpr std::uint64_t kIdleRounds = 1000;
constexpr std::uint64_t kIdleYields = 100'000;

uint3 position(std::uint64_t index, dim3 extent) {
  const std::uint64_t row = index / extent.x;
  return {static_cast<unsigned>(index % extent.x), static_cast<unsigned>(row % extent.y),
          static_cast<unsigned>(row / extent.y)};
}

// 0xFF is NaN as a float and -1 as an integer: what is read before it was written shows.
void* new_shared_memory(std::size_t bytes, std::size_t alignment) {
  void* data = nullptr;
  if (::posix_memalign(&data, std::max(alignment, std::size_t{16}), bytes) != 0) {
    stop("no memory for shared memory");
  }
  std::memset(data, 0xFF, bytes);
  return data;
}

std::string text_of(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}

}  // namespace

Scheduler& scheduler() {
  static auto* const one = new Scheduler;  // never freed, so that what it points to stays reachable
  return *one;
}

std::string place_of(const char* file, int line) {
  return file == nullptr ? "?" : std::string(file) + ":" + std::to_string(line);
}

std::string name_of(const Thread& thread) {
  return "block " + text_of(thread.block) + " thread " + text_of(thread.thread) + " (lane " +
         std::to_string(thread.index % 32) + " of warp " + std::to_string(thread.index / 32) + ")";
}

Thread& Scheduler::current() {
  if (lane == nullptr) stop("a device function was called by host code");
  return *static_cast<Thread*>(lane);
}

void Scheduler::fail(const Thread& thread, const std::string& message) const {
  stop("kernel " + std::string(kernel_->name) + ", " + name_of(thread) + ": " + message);
}

void Scheduler::run(const Kernel& kernel, std::uint64_t number) {
  const TsanBlind blind;
  kernel_ = &kernel;
  random_ = settings().seed * 0x9e3779b97f4a7c15u + number;
  next_random(random_);
  order_blocks();
  const std::size_t threads = std::size_t{kernel.block.x} * kernel.block.y * kernel.block.z;
  const std::size_t resident =
      std::min(block_order_.size(), static_cast<std::size_t>(settings().resident_blocks));
  ready_.assign(std::max(ready_.size(), resident * threads), nullptr);
  spinning_.reserve(ready_.size());
  group_.reserve(1024);
  ready_begin_ = ready_count_ = 0;
  idle_yields_ = 0;
  for (;;) {
    while (live_.size() < resident && next_block_ < block_order_.size() &&
           (!CUEMU_TSAN || started_in_wave_ == 0 || started_in_wave_ + threads <= kWaveThreads)) {
      start_block(block_order_[next_block_++]);
    }
    if (live_.empty()) {
      end_wave();
      if (next_block_ == block_order_.size()) break;
      continue;
    }
    dispatch(*pick());
  }
  kernel_ = nullptr;
}

void Scheduler::order_blocks() {
  const dim3 grid = kernel_->grid;
  block_order_.resize(std::size_t{grid.x} * grid.y * grid.z);
  std::iota(block_order_.begin(), block_order_.end(), std::uint64_t{0});
  if (settings().order == Order::kReverse) std::reverse(block_order_.begin(), block_order_.end());
  if (settings().order == Order::kRandom) {
    for (std::size_t i = block_order_.size(); i > 1; --i) {
      std::swap(block_order_[i - 1], block_order_[next_random(random_) % i]);
    }
  }
  next_block_ = 0;
}

void Scheduler::start_block(std::uint64_t index) {
  if (spare_.empty()) spare_.push_back(std::make_unique<Block>());
  live_.push_back(std::move(spare_.back()));
  spare_.pop_back();
  Block& block = *live_.back();
  const dim3 extent = kernel_->block;
  const unsigned threads = extent.x * extent.y * extent.z;
  block.threads.assign(threads, Thread{});
  block.warps.assign((threads + 31) / 32, Warp{});
  if (threads % 32 != 0) block.warps.back().gone = ~0u << (threads % 32);
  block.living = threads;
  block.at_barrier = 0;
  block.static_bytes = 0;
  if (kernel_->shared_bytes > 0) block.dynamic = new_shared_memory(kernel_->shared_bytes, 16);
  for (unsigned i = 0; i < threads; ++i) {
    Thread& thread = block.threads[i];
    thread.thread = position(i, extent);
    thread.block = position(index, kernel_->grid);
    thread.block_dim = extent;
    thread.grid_dim = kernel_->grid;
    thread.owner = &block;
    thread.index = i;
  }
  in_order(threads, [&](std::size_t i) { make_ready(block.threads[i]); });
  started_in_wave_ += threads;
}

void Scheduler::end_block(Block& block) {
  for (const SharedMemory& memory : block.shared) std::free(memory.data);
  block.shared.clear();
  std::free(block.dynamic);
  block.dynamic = nullptr;
  const auto at = std::find_if(live_.begin(), live_.end(),
                               [&](const auto& other) { return other.get() == &block; });
  spare_.push_back(std::move(*at));
  live_.erase(at);
}

// What the threads did comes before whatever the host does next.
void Scheduler::end_wave() {
  tsan_acquire(&wave_tag_);
  for (void* const fiber : used_tsan_) tsan_destroy(fiber);
  used_tsan_.clear();
  for (Fiber* const fiber : used_fibers_) give_fiber_back(fiber);
  used_fibers_.clear();
  started_in_wave_ = 0;
}

void Scheduler::make_ready(Thread& thread) {
  thread.state = State::kReady;
  std::size_t at = ready_begin_ + ready_count_++;
  if (at >= ready_.size()) at -= ready_.size();
  ready_[at] = &thread;
}

Thread* Scheduler::pick() {
  if (ready_count_ == 0) {
    if (spinning_.empty()) report_stuck("deadlock: no thread can run");
    if (idle_yields_ > std::max(kIdleYields, kIdleRounds * spinning_.size())) {
      report_stuck(
          "livelock: only spinning threads are left; what they wait for may not be resident");
    }
    for (Thread* const thread : spinning_) make_ready(*thread);
    spinning_.clear();
  }
  if (settings().order == Order::kRandom) {
    std::size_t at = ready_begin_ + next_random(random_) % ready_count_;
    if (at >= ready_.size()) at -= ready_.size();
    std::swap(ready_[at], ready_[ready_begin_]);
  }
  Thread* const thread = ready_[ready_begin_];
  if (++ready_begin_ == ready_.size()) ready_begin_ = 0;
  --ready_count_;
  return thread;
}

void Scheduler::dispatch(Thread& thread) {
  if (thread.fiber == nullptr) {
    thread.fiber = take_fiber();
    thread.fiber->argument = &thread;
    thread.fiber->run = [](void* argument) {
      auto& self = *static_cast<Thread*>(argument);
      scheduler().kernel_->body();
      self.state = State::kDone;
      tsan_release(&scheduler().wave_tag_);
    };
    thread.tsan = tsan_create();
    if (CUEMU_TSAN) used_tsan_.push_back(thread.tsan);
  }
  lane = &thread;
  enter(*thread.fiber, thread.tsan);
  lane = nullptr;
  if (thread.state == State::kSpinning) {
    ++idle_yields_;
    spinning_.push_back(&thread);
  } else {
    idle_yields_ = 0;
  }
  if (thread.state == State::kDone) thread_ended(thread);
}

void Scheduler::suspend(Thread& thread, State state, const char* file, int line) {
  thread.state = state;
  thread.file = file;
  thread.line = line;
  leave(*thread.fiber);
}

void Scheduler::thread_ended(Thread& thread) {
  if (CUEMU_TSAN) {
    used_fibers_.push_back(thread.fiber);
  } else {
    give_fiber_back(thread.fiber);
  }
  Block& block = *thread.owner;
  const unsigned warp_index = thread.index / 32;
  const unsigned bit = 1u << (thread.index % 32);
  Warp& warp = block.warps[warp_index];
  warp.gone |= bit;
  for (unsigned i = 0; i < 32; ++i) {
    if ((warp.waiting >> i & 1u) == 0) continue;
    const Thread& other = block.threads[warp_index * 32 + i];
    if ((other.mask & bit) == 0) continue;
    if (settings().strict) {
      fail(thread, "ended while " + name_of(other) + " waits for it in a warp operation at " +
                       place_of(other.file, other.line));
    }
    try_finish_warp_op(block, warp_index, other.mask, nullptr);
  }
  --block.living;
  if (block.at_barrier > 0) {
    if (settings().strict) {
      fail(thread, "ended while " + name_of(*block.first_at_barrier) + " waits at the barrier of " +
                       place_of(block.first_at_barrier->file, block.first_at_barrier->line));
    }
    if (block.at_barrier == block.living) release_barrier(block, nullptr);
  }
  if (block.living == 0) end_block(block);
}

void Scheduler::spin(Thread& thread, const char* file, int line) {
  suspend(thread, State::kSpinning, file, line);
}

void Scheduler::report_stuck(const char* what) const {
  std::string message = "kernel " + std::string(kernel_->name) + ": " + what;
  for (const auto& block : live_) {
    int shown = 0;
    for (const Thread& thread : block->threads) {
      if (thread.state == State::kDone) continue;
      if (++shown > 8) break;
      static constexpr const char* kWhat[] = {"ready", "at a barrier", "in a warp operation",
                                              "spinning", "done"};
      message += "\n  " + name_of(thread) + " is " + kWhat[static_cast<int>(thread.state)] +
                 " at " + place_of(thread.file, thread.line);
    }
  }
  stop(message);
}

void* Scheduler::shared(Thread& thread, const void* slot, std::size_t bytes,
                        std::size_t alignment) {
  Block& block = *thread.owner;
  for (const SharedMemory& memory : block.shared) {
    if (memory.slot == slot) return memory.data;
  }
  const TsanBlind blind;
  block.static_bytes += bytes;
  if (settings().strict && block.static_bytes > kPlainShared) {
    fail(thread, "more than 48 KiB of static shared memory");
  }
  const std::size_t all = block.static_bytes + kernel_->shared_bytes;
  if (settings().strict && all > runtime().device.shared_block) {
    fail(thread, std::to_string(all) + " bytes of shared memory, static and dynamic, of " +
                     std::to_string(runtime().device.shared_block) + " that a block can have");
  }
  void* const data = new_shared_memory(bytes, alignment);
  block.shared.push_back({slot, data});
  return data;
}

void* shared_memory(const void* slot, std::size_t bytes, std::size_t alignment) {
  return scheduler().shared(Scheduler::current(), slot, bytes, alignment);
}
void* dynamic_shared_memory() { return Scheduler::current().owner->dynamic; }

}  // namespace cuemu
