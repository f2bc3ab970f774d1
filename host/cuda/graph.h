// Launches recorded once and run as a whole.
#pragma once

#include <functional>

#include "host/cuda/memory.h"

namespace lockstep::cuda {

using Graph = Owner<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owner<cudaGraphExec_t, cudaGraphExecDestroy>;

/// Captures what `launch_all` launches on the stream and makes it ready to run as a whole; calls it
/// once before, to load its kernels. Nothing where launches wait (LS_SYNC_LAUNCHES): the caller
/// launches them one by one then.
/// Errors: as cuda_check(); whatever launch_all throws, after the capture was ended.
GraphExec capture_graph(const Stream& stream, const std::function<void()>& launch_all);

}  // namespace lockstep::cuda
