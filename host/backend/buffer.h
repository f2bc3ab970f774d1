// Owning, move-only, uninitialised memory of the host, aligned for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "host/backend/machine.h"
#include "host/errors.h"

namespace lockstep {

/// `count` values of a trivially copyable type, 64-byte aligned and not initialised.
/// Errors: OutOfMemory with the bytes wanted and allowed, before anything is allocated.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(std::int64_t count) : count_(count) {
    if (count <= 0) return;
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    claim_ = MemoryClaim(static_cast<std::int64_t>(bytes));
    data_ = static_cast<T*>(std::aligned_alloc(64, bytes));
    if (data_ == nullptr) throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes");
  }
  ~Buffer() { std::free(data_); }
  Buffer(Buffer&& other) noexcept
      : claim_(std::move(other.claim_)),
        data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(claim_, other.claim_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return count_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  const T& operator[](std::int64_t i) const { return data_[i]; }
  void zero() {
    if (count_ > 0) std::memset(data_, 0, static_cast<std::size_t>(count_) * sizeof(T));
  }

 private:
  MemoryClaim claim_;
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace lockstep
