// What the table kernels need of a float pack beyond envs/math.h: integers of 64 bits and doubles,
// one for each of its lanes, and the tree that ends a logit. This is the scalar version;
// table_lanes_avx2.h and table_lanes_avx512.h bring the same for their packs.
#pragma once

#include "kernels/object_tables.h"

namespace lockstep {
LS_HD void store(std::int64_t* to, std::int64_t a) { *to = a; }
}  // namespace lockstep

namespace lockstep::cpu {

/// L: int64 lanes, with + and store. D: double lanes, with + and *, fma and store.
template <class F>
struct TableLanes;

template <>
struct TableLanes<float> {
  using L = std::int64_t;
  using D = double;
  using I16 = std::int32_t;  // integers a group's game runs on
  using Widest = I16;        // the most there are of a vector, for games alone
  static LS_HD L load(const std::int64_t* from) { return *from; }
  static LS_HD D load(const double* from) { return *from; }
  static LS_HD L widen(std::int32_t a) { return a; }
  static LS_HD D widen(float a) { return static_cast<double>(a); }
  /// Exact for |a| < 2^51.
  static LS_HD D to_double(L a) { return static_cast<double>(a); }
  static LS_HD float narrow(D a) { return static_cast<float>(a); }
  /// Logits of W environments from their partials, [W][32]; destroys them.
  static LS_HD float tree(float* part) {
    return table_tree(*reinterpret_cast<float(*)[kTableParts]>(part));
  }
};

}  // namespace lockstep::cpu
