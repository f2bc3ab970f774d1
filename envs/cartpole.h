// CartPole-v1: a pole on a cart, pushed left or right.
//
// Source: Gymnasium 1.x, gymnasium/envs/classic_control/cartpole.py (explicit Euler; old v and
// omega in the position updates), after Barto, Sutton & Anderson 1983. One body serves float, SIMD
// packs, CUDA threads and, with the reference arithmetic in double, Gymnasium's own bits.
#pragma once

#include "envs/env.h"
#include "envs/math.h"

namespace lockstep {

/// Production arithmetic: fused, own sin and cos. Valid while |theta| <= 0.22, which every state a
/// step is taken from satisfies unless a caller goes on after the end of an episode.
template <class F>
struct FusedArithmetic {
  using Number = F;
  static LS_HD F mul_add(F a, F b, F c) { return fma(a, b, c); }
  static LS_HD F sub_mul(F a, F b, F c) { return fma(-b, c, a); }
  static LS_HD F over_mass(F a) { return a * F(1.0f / 1.1f); }
  static LS_HD void sincos(F x, F& s, F& c) { sincos_small(x, s, c); }
};

/// Production arithmetic for any angle: the same bits where FusedArithmetic is valid.
struct FusedArithmeticAnyAngle : FusedArithmetic<float> {
  static LS_HD void sincos(float x, float& s, float& c) {
    if (abs(x) <= 0.22f) {
      sincos_small(x, s, c);
    } else {
      sincos_any(x, s, c);
    }
  }
};

/// Reference arithmetic: plain double, unfused, the C library's sin and cos. Equal to Gymnasium bit
/// for bit. Runs on the host only.
struct UnfusedArithmetic {
  using Number = double;
  static LS_HD double mul_add(double a, double b, double c) { return a * b + c; }
  static LS_HD double sub_mul(double a, double b, double c) { return a - b * c; }
  static LS_HD double over_mass(double a) { return a / 1.1; }
  static LS_HD void sincos(double x, double& s, double& c) {
    s = __builtin_sin(x);
    c = __builtin_cos(x);
  }
};

struct CartPole {
  using ReplayArithmetic = FusedArithmeticAnyAngle;  // float32, valid in any state
  using ReferenceArithmetic = UnfusedArithmetic;     // float64, the outside truth
  static constexpr const char* kName = "cartpole";
  static constexpr const char* kSummary = "Gymnasium CartPole-v1: keep the pole up for 500 steps";
  static constexpr int kStateSize = 4;
  static constexpr int kObservationSize = 4;
  static constexpr int kNumActions = 2;  // 0 pushes left, 1 pushes right
  static constexpr int kMaxEpisodeSteps = 500;
  static constexpr int kMinEpisodeSteps =
      8;  // theta needs 8 steps from any start to fall 12 degrees
  static constexpr bool kConstantReward = true;
  static constexpr float kMaxAbsReward = 1.0f;
  // Bounds for the fixed-point gradient. x and theta end the episode there; v and omega are chosen
  // (7 m/s is what full force reaches over the track) and saturation is detected.
  static constexpr float kObservationLimit[4] = {2.4f, 8.0f, 0.2095f, 8.0f};

  template <class F>
  struct State {
    F x;      // cart position, m
    F v;      // cart velocity, m/s
    F theta;  // pole angle from upright, rad
    F omega;  // pole angular velocity, rad/s
  };

  /// Start state: each component uniform in [-0.05, 0.05), from four uniforms in [0, 1).
  template <class F>
  static LS_HD State<F> reset(const F (&u)[4]) {
    const F scale(0.1f), low(-0.05f);
    return {fma(u[0], scale, low), fma(u[1], scale, low), fma(u[2], scale, low),
            fma(u[3], scale, low)};
  }

  /// Advances by tau = 0.02 s with a force of +-10 N. Reward 1, also on the terminating step.
  template <class F, class Arithmetic = FusedArithmetic<F>>
  static LS_HD StepResult<F> step(State<F>& state, typename Lanes<F>::M push_right) {
    using A = Arithmetic;
    const F tau(static_cast<typename Lanes<F>::Scalar>(0.02));
    const F pole_mass(static_cast<typename Lanes<F>::Scalar>(0.1));
    const F pole_moment(static_cast<typename Lanes<F>::Scalar>(0.05));  // mass * half length
    const F gravity(static_cast<typename Lanes<F>::Scalar>(9.8));
    const F half(static_cast<typename Lanes<F>::Scalar>(0.5));
    const F four_thirds(static_cast<typename Lanes<F>::Scalar>(4.0 / 3.0));
    const F ten(static_cast<typename Lanes<F>::Scalar>(10.0));

    F s, c;
    A::sincos(state.theta, s, c);
    const F force = select(push_right, ten, -ten);
    const F temp = A::over_mass(A::mul_add(pole_moment * (state.omega * state.omega), s, force));
    const F angular = A::sub_mul(gravity * s, c, temp) /
                      (half * (four_thirds - A::over_mass(pole_mass * (c * c))));
    const F linear = temp - A::over_mass((pole_moment * angular) * c);

    state.x = A::mul_add(tau, state.v, state.x);
    state.v = A::mul_add(tau, linear, state.v);
    state.theta = A::mul_add(tau, state.omega, state.theta);
    state.omega = A::mul_add(tau, angular, state.omega);
    return {F(1.0f), is_terminal(state)};
  }

  /// The cart left the track (2.4 m) or the pole fell past 12 degrees.
  template <class F>
  static LS_HD typename Lanes<F>::M is_terminal(const State<F>& state) {
    const F track(static_cast<typename Lanes<F>::Scalar>(2.4));
    const F angle(static_cast<typename Lanes<F>::Scalar>(12 * 2 * 3.141592653589793 / 360));
    return (abs(state.x) > track) | (abs(state.theta) > angle);
  }

  template <class F>
  static LS_HD void observe(const State<F>& state, F (&obs)[4]) {
    save(state, obs);
  }
  template <class F>
  static LS_HD void save(const State<F>& state, F (&to)[4]) {
    to[0] = state.x;
    to[1] = state.v;
    to[2] = state.theta;
    to[3] = state.omega;
  }
  template <class F>
  static LS_HD State<F> restore(const F (&from)[4]) {
    return {from[0], from[1], from[2], from[3]};
  }
};

}  // namespace lockstep
