// Working memory of one thread in the batch gradient; the host allocates and zeroes it.
#pragma once

#include <cstdint>

namespace lockstep::cpu {

inline constexpr int kTile = 32;         // steps; the tile stays in the first-level cache
inline constexpr int kMaxLanes = 16;     // widest instruction set
inline constexpr int kMaxWideLanes = 8;  // most 64-bit partial sums of one accumulator

template <class Acc>
struct GradientScratch {
  void* lanes;                 // [layout.size()][W] terms, 64-byte aligned
  typename Acc::Sum* partial;  // [layout.size()][kWideLanes]
  void* kept_bits;             // [kTile][ceil(H / 32)][W] dropout masks of a tile, 64-byte aligned
  std::int32_t adds;           // into every lane since the last flush
  bool saturated;              // a term was out of range: the sums are not to be used
};

}  // namespace lockstep::cpu
