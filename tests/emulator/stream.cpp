// Streams and events. A stream is a queue; calls that wait let the device work, one piece at a time
// from a stream chosen at random among those that can go on, so that an order nobody asked for is
// not kept: a missing wait shows as wrong data.
#include <algorithm>

#include "tests/emulator/runtime.h"

namespace cuemu {
namespace {

bool runnable(const Stream& stream) {
  if (stream.queue.empty()) return false;
  const auto& after = stream.queue.front().after;
  return std::all_of(after.begin(), after.end(), [](const Mark& mark) { return mark.done(); });
}

Stream* choose() {
  std::vector<Stream*> able;
  for (const auto& stream : runtime().streams) {
    if (runnable(*stream)) able.push_back(stream.get());
  }
  if (able.empty()) return nullptr;
  switch (settings().order) {
    case Order::kForward:
      return able.front();
    case Order::kReverse:
      return able.back();
    default:
      return able[next_random(runtime().random) % able.size()];
  }
}

// Destroyed streams are kept until their last work has run.
void forget_finished_streams() {
  auto& streams = runtime().streams;
  const auto is_live = [](const Stream* stream) {
    if (stream->null || !stream->queue.empty()) return true;
    return std::any_of(runtime().stream_handles.begin(), runtime().stream_handles.end(),
                       [&](const auto& entry) { return entry.second.get() == stream; });
  };
  std::erase_if(streams, [&](const auto& stream) { return !is_live(stream.get()); });
}

bool run_one() {
  Stream* const stream = choose();
  if (stream == nullptr) return false;
  Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  work.run();
  ++stream->completed;
  return true;
}

// The order that the null stream keeps with the streams that were not made non-blocking.
void add_implicit_order(const Stream& stream, std::vector<Mark>& after) {
  if (!stream.blocking) return;
  for (const auto& other : runtime().streams) {
    if (other.get() == &stream || other->device != stream.device || !other->blocking) continue;
    if ((stream.null || other->null) && other->issued > other->completed) {
      after.push_back(mark_of(other));
    }
  }
}

std::shared_ptr<Stream> make_stream(bool blocking, bool null) {
  auto stream = std::make_shared<Stream>();
  stream->device = current_device();
  stream->blocking = blocking;
  stream->null = null;
  stream->number = runtime().next_stream++;
  runtime().streams.push_back(stream);
  return stream;
}

std::shared_ptr<Stream> null_stream() {
  for (const auto& stream : runtime().null_streams) {
    if (stream->device == current_device()) return stream;
  }
  runtime().null_streams.push_back(make_stream(true, true));
  return runtime().null_streams.back();
}

}  // namespace

bool Mark::done() const { return stream == nullptr || stream->completed >= ticket; }

std::shared_ptr<Stream> find_stream(cudaStream_t handle) {
  if (handle == nullptr) return null_stream();
  const auto at = runtime().stream_handles.find(handle);
  return at == runtime().stream_handles.end() ? nullptr : at->second;
}

Mark mark_of(const std::shared_ptr<Stream>& stream) { return {stream, stream->issued}; }

cudaError_t submit(const std::shared_ptr<Stream>& stream, std::function<void()> run,
                   std::vector<Mark> after) {
  if (stream->capture != nullptr) {
    Capture& capture = *stream->capture;
    if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
    capture.nodes.push_back({std::move(run), stream->tail});
    stream->tail = {capture.nodes.size() - 1};
    return cudaSuccess;
  }
  if (stream->null) {
    for (const auto& other : runtime().streams) {
      if (other->capture == nullptr || !other->blocking) continue;
      other->capture->invalid = true;
      return cudaErrorStreamCaptureImplicit;
    }
  }
  add_implicit_order(*stream, after);
  stream->queue.push_back({std::move(run), std::move(after)});
  ++stream->issued;
  return cudaSuccess;
}

void work_until(const std::function<bool()>& done) {
  const DeviceAccess access;
  while (!done()) {
    if (!run_one()) stop("streams wait for each other and none can go on");
  }
  forget_finished_streams();
}

void work_once() {
  const DeviceAccess access;
  run_one();
}

void drain(const std::shared_ptr<Stream>& stream) {
  work_until([&] { return stream->queue.empty(); });
}

void drain_device(int device) {
  work_until([&] {
    return std::all_of(runtime().streams.begin(), runtime().streams.end(),
                       [&](const auto& s) { return s->device != device || s->queue.empty(); });
  });
}

namespace {

cudaError_t create_stream(cudaStream_t* handle, unsigned flags) {
  return api(CallKind::kCreate, [&] {
    if (handle == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    auto stream = make_stream(flags == cudaStreamDefault, false);
    *handle = reinterpret_cast<cudaStream_t>(stream.get());
    runtime().stream_handles[*handle] = std::move(stream);
    return cudaSuccess;
  });
}

cudaError_t create_event(cudaEvent_t* handle, unsigned flags) {
  return api(CallKind::kCreate, [&] {
    if (handle == nullptr || flags > (cudaEventBlockingSync | cudaEventDisableTiming)) {
      return cudaErrorInvalidValue;
    }
    auto event = std::make_shared<Event>();
    event->timed = (flags & cudaEventDisableTiming) == 0;
    event->device = current_device();
    *handle = reinterpret_cast<cudaEvent_t>(event.get());
    runtime().events[*handle] = std::move(event);
    return cudaSuccess;
  });
}

std::shared_ptr<Event> find_event(cudaEvent_t handle) {
  const auto at = runtime().events.find(handle);
  return at == runtime().events.end() ? nullptr : at->second;
}

// The error of waiting for, or asking about, a stream or an event that is part of a capture.
cudaError_t refuse_captured(const std::shared_ptr<Capture>& capture, cudaError_t error) {
  if (capture == nullptr) return refuse_while_capturing();
  capture->invalid = true;
  return error;
}

cudaError_t wait_for_event(const std::shared_ptr<Stream>& stream, const Event& event) {
  if (const auto capture = active_capture(event.capture)) {
    if (stream->capture != nullptr && stream->capture != capture) {
      return cudaErrorStreamCaptureMerge;
    }
    stream->capture = capture;  // a fork: the stream joins the capture
    for (const std::size_t node : event.nodes) {
      if (std::find(stream->tail.begin(), stream->tail.end(), node) == stream->tail.end()) {
        stream->tail.push_back(node);
      }
    }
    return cudaSuccess;
  }
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (!event.recorded) return cudaSuccess;
  return submit(stream, [] {}, {event.mark});
}

}  // namespace
}  // namespace cuemu

using namespace cuemu;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return create_stream(stream, cudaStreamDefault);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return create_stream(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api(CallKind::kRelease, [&] {
    const auto at = runtime().stream_handles.find(handle);
    if (at == runtime().stream_handles.end()) return cudaErrorInvalidResourceHandle;
    if (at->second->capture != nullptr) at->second->capture->invalid = true;
    runtime().stream_handles.erase(at);
    forget_finished_streams();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const auto error = refuse_captured(stream->capture, cudaErrorStreamCaptureUnsupported)) {
      return error;
    }
    ++runtime().counters.synchronisations;
    drain(stream);
    return cudaSuccess;
  });
}

// Each query lets the device make one step, so that a loop of queries comes to an end.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const auto error = refuse_captured(stream->capture, cudaErrorStreamCaptureUnsupported)) {
      return error;
    }
    work_once();
    return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return api(CallKind::kWork, [&] {
    if (const cudaError_t error = refuse_while_capturing()) return error;
    ++runtime().counters.synchronisations;
    drain_device(current_device());
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t event_handle,
                                unsigned flags) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(stream_handle);
    const auto event = find_event(event_handle);
    if (stream == nullptr || event == nullptr) return cudaErrorInvalidResourceHandle;
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    return wait_for_event(stream, *event);
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return create_event(event, cudaEventDefault); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return create_event(event, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return api(CallKind::kRelease, [&] {
    return runtime().events.erase(handle) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t stream_handle) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(stream_handle);
    const auto event = find_event(event_handle);
    if (stream == nullptr || event == nullptr || stream->device != event->device) {
      return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != nullptr) {
      event->capture = stream->capture;
      event->nodes = stream->tail;
      return cudaSuccess;
    }
    const cudaError_t error =
        submit(stream, [event] { event->time = std::chrono::steady_clock::now(); });
    if (error != cudaSuccess) return error;
    event->capture.reset();
    event->recorded = true;
    event->mark = mark_of(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return api(CallKind::kWork, [&] {
    const auto event = find_event(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    const auto capture = active_capture(event->capture);
    if (const auto error = refuse_captured(capture, cudaErrorCapturedEvent)) return error;
    ++runtime().counters.synchronisations;
    work_until([&] { return event->mark.done(); });
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return api(CallKind::kWork, [&] {
    const auto event = find_event(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    const auto capture = active_capture(event->capture);
    if (const auto error = refuse_captured(capture, cudaErrorCapturedEvent)) return error;
    work_once();
    return event->mark.done() ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return api(CallKind::kWork, [&] {
    const auto a = find_event(start);
    const auto b = find_event(end);
    if (milliseconds == nullptr) return cudaErrorInvalidValue;
    if (a == nullptr || b == nullptr || !a->timed || !b->timed || !a->recorded || !b->recorded) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!a->mark.done() || !b->mark.done()) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(b->time - a->time).count();
    return cudaSuccess;
  });
}

}  // extern "C"
