#!/usr/bin/env python3
"""Measures Pong on a GPU through the program, as a user would, and adds the rows to a file of results.

  env_random    games with uniformly random actions, nothing recorded
  env_policy    games, network and sampling, nothing recorded; H = 200, and 512 as cuda_h512
  train_step    updates of T steps a game with automatic reset
  train_games   updates of one whole game each, the recipe `fast`: what `lockstep train pong --envs N` does

Rollouts are timed on the device by events, over repetitions in one call; the first call of a process, which
loads the kernels, is one of many. Updates are timed by the clock on the wall between two lines of the log,
the first of them behind the updates that allocate and load; between those lines nothing is read from the
device. Each row is the median of three runs.

usage: gpu_pong.py --program FILE --append RESULTS.json [--emulated]
  RESULTS.json is what `lockstep_bench --save` wrote, or is made; it is complete after every row, so that
  what was measured survives the end of this process. --emulated: tiny sizes under the same names, to see
  that the rows can be made; LS_CUDA_EMULATOR=1 is set
exit code: 0 all rows measured, 1 not
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

RUNS = 3


@dataclasses.dataclass
class Row:
    name: str
    envs: int
    words: str  # of the command line
    steps: int = 0  # of a rollout
    updates: int = 0  # of a training; the first third is not timed


def rollout(op, backend, envs, steps, words):
    return Row(f"BM_{op}/pong/{backend}/N:{envs}/T:{steps}", envs, words, steps=steps)


def rows():
    found = [rollout("env_random", "cuda", 8448, 2000, "--policy random")]
    for hidden, backend in ((200, "cuda"), (512, "cuda_h512")):
        for envs in (64, 8448):
            found.append(rollout("env_policy", backend, envs, 2000, f"--init normal --hidden {hidden}"))
    found.append(Row("BM_train_step/pong/cuda/N:8448/T:2000", 8448, "--horizon 2000", updates=60))
    for envs, updates in ((32, 150), (64, 150), (8448, 60)):
        found.append(Row(f"BM_train_games/pong/cuda/N:{envs}", envs, "", updates=updates))
    return found


def tiny(row):
    """The same row, for the emulator."""
    envs = 1 if row.updates else 4
    return dataclasses.replace(row, envs=envs, steps=min(row.steps, 20), updates=min(row.updates, 3),
                               words=row.words.replace("2000", "30"))  # room for a score of 22


class Failure(Exception):
    """A run of the program went wrong."""


def start(words):
    """Runs the program; what it says on stdout."""
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"exit code {result.returncode}: {shlex.join(words)}\n{result.stderr.strip()}")
    return json.loads(result.stdout)


def rate(program, row, seed, folder):
    """Steps per second of one run."""
    words = ["--envs", str(row.envs), "--seed", str(seed), "--device", "cuda", "--quiet", "--json",
             *row.words.split()]
    if row.steps:
        return start([program, "rollout", "pong", *words, "--noops", "29", "--steps", str(row.steps),
                      "--repeats", "1" if row.steps < 100 else "10"])["steps_per_second"]
    every = row.updates // 3
    start([program, "train", "pong", *words, "--updates", str(row.updates), "--log-every", str(every),
           "--until-score", "22", "--out", folder, "--force"])
    log = [json.loads(line) for line in pathlib.Path(folder, "metrics.jsonl").read_text().splitlines()]
    return timed_rate(log)


def timed_rate(log):
    """Steps per second from the first line of a log to the last."""
    steps = log[-1]["global_step"] - log[0]["global_step"]
    seconds = log[-1]["time/seconds"] - log[0]["time/seconds"]
    return steps / seconds


def entry(name, value):
    """A row of the library's form."""
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1, "real_time": 1e9 / value,
            "cpu_time": 0.0, "time_unit": "ns", "items_per_second": value}


def read_results(file):
    """The document to add to; an empty one where there is none."""
    return json.loads(file.read_text()) if file.exists() else {"context": {}, "benchmarks": []}


def write_results(file, document):
    """Replaces the file in one step."""
    whole = file.with_name(file.name + ".tmp")
    whole.write_text(json.dumps(document, indent=2) + "\n")
    whole.replace(file)


def measure(file, wanted, rates):
    """Adds a row of the median of rates(row) to the file for each that is wanted; how many failed."""
    document, failures = read_results(file), 0
    for row in wanted:
        try:
            value = statistics.median(rates(row))
        except Failure as failure:
            print(f"FAILED  {row.name}: {failure}")
            failures += 1
            continue
        document["benchmarks"].append(entry(row.name, value))
        write_results(file, document)
        print(f"{row.name:<45} {value:.3g} steps/s")
    return failures


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--append", required=True)
    parser.add_argument("--emulated", action="store_true")
    arguments = parser.parse_args()
    if arguments.emulated:
        os.environ["LS_CUDA_EMULATOR"] = "1"

    def rates(row):
        small, runs = (tiny(row), 1) if arguments.emulated else (row, RUNS)
        with tempfile.TemporaryDirectory() as folder:
            return [rate(arguments.program, small, seed, folder) for seed in range(1, runs + 1)]

    return 1 if measure(pathlib.Path(arguments.append), rows(), rates) else 0


if __name__ == "__main__":
    sys.exit(main())
