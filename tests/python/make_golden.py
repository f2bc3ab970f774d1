"""Writes tests/golden/cartpole_gymnasium.txt: short CartPole trajectories of Gymnasium, bit by bit.

Usage: .venv/bin/python tests/python/make_golden.py > tests/golden/cartpole_gymnasium.txt
The format and the provenance of the committed file are in tests/golden/README.md.
"""

import struct

import numpy as np

import gymnasium_cartpole as cartpole

# kind, trajectories, steps kept (None = all), every how many steps a state is written
PARTS = (("random", 5, None, 1), ("unsteady", 1, 120, 1), ("held", 2, 140, 7),
         ("steady", 1, None, 40), ("late_fall", 16, None, 85), ("wide", 8, None, 1),
         ("edge", 12, 2, 1))


def bits(state, obs):
    """The state as four 64-bit patterns, the observation as four 32-bit patterns, in hexadecimal."""
    return " ".join([struct.pack(">d", value).hex() for value in state] +
                    [struct.pack(">f", value).hex() for value in obs])


def digits(values):
    return "".join(str(int(value)) for value in values)


def write(kind, n, data, steps, every):
    print(f"trajectory {kind}_{n} {steps}")
    for name in ("action", "reward", "terminated", "truncated"):
        print(name, digits(data[name][:steps, n]))
    for t in range(steps + 1):
        if t % every == 0 or t == steps:
            print("state", t, bits(data["state"][t, n], data["obs"][t, n]))


def main():
    import gymnasium
    cartpole.require_libm_sin_and_cos()
    env = cartpole.make_env()
    print(f"# CartPole-v1 of Gymnasium {gymnasium.__version__}, NumPy {np.__version__};"
          " see README.md")
    for kind, count, keep, every in PARTS:
        data = cartpole.record(env, kind, count, seed=2024)
        steps = keep or data["action"].shape[0]
        chosen = range(count)
        if kind == "late_fall":  # one that falls exactly with the time limit
            both = data["terminated"][499] & data["truncated"][499] & (data["terminated"][498] == 0)
            chosen = [int(np.flatnonzero(both)[0])]
        for n in chosen:
            write(kind, n, data, steps, every)


if __name__ == "__main__":
    main()
