#!/usr/bin/env python3
"""Predicts what a GPU will do, from the machine code of the kernels and no measurement.

Writes a table of the rows that the benchmarks will measure there, with a low and a high bound for each
machine (gpu_model.py says how, predict_pong.py for Pong), next to the goals. A prediction is for finding
out what was misunderstood: bench/gpu/gpu_report.py puts it beside the measurement.

usage: predict.py --code FOLDER [--nvdisasm PROGRAM] [--out FILE.md]
  FOLDER has what tests/gpu/compile_units.py made of the CUDA units (build/cpu/tests/gpu/code after
  `ctest -R live/compile_units`)
"""

import argparse
import datetime
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "gpu"), str(ROOT / "bench" / "gpu")]

import gpu_model  # noqa: E402
import predict_pong  # noqa: E402
import sass  # noqa: E402
import usual_path  # noqa: E402
from gpu_model import GOALS, HIDDEN, MACHINES, STEPS, Work  # noqa: E402

BLOCK = 128
UNITS_SHARED = HIDDEN * 32  # bytes: four weights, bias, output weight, padding
GRADIENT_SHARED = 32 * 64 + 20 * 32 * 8  # bytes a warp: 32 steps on their way, 64-bit sums
GRADIENT_WARPS = (1024, 8192)  # kBusyWarps, kMostWarps of kernels/cuda/gradient.cuh
MEAN_EPISODE = 22  # steps, of a policy that has learned nothing
ENDS = 1 - (1 - 1 / MEAN_EPISODE) ** 32  # turns in which an episode of a warp's 32 ends
# an instruction with such words among its source lines runs in so many turns; 0: hardly ever
RULES = [("next_start[k] = start_state", 1 / 8), ("next_start = start_state", 1 / 8), ("out.ended, next_start", 1),
         ("start_state<E, float>(args.stream, id(k), episode[k].number", ENDS), ("log_episode<E>(", ENDS),
         ("const auto start = start_state<E, F>(", ENDS),
         ("words = Words::draw(", 1 / 16), ("words[k] = Words::draw(", 1 / 4), ("flush_bits(", 1 / 16),
         ("explore<", 0), ("greedy_action", 0), ("all.flush()", 1 / 8),
         ("if (adds + filled > kFlushSteps) flush()", 1 / 8)]
RANDOM_RULES = [("words[k] = Words::draw(", 1 / 128)] + RULES  # a bit decides
RECORDED = 4 + 3 / 8  # bytes a step: the logit, three bits


def row_name(op, backend, envs):
    return f"BM_{op}/cartpole/{backend}/N:{envs}/T:{STEPS}"


def rollout_thread(function, backend, op, envs, each, form, bytes_per_step):
    """A thread plays `each` environments; `form` 2 is the ReLU network, 0 random actions."""
    shared = "true" if form else "false"
    kernel = rf"rollout_kernel<CartPole, \(PolicyForm\){form}, false, {each}, {shared}, false>"
    units = function(kernel).hot().mix()["FFMA"] / (5 * each) if form else 0
    return Work(row_name(op, backend, envs), kernel, envs, BLOCK, -(-envs // (32 * each)), STEPS,
                HIDDEN / units if form else 0, bytes_per_step, UNITS_SHARED if form else 0)


def rollout_lanes8(backend, op, envs, bytes_per_step):
    kernel = r"lanes8::rollout_lanes8_kernel<CartPole, false, 16, false>"
    return Work(row_name(op, backend, envs), kernel, envs, BLOCK, -(-envs // 8), STEPS, 0, bytes_per_step)


def gradient(function, envs):
    kernel = r"gradient_kernel<CartPole, \(PolicyForm\)2, false, false>"
    per_warp = 32
    while per_warp > 1 and -(-envs // per_warp) < GRADIENT_WARPS[0]:
        per_warp //= 2
    sets = -(-envs // per_warp)
    warps = min(sets, GRADIENT_WARPS[1])
    steps_a_turn = function(kernel).hot().mix()["FFMA"] / (4 * 4)  # 4 units a lane, 4 weights each
    return Work(row_name("gradient", "cuda", envs), kernel, envs, BLOCK, warps, STEPS * -(-sets // warps),
                per_warp / steps_a_turn, 4 + 4 + 1 / 4, BLOCK // 32 * GRADIENT_SHARED)


def works(function):
    """Every row predicted from code."""
    rows = []
    for envs in (4096, 65536, 1 << 20):
        rows.append(rollout_thread(function, "cuda", "env_random", envs, 1, 0, 1e-3))
    for envs in (64, 4096, 65536, 1 << 20):
        for each in (1, 4, 8):
            rows.append(rollout_thread(function, f"cuda_thread{each}", "rollout", envs, each, 2, RECORDED))
        rows.append(rollout_lanes8("cuda_lanes8", "rollout", envs, RECORDED))
        rows.append(gradient(function, envs))
    return rows


def update_rate(machine, rates, envs, bound):
    """Steps/s of a whole update; rates: the rollout's and the gradient's."""
    bandwidth, steps = machine.bandwidth[bound], envs * STEPS
    seconds = sum(steps / r for r in rates)
    seconds += steps * (4 + 3 / 8 + 8 + 1 / 8) / bandwidth  # returns, baseline
    seconds += steps * RECORDED / bandwidth if envs > 1 << 16 else 0  # the record does not stay in the cache
    return steps / (seconds + gpu_model.LAUNCH[1 - bound])


def table(functions, source_lines):
    usual_path.check_rules(RULES, source_lines)

    def function(kernel):
        found = [f for f in functions if re.fullmatch(kernel, f.short)]
        if len(found) != 1:
            raise SystemExit(f"{len(found)} kernels are named '{kernel}'")
        return found[0]

    best = {}  # (machine, op, envs, bound) -> rate of the best mapping
    lines = ["| row | instr/step | " + " | ".join(f"{m.name} low | {m.name} high | limits" for m in MACHINES) + " |",
             "|---|---|" + "---|---|---|" * len(MACHINES)]
    rows = works(function)
    for work in rows:
        rules = RANDOM_RULES if "(PolicyForm\\)0" in work.kernel else RULES
        turns = usual_path.Turns(function(work.kernel), source_lines, rules)
        cells, counts = [], ""
        for machine in MACHINES:
            e = gpu_model.estimate(machine, function(work.kernel), work, sass.class_of, turns)
            counts = f"{e.instructions[1]:.0f}..{e.instructions[0]:.0f}"
            cells.append(f"{e.rate[0]:.2e} | {e.rate[1]:.2e} | {'/'.join(dict.fromkeys(e.limit))}")
            op = work.row.split("/")[0]
            for bound in (0, 1):
                key = (machine.name, op, work.envs, bound)
                best[key] = max(best.get(key, 0), e.rate[bound])
        lines.append(f"| {work.row} | {counts} | {' | '.join(cells)} |")
    for envs in (64, 4096, 65536, 1 << 20):
        policy, update = [], []
        for machine in MACHINES:
            rates = [[best[machine.name, op, envs, b] for op in ("BM_rollout", "BM_gradient")] for b in (0, 1)]
            whole = [update_rate(machine, rates[b], envs, b) for b in (0, 1)]
            policy.append(f"{rates[0][0]:.2e} | {rates[1][0]:.2e} | best mapping")
            update.append(f"{whole[0]:.2e} | {whole[1]:.2e} | sum")
        lines.append(f"| {row_name('env_policy', 'cuda', envs)} | | {' | '.join(policy)} |")
        lines.append(f"| {row_name('train_step', 'cuda', envs)} | | {' | '.join(update)} |")
    launch = f"{gpu_model.LAUNCH[1]:.1e} | {gpu_model.LAUNCH[0]:.1e} | seconds an update"
    lines.append(f"| {row_name('launch_overhead', 'cuda', 4096)} | | {' | '.join([launch] * len(MACHINES))} |")
    return "\n".join(lines)


def goals():
    lines = ["| row | goal |", "|---|---|"]
    for row, (value, unit, where) in GOALS.items():
        lines.append(f"| {row} | {'at most' if unit == 's' else 'at least'} {value:.2g} {unit} ({where}) |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--code", required=True)
    parser.add_argument("--nvdisasm")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    nvdisasm = sass.find_nvdisasm(arguments.nvdisasm)
    if nvdisasm is None:
        raise SystemExit("no nvdisasm: neither on the PATH nor among the packages")
    functions, lines = [], {"cartpole": {}, "pong": {}}
    for cubin in sorted(pathlib.Path(arguments.code).glob("*.cubin")):
        functions += sass.load(cubin, nvdisasm, cubin.with_suffix(".log").read_text())
        if cubin.stem in lines:
            lines[cubin.stem] = usual_path.read_lines(cubin, nvdisasm)
    pong, parts = predict_pong.tables(functions, lines["pong"])
    text = f"""# Prediction of {datetime.date.today()}: nothing here was measured

Steps per second of CartPole with the 4-{HIDDEN}-2 network, T = {STEPS}, automatic reset, from the machine code for sm_90
and the figures in `bench/gpu/gpu_model.py`. Made by

    .venv/bin/python bench/gpu/predict.py --code build/cpu/tests/gpu/code --out bench/results/FILE

`low` restarts episodes as often as a policy does that has learned nothing, draws as often as the source says, executes all
other code of a loop in every turn, at {MACHINES[0].clocks[0] / 1e9:.3f} GHz, with loads from memory; `high` only
what every turn passes, at {MACHINES[0].clocks[1] / 1e9:.2f} GHz, with loads from the cache. A turn with more than
{gpu_model.FETCHED // 1024} KiB of code takes 10 to 20 % longer for fetching it. Instructions are warp instructions times 32 per environment
step, high to low.

{table(functions, lines["cartpole"])}

## Pong

Object tables; 200 hidden units, 512 where the row says so. Here both bounds execute what runs in a usual turn of the loop,
by the source lines of the instructions (`bench/gpu/usual_path.py`), and differ in clock, in latency and bandwidth of the
second-level cache, and in conflicts of shared memory. `bench/gpu/predict_pong.py` has these figures and says what is least certain.
`train_games` is an update of whole games of a policy that has learned nothing: its rollout takes as many turns as the longest
game, {predict_pong.LONGEST[8448]} of 8448 games with a mean of {predict_pong.MEAN_GAME}.

{pong}

Parts of an update on an {MACHINES[-1].name}, microseconds, from the low bound of the rate to the high one:

{parts}

What that leaves of the goals:

{predict_pong.gap(pong)}

A rollout of few games waits for itself: a warp alone needs one long turn a step, most of it the game's four frames, the logit's
tree and the loads. Fewer games a warp would take the network's share of the others away, not the game's. A large update waits
for the sums of the gradient and, with whole games, for the longest of them.

## Goals

{goals()}
"""
    if arguments.out:
        pathlib.Path(arguments.out).write_text(text)
    print(text)


if __name__ == "__main__":
    sys.exit(main())
