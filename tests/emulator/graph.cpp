// Stream capture and graphs. A graph is what was captured: work and what each piece comes after. It
// runs as one piece of its stream, its nodes in any order that respects the edges.
#include <algorithm>

#include "tests/emulator/runtime.h"

struct CUgraphNode_st {
  std::size_t index;
};

struct CUgraph_st {
  std::vector<cuemu::Node> nodes;
  std::vector<CUgraphNode_st> handles;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<cuemu::Node>> nodes;
  cuemu::Mark last_launch;
};

namespace cuemu {
namespace {

std::set<cudaGraph_t>& graphs() {
  static auto* const all = new std::set<cudaGraph_t>;
  return *all;
}

std::set<cudaGraphExec_t>& executables() {
  static auto* const all = new std::set<cudaGraphExec_t>;
  return *all;
}

void run_nodes(const std::vector<Node>& nodes) {
  std::vector<bool> done(nodes.size(), false);
  for (std::size_t left = nodes.size(); left > 0; --left) {
    std::vector<std::size_t> able;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto& after = nodes[i].after;
      if (!done[i] && std::all_of(after.begin(), after.end(), [&](auto j) { return done[j]; })) {
        able.push_back(i);
      }
    }
    std::size_t pick = able.front();
    if (settings().order == Order::kReverse) pick = able.back();
    if (settings().order == Order::kRandom)
      pick = able[next_random(runtime().random) % able.size()];
    nodes[pick].run();
    done[pick] = true;
  }
}

// Whether every node comes before one of `tail`, or is one of it.
bool all_joined(const Capture& capture, const std::vector<std::size_t>& tail) {
  std::vector<bool> reached(capture.nodes.size(), false);
  std::vector<std::size_t> open = tail;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    const auto& after = capture.nodes[node].after;
    open.insert(open.end(), after.begin(), after.end());
  }
  return std::all_of(reached.begin(), reached.end(), [](bool r) { return r; });
}

void leave_capture(const Capture* capture) {
  for (const auto& stream : runtime().streams) {
    if (stream->capture.get() != capture) continue;
    stream->capture = nullptr;
    stream->tail.clear();
  }
}

}  // namespace

std::shared_ptr<Capture> active_capture(const std::weak_ptr<Capture>& capture) {
  return capture.lock();  // the streams that capture hold the only other references
}

cudaError_t refuse_while_capturing() {
  bool refused = false;
  std::erase_if(runtime().captures, [](const auto& capture) { return capture.expired(); });
  for (const auto& weak : runtime().captures) {
    const auto capture = weak.lock();
    const bool own = capture->thread == this_thread();
    if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeThreadLocal && !own) continue;
    capture->invalid = true;
    refused = true;
  }
  return refused ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

}  // namespace cuemu

using namespace cuemu;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return api(CallKind::kCreate, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->null) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture != nullptr) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream.get();
    stream->capture->mode = mode;
    stream->capture->thread = this_thread();
    runtime().captures.push_back(stream->capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return api(CallKind::kCreate, [&] {
    if (graph == nullptr) return cudaErrorInvalidValue;
    *graph = nullptr;
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    const auto capture = stream->capture;
    if (capture == nullptr) return cudaErrorIllegalState;
    if (capture->origin != stream.get()) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != this_thread()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    const bool joined = all_joined(*capture, stream->tail);
    leave_capture(capture.get());
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (!joined) return cudaErrorStreamCaptureUnjoined;
    auto* const made = new CUgraph_st{capture->nodes, {}};
    for (std::size_t i = 0; i < made->nodes.size(); ++i) made->handles.push_back({i});
    graphs().insert(made);
    ++runtime().other_objects;
    *graph = made;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return api(CallKind::kCreate, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (status == nullptr) return cudaErrorInvalidValue;
    *status = cudaStreamCaptureStatusNone;
    if (stream->capture != nullptr) {
      *status = stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags) {
  return api(CallKind::kCreate, [&] {
    if (exec == nullptr || flags != 0 || !graphs().contains(graph)) return cudaErrorInvalidValue;
    *exec = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes), {}};
    executables().insert(*exec);
    ++runtime().other_objects;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  return api(CallKind::kLaunch, [&] {
    if (!executables().contains(exec)) return cudaErrorInvalidValue;
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    ++runtime().counters.launches;
    const auto run = [nodes = exec->nodes] { run_nodes(*nodes); };
    const bool captured = stream->capture != nullptr;
    // launches of one executable do not overlap
    const cudaError_t error = submit(stream, run, {exec->last_launch});
    if (error == cudaSuccess && !captured) exec->last_launch = mark_of(stream);
    return error;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return api(CallKind::kRelease, [&] {
    if (graphs().erase(graph) == 0) return cudaErrorInvalidValue;
    delete graph;
    --runtime().other_objects;
    return cudaSuccess;
  });
}

// A launch that has not run yet keeps what it needs.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return api(CallKind::kRelease, [&] {
    if (executables().erase(exec) == 0) return cudaErrorInvalidValue;
    delete exec;
    --runtime().other_objects;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  return api(CallKind::kCreate, [&] {
    if (!graphs().contains(graph) || count == nullptr) return cudaErrorInvalidValue;
    if (nodes == nullptr) {
      *count = graph->handles.size();
      return cudaSuccess;
    }
    const std::size_t room = *count;
    for (std::size_t i = 0; i < room; ++i) {
      nodes[i] = i < graph->handles.size() ? &graph->handles[i] : nullptr;
    }
    *count = std::min(room, graph->handles.size());
    return cudaSuccess;
  });
}

}  // extern "C"
