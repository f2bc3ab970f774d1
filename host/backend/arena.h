// One allocation for many arrays. The list of fields is written once, as a function that places
// them on an Arena: on an empty one it counts the bytes, on memory it hands out the pointers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep {

/// Hands out 256-byte aligned places one behind the other. Owns nothing.
class Arena {
 public:
  static constexpr std::int64_t kAlign = 256;  // of cudaMalloc, and of every vector width

  Arena() = default;
  explicit Arena(std::byte* memory) : memory_(memory) {}

  /// `field` becomes the place of `count` values; null without memory, or without values.
  template <class T>
  void place(T*& field, std::int64_t count) {
    field = memory_ != nullptr && count > 0 ? reinterpret_cast<T*>(memory_ + bytes_) : nullptr;
    bytes_ += (count * static_cast<std::int64_t>(sizeof(T)) + kAlign - 1) / kAlign * kAlign;
  }
  /// Of everything placed so far, a multiple of kAlign.
  std::int64_t bytes() const { return bytes_; }

 private:
  std::byte* memory_ = nullptr;
  std::int64_t bytes_ = 0;
};

/// Bytes that `place_all`, called with an Arena, asks for.
template <class PlaceAll>
std::int64_t arena_bytes(PlaceAll&& place_all) {
  Arena counting;
  place_all(counting);
  return counting.bytes();
}

}  // namespace lockstep
