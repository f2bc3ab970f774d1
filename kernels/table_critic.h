// A critic that shares the hidden layer of a table policy (object_tables.h): definitions shared by
// every backend. V(s_t) = sum_j v_j rho(h_tj), no bias; Y = 2 outputs y_o with weights w_o.
//
// With several outputs the weights do not leave the sums; they go into the integers instead:
//
//     e_tj = round(2^k rho'(h_tj) sum_o w_oj g_to)      dW1[p]_j = S[p]_j 2^-k / n
//     dw_oj = sum_t round(2^l g_to rho(h_tj)) 2^-l / n
//
// A and S from e as there, n the steps of the minibatch. One accumulator a row serves all outputs,
// where sums of each would take as many of them as there are outputs.
#pragma once

#include "kernels/actor_critic_step.h"
#include "kernels/object_tables.h"

namespace lockstep {

inline constexpr int kTableOutputs = 2;  // Y with a critic

struct TableCriticArgs {
  ActorCriticArgs<float> losses;  // what weigh_step() reads, and the record
  TableView policy;
  TableRecord record;
  float scale;                        // 2^k of e
  float output_scale[kTableOutputs];  // 2^l
};

/// What weighing a minibatch finds; order-free, merged by merge(), but for `hit`: by or.
struct TableWeighSums {
  WeighSums losses;
  float largest_active = 0;     // magnitude of a rho(h)
  std::uint8_t* hit = nullptr;  // [R] 1: a step, or the one before it, shows this row
};

LS_HD void merge(TableWeighSums& into, const TableWeighSums& from) {
  merge(into.losses, from.losses);
  into.largest_active = max(into.largest_active, from.largest_active);
}

/// The integers of W units of one output's weights.
template <class F>
LS_HD typename Lanes<F>::I output_terms(float gradient, float scale, F active) {
  return round_to_int(F(gradient * scale) * active);
}

/// The gradient of W hidden units before it is rounded: rho'(h) sum_o w_o g_o.
///
/// Result: bitwise. The sum is a product, then a fma an output.
template <bool kLeaky, int Y, class F>
LS_HD F table_hidden_gradient(const F (&weight)[Y], const float (&gradient)[Y], F h, float leak) {
  F sum = weight[0] * F(gradient[0]);
  for (int y = 1; y < Y; ++y) sum = fma(weight[y], F(gradient[y]), sum);
  return select(h > F(0), sum, kLeaky ? F(leak) * sum : F(0));
}

}  // namespace lockstep
