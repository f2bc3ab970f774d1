// The rest of an update of a table policy: the optimiser over the flat weights, and the tables made
// anew from them. Both run over ranges that the host deals over threads. Compiled once per
// instruction set.
#pragma once

#include "kernels/cpu/lanes/table_lanes.h"
#include "kernels/optimizer.h"

namespace lockstep::cpu {

/// Raises the bits of a magnitude to those of `value`, a float without its sign.
LS_HD void raise_magnitude(std::uint32_t& most, float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value) & 0x7fffffffu;
  most = bits > most ? bits : most;
}

/// optimizer_step() over parameters [0, n) of one rule. The rule is a constant, so that the loop
/// has no branch and the compiler makes vectors of it.
template <class F, OptimizerRule kRule>
std::uint32_t table_optimize_rule(OptimizerArgs args, std::int64_t n, const float* __restrict grad,
                                  float* __restrict parameter, float* __restrict m,
                                  float* __restrict v) {
  args.rule = kRule;
  std::uint32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    optimizer_step(args, grad[i], parameter[i], m[i], v[i]);
    raise_magnitude(most, parameter[i]);
    raise_magnitude(most, m[i]);
    raise_magnitude(most, v[i]);
  }
  return most;
}

/// One optimiser step of n parameters. Returns what table_largest() would of them and their
/// moments.
///
/// Result: bitwise, that of optimizer_step()
template <class F>
std::uint32_t table_optimize(const OptimizerArgs& args, std::int64_t n, const float* grad,
                             float* parameter, float* m, float* v) {
  switch (args.rule) {
    case OptimizerRule::kAdam:
      return table_optimize_rule<F, OptimizerRule::kAdam>(args, n, grad, parameter, m, v);
    case OptimizerRule::kSgd:
      return table_optimize_rule<F, OptimizerRule::kSgd>(args, n, grad, parameter, m, v);
    case OptimizerRule::kRmsprop:
      return table_optimize_rule<F, OptimizerRule::kRmsprop>(args, n, grad, parameter, m, v);
  }
  return 0;
}

/// sum_of_squares(), its partial sums side by side.
///
/// Result: bitwise
template <class F>
double table_squares(std::int64_t n, const float* values) {
  using D = typename TableLanes<F>::D;
  constexpr int W = Lanes<F>::W;
  constexpr int kTogether = 4;  // packs, whose sums stay in registers
  alignas(64) double partial[kSquareParts];
  const std::int64_t whole = n / kSquareParts * kSquareParts;
  for (int part = 0; part < kSquareParts; part += kTogether * W) {
    D sum[kTogether];
    for (D& of_pack : sum) of_pack = D(0);
    for (std::int64_t i = part; i < whole; i += kSquareParts) {
      for (int p = 0; p < kTogether; ++p) {
        const D value = TableLanes<F>::widen(Lanes<F>::load(values + i + p * W));
        sum[p] = sum[p] + value * value;
      }
    }
    for (int p = 0; p < kTogether; ++p) store(partial + part + p * W, sum[p]);
  }
  for (int part = 0; whole + part < n; ++part) {
    const double value = static_cast<double>(values[whole + part]);
    partial[part] += value * value;
  }
  return tree_of_squares(partial);
}

/// The largest of n magnitudes.
///
/// Result: bitwise, the bits of a float without its sign: those of infinity are above those of all
///         numbers, and NaN's above these.
template <class F>
std::uint32_t table_largest(std::int64_t n, const float* values) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < n; ++i) raise_magnitude(largest, values[i]);
  return largest;
}

/// Makes rows [first, end) of the table.
///
/// Shapes: lights: the pixels of every row; weights [P][Hp]; rows [R][Hp] out
/// Result: bitwise: the sum from +0 over a row's pixels, ascending
template <class F>
void table_build(const TableShape& shape, const TableLists& lights, const float* weights, int first,
                 int end, float* rows) {
  const std::int64_t padded = shape.padded();
  for (int row = first; row < end; ++row) {
    const std::uint16_t* pixel = lights.entry + lights.start[row];
    const int count = lights.start[row + 1] - lights.start[row];
    for (std::int64_t unit = 0; unit < padded; unit += Lanes<F>::W) {
      F sum(0);
      for (int i = 0; i < count; ++i)
        sum = sum + Lanes<F>::load(weights + pixel[i] * padded + unit);
      store(rows + row * padded + unit, sum);
    }
  }
}

}  // namespace lockstep::cpu
