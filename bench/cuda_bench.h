// The rows of a CUDA device. Linked twice: built by nvcc into lockstep_bench, and against the
// emulator into lockstep_bench_emulated, whose times mean nothing; without either cuda_absent.cpp
// takes their place.
#pragma once

#include <map>
#include <string>

#include "bench/names.h"

namespace lockstep::bench {

/// Whether this program computes on the emulator.
bool cuda_is_emulated();

/// The device for the context of a run: "gpu" its name, "device_kind", driver, clock, measured
/// ceilings. Empty if there is no device.
std::map<std::string, std::string> cuda_context();

/// A small update with every mapping and both choices of --store must give the CPU's bits.
/// Errors: NumericError naming what differs.
void check_cuda_correctness();

/// Rows for 64, 4096, 65536 and 1048576 environments, or for sizes.num_envs if that was chosen.
/// None without a device.
void register_cuda(const Sizes& sizes);

}  // namespace lockstep::bench
