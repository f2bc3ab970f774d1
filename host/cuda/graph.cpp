// See graph.h.
#include "host/cuda/graph.h"

#include "kernels/cuda/launch_mode.h"

namespace lockstep::cuda {

GraphExec capture_graph(const Stream& stream, const std::function<void()>& launch_all) {
  if (synchronous_launches()) return {};
  {
    const KernelLoading loading;
    launch_all();
  }
  cuda_check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal),
             "starting a capture");
  cudaGraph_t captured = nullptr;
  const auto end = [&] { return cudaStreamEndCapture(stream.get(), &captured); };
  try {
    launch_all();
  } catch (...) {
    static_cast<void>(end());
    const Graph unfinished(captured);
    static_cast<void>(cudaGetLastError());
    throw;
  }
  const cudaError_t status = end();
  if (status != cudaSuccess) static_cast<void>(end());  // a stream must not stay in a capture
  const Graph graph(captured);
  cuda_check(status, "ending a capture");
  cudaGraphExec_t exec = nullptr;
  cuda_check(cudaGraphInstantiate(&exec, graph.get(), 0), "making a graph");
  return GraphExec(exec);
}

}  // namespace lockstep::cuda
