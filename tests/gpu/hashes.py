#!/usr/bin/env python3
"""Trains and plays the same on the CPU and on the GPU and demands the same bits.

Every case runs once on the CPU and once per mapping and block size on the GPU. Compared are weights and
optimiser state (all bytes of the checkpoint), the log of every update but for its clocks, recorded
trajectories (states, logits, actions), and scores, lengths and actions of evaluations. One wrong action or
one rounding anywhere changes all of them. A training in which nothing was learned is a failure. Several cases
run at a time: a process mostly starts, and none of them fills a GPU.

usage: hashes.py --program FILE [--emulated]     --emulated: tiny sizes; LS_CUDA_EMULATOR=1 is set
exit code: 0 all equal and at least 1e8 steps compared, 1 not
"""

import argparse
import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

WANTED_STEPS = 1e8
AT_A_TIME = 8  # cases
CLOCKS = ("time/seconds", "time/unix", "charts/SPS")
COMMON = ["--seed", "7", "--quiet", "--json"]


def training(arguments):
    """What a training adds: a threshold that it does not reach, but for what an episode could score."""
    words = arguments.split()
    limit = words[words.index("--horizon") + 1] if "--horizon" in words else "1e9"
    return ["--until-score", limit, "--force"]


@dataclasses.dataclass
class Case:
    command: str  # train, rollout or eval
    arguments: str
    layouts: tuple  # "MAPPING:BLOCK"
    environment: str = "cartpole"
    before: str = ""  # of eval: the training, on the CPU, that makes the policy

    def name(self):
        return f"{self.command} {self.environment} {self.arguments}"


def pong(command, arguments, *layouts, before=""):
    """A case of Pong, where blocks may differ but not mappings."""
    return Case(command, arguments, tuple(f"auto:{block}" for block in layouts or (0,)), "pong", before)


THREADS = ("thread:32", "thread:64", "thread:128", "thread:256")
BOTH = ("auto:0", "lanes8:32", "lanes8:128", "lanes8:256", *THREADS)
PLAIN = ("auto:0", "thread:64", "thread:128")
CASES = [
    Case("train", "--envs 1048576 --horizon 100 --updates 1 --baseline batch_mean", ("auto:0", *THREADS)),
    Case("train", "--envs 65536 --updates 3", ("auto:0", "thread:128", "lanes8:128")),
    Case("train", "--envs 4096 --updates 40", BOTH),
    Case("train", "--envs 64 --updates 40 --horizon 96 --store recompute --baseline none", BOTH),
    Case("train", "--envs 1 --updates 30 --baseline running_mean", BOTH),
    Case("train", "--envs 31 --updates 30", BOTH),
    Case("train", "--envs 33 --updates 30", BOTH),
    Case("train", "--envs 1000 --updates 10 --baseline none --normalize batch --gamma 0.99", BOTH),
    Case("train", "--envs 4097 --updates 5 --normalize episode --optimizer rmsprop", BOTH),
    Case("train", "--envs 257 --updates 10 --returns full --optimizer sgd --momentum 0.9", BOTH),
    Case("train", "--envs 1000 --updates 10 --activation leaky_relu --dropout 0.5", PLAIN),
    Case("train", "--envs 1000 --updates 10 --activation leaky_relu --dropout 0.2 --hidden 200", PLAIN),
    Case("train", "--envs 1000 --updates 10 --hidden 1000", PLAIN),
    Case("train", "--envs 1000 --updates 10 --policy linear --entropy-coef 0.01", PLAIN),
    Case("train", "--recipe large --updates 4", PLAIN),
    Case("train", "--algorithm ppo --envs 1000 --updates 10 --critic shared --activation leaky_relu", PLAIN),
    Case("train", "--algorithm ppo --envs 257 --updates 5 --shuffle steps --value-clip 0.2", PLAIN),
    Case("train", "--algorithm a2c --envs 33 --updates 40", PLAIN),
    Case("rollout", "--envs 1000 --steps 500", BOTH),
    Case("rollout", "--envs 4096 --steps 500 --policy random", PLAIN),
    # 8 and 4 environments a warp, 2 with 1000 units; a saved picture has 6400 bytes, so rollouts are small
    pong("train", "--envs 8448 --updates 3", 0, 64, 256),
    pong("train", "--envs 8447 --updates 2 --hidden 256 --noops 0", 0),
    pong("train", "--envs 64 --updates 20", 0, 32, 128),
    pong("train", "--envs 1 --updates 5", 0, 256),
    pong("train", "--envs 33 --updates 5 --hidden 64 --frame-skip 2-4 --repeat-action-probability 0.25", 0, 64),
    pong("train", "--envs 100 --updates 5 --hidden 256 --recipe sprint --activation leaky_relu", 0, 64),
    pong("train", "--envs 257 --updates 3 --recipe classic --baseline running_mean", 0, 64),
    pong("train", "--envs 31 --updates 3 --hidden 1000 --optimizer rmsprop --entropy-coef 0.01", 0),
    pong("train", "--envs 1000 --updates 5 --horizon 2100 --returns stepwise --normalize episode", 0, 64),
    pong("train", "--envs 9000 --updates 2 --horizon 1500 --frame-skip 3 --repeat-action-probability 0.1", 0),
    pong("rollout", "--envs 70 --steps 1100 --init normal --hidden 200 --noops 30", 0),
    pong("rollout", "--envs 70 --steps 200 --policy random --frame-skip 2-5", 0),
    *(pong("eval", f"--episodes 8448 --mode {mode} --noops 29", before="--envs 32 --updates 3")
      for mode in ("greedy", "sample", "epsilon=0.1")),
]
TINY_CASES = [
    Case("train", "--envs 33 --updates 2", ("auto:0", "thread:32", "lanes8:64")),
    Case("train", "--envs 64 --updates 2 --horizon 24 --store recompute --baseline none", ("auto:0", "thread:64")),
    Case("train", "--envs 17 --updates 2 --activation leaky_relu --dropout 0.5", ("auto:0",)),
    Case("train", "--algorithm ppo --envs 18 --updates 2", ("auto:0", "thread:64")),
    Case("rollout", "--envs 33 --steps 40", ("auto:0", "lanes8:32")),
    pong("train", "--envs 2 --updates 2 --hidden 16", 0, 64),
    pong("train", "--envs 1 --updates 1 --hidden 40 --frame-skip 2-6 --repeat-action-probability 0.25 --horizon 1200", 0),
    pong("rollout", "--envs 17 --steps 40 --hidden 200 --noops 30", 0),
    pong("eval", "--episodes 2 --mode sample", before="--envs 2 --updates 1 --hidden 16"),
]


class Failure(Exception):
    """A run of the program went wrong."""


# what a program that is wrong, or files it did not write, can end in
WRONG = (Failure, OSError, ValueError, KeyError)


def start(words):
    """Runs the program; what it says on stdout."""
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"exit code {result.returncode}: {shlex.join(map(str, words))}\n{result.stderr.strip()}")
    return json.loads(result.stdout)


def run(program, case, device, layout, folder):
    """Digest and steps of one run."""
    target = folder / "before" if case.command == "eval" else case.environment
    words = [program, case.command, target, *case.arguments.split(), "--device", device, *COMMON]
    if layout and case.command != "eval":
        mapping, block = layout.split(":")
        words += ["--mapping", mapping, "--block-size", block]
    out = folder / "run"
    if case.command == "train":
        words += [*training(case.arguments), "--out", out]
    else:
        out = out.with_suffix(".npz")
        words += ["--save", out]
    told = start(words)
    if case.command == "rollout":
        return hashlib.sha256(out.read_bytes()).hexdigest(), told["steps"]
    if case.command == "eval":
        return hashlib.sha256(out.read_bytes()).hexdigest(), round(told["mean_length"] * told["episodes"])
    digest, learned = hashlib.sha256(), False
    for file in sorted(out.glob("checkpoints/*/*.safetensors")):
        digest.update(file.read_bytes())
    for line in (out / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        learned |= (row["losses/grad_norm"] or 0) > 0
        digest.update(json.dumps({k: v for k, v in row.items() if k not in CLOCKS}).encode())
    if not learned:
        raise Failure(f"no gradient in any update: {shlex.join(map(str, words))}")
    return digest.hexdigest(), told["steps"]


def compare_case(program, case, device):
    """Prints a line a run; returns steps compared and the number of failures."""
    compared, failures = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            if case.command == "eval":
                start([program, "train", case.environment, *case.before.split(), "--device", "cpu", *COMMON,
                       *training(case.before), "--out", folder / "before"])
            expected, _ = run(program, case, "cpu", "", folder)
        except WRONG as failure:
            print(f"FAILED  {case.name()} on the CPU: {failure!s:.2000}")
            return 0, 1
        for layout in case.layouts:
            began = time.monotonic()
            try:
                got, steps = run(program, case, device, layout, folder)
            except WRONG as failure:
                print(f"FAILED  {case.name()} {layout}: {failure!s:.2000}")
                failures += 1
                continue
            compared += steps
            failures += got != expected
            word = "equal " if got == expected else "DIFFER"
            print(f"{word}  {got[:16]}  {steps:>11} steps  {time.monotonic() - began:6.2f} s  {case.name()} {layout}")
    return compared, failures


def compare(program, cases, device):
    """Steps compared and failures of all cases, in any order."""
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        results = list(pool.map(lambda case: compare_case(program, case, device), cases))
    return sum(steps for steps, _ in results), sum(failures for _, failures in results)


def notices_idle_trainings(program, device):
    """Whether a training too short for any game to end is refused: its bits say nothing."""
    case = pong("train", "--envs 1 --updates 1 --horizon 20 --hidden 16")
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(program, case, device, "", pathlib.Path(folder))
        except Failure as failure:
            return "no gradient" in str(failure)
    return False


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--emulated", action="store_true")
    arguments = parser.parse_args()
    if arguments.emulated:
        os.environ["LS_CUDA_EMULATOR"] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # they share the cores
    cases = TINY_CASES if arguments.emulated else CASES
    compared, failures = compare(arguments.program, cases, arguments.device)
    if not notices_idle_trainings(arguments.program, arguments.device):
        print("FAILED  a training without a gradient passed")
        failures += 1
    print(f"{compared:.3g} steps compared, {failures} failures")
    if not arguments.emulated and compared < WANTED_STEPS:
        print(f"too few: {WANTED_STEPS:.0e} are wanted")
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
