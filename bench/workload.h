// What is measured: configuration and backends, the same for every benchmark and for the checks
// that run before the first of them.
#pragma once

#include <cstdint>
#include <memory>

#include "bench/names.h"
#include "bench/op_by_op.h"
#include "host/cpu/number_backend.h"

namespace lockstep::bench {

/// CartPole, horizon mode, MLP 4-128-2, gamma 0.99, returns normalised over the batch, Adam.
Config workload_config(const Sizes& sizes, Store store = Store::kLogits);

/// A backend with the initial policy loaded.
std::unique_ptr<CpuBackend> make_backend(const Config& config, Isa isa, int threads);
TrainingState initial_state(const Config& config);

/// A play request of the workload: horizon mode, sampling or random actions.
PlayRequest rollout_request(const Sizes& sizes, bool random_actions);

/// The op-by-op baseline of the same workload, with `num_envs` environments at a time.
std::unique_ptr<OpByOp> make_op_by_op(const Config& config, std::int64_t num_envs,
                                      std::int32_t steps, Isa isa, bool record);

/// Floating-point work of the policy that counts as useful: H (O + 1) multiply-adds a step.
double policy_flops_per_step(const Config& config);

/// Bytes recorded per step with either choice of --store.
double bytes_per_step(Store store);

/// Small workloads computed in every way that is timed: all instruction sets, one and two threads
/// and both stores must give one hash, and the baseline the same gradient up to rounding.
/// Errors: NumericError naming what differs.
void check_correctness();

}  // namespace lockstep::bench
