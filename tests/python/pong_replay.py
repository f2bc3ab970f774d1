"""`lockstep replay pong` beside Gymnasium and ale-py: the same actions, the same arrays.

For every preset, with its seeding, several episodes one after the other, and for the bare game beyond
its end: reward, terminated, truncated, frames, ram and the checksums of both pictures are equal in
every step.

Usage: pong_replay.py [--self-test]; LS_PROGRAM is the program
--self-test plants faults and demands that each is reported.
Exit code: 0 if all of that holds, 1 otherwise.
"""

import os
import subprocess
import sys
import tempfile
import zlib

import ale_py
import gymnasium
import numpy as np

import ale_pong as pong

PROGRAM = os.environ.get("LS_PROGRAM", "lockstep")
FIELDS = {"reward": np.int8, "terminated": np.bool_, "truncated": np.bool_, "frames": np.uint8,
          "ram": np.uint8, "frame80_crc32": np.uint32, "picture_crc32": np.uint32}
PRESETS = ("ALE/Pong-v5", "PongNoFrameskip-v4", "PongNoFrameskip-v0", "Pong-v4", "Pong-v0")
LEAST_FRAMES = 20000  # in all


def frame80(picture):
    red = picture[35:195:2, ::2, 0]
    return np.ascontiguousarray((red != 0) & (red != 109) & (red != 144), np.uint8)


class Recorder:
    """Collects what a step gave, as the program saves it."""

    def __init__(self, ale):
        self.ale, self.rows = ale, {name: [] for name in FIELDS}

    def take(self, reward, terminated, truncated, frames, picture):
        ram = np.empty(128, np.uint8)
        self.ale.getRAM(ram)
        values = (reward, terminated, truncated, frames, ram, zlib.crc32(frame80(picture)),
                  zlib.crc32(np.ascontiguousarray(picture)))
        for name, value in zip(FIELDS, values):
            self.rows[name].append(value)

    def arrays(self):
        return {name: np.array(self.rows[name], dtype) for name, dtype in FIELDS.items()}


def play_preset(env_id, seed, episodes, rng):
    """Held random actions until `episodes` have ended and a few steps more."""
    gymnasium.register_envs(ale_py)
    env = gymnasium.make(env_id)
    env.reset(seed=seed)
    recorder = Recorder(env.unwrapped.ale)
    actions, left, ended, after = [], 0, 0, 200
    action = 0
    while after > 0:
        if left == 0:
            left, action = int(rng.integers(1, 9)), int(rng.integers(6))
        left -= 1
        actions.append(action)
        before = env.unwrapped.ale.getEpisodeFrameNumber()
        picture, reward, terminated, truncated, _ = env.step(action)
        recorder.take(reward, terminated, truncated,
                      env.unwrapped.ale.getEpisodeFrameNumber() - before, picture)
        after -= ended == episodes
        if terminated or truncated:
            ended += 1
            env.reset()
    env.close()
    return np.array(actions, np.uint8), recorder.arrays()


def play_bare(steps_after_end, rng):
    """One episode of ale-py itself, a frame a step, and what it answers after the end."""
    ale = pong.make_ale(frame_skip=1, sticky=0.0, limit=0)
    recorder = Recorder(ale)
    actions, left = [], steps_after_end
    picture = np.empty((210, 160, 3), np.uint8)
    while left > 0:
        left -= ale.game_over()
        actions.append(int(rng.integers(6)))
        before = ale.getEpisodeFrameNumber()
        reward = ale.act(pong.MINIMAL[actions[-1]])
        ale.getScreenRGB(picture)
        recorder.take(reward, ale.game_over(with_truncation=False), ale.game_truncated(),
                      ale.getEpisodeFrameNumber() - before, picture)
    return np.array(actions, np.uint8), recorder.arrays()


def replay(folder, actions, options):
    np.save(os.path.join(folder, "a.npy"), actions)
    subprocess.run([PROGRAM, "replay", "pong", "--actions", "a.npy", "--save", "o.npz", "--quiet",
                    *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with np.load(os.path.join(folder, "o.npz")) as saved:
        # the record says how to repeat the call; ALE has none
        return {name: saved[name] for name in saved if name != "record"}


def differing(ours, theirs):
    """{field: how many steps differ in it, or how its arrays do}, without zeros."""
    counts = {}
    for name in sorted(set(ours) | set(theirs)):
        if name not in ours or name not in theirs:
            counts[name] = "missing"
        elif ours[name].dtype != theirs[name].dtype or ours[name].shape != theirs[name].shape:
            counts[name] = (f"{ours[name].dtype}{ours[name].shape}, not "
                            f"{theirs[name].dtype}{theirs[name].shape}")
        else:
            wrong = (ours[name] != theirs[name]).reshape(len(ours[name]), -1).any(axis=1)
            if wrong.any():
                counts[name] = f"{int(wrong.sum())} steps, first {int(np.flatnonzero(wrong)[0])}"
    return counts


def run_parity():
    wrong = frames = ends = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = [("bare game", *play_bare(50, np.random.default_rng(0)), [])]
        for n, env_id in enumerate(PRESETS):
            seed = (5, 0, 2**40 + 1, 77, 2**32 - 1)[n]
            cases.append((f"{env_id} seed {seed}",
                          *play_preset(env_id, seed, 3, np.random.default_rng(n)),
                          ["--preset", env_id, "--seed", str(seed)]))
        for name, actions, theirs, options in cases:
            counts = differing(replay(folder, actions, options), theirs)
            frames += int(theirs["frames"].sum())
            ends += int((theirs["terminated"] | theirs["truncated"]).sum())
            print(f"{name}: {len(actions)} steps, {int(theirs['frames'].sum())} frames: "
                  f"{counts or 'no difference'}", flush=True)
            wrong += bool(counts)
    print(f"ale-py {ale_py.__version__}, gymnasium {gymnasium.__version__}: {frames} frames, "
          f"{wrong} cases differ")
    if frames < LEAST_FRAMES or ends < 2 * len(PRESETS):
        print(f"this comparison is too weak: {frames} frames, {ends} ends")
        return False
    return wrong == 0


def self_test():
    """Faults in what is compared, each of which must be seen."""
    actions, theirs = play_preset("Pong-v0", 9, 1, np.random.default_rng(3))
    missed = []
    with tempfile.TemporaryDirectory() as folder:

        def demand(what, ours, field):
            counts = differing(ours, theirs)
            if (field is None) != (not counts) or (field and field not in counts):
                missed.append(f"{what}: {counts}")

        good = replay(folder, actions, ["--preset", "Pong-v0", "--seed", "9"])
        demand("nothing planted", good, None)
        for name in FIELDS:
            bad = {key: value.copy() for key, value in good.items()}
            bad[name][100] = ~bad[name][100]
            demand(f"{name} of one step", bad, name)
            demand(f"{name} left out", {k: v for k, v in good.items() if k != name}, name)
        demand("another seed", replay(folder, actions, ["--preset", "Pong-v0", "--seed", "8"]), "ram")
        demand("another preset", replay(folder, actions, ["--preset", "Pong-v4", "--seed", "9"]),
               "ram")
        demand("no preset", replay(folder, actions, []), "frames")
        changed = actions.copy()
        changed[50] = (changed[50] + 2) % 6
        demand("an action changed",
               replay(folder, changed, ["--preset", "Pong-v0", "--seed", "9"]), "ram")
    for line in missed:
        print(f"not as demanded: {line}")
    return not missed


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--self-test"]):
        sys.exit(__doc__)
    sys.exit(0 if (self_test() if sys.argv[1:] else run_parity()) else 1)
