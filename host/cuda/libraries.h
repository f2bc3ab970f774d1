// Where a library of the CUDA toolkit is, on a machine that has it for PyTorch's sake alone: pip
// puts it into the packages of one Python, where no loader looks.
#pragma once

#include <filesystem>
#include <vector>

namespace lockstep::cuda {

/// Files called `name`, such as "libcublas.so.13", in folders of NVIDIA's Python packages
/// (site-packages/nvidia/<package>/lib): those of PYTHONPATH, then of the Pythons of PATH, then of
/// ~/.local; each in the order of these variables. Nothing is started or loaded.
std::vector<std::filesystem::path> python_libraries(const char* name);

}  // namespace lockstep::cuda
