// The state behind the runtime API: one per process, guarded by one lock, which is held while
// device work runs as well. Streams are queues; nothing runs before a call that waits (stream.cpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "cuda_runtime.h"
#include "cuemu/control.h"
#include "tests/emulator/settings.h"

namespace cuemu {

struct Stream;
struct Capture;

/// A point in a stream: done when everything up to it has run.
struct Mark {
  std::shared_ptr<Stream> stream;
  std::uint64_t ticket = 0;
  bool done() const;
};

struct Work {
  std::function<void()> run;
  std::vector<Mark> after;  ///< may not run before these
};

struct Stream {
  int device = 0;
  bool blocking = true;  ///< orders itself with the null stream
  bool null = false;
  std::uint64_t number = 0;
  std::deque<Work> queue;
  std::uint64_t issued = 0;
  std::uint64_t completed = 0;
  std::shared_ptr<Capture> capture;
  std::vector<std::size_t> tail;  ///< while capturing: nodes the next one comes after
};

struct Event {
  bool timed = true;
  int device = 0;
  bool recorded = false;
  Mark mark;
  std::chrono::steady_clock::time_point time;
  std::weak_ptr<Capture> capture;  ///< of the record, if that was captured
  std::vector<std::size_t> nodes;
};

struct Node {
  std::function<void()> run;
  std::vector<std::size_t> after;
};

struct Capture {
  std::vector<Node> nodes;
  Stream* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  const void* thread = nullptr;  ///< identity of the host thread that began it
  bool invalid = false;
};

enum class Place { kDevice, kPinned, kPageable };

struct Allocation {
  std::size_t bytes;
  int device;
  Place place;
};

/// What kind of call it is decides which error a planted failure gives.
enum class CallKind {
  kAllocate,  ///< cudaErrorMemoryAllocation
  kLaunch,    ///< cudaErrorLaunchFailure, stays
  kWork,      ///< copies and waits: cudaErrorIllegalAddress, stays
  kCreate,    ///< cudaErrorUnknown
  kRelease,   ///< never fails by plan; takes effect even after a fault
};

struct Runtime {
  std::mutex lock;
  Counters counters;
  long fallible_calls = 0;
  long fail_call = settings().fail_call;
  int fail_error = settings().fail_error;
  cudaError_t sticky = cudaSuccess;
  std::uint64_t random = settings().seed;
  std::uint64_t next_stream = 0;
  std::vector<std::shared_ptr<Stream>> streams;  ///< also destroyed ones that still have work
  std::vector<std::shared_ptr<Stream>> null_streams;
  std::map<cudaStream_t, std::shared_ptr<Stream>> stream_handles;
  std::map<cudaEvent_t, std::shared_ptr<Event>> events;
  std::map<std::uintptr_t, Allocation> allocations;
  std::vector<std::weak_ptr<Capture>> captures;
  std::unordered_map<const void*, int> dynamic_shared_limits;
  std::set<const void*> loaded_kernels;
  bool kernels_from_ptx = false;
  Device device = settings().device;  ///< what all devices are
  long other_objects = 0;             ///< graphs, executables, library handles
};

/// Callers hold its lock, except through api().
Runtime& runtime();
int& current_device();
const void* this_thread();

// --- calls (runtime.cpp) ---
cudaError_t begin_call(CallKind kind);
cudaError_t end_call(CallKind kind, cudaError_t begun, cudaError_t result);

/// Runs the body of an API function under the lock, with planted failures and the last error kept.
template <class Body>
cudaError_t api(CallKind kind, Body body) {
  const std::lock_guard guard(runtime().lock);
  const cudaError_t begun = begin_call(kind);
  cudaError_t result = begun;
  if (begun == cudaSuccess || kind == CallKind::kRelease) result = body();
  return end_call(kind, begun, result);
}

// --- streams (stream.cpp) ---
/// Null for a handle that is none.
std::shared_ptr<Stream> find_stream(cudaStream_t handle);
/// Queues work, or adds a node to the graph the stream is capturing.
cudaError_t submit(const std::shared_ptr<Stream>& stream, std::function<void()> run,
                   std::vector<Mark> after = {});
Mark mark_of(const std::shared_ptr<Stream>& stream);
/// Lets the device work until `done`; a stream that can go on is chosen at random each time.
void work_until(const std::function<bool()>& done);
void work_once();
void drain(const std::shared_ptr<Stream>& stream);
void drain_device(int device);

// --- capture (graph.cpp) ---
/// The error of a call that waits or allocates while a capture forbids it; invalidates the capture.
cudaError_t refuse_while_capturing();
std::shared_ptr<Capture> active_capture(const std::weak_ptr<Capture>& capture);

// --- memory (memory.cpp) ---
/// Whether all `bytes` from `address` lie in one device allocation.
bool is_device_range(const void* address, std::size_t bytes);
/// While one lives, device memory may be touched; otherwise LS_EMULATOR_POISON=1 forbids it.
struct DeviceAccess {
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace cuemu
