// Warp operations. All are one mechanism: a lane parks with its argument, and the last lane of the
// mask to arrive computes the results of all. A value from a lane that took no part is 0xDB bytes.
#pragma once

#include <concepts>
#include <cstring>

#include "cuemu/device.h"

namespace cuemu {

enum class WarpOp {
  kSync,
  kShuffle,
  kShuffleUp,
  kShuffleDown,
  kShuffleXor,
  kBallot,
  kAny,
  kAll,
  kMatchAny,
  kAddReduce,
  kMinReduce,
  kMaxReduce,
  kMinReduceSigned,
  kMaxReduceSigned,
  kAndReduce,
  kOrReduce,
  kXorReduce,
};

/// What one lane brings to a warp operation and takes from it.
struct WarpArgument {
  std::uint64_t in = 0;   ///< value bits, or a predicate
  int select = 0;         ///< source lane, distance or lane mask of a shuffle
  int width = 32;         ///< lanes of a shuffle's segment, a power of two
  int bytes = 4;          ///< size of the value: lanes must agree
  std::uint64_t out = 0;  ///< result bits
};

/// Runs `op` over the lanes of `mask`; all of them must arrive at the same file and line.
void warp_collective(WarpOp op, unsigned mask, WarpArgument& argument, const char* file, int line);

template <class T>
concept ShuffleValue = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, long> ||
    std::same_as<T, unsigned long> || std::same_as<T, long long> ||
    std::same_as<T, unsigned long long> || std::same_as<T, float> || std::same_as<T, double>;

template <ShuffleValue T>
T shuffle(WarpOp op, unsigned mask, T value, int select, int width, const char* file, int line) {
  WarpArgument argument;
  std::memcpy(&argument.in, &value, sizeof(T));
  argument.select = select;
  argument.width = width;
  argument.bytes = static_cast<int>(sizeof(T));
  warp_collective(op, mask, argument, file, line);
  T result;
  std::memcpy(&result, &argument.out, sizeof(T));
  return result;
}

inline unsigned reduce(WarpOp op, unsigned mask, unsigned value, const char* file, int line) {
  WarpArgument argument;
  argument.in = value;
  warp_collective(op, mask, argument, file, line);
  return static_cast<unsigned>(argument.out);
}

}  // namespace cuemu

#define CUEMU_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncwarp(unsigned mask = 0xffffffffu, CUEMU_SITE) {
  cuemu::WarpArgument argument;
  cuemu::warp_collective(cuemu::WarpOp::kSync, mask, argument, file, line);
}
template <cuemu::ShuffleValue T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, CUEMU_SITE) {
  return cuemu::shuffle(cuemu::WarpOp::kShuffle, mask, value, source, width, file, line);
}
template <cuemu::ShuffleValue T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CUEMU_SITE) {
  return cuemu::shuffle(cuemu::WarpOp::kShuffleUp, mask, value, static_cast<int>(delta), width,
                        file, line);
}
template <cuemu::ShuffleValue T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CUEMU_SITE) {
  return cuemu::shuffle(cuemu::WarpOp::kShuffleDown, mask, value, static_cast<int>(delta), width,
                        file, line);
}
template <cuemu::ShuffleValue T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, CUEMU_SITE) {
  return cuemu::shuffle(cuemu::WarpOp::kShuffleXor, mask, value, lane_mask, width, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kBallot, mask, predicate != 0, file, line);
}
inline int __any_sync(unsigned mask, int predicate, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kAny, mask, predicate != 0, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kAll, mask, predicate != 0, file, line) != 0;
}
template <cuemu::ShuffleValue T>
unsigned __match_any_sync(unsigned mask, T value, CUEMU_SITE) {
  cuemu::WarpArgument argument;
  std::memcpy(&argument.in, &value, sizeof(T));
  argument.bytes = static_cast<int>(sizeof(T));
  cuemu::warp_collective(cuemu::WarpOp::kMatchAny, mask, argument, file, line);
  return static_cast<unsigned>(argument.out);
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kAddReduce, mask, value, file, line);
}
inline int __reduce_add_sync(unsigned mask, int value, CUEMU_SITE) {
  return static_cast<int>(
      cuemu::reduce(cuemu::WarpOp::kAddReduce, mask, static_cast<unsigned>(value), file, line));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kMinReduce, mask, value, file, line);
}
inline int __reduce_min_sync(unsigned mask, int value, CUEMU_SITE) {
  return static_cast<int>(cuemu::reduce(cuemu::WarpOp::kMinReduceSigned, mask,
                                        static_cast<unsigned>(value), file, line));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kMaxReduce, mask, value, file, line);
}
inline int __reduce_max_sync(unsigned mask, int value, CUEMU_SITE) {
  return static_cast<int>(cuemu::reduce(cuemu::WarpOp::kMaxReduceSigned, mask,
                                        static_cast<unsigned>(value), file, line));
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kAndReduce, mask, value, file, line);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kOrReduce, mask, value, file, line);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, CUEMU_SITE) {
  return cuemu::reduce(cuemu::WarpOp::kXorReduce, mask, value, file, line);
}

#undef CUEMU_SITE
