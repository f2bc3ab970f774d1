// What the benchmarks themselves compile once per instruction set: the multiply-add ceiling, the
// random generator alone, and the single passes of the op-by-op baseline. Plain function pointers,
// so that nothing here needs an instruction-set flag; the loops are in isa_kernels_impl.h.
#pragma once

#include <cstdint>

#include "host/cpu/isa.h"
#include "kernels/philox.h"

namespace lockstep::bench {

/// One operation over a whole batch, as array libraries offer it. N is a multiple of 16, every
/// pointer 64-byte aligned, and what stands innermost is contiguous.
struct Passes {
  void (*observe)(const float* state, float* obs, std::int64_t N);  // [4][N] -> [N][4]
  /// Words of steps 4 * index .. 4 * index + 3: words [4][N].
  void (*draw_words)(const RandomStream&, std::uint32_t index, std::uint32_t* words,
                     std::int64_t N);
  /// Start states of the episodes `number` [N]: start [4][N].
  void (*draw_starts)(const RandomStream&, const std::uint32_t* number, float* start,
                      std::int64_t N);
  void (*add_bias)(float* x, const float* bias, std::int64_t N, int columns);  // columns: 16 k or 2
  void (*relu)(float* x, std::int64_t n);
  void (*probability)(const float* logits, float* p, std::int64_t N);  // [N][2] -> [N], of action 1
  void (*sample)(const float* p, const std::uint32_t* words, float* action, std::int64_t N);
  void (*step)(float* state, const float* action, std::int32_t* steps, float* ended,
               std::int64_t N);
  void (*restart)(float* state, const float* start, const float* ended, std::int32_t* steps,
                  std::uint32_t* number, std::int64_t N);
  /// One step back in time; total [N] and seen [N] (0 or 1: an end lies ahead) are carried along.
  void (*returns)(float gamma, const float* ended, float* total, float* seen, float* value,
                  float* valid, std::int64_t N);
  double (*sum)(const float* x, std::int64_t n);
  double (*sum_squares)(const float* x, const float* valid, float mean, std::int64_t n);
  void (*normalise)(float* x, const float* valid, float mean, float inv_std, std::int64_t n);
  void (*logit_gradient)(const float* p, const float* action, const float* advantage, float* grad,
                         std::int64_t N);                                   // grad [N][2]
  void (*relu_gradient)(const float* hidden, float* grad, std::int64_t n);  // zeroes where inactive
  void (*add_column_sums)(const float* x, double* sums, std::int64_t N, int columns);
};

struct IsaKernels {
  /// `rounds` rounds of independent multiply-add chains; null where there is no such instruction.
  float (*fma_chains)(std::int64_t rounds);
  double flops_per_round;
  /// `calls` calls of Philox on a pack; xor of all words.
  std::uint32_t (*philox)(std::int64_t calls);
  std::int64_t words_per_call;
  Passes passes;
};

const IsaKernels& isa_kernels(Isa isa);

/// flop/s one core reaches with multiply-adds alone: the best of many windows of about a
/// millisecond, by the thread's CPU time. Measured once per process; 0 where fma_chains is null.
double fma_peak(Isa isa);

/// The instruction sets this machine and build can run, up to the one LS_ISA chooses.
bool has_isa(Isa isa);

}  // namespace lockstep::bench
