"""A million frames of Pong in ale-py, played again by lockstep_pong_trace from the same actions.

0 differing RAM cells (all 128), rewards, ends, episode frames, 80x80 pictures and 210x160 pictures of
colour codes, in every frame; 0 differing RGB observations in 100,000. Policies: random, held,
FIRE-heavy, trackers, one into attract mode and on to the frame limit; all 18 actions; sticky actions
and frame skips of ALE; every id of Gymnasium with its seeding, several resets each; and
AtariPreprocessing's maximum of two pictures and random start.

Usage: ale_parity.py [--self-test] TRACE_PROGRAM
--self-test plants faults and demands that each is reported.
Exit code: 0 if all of that holds, 1 otherwise.
"""

import multiprocessing
import os
import subprocess
import sys

import ale_py
import gymnasium
import numpy as np

import ale_pong as pong

FIELDS = ("ram", "frame80", "codes", "rgb", "reward", "frames", "terminated", "truncated")
IDS = ("ALE/Pong-v5", "PongNoFrameskip-v4", "PongNoFrameskip-v0", "Pong-v4", "Pong-v0")


def replay(program, commands, options):
    out = subprocess.run([program, *options], input=commands, check=True,
                         stdout=subprocess.PIPE).stdout
    return np.frombuffer(out, pong.RECORD)


def differing(ours, theirs):
    """{field: how many records differ in it, cell: how many of a RAM cell}, without zeros."""
    if len(ours) != len(theirs):
        return {"records": abs(len(ours) - len(theirs))}
    counts = {}
    for name in FIELDS:
        differs = ours[name] != theirs[name]
        if name == "ram":
            for cell in np.flatnonzero(differs.any(axis=0)):
                counts[f"cell {cell}"] = int(differs[:, cell].sum())
        elif differs.any():
            counts[name] = int(differs.sum())
    return counts


def first_difference(ours, theirs):
    for name in FIELDS:
        if len(ours) == len(theirs) and (ours[name] != theirs[name]).any():
            return int(np.flatnonzero((ours[name] != theirs[name]).reshape(len(ours), -1).any(axis=1))[0])
    return 0


# ---- the cases: name -> (how to record, its arguments, options of the trace program) ----------------


def trackers():
    """Policies of many episodes each; the aim of one differs from the next's."""
    cases = {}
    for n, (fire, noise, aims) in enumerate((
            (False, 0.0, (3, 7, 12)), (True, 0.0, (0, 7, 15)), (True, 0.1, (-4, 2, 10)),
            (False, 0.2, (1, 9, 20)))):
        for aim in aims:
            cases[f"tracker {aim}{' fire' if fire else ''}{' noise' if noise else ''}"] = (
                pong.record_ale, dict(policy=pong.tracker(aim, fire, noise), steps=20000, rng_seed=n), [])
    return cases


def all_cases():
    skip1 = ["--skip", "1", "1", "--sticky", "0"]
    cases = {}

    def ale(name, policy, steps, options=(), **settings):
        cases[name] = (pong.record_ale, dict(policy=policy, steps=steps, rng_seed=len(cases),
                                             **settings), [*skip1, *options])

    # the longest first
    ale("tracker 0 into attract mode", pong.tracker(0, False), 108000, ["--rgb", "25"],
        rgb_every=25)
    ale("random", pong.random_policy(6), 100000)
    ale("held", pong.held_policy(12), 90000)
    ale("fire", pong.fire_policy(), 90000)
    ale("all 18 actions", pong.random_policy(18), 30000, ["--actions", "full"], actions=range(18))
    ale("two actions", pong.random_policy(2), 30000, ["--actions", "updown"], actions=pong.UP_DOWN)
    ale("limit", pong.held_policy(30), 20000, ["--limit", "777"], limit=777)
    for name, (record, arguments, options) in trackers().items():
        cases[name] = (record, arguments, [*skip1, *options])
    for n, (skip, sticky) in enumerate(((1, 0.25), (3, 0.5), (4, 0.25))):
        ale(f"ALE skip {skip} sticky {sticky}", pong.random_policy(6), 60000 // skip // 3,
            ["--skip", str(skip), str(skip), "--sticky", str(sticky)], skip=skip, sticky=sticky,
            seed=(12, -5, 2**31 - 1)[n])
    for n, env_id in enumerate(IDS):
        frames = {"ALE/Pong-v5": 4, "Pong-v4": 3, "Pong-v0": 3}.get(env_id, 1)
        for seed in (n, 2**40 + n):
            cases[f"{env_id} seed {seed}"] = (
                pong.record_gymnasium,
                dict(env_id=env_id, policy=pong.held_policy(6), steps=24000 // frames, rng_seed=seed % 97,
                     seed=seed, reseed_every=3), ["--id", env_id, "--rgb", "1"])
    for seed in (3, 4):
        for env_id in ("PongNoFrameskip-v4", "PongNoFrameskip-v0"):
            cases[f"{env_id} pooled seed {seed}"] = (
                pong.record_gymnasium,
                dict(env_id=env_id, policy=pong.random_policy(6), steps=2500, rng_seed=seed, seed=seed,
                     pooled=True, noops=30),
                ["--id", env_id, "--pool", "4", "--noops", "30", "--rgb", "1"])
    return cases


def run_case(arguments):
    program, name = arguments
    record, settings, options = all_cases()[name]
    commands, theirs = record(**settings)
    ours = replay(program, commands, options)
    counts = differing(ours, theirs)
    if counts:
        counts["first"] = first_difference(ours, theirs)
    return name, counts, {
        "frames": int(theirs["frames"].sum()),
        "RGB observations": int(np.count_nonzero(theirs["rgb"])),
        "episodes": int((theirs["terminated"] | theirs["truncated"]).sum()),
        "truncated": int(theirs["truncated"].sum()),
        "points": int(np.abs(theirs["reward"]).sum()),
        "frames in attract mode": int((theirs["ram"][:, 16] == 0).sum()),
        "hits at kappa -4": int((theirs["ram"][:, 56] == 253).sum()),
    }


def run_parity(program):
    names = list(all_cases())
    total = {}
    wrong = 0
    with multiprocessing.Pool(min(2, os.cpu_count() or 1)) as pool:
        for name, counts, stats in pool.imap_unordered(run_case, [(program, n) for n in names], 1):
            print(f"{name}: {stats['frames']} frames, {stats['episodes']} episodes: "
                  f"{counts or 'no difference'}", flush=True)
            wrong += bool(counts)
            for key, value in stats.items():
                total[key] = total.get(key, 0) + value
    print(f"ale-py {ale_py.__version__}, gymnasium {gymnasium.__version__}; in total {total}")
    for key, least in (("frames", 1000000), ("RGB observations", 100000), ("episodes", 100),
                       ("truncated", 10), ("frames in attract mode", 40000), ("hits at kappa -4", 1)):
        if total[key] < least:
            print(f"this comparison is too weak: {total[key]} {key}, not {least}")
            wrong += 1
    print("0 differences" if wrong == 0 else f"{wrong} cases differ")
    return wrong == 0


def self_test(program):
    """Faults in what is compared, each of which must be seen."""
    options = ["--skip", "1", "1", "--sticky", "0.25", "--rgb", "1"]
    commands, theirs = pong.record_ale(pong.tracker(4, True), 1500, 1, sticky=0.25, seed=9, rgb_every=1)
    missed = []

    def demand(what, ours, field):
        counts = differing(ours, theirs)
        if (field is None) != (not counts) or (field and not any(f.startswith(field) for f in counts)):
            missed.append(f"{what}: {counts}")

    demand("nothing planted", replay(program, commands, options), None)
    good = replay(program, commands, options)
    for name in FIELDS:
        bad = good.copy()
        if name == "ram":
            bad["ram"][700, 127] ^= 1
        else:
            bad[name][700] ^= 1
        demand(f"{name} of one frame", bad, "cell 127" if name == "ram" else name)
    demand("a record missing", good[:-1], "records")
    changed = bytearray(commands)
    changed[5 + 300] ^= 1
    demand("an action changed", replay(program, bytes(changed), options), "cell")
    changed = bytearray(commands)
    changed[1] ^= 1
    demand("another seed", replay(program, bytes(changed), options), "cell")
    demand("no sticky actions", replay(program, commands, [*options[:4], "0", "--rgb", "1"]), "cell")
    demand("an early limit", replay(program, commands, [*options, "--limit", "1400"]), "truncated")
    for line in missed:
        print(f"not as demanded: {line}")
    return not missed


def main(arguments):
    wants_self_test = "--self-test" in arguments
    program = [a for a in arguments if a != "--self-test"]
    if len(program) != 1:
        sys.exit(__doc__)
    return self_test(program[0]) if wants_self_test else run_parity(program[0])


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
