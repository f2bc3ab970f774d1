// The benchmarks, by file. Each function registers its rows; names and sizes are in workload.h.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>

#include "bench/workload.h"

namespace lockstep::bench {

void register_rollouts(const Sizes& sizes);  // rollout_bench.cpp
void register_step_calls();                  // step_bench.cpp
void register_training(const Sizes& sizes);  // training_bench.cpp
void register_kernels(const Sizes& sizes);   // kernels_bench.cpp
void register_learning(const Sizes& sizes);  // learning_bench.cpp
void register_pong(const Sizes& sizes);      // pong_bench.cpp
/// Games of all instruction sets and the dense logits, before any is timed.
/// Errors: NumericError.
void check_pong_correctness(const Sizes& sizes);

/// Steps and the share of the multiply-add peak of a timed loop that did `steps` steps a turn.
void count_steps(benchmark::State& state, double steps, double flops_per_step, Isa isa,
                 int threads);

/// One thread is timed by its CPU time, several by the clock on the wall.
void register_steps(const std::string& name, int threads,
                    std::function<void(benchmark::State&)> body);

}  // namespace lockstep::bench
