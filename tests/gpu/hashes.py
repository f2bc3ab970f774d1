#!/usr/bin/env python3
"""Trains and plays the same on the CPU and on the GPU and demands the same bits.

Every case runs once on the CPU and once per mapping and block size on the GPU. Compared are weights and
optimiser state (all bytes of the checkpoint), the log of every update but for its clocks, and recorded
trajectories: states, logits, actions. One wrong action or one rounding anywhere changes all of them.

usage: hashes.py --program FILE [--emulated]     --emulated: tiny sizes; LS_CUDA_EMULATOR=1 is set
exit code: 0 all equal and at least 1e8 steps compared, 1 not
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

WANTED_STEPS = 1e8
CLOCKS = ("time/seconds", "time/unix", "charts/SPS")


@dataclasses.dataclass
class Case:
    command: str  # train or rollout
    arguments: str
    layouts: tuple  # "MAPPING:BLOCK"

    def name(self):
        return f"{self.command} {self.arguments}"


THREADS = ("thread:32", "thread:64", "thread:128", "thread:256")
BOTH = ("auto:0", "lanes8:32", "lanes8:128", "lanes8:256", *THREADS)
PLAIN = ("auto:0", "thread:64", "thread:128")
CASES = [
    Case("train", "--envs 1048576 --horizon 100 --updates 1 --baseline batch_mean", ("auto:0", *THREADS)),
    Case("train", "--envs 65536 --updates 3", ("auto:0", "thread:128", "lanes8:128")),
    Case("train", "--envs 4096 --updates 40", BOTH),
    Case("train", "--envs 64 --updates 40 --horizon 96 --store recompute --baseline none", BOTH),
    Case("train", "--envs 1 --updates 30", BOTH),
    Case("train", "--envs 31 --updates 30", BOTH),
    Case("train", "--envs 33 --updates 30", BOTH),
    Case("train", "--envs 1000 --updates 10 --baseline none --normalize batch --gamma 0.99", BOTH),
    Case("train", "--envs 4097 --updates 5 --normalize episode --optimizer rmsprop", BOTH),
    Case("train", "--envs 257 --updates 10 --returns full --optimizer sgd --momentum 0.9", BOTH),
    Case("train", "--envs 1000 --updates 10 --activation leaky_relu --dropout 0.5", PLAIN),
    Case("train", "--envs 1000 --updates 10 --activation leaky_relu --dropout 0.2 --hidden 200", PLAIN),
    Case("train", "--envs 1000 --updates 10 --hidden 1000", PLAIN),
    Case("train", "--envs 1000 --updates 10 --policy linear --entropy-coef 0.01", PLAIN),
    Case("rollout", "--envs 1000 --steps 500", BOTH),
    Case("rollout", "--envs 4096 --steps 500 --policy random", PLAIN),
]
TINY_CASES = [
    Case("train", "--envs 33 --updates 2", ("auto:0", "thread:32", "lanes8:64")),
    Case("train", "--envs 64 --updates 2 --horizon 24 --store recompute --baseline none", ("auto:0", "thread:64")),
    Case("train", "--envs 17 --updates 2 --activation leaky_relu --dropout 0.5", ("auto:0",)),
    Case("rollout", "--envs 33 --steps 40", ("auto:0", "lanes8:32")),
]


class Failure(Exception):
    """A run of the program went wrong."""


def run(program, case, device, layout, folder):
    """Digest and steps of one run."""
    words = [program, case.command, "cartpole", *case.arguments.split(), "--seed", "7", "--device", device,
             "--quiet", "--json"]
    if layout:
        mapping, block = layout.split(":")
        words += ["--mapping", mapping, "--block-size", block]
    out = pathlib.Path(folder, "run")
    if case.command == "train":
        words += ["--until-score", "1e9", "--out", str(out), "--force"]
    else:
        out = out.with_suffix(".npz")
        words += ["--save", str(out)]
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"exit code {result.returncode}: {' '.join(words)}\n{result.stderr.strip()}")
    steps = json.loads(result.stdout)["steps"]
    if case.command == "rollout":
        return hashlib.sha256(out.read_bytes()).hexdigest(), steps
    digest = hashlib.sha256()
    for file in sorted(out.glob("checkpoints/*/*.safetensors")):
        digest.update(file.read_bytes())
    for line in (out / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        digest.update(json.dumps({k: v for k, v in row.items() if k not in CLOCKS}).encode())
    return digest.hexdigest(), steps


def compare(program, cases, device):
    """Prints a line a run; returns steps compared and the number of failures."""
    compared, failures = 0, 0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                expected, _ = run(program, case, "cpu", "", folder)
            except Failure as failure:
                print(f"FAILED  {case.name()} on the CPU: {failure}")
                failures += 1
                continue
            for layout in case.layouts:
                began = time.monotonic()
                try:
                    got, steps = run(program, case, device, layout, folder)
                except Failure as failure:
                    print(f"FAILED  {case.name()} {layout}: {failure}")
                    failures += 1
                    continue
                compared += steps
                failures += got != expected
                word = "equal " if got == expected else "DIFFER"
                print(f"{word}  {got[:16]}  {steps:>11} steps  {time.monotonic() - began:6.2f} s  "
                      f"{case.name()} {layout}")
    return compared, failures


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--emulated", action="store_true")
    arguments = parser.parse_args()
    if arguments.emulated:
        os.environ["LS_CUDA_EMULATOR"] = "1"
    cases = TINY_CASES if arguments.emulated else CASES
    compared, failures = compare(arguments.program, cases, arguments.device)
    print(f"{compared:.3g} steps compared, {failures} failures")
    if not arguments.emulated and compared < WANTED_STEPS:
        print(f"too few: {WANTED_STEPS:.0e} are wanted")
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
