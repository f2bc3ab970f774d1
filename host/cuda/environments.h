// The environments of a CUDA plug-in; CMake's lockstep_cuda_parts() makes the unit that lists them.
#pragma once

#include <span>

#include "kernels/cuda/launchers.h"
#include "kernels/cuda/table_launchers.h"

namespace lockstep::cuda {

std::span<const Operations* const> operations_list();             // of numbers
std::span<const TableOperations* const> table_operations_list();  // of objects

/// Null if there is none of this name.
const Operations* find_operations(const char* environment);
const TableOperations* find_table_operations(const char* environment);

}  // namespace lockstep::cuda
