// FNV-1a, for fingerprints of results. Not for files: those have CRCs.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <type_traits>

namespace lockstep {

/// 64-bit FNV-1a over the bytes of trivially copyable values, in memory order (little-endian).
/// Source: Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv/
class Fnv64 {
 public:
  template <class T>
  void add(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (std::size_t i = 0; i < values.size_bytes(); ++i) {
      hash_ = (hash_ ^ bytes[i]) * 0x100000001b3u;
    }
  }
  template <class T>
  void add(std::span<T> values) {
    add(std::span<const T>(values));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace lockstep
