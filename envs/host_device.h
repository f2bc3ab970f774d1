// Portability: the one file every layer may include. A function marked LS_HD compiles for the CPU
// (any instruction set) and for CUDA, and is always inlined: no copy of it exists outside its
// caller, so code compiled for AVX-512 can never be linked into a baseline build.
#pragma once

static_assert(__cplusplus >= 202002L, "lockstep needs C++20, in .cpp and in .cu files");

// LS_UNROLL before a loop: a thread of a GPU keeps what the loop indexes in registers only if the
// loop is gone. CPU compilers decide for themselves.
#ifdef __CUDACC__
#define LS_HD __host__ __device__ __forceinline__
#define LS_UNROLL _Pragma("unroll")
#else
#define LS_HD inline __attribute__((always_inline))
#define LS_UNROLL
#endif
