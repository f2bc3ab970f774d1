// What is said about the device a command computes on.
#pragma once

#include <string>

#include "host/config.h"

namespace lockstep::cli {

/// "cpu avx512" or "cuda:0 NVIDIA H200". Errors: as choose_device().
std::string device_text(const Config& config);

/// One line on stderr if --device auto falls back to the CPU although there is a CUDA plug-in; once
/// a process, and never with --quiet, which is the call's and not the run's. Errors: as
/// choose_device().
void note_device(const Config& config, bool quiet);

}  // namespace lockstep::cli
