// The launch seam: the one header that tells nvcc from a host compiler. Kernels are written in
// plain CUDA on top of it and are compiled twice: by nvcc, and by g++ or clang++ against the
// emulator of tests/emulator, whose <cuda_runtime.h> takes the place of the toolkit's.
//
// Rules for kernels (checked by tests/layering_test.cmake): shared memory only through the macros
// below, launches only through launch(); warp operations with an explicit mask that every lane of
// it reaches at the same line; no return before a later barrier; no inline PTX.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/launch_mode.h"

namespace lockstep::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

}  // namespace lockstep::cuda

#ifdef __CUDACC__

/// A kernel for blocks of at most so many threads; LS_KERNEL(threads, 1): of which there is one, so
/// that registers need not be left for others.
#define LS_KERNEL(...) __global__ void __launch_bounds__(__VA_ARGS__)
/// Memory of the block: LS_SHARED(tile, float[32][4]); uninitialised.
#define LS_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
/// The `shared_bytes` of the launch as an array of T, 16-byte aligned.
#define LS_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char ls_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(ls_dynamic_shared)

/// Hands the kernel to the stream; its status. `args` have the kernel's parameter types.
#define LS_START(name, kernel, grid, block, shared_bytes, stream, ...) \
  (kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__), cudaGetLastError())

#else

#define LS_KERNEL(...) void
#define LS_SHARED(name, ...) CUEMU_SHARED(name, __VA_ARGS__)
#define LS_DYNAMIC_SHARED(T, name) CUEMU_DYNAMIC_SHARED(T, name)

#define LS_START(name, kernel, grid, block, shared_bytes, stream, ...) \
  cuemu::launch(name, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

#endif

// __syncwarp() in a body that compiles for the CPU too, and is never called there
#if defined(__CUDACC__) && !defined(__CUDA_ARCH__)
#define LS_SYNC_WARP() static_cast<void>(0)
#else
#define LS_SYNC_WARP() __syncwarp(lockstep::cuda::kAllLanes)
#endif

namespace lockstep::cuda {

/// Launches `kernel`, or loads it (KernelLoading); arguments are converted to its parameter types.
/// An empty grid is no error.
template <class... P, class... A>
[[nodiscard]] cudaError_t launch([[maybe_unused]] const char* name, void (*kernel)(P...), dim3 grid,
                                 dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                                 const A&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaSuccess;
  if (KernelLoading::on()) {
    cudaFuncAttributes unused{};
    return cudaFuncGetAttributes(&unused, kernel);
  }
  const cudaError_t status =
      LS_START(name, kernel, grid, block, shared_bytes, stream, static_cast<P>(args)...);
  if (status != cudaSuccess || !synchronous_launches()) return status;
  return cudaStreamSynchronize(stream);
}

}  // namespace lockstep::cuda
