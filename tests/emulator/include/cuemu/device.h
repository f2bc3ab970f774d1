// What a kernel sees of its block: indices, shared memory, barriers, fences. Every call that can
// wait carries the place it was made from, which the strict checks compare and failures print.
#pragma once

#include <type_traits>

#include "cuemu/types.h"

namespace cuemu {

/// The part of a CUDA thread that kernels read.
struct Lane {
  uint3 thread = {0, 0, 0};
  uint3 block = {0, 0, 0};
  dim3 block_dim;
  dim3 grid_dim;
};

/// The CUDA thread that runs on this host thread; null in host code.
extern constinit thread_local Lane* lane;

enum class Barrier { kPlain, kCount, kAnd, kOr };

/// Waits for all threads of the block. Returns the count, and or or of `predicate` over them.
int block_barrier(Barrier kind, int predicate, const char* file, int line);

/// Memory of the current block for one LS_SHARED statement, named by the address `slot`: exactly
/// `bytes` long, the same for all threads of the block, filled with 0xFF when the block begins.
void* shared_memory(const void* slot, std::size_t bytes, std::size_t alignment);

/// The launch's dynamic shared memory: exactly as many bytes as were asked for, 16-byte aligned.
void* dynamic_shared_memory();

/// Orders the memory of all threads that pass a fence: stronger than the device's, never weaker.
void thread_fence();

/// Lets other threads run: what a spin loop must call.
void yield_lane(const char* file, int line);

}  // namespace cuemu

#define threadIdx (::cuemu::lane->thread)
#define blockIdx (::cuemu::lane->block)
#define blockDim (::cuemu::lane->block_dim)
#define gridDim (::cuemu::lane->grid_dim)
inline constexpr int warpSize = 32;

#define CUEMU_SHARED(name, ...)                                                       \
  static const char name##_slot = 0;                                                  \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>(                      \
      ::cuemu::shared_memory(&name##_slot, sizeof(std::type_identity_t<__VA_ARGS__>), \
                             alignof(std::type_identity_t<__VA_ARGS__>)))
#define CUEMU_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(::cuemu::dynamic_shared_memory())

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cuemu::block_barrier(cuemu::Barrier::kPlain, 0, file, line);
}
inline int __syncthreads_count(int predicate, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  return cuemu::block_barrier(cuemu::Barrier::kCount, predicate, file, line);
}
inline int __syncthreads_and(int predicate, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  return cuemu::block_barrier(cuemu::Barrier::kAnd, predicate, file, line);
}
inline int __syncthreads_or(int predicate, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return cuemu::block_barrier(cuemu::Barrier::kOr, predicate, file, line);
}
inline void __threadfence() { cuemu::thread_fence(); }
inline void __threadfence_block() { cuemu::thread_fence(); }
inline void __nanosleep(unsigned, const char* file = __builtin_FILE(),
                        int line = __builtin_LINE()) {
  cuemu::yield_lane(file, line);
}
