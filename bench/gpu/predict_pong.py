"""Predicts what a GPU will do with Pong, from the machine code of the table kernels; for predict.py.

What is no instruction is said here, and why:

  * loads hit L2: the table is 6 MB with 200 units. Latency and bandwidth of that cache as published for
    this generation.
  * conflicts of the banks in accumulate(): cycles a step and unit of a model that replays which rows 16
    games show at a time; fewest where games are spread over their course, most where all begin together.
  * lengths of games: 8448 games of a policy that has learned nothing. A rollout of whole games ends with
    the longest.

The least certain is accumulate(): nobody has measured these conflicts.
"""

import dataclasses
import math
import re

import gpu_model
import sass
from gpu_model import GOALS
from usual_path import Turns, check_rules

L2_LATENCY = (414, 258)  # cycles: the far partition, the near one
L2_BANDWIDTH = (5.5e12, 7.8e12)  # bytes/s
HOP = (2e-6, 1.3e-6)  # s, from one kernel of a graph to the next
KERNELS = 13  # of an update
BANKS = (0.4636, 0.2851)  # cycles a step and unit
SHARE_UNITS = 8  # of a block of accumulate()
ROWS, PIXELS = 7430, 6400
LITS, LIGHTS = 2.9, 2.5  # rows that light a pixel, pixels that a row lights: means
FRAMES = 4  # of a step
MEAN_GAME = 1010
LONGEST = {32: 1377, 64: 1433, 8448: 1718}  # of so many games
MAX_STEPS = 16302  # of a game on tables
# an instruction with such words among its source lines runs in so many turns; 0: hardly ever
RULES = [("restart(", 0), ("phi_[e][u] = phi_of", 0), ("StepNoise", 0), ("options.max_skip", 0), ("noise.", 0),
         ("return E::step(", 0), ("explore<", 0), ("greedy_action", 0), ("close_episode(", 0),
         ("random_words(stream, kPurpose", 0.25), ("carries |=", 0), ("carries = (carries", 0),
         ("down |=", 0), ("for (down", 0), ("__ffs(static_cast<int>(carries))", 0), ("add_signed(carried", 0),
         ("add_to_rare_row<Share>(total", 0)]


@dataclasses.dataclass
class Network:
    hidden: int

    def padded(self):
        return -(-self.hidden // 16) * 16

    def lane_units(self):
        return -(-self.padded() // 32)

    def near(self):
        """Whether the bats' rows are in shared memory."""
        return self.lane_units() <= 8

    def numbers(self):
        return (PIXELS + 1) * self.padded()


class Model:
    """Seconds of the kernels on one machine, at one bound: 0 slow, 1 fast."""

    def __init__(self, machine, bound, function, lines):
        self.machine, self.bound, self.function, self.lines = machine, bound, function, lines
        self.clock = machine.clocks[bound]

    def loop(self, name):
        """Instructions of a turn of the kernel's longest loop, busy cycles, and cycles of one warp alone.

        Inside that of a rollout a loop that usually runs is the one over the frames of a step.
        """
        function = self.function(name)
        turns = Turns(function, self.lines, RULES)
        longest = max(function.loops, key=lambda l: len(l.own))
        usual = turns.usual(longest.own)
        seldom = turns.count(longest.own) - len(usual)
        count, busy, lone = len(usual) + seldom, seldom, 2 * seldom
        frames = [turns.usual(l.own) for l in function.loops if l.parent is longest]
        frames = [code for code in frames if len(code) > 20 and "rollout" in name]
        for code, times in [(usual, 1), *((code, FRAMES) for code in frames)]:
            busy += times * gpu_model.busy_cycles(code, sass.class_of, True)
            lone += times * gpu_model.lone_cycles(code, sass.class_of, load=L2_LATENCY[self.bound])
        stalls = gpu_model.fetch_stalls(len(usual) + sum(map(len, frames)), self.bound)
        return count + FRAMES * sum(map(len, frames)), stalls * busy, stalls * lone

    def rollout(self, network, envs, turns):
        """Seconds of so many turns of all games; warp instructions of a step."""
        units = network.lane_units() if network else 0
        each = 8 if units in (0, 7, 8) and (units == 0 or envs >= 64 * self.machine.sms) else 4
        near, whole = str(bool(units) and network.near()).lower(), str(units > 0).lower()
        count, busy, lone = self.loop(
            rf"table::table_rollout_kernel<ObjectPong, false, {units}, {whole}, {near}, {each}, false>")
        warps = math.ceil(envs / 16) * 16 // each
        on_scheduler = math.ceil(warps / self.machine.sms / 4)
        room = min(on_scheduler, 2 if network else 3)  # of kWarps
        cycles = math.ceil(on_scheduler / room) * max(room * busy, lone)
        rows = 0 if not network else (1 if network.near() else 3) * 4 * network.padded() * envs / L2_BANDWIDTH[self.bound]
        limit = "issue" if room * busy > lone else "latency"
        seconds = cycles / self.clock
        return turns * max(seconds, rows), 32 * count / each, "L2" if rows > seconds else limit

    def by_time(self, name, envs, steps, bytes_per_step, per_turn):
        """Seconds of a kernel in which a thread walks a chunk of time; its loop has per_turn steps."""
        count, busy, lone = self.loop(name)
        chunk = 32 if envs < 4096 else 128
        warps = envs / 32 * steps / envs / chunk
        turns = math.ceil(warps / self.machine.schedulers()) * chunk / per_turn
        walk = max(turns * busy, chunk / per_turn * lone) / self.clock
        return max(walk, steps * bytes_per_step / self.machine.bandwidth[self.bound]), count / per_turn

    def accumulate(self, network, envs, steps):
        count, busy, lone = self.loop(r"table_accumulate_kernel<ObjectPong, 8, false>")
        slices = math.ceil(network.padded() / SHARE_UNITS)
        parts = max(1, self.machine.sms // slices)
        share = steps / parts  # of a block
        issue = share / 16 * busy / 4
        banks = share * BANKS[self.bound] * SHARE_UNITS
        chunk = 32 if envs < 4096 else 128
        alone = chunk * lone * math.ceil(share / (512 * chunk))
        empty = max(0, envs * MAX_STEPS - steps) / parts / chunk / 16 * 40 / 4 if steps else 0  # past the ends
        limit = max((issue, "issue"), (banks, "banks"), (alone, "latency"))
        return (limit[0] + empty) / self.clock, 32 * count * slices / 16, limit[1]

    def moved(self, numbers, bytes_each):
        return numbers * bytes_each / L2_BANDWIDTH[self.bound]

    def finish(self, network):
        n = network.numbers()
        _, _, tile = self.loop(r"table_output_kernel<256>")
        chain = PIXELS / 4 * (24, 12)[self.bound]  # DFMA behind DFMA, with its loads
        output = (PIXELS / 256 * tile + chain) / self.clock
        return self.moved(n, 8 * LITS + 12) + output + self.moved(n, 4)

    def optimise(self, network):
        n = network.numbers()
        return self.moved(n, 16) + self.moved(n, 28) + self.moved(ROWS * network.padded(), 4 * LIGHTS + 4)

    def update(self, network, envs, steps, turns, valid=1.0):
        """Seconds of the parts of an update, by name."""
        used = steps * valid
        parts = {"rollout": self.rollout(network, envs, turns)[0]}
        parts["returns"] = self.by_time(r"table_returns_kernel<true>", envs, used, 5.25, 4)[0]
        parts["baseline"] = self.by_time(r"table_baseline_kernel<false>", envs, used, 8, 4)[0]
        parts["weigh"] = self.by_time(r"table_weigh_kernel<false>", envs, used, 12.5, 1)[0]
        parts["accumulate"] = self.accumulate(network, envs, used)[0]
        parts["finish"] = self.finish(network)
        parts["optimise"] = self.optimise(network)
        parts["launches"] = KERNELS * HOP[self.bound]
        return parts


def tables(functions, lines):
    """Rows like predict.py's, and the parts of updates in microseconds."""

    def function(kernel):
        found = [f for f in functions if re.fullmatch(kernel, f.short)]
        if len(found) != 1:
            raise SystemExit(f"{len(found)} kernels are named '{kernel}'")
        return found[0]

    check_rules(RULES, lines)
    machines = gpu_model.MACHINES
    models = {(m.name, b): Model(m, b, function, lines) for m in machines for b in (0, 1)}
    out = ["| row | instr/step | " + " | ".join(f"{m.name} low | {m.name} high | limits" for m in machines) + " |",
           "|---|---|" + "---|---|---|" * len(machines)]

    def add(name, rate):
        """rate(model) -> steps/s, instructions of a step or None, limit"""
        cells, counts = [], ""
        for machine in machines:
            low, high = (rate(models[machine.name, b]) for b in (0, 1))
            counts = f"{high[1]:.0f}" if high[1] else ""
            cells.append(f"{low[0]:.2e} | {high[0]:.2e} | {'/'.join(dict.fromkeys((low[2], high[2])))}")
        out.append(f"| {name} | {counts} | {' | '.join(cells)} |")

    def plays(network, envs):
        def rate(model):
            seconds, count, limit = model.rollout(network, envs, 1)
            return envs / seconds, count, limit

        return rate

    add("BM_env_random/pong/cuda/N:8448/T:2000", plays(None, 8448))
    for hidden, backend in ((200, "cuda"), (512, "cuda_h512")):
        for envs in (64, 4096, 8448):
            add(f"BM_env_policy/pong/{backend}/N:{envs}/T:2000", plays(Network(hidden), envs))

    def accumulates(hidden, envs):
        def rate(model):
            steps = envs * MEAN_GAME
            seconds, count, limit = model.accumulate(Network(hidden), envs, steps)
            return steps / seconds, count, limit

        return rate

    for hidden, backend in ((200, "cuda"), (512, "cuda_h512")):
        add(f"BM_accumulate/pong/{backend}/N:8448", accumulates(hidden, 8448))

    updates = []

    def trains(name, hidden, envs, steps, turns, valid=1.0):
        def rate(model):
            parts = model.update(Network(hidden), envs, steps, turns, valid)
            updates.append((name, model, parts))
            return steps / sum(parts.values()), None, max(parts, key=parts.get)

        add(name, rate)

    trains("BM_train_step/pong/cuda/N:8448/T:2000", 200, 8448, 8448 * 2000, 2000, 0.73)
    for envs in (32, 64, 8448):
        trains(f"BM_train_games/pong/cuda/N:{envs}", 200, envs, envs * MEAN_GAME, LONGEST[envs])
    trains("BM_train_games/pong/cuda_h512/N:8448", 512, 8448, 8448 * MEAN_GAME, LONGEST[8448])

    names = list(updates[0][2])
    parts = ["| row | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for name in dict.fromkeys(n for n, _, _ in updates):
        slow, fast = (next(p for n, m, p in updates if n == name and m.machine is machines[-1] and m.bound == b)
                      for b in (0, 1))
        parts.append(f"| {name.removeprefix('BM_')} | " + " | ".join(f"{slow[p] * 1e6:.0f} .. {fast[p] * 1e6:.0f}" for p in names) + " |")
    return "\n".join(out), "\n".join(parts)


def gap(rows):
    """What the predicted rates are of the goals; as in the parts, no name that gpu_report.py would read."""
    lines = ["| row | goal | predicted | of the goal |", "|---|---|---|---|"]
    for row in rows.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[0] not in GOALS:
            continue
        low, high = (float(cells[c]) for c in (-3, -2))
        goal = GOALS[cells[0]][0]
        lines.append(f"| {cells[0].removeprefix('BM_')} | {goal:.2g} | {low:.2g} .. {high:.2g} | {low / goal:.0%} .. {high / goal:.0%} |")
    return "\n".join(lines)
