"""A million CartPole transitions of Gymnasium, stepped again by `lockstep replay`.

float64: 0 differing bits in state, float32 observation, reward, terminated and truncated, both along
whole trajectories from their start states and transition by transition. float32, the product: every
component of the next state within 5e-7 (1 + |x|) of Gymnasium's, from the rounded state; terminated
may differ only where the state is within 1e-6 of a threshold, at most once in a million.

Usage: gymnasium_parity.py [--self-test] [LOCKSTEP]      (default: $LS_PROGRAM)
--self-test plants faults and demands that each is reported.
Exit code: 0 if all of that holds, 1 otherwise.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import gymnasium_cartpole as cartpole

COUNTS = {"random": 5000, "steady": 800, "unsteady": 1000, "held": 300, "late_fall": 128,
          "wide": 10000, "edge": 600}
FLOAT32_BOUND = 5e-7


class Replayer:
    """Runs `lockstep replay` on arrays."""

    def __init__(self, program, scratch):
        self.program = program
        self.scratch = pathlib.Path(scratch)

    def __call__(self, actions, initial, dtype):
        """actions [T, N] uint8, initial [N, 4] f64 -> dict of arrays."""
        paths = {name: self.scratch / name for name in ("actions.npy", "initial.npy", "out.npz")}
        np.save(paths["actions.npy"], actions)
        np.save(paths["initial.npy"], initial)
        subprocess.run(
            [self.program, "replay", "cartpole", "--actions", paths["actions.npy"], "--initial",
             paths["initial.npy"], "--dtype", dtype, "--save", paths["out.npz"], "--quiet"],
            check=True, stdout=subprocess.DEVNULL)
        with np.load(paths["out.npz"], allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def differing(ours, theirs):
    """How many elements differ in their bits; NaN equals NaN of the same bits only."""
    assert ours.shape == theirs.shape and ours.dtype.itemsize == theirs.dtype.itemsize, (
        ours.shape, theirs.shape, ours.dtype, theirs.dtype)
    kind = np.dtype(f"u{ours.dtype.itemsize}")
    return int(np.count_nonzero(np.ascontiguousarray(ours).view(kind) !=
                                np.ascontiguousarray(theirs).view(kind)))


def transitions_of(data):
    """All transitions as [1, M]: state before, action, state after, terminated."""
    return (data["state"][:-1].reshape(-1, 4), data["action"].reshape(1, -1),
            data["state"][1:].reshape(-1, 4), data["terminated"].reshape(-1))


def compare_float64(replayer, data, corrupt=None):
    """Differing values along trajectories and transition by transition."""
    names = ("state", "obs", "reward", "terminated", "truncated")
    out = replayer(data["action"], data["state"][0], "float64")
    if corrupt:
        corrupt(out)
    counts = {name: differing(out[name], data[name]) for name in names}
    before, actions, after, terminated = transitions_of(data)
    out = replayer(actions, before, "float64")
    counts["state, one step"] = differing(out["state"][1], after)
    counts["terminated, one step"] = differing(out["terminated"][0], terminated)
    return counts


def compare_float32(replayer, data):
    """(largest error over the bound, disagreements on terminated, of these far from a threshold)."""
    before, actions, after, terminated = transitions_of(data)
    out = replayer(actions, before, "float32")
    assert out["state"].dtype == np.float32
    error = np.abs(out["state"][1].astype(np.float64) - after) / (1 + np.abs(after))
    differ = out["terminated"][0] != terminated
    distance = np.minimum(np.abs(np.abs(after[:, 0]) - cartpole.TRACK),
                          np.abs(np.abs(after[:, 2]) - cartpole.ANGLE))
    return (float(error.max()) / FLOAT32_BOUND, int(differ.sum()),
            int((differ & (distance > 1e-6)).sum()))


def conditions(data):
    """What the data contains, so that an empty comparison cannot pass."""
    ended = np.cumsum(data["terminated"], axis=0) > 0
    after_end = np.zeros_like(ended)
    after_end[1:] = ended[:-1]
    return {
        "transitions": data["action"].size,
        "after termination": int(after_end.sum()),
        "terminating": int((ended & ~after_end).sum()),
        "truncated": int(data["truncated"].sum()),
        "both ends at once": int(((ended & ~after_end) & (data["truncated"] == 1)).sum()),
        "pole beyond a quarter turn": int((np.abs(data["state"][1:, :, 2]) > np.pi / 2).sum()),
    }


def run_parity(replayer):
    env = cartpole.make_env()
    total = {}
    wrong = 0
    for kind, count in COUNTS.items():
        data = cartpole.record(env, kind, count, seed=7)
        for name, value in conditions(data).items():
            total[name] = total.get(name, 0) + value
        counts = compare_float64(replayer, data)
        bad = {name: count for name, count in counts.items() if count}
        # at a threshold the rounding of the state itself decides; only such states are in "edge"
        edge = kind == "edge"
        share, disagreements, far = compare_float32(replayer, data)
        print(f"{kind}: {data['action'].size} transitions, float64 differing: {bad or 0}; float32 "
              f"largest error {share * FLOAT32_BOUND:.2e}, terminated differs {disagreements} times")
        wrong += bool(bad) + (share > 1) + (far > 0) + (disagreements > 1 and not edge)
    print(", ".join(f"{name} {value}" for name, value in total.items()))
    if total["transitions"] < 1_000_000 or not all(total.values()):
        print("not all conditions were covered")
        wrong += 1
    return wrong


def flip_one_bit(out):
    out["state"].view(np.uint64)[3, 5, 2] ^= np.uint64(1)


def run_self_test(replayer):
    """Each planted fault must be seen; returns how many were not."""
    faults = {
        "one bit of one state": ({}, "unsteady", flip_one_bit),
        "a time step of 0.0200001 s": ({"tau": 0.0200001}, "unsteady", None),
        "an angle threshold one ulp lower (> becomes >=)":
            ({"theta_threshold_radians": np.nextafter(cartpole.ANGLE, 0)}, "edge", None),
        "a track threshold one ulp lower (> becomes >=)":
            ({"x_threshold": np.nextafter(cartpole.TRACK, 0)}, "edge", None),
        "reward -1 on the last step": ({"_sutton_barto_reward": True}, "random", None),
    }
    missed = 0
    for fault, (constants, kind, corrupt) in faults.items():
        data = cartpole.record(cartpole.make_env(**constants), kind, 24, seed=7)
        counts = compare_float64(replayer, data, corrupt)
        seen = sum(counts.values())
        if corrupt:
            seen = seen if seen == 1 else 0
        print(f"{'seen' if seen else 'MISSED'}: {fault} ({seen} values differ)")
        missed += not seen
    data = cartpole.record(cartpole.make_env(tau=0.020001), "unsteady", 24, seed=7)
    share, _, _ = compare_float32(replayer, data)
    print(f"{'seen' if share > 1 else 'MISSED'}: float32 and a time step of 0.020001 s")
    return missed + (share <= 1)


def main():
    cartpole.require_libm_sin_and_cos()
    arguments = sys.argv[1:]
    self_test = "--self-test" in arguments
    programs = [a for a in arguments if a != "--self-test"] or [os.environ["LS_PROGRAM"]]
    with tempfile.TemporaryDirectory() as scratch:
        replayer = Replayer(os.path.abspath(programs[0]), scratch)
        return 1 if (run_self_test if self_test else run_parity)(replayer) else 0


if __name__ == "__main__":
    sys.exit(main())
