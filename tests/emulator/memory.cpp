// Allocations and copies. Each allocation is a heap block of exactly its size, so that the address
// sanitizer sees its ends, filled so that what was never written shows.
#include <cstdlib>
#include <cstring>

#include "tests/emulator/fiber.h"
#include "tests/emulator/runtime.h"

#if CUEMU_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace cuemu {
namespace {

constexpr std::size_t kAlignment = 256;

std::uintptr_t number_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

// The allocation that `address` lies in, or nullptr: pageable memory of the host.
const Allocation* find_allocation(const void* address, std::size_t& offset) {
  const auto& all = runtime().allocations;
  auto at = all.upper_bound(number_of(address));
  if (at == all.begin()) return nullptr;
  --at;
  offset = number_of(address) - at->first;
  return offset < at->second.bytes ? &at->second : nullptr;
}

// The word of the device's memory at `offset` before it is written: NaN as a float or as half of a
// double, below 0 as an integer, and one in a million by which a copy knows it again.
std::uint32_t unwritten_word(std::size_t offset) {
  std::uint64_t state = offset;
  return 0xfff00000u | static_cast<std::uint32_t>(1 + next_random(state) % 0xffffeu);
}

void fill_unwritten(void* memory, std::size_t bytes, Place place) {
  std::memset(memory, 0xFF, bytes);
  if (place != Place::kDevice) return;
  for (std::size_t at = 0; at + 4 <= bytes; at += 4) {
    const std::uint32_t word = unwritten_word(at);
    std::memcpy(static_cast<unsigned char*>(memory) + at, &word, 4);
  }
}

// What compute-sanitizer calls an uninitialised access by the source of a copy.
void require_written(const void* address, std::size_t bytes) {
  std::size_t begin = 0;
  if (!settings().initcheck || find_allocation(address, begin) == nullptr) return;
  const auto* const from = static_cast<const unsigned char*>(address);
  for (std::size_t at = (4 - begin % 4) % 4; at + 4 <= bytes; at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, from + at, 4);
    if (word != unwritten_word(begin + at)) continue;
    stop("copy of " + std::to_string(bytes) + " bytes to the host: nobody wrote the one at " +
         std::to_string(at) + ", which is at " + std::to_string(begin + at) + " of its allocation");
  }
}

void poison(const void* address, std::size_t bytes, bool on) {
#if CUEMU_ASAN
  if (on) {
    __asan_poison_memory_region(address, bytes);
  } else {
    __asan_unpoison_memory_region(address, bytes);
  }
#else
  static_cast<void>(address), static_cast<void>(bytes), static_cast<void>(on);
#endif
}

void poison_device_memory(bool on) {
  if (!settings().poison) return;
  for (const auto& [start, allocation] : runtime().allocations) {
    if (allocation.place == Place::kDevice) {
      poison(reinterpret_cast<const void*>(start), allocation.bytes, on);
    }
  }
}

std::size_t used_bytes(int device) {
  std::size_t total = 0;
  for (const auto& [start, allocation] : runtime().allocations) {
    if (allocation.place == Place::kDevice && allocation.device == device) {
      total += allocation.bytes;
    }
  }
  return total;
}

cudaError_t allocate(void** address, std::size_t bytes, Place place) {
  if (address == nullptr) return cudaErrorInvalidValue;
  *address = nullptr;
  if (const cudaError_t error = refuse_while_capturing(); error != cudaSuccess) return error;
  if (bytes == 0) return cudaSuccess;
  const std::size_t limit = settings().memory_bytes;
  if (place == Place::kDevice && (bytes > limit || used_bytes(current_device()) > limit - bytes)) {
    return cudaErrorMemoryAllocation;
  }
  void* memory = nullptr;
  if (::posix_memalign(&memory, kAlignment, bytes) != 0) return cudaErrorMemoryAllocation;
  fill_unwritten(memory, bytes, place);
  runtime().allocations[number_of(memory)] = {bytes, current_device(), place};
  if (place == Place::kDevice && settings().poison) poison(memory, bytes, true);
  ++runtime().counters.allocations;
  *address = memory;
  return cudaSuccess;
}

cudaError_t release(void* address, Place place) {
  if (address == nullptr) return cudaSuccess;
  const auto at = runtime().allocations.find(number_of(address));
  if (at == runtime().allocations.end() || at->second.place != place) return cudaErrorInvalidValue;
  if (const cudaError_t error = refuse_while_capturing(); error != cudaSuccess) return error;
  // work that still uses the memory ends first
  ++runtime().counters.synchronisations;
  drain_device(at->second.device);
  poison(address, at->second.bytes, false);
  runtime().allocations.erase(at);
  std::free(address);
  return cudaSuccess;
}

// Where `address` is, or an error when `bytes` from it do not fit what it points to.
cudaError_t locate(const void* address, std::size_t bytes, Place& place) {
  std::size_t offset = 0;
  const Allocation* const allocation = find_allocation(address, offset);
  place = allocation == nullptr ? Place::kPageable : allocation->place;
  const bool fits = allocation == nullptr || bytes <= allocation->bytes - offset;
  return fits ? cudaSuccess : cudaErrorInvalidValue;
}

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
  Place to_place;
  Place from_place;
};

cudaError_t check_copy(Copy& copy, cudaMemcpyKind kind) {
  if (copy.to == nullptr || copy.from == nullptr) return cudaErrorInvalidValue;
  if (const cudaError_t error = locate(copy.to, copy.bytes, copy.to_place)) return error;
  if (const cudaError_t error = locate(copy.from, copy.bytes, copy.from_place)) return error;
  const bool to_device = copy.to_place == Place::kDevice;
  const bool from_device = copy.from_place == Place::kDevice;
  bool right = true;
  switch (kind) {
    case cudaMemcpyHostToHost:
      right = !to_device && !from_device;
      break;
    case cudaMemcpyHostToDevice:
      right = to_device && !from_device;
      break;
    case cudaMemcpyDeviceToHost:
      right = !to_device && from_device;
      break;
    case cudaMemcpyDeviceToDevice:
      right = to_device && from_device;
      break;
    case cudaMemcpyDefault:
      break;
    default:
      return cudaErrorInvalidMemcpyDirection;
  }
  return right ? cudaSuccess : cudaErrorInvalidValue;
}

bool is_to_host(const Copy& copy) {
  return copy.from_place == Place::kDevice && copy.to_place != Place::kDevice;
}

void count_copy(const Copy& copy) {
  ++runtime().counters.copies;
  if (is_to_host(copy)) runtime().counters.bytes_to_host += static_cast<long>(copy.bytes);
}

std::function<void()> late(const Copy& copy) {
  return [copy] {
    if (is_to_host(copy)) require_written(copy.from, copy.bytes);
    std::memmove(copy.to, copy.from, copy.bytes);
  };
}

// The source is read now, as the driver does when it copies pageable memory to its own buffer.
std::function<void()> staged(const Copy& copy) {
  const auto* const bytes = static_cast<const unsigned char*>(copy.from);
  auto buffer = std::make_shared<std::vector<unsigned char>>(bytes, bytes + copy.bytes);
  return [copy, buffer] { std::memcpy(copy.to, buffer->data(), buffer->size()); };
}

cudaError_t copy_async(Copy copy, cudaMemcpyKind kind, const std::shared_ptr<Stream>& stream) {
  if (copy.bytes == 0) return cudaSuccess;
  if (const cudaError_t error = check_copy(copy, kind)) return error;
  count_copy(copy);
  if (stream->capture != nullptr) return submit(stream, late(copy));
  if (copy.from_place == Place::kPageable && copy.to_place == Place::kDevice) {
    return submit(stream, staged(copy));
  }
  const cudaError_t error = submit(stream, late(copy));
  if (error == cudaSuccess && copy.to_place == Place::kPageable) {
    ++runtime().counters.synchronisations;  // the call returns when the host has its bytes
    drain(stream);
  }
  return error;
}

cudaError_t set_async(void* address, int value, std::size_t bytes,
                      const std::shared_ptr<Stream>& stream) {
  if (bytes == 0) return cudaSuccess;
  Place place = Place::kPageable;
  if (const cudaError_t error = locate(address, bytes, place)) return error;
  if (place == Place::kPageable) return cudaErrorInvalidValue;
  ++runtime().counters.copies;
  return submit(stream, [=] { std::memset(address, value, bytes); });
}

}  // namespace

bool is_device_range(const void* address, std::size_t bytes) {
  Place place = Place::kPageable;
  return locate(address, bytes, place) == cudaSuccess && place == Place::kDevice;
}

DeviceAccess::DeviceAccess() { poison_device_memory(false); }
DeviceAccess::~DeviceAccess() { poison_device_memory(true); }

}  // namespace cuemu

using namespace cuemu;

extern "C" {

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  return api(CallKind::kAllocate, [&] { return allocate(address, bytes, Place::kDevice); });
}
cudaError_t cudaMallocHost(void** address, std::size_t bytes) {
  return api(CallKind::kAllocate, [&] { return allocate(address, bytes, Place::kPinned); });
}
cudaError_t cudaFree(void* address) {
  return api(CallKind::kRelease, [&] { return release(address, Place::kDevice); });
}
cudaError_t cudaFreeHost(void* address) {
  return api(CallKind::kRelease, [&] { return release(address, Place::kPinned); });
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  return api(CallKind::kCreate, [&] {
    if (free_bytes == nullptr || total_bytes == nullptr) return cudaErrorInvalidValue;
    *total_bytes = settings().memory_bytes;
    *free_bytes = settings().memory_bytes - used_bytes(current_device());
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return copy_async({to, from, bytes, {}, {}}, kind, stream);
  });
}

// Complete when it returns, except from device to device, which the host does not wait for.
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return api(CallKind::kWork, [&] {
    if (const cudaError_t error = refuse_while_capturing()) return error;
    const auto stream = find_stream(nullptr);
    Copy copy{to, from, bytes, {}, {}};
    if (bytes == 0) return cudaSuccess;
    if (const cudaError_t error = check_copy(copy, kind)) return error;
    count_copy(copy);
    const cudaError_t error = submit(stream, late(copy));
    const bool waits = copy.to_place != Place::kDevice || copy.from_place != Place::kDevice;
    if (error != cudaSuccess || !waits) return error;
    ++runtime().counters.synchronisations;
    drain(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t handle) {
  return api(CallKind::kWork, [&] {
    const auto stream = find_stream(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return set_async(address, value, bytes, stream);
  });
}

cudaError_t cudaMemset(void* address, int value, std::size_t bytes) {
  return api(CallKind::kWork, [&] {
    if (const cudaError_t error = refuse_while_capturing()) return error;
    return set_async(address, value, bytes, find_stream(nullptr));
  });
}

}  // extern "C"
