"""Gymnasium's CartPole-v1, stepped and recorded: shared by gymnasium_parity.py and make_golden.py.

Decided here: which conditions are covered (kinds of trajectories) and that NumPy's sin and cos must be
the C library's. Not decided here: what is compared, and with what.
"""

import math
import os
import sys

import numpy as np

ANGLE = 12 * 2 * math.pi / 360
TRACK = 2.4


def require_libm_sin_and_cos():
    """Runs the script again with NumPy's AVX-512 loops off if its sin or cos are not the C library's.

    With AVX-512, NumPy takes sin and cos of float64 from SVML, which is up to 4 ulp off and differs
    from what the same Gymnasium computes on another processor.
    """
    angles = np.linspace(-7, 7, 20001)
    same = all(np.array_equal(ours(angles), [theirs(a) for a in angles])
               for ours, theirs in ((np.sin, math.sin), (np.cos, math.cos)))
    if same:
        return
    if os.environ.get("LS_NUMPY_RESTRICTED"):
        sys.exit("NumPy's sin and cos differ from the C library's even without AVX-512")
    core = getattr(np, "_core", None) or np.core
    dispatched = core._multiarray_umath.__cpu_dispatch__
    features = [name for name in dispatched if name.startswith("AVX512")]
    environment = dict(os.environ, LS_NUMPY_RESTRICTED="1",
                       NPY_DISABLE_CPU_FEATURES=" ".join(features))
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def make_env(**constants):
    """CartPole-v1 with its time limit; `constants` replace attributes (to plant faults)."""
    import gymnasium
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # stepping on after an end is meant
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    for name, value in constants.items():
        if not hasattr(env.unwrapped, name):
            raise AttributeError(name)
        setattr(env.unwrapped, name, value)
    return env


def stabilising(state, rng, noise):
    """Pushes towards the side the pole falls to, with some random actions."""
    if rng.random() < noise:
        return int(rng.integers(2))
    x, v, theta, omega = state
    return int(theta + 0.25 * omega + 0.01 * x + 0.02 * v > 0)


# Each kind: name, steps, and policy(state, t, rng, n) -> action, start(rng, n) -> state or None
def random_action(state, t, rng, n):
    return int(rng.integers(2))


def steady(state, t, rng, n):
    return stabilising(state, rng, 0.0)


def unsteady(state, t, rng, n):
    return stabilising(state, rng, 0.25)


def held(state, t, rng, n):
    return n % 2


def late_fall(state, t, rng, n):
    """Balances, then lets go so that the pole falls around the time limit."""
    return stabilising(state, rng, 0.0) if t < 480 + n % 16 else n % 2


def wide_start(rng, n):
    scale = np.array([2.6, 8.0, 0.25, 8.0])
    return rng.uniform(-scale, scale)


def edge_start(rng, n):
    """States at, just inside and just outside a threshold that do not move in the next step."""
    limit, axis = ((ANGLE, 2), (TRACK, 0))[n // 2 % 2]
    value = (limit, np.nextafter(limit, 0), np.nextafter(limit, 9))[n // 4 % 3]
    state = np.zeros(4)
    state[axis] = value if n % 2 else -value
    return state


KINDS = {  # name: (steps, policy, start)
    "random": (40, random_action, None),
    "steady": (520, steady, None),
    "unsteady": (200, unsteady, None),
    "held": (200, held, None),
    "late_fall": (510, late_fall, None),
    "wide": (8, random_action, wide_start),
    "edge": (4, held, edge_start),
}


def record(env, kind, count, seed):
    """Steps `count` trajectories of a kind, on after the end of the episode.

    Returns a dict: state [T+1, N, 4] f64, obs [T+1, N, 4] f32, action, reward [T, N], terminated and
    truncated [T, N] uint8.
    """
    steps, policy, start = KINDS[kind]
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    out = {
        "state": np.zeros((steps + 1, count, 4)),
        "obs": np.zeros((steps + 1, count, 4), np.float32),
        "action": np.zeros((steps, count), np.uint8),
        "reward": np.zeros((steps, count), np.float32),
        "terminated": np.zeros((steps, count), np.uint8),
        "truncated": np.zeros((steps, count), np.uint8),
    }
    for n in range(count):
        obs, _ = env.reset(seed=int(rng.integers(2**31)))
        if start is not None:
            env.unwrapped.state = np.array(start(rng, n), dtype=np.float64)
            obs = env.unwrapped.state.astype(np.float32)
        out["state"][0, n] = env.unwrapped.state
        out["obs"][0, n] = obs
        for t in range(steps):
            action = policy(env.unwrapped.state, t, rng, n)
            obs, reward, terminated, truncated, _ = env.step(action)
            out["action"][t, n] = action
            out["reward"][t, n] = reward
            out["terminated"][t, n] = terminated
            out["truncated"][t, n] = truncated
            out["state"][t + 1, n] = env.unwrapped.state
            out["obs"][t + 1, n] = obs
    return out
