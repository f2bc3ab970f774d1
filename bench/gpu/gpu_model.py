"""What the benchmarks of a GPU are held against: goals, machines, and a model of a kernel's speed.

The model takes the machine code as it is. A warp goes through the time loop once a step; per turn it is
charged, on its scheduler, the largest of
  issue    one instruction a cycle
  pipes    cycles of the busiest execution unit (PIPES)
  latency  what one warp alone would need, by the stalls the compiler wrote into the code and the
           latencies of what it waits for (LATENCY), shared by the warps that are resident
and the rate is steps per turn over that. Two bounds: `low` executes restarts and random words as often as
usual_path.py's rules say, and else every instruction of the loop, at the lower clock, with shared-memory
reads at full width; `high` only what every turn passes, at the higher clock, with broadcast reads. A turn
with more code than the cache of instructions holds waits for some of it (FETCH_STALLS).
"""

import dataclasses
import math
import re

STEPS = 500  # T
HIDDEN = 128

# rows of the benchmarks and what they must reach
GOALS = {  # row: (least value, unit, where)
    "BM_env_policy/cartpole/cuda/N:1048576/T:500": (2.2e10, "steps/s", "H100, H200"),
    "BM_env_policy/cartpole/cuda/N:4096/T:500": (8e9, "steps/s", "H100, H200"),
    "BM_train_step/cartpole/cuda/N:1048576/T:500": (8e9, "steps/s", "H200"),
    "BM_launch_overhead/cartpole/cuda/N:4096/T:500": (15e-6, "s", "H100, H200"),  # at most
    "BM_env_policy/pong/cuda/N:8448/T:2000": (4e9, "steps/s", "H200"),
    "BM_train_games/pong/cuda/N:8448": (2e9, "steps/s", "H200"),
    "BM_train_games/pong/cuda/N:64": (1.5e8, "steps/s", "H200"),
}


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    sms: int
    clocks: tuple  # Hz: under full load, and the most
    bandwidth: tuple  # bytes/s of memory: what a copy reaches, and the data sheet
    registers: int = 65536  # of an SM
    shared: int = 227 * 1024
    warps: int = 64  # most resident on an SM

    def schedulers(self):
        return 4 * self.sms


MACHINES = [
    Machine("H100", 132, (1.755e9, 1.98e9), (3.0e12, 3.35e12)),
    Machine("H200", 132, (1.755e9, 1.98e9), (4.3e12, 4.8e12)),
]

# cycles of a scheduler's unit per warp instruction: lanes of it a cycle, from the throughput table of
# NVIDIA's programming guide for compute capability 9.0
PIPES = {"heavy": {"IMAD": 2}, "fma": {"FFMA": 1, "FMUL": 1, "FADD": 1, "IMAD": 1}, "alu": {"INT": 2, "FALU": 2},
         "xu": {"MUFU": 8}, "fp64": {"FP64": 2}}
MEMORY = ("LDS", "STS", "LDG", "STG", "ATOM", "LOCAL")  # one unit for four schedulers
# cycles until the result of an instruction without a fixed latency is there
LATENCY = {"LDS": 30, "STS": 30, "LDG": 500, "STG": 30, "ATOM": 500, "LDC": 30, "SHFL": 24, "MUFU": 24,
           "LOCAL": 40, "UNIFORM": 14, "FP64": 8, "BAR": 20, "OTHER": 24}
CACHED_LOAD = 35  # LDG that hits the first-level cache
FETCHED = 25 * 1024  # bytes of code that the cache of instructions next to a scheduler's keeps
FETCH_STALLS = (1.2, 1.1)  # cycles of a turn with more: an estimate
LAUNCH = (8e-6, 10e-6)  # s, a graph of five kernels; published hops of about 1.3 us a node and a ramp


def fetch_stalls(count, bound):
    """What a turn of so many different instructions, of 16 bytes, takes of the cycles that are counted."""
    return FETCH_STALLS[bound] if 16 * count > FETCHED else 1.0


def memory_cycles(instruction, broadcast):
    """Cycles of the SM's load-store unit, by width unless all lanes read one place."""
    width = int((re.search(r"\.(64|128)", instruction.opcode) or [0, 32])[1]) // 32
    return 1 if broadcast and instruction.base == "LDS" else width


def busy_cycles(instructions, class_of, broadcast):
    """Cycles of a scheduler for one warp: issue slots or the busiest unit."""
    kinds = [class_of(i.opcode) for i in instructions]
    pipes = [sum(weights.get(kind, 0) for kind in kinds) for weights in PIPES.values()]
    memory = sum(4 * memory_cycles(i, broadcast) for i, kind in zip(instructions, kinds) if kind in MEMORY)
    memory += sum(2 if i.base == "VOTE" else 4 for i, kind in zip(instructions, kinds) if kind == "SHFL")
    return max(len(instructions), memory, *pipes)


def lone_cycles(instructions, class_of, cached=False, turns=2, load=None):
    """Cycles of a turn of one warp alone, in order, once the scoreboards are in step; load: of an LDG."""
    latency = {**LATENCY, "LDG": load or (CACHED_LOAD if cached else LATENCY["LDG"])}
    ready, now, before = [0.0] * 6, 0.0, 0.0
    for _ in range(turns):
        before = now
        for i in instructions:
            for barrier in range(6):
                if i.waits >> barrier & 1:
                    now = max(now, ready[barrier])
            if i.write_barrier < 6:
                ready[i.write_barrier] = max(ready[i.write_barrier], now + latency.get(class_of(i.opcode), 12))
            now += max(1, i.stall)
    return now - before


@dataclasses.dataclass(frozen=True)
class Work:
    """One benchmark row as a grid over a kernel."""

    row: str
    kernel: str  # expression for its short name
    envs: int  # N
    block: int  # threads
    warps: int  # of the grid
    turns: float  # of the time loop, of a warp
    hot_turns: float  # turns of the hot loop in one of the time loop; 0: the time loop is the hot one
    bytes_per_step: float  # to and from memory
    dynamic_shared: int = 0

    def steps(self):
        return self.envs * STEPS


def residents(machine, function, work):
    """Warps that fit on an SM."""
    per_block = work.block // 32
    registers = math.ceil(function.registers / 8) * 8 * 32
    blocks = machine.registers // (registers * per_block)
    shared = (function.shared or 0) + work.dynamic_shared + 1024
    return min(blocks, machine.shared // shared, machine.warps // per_block) * per_block


@dataclasses.dataclass
class Estimate:
    rate: tuple  # steps/s, low and high
    limit: tuple
    instructions: tuple  # per environment step, in lanes of 32


def estimate(machine, function, work, class_of, turns=None):
    """turns: usual_path.Turns of the function, for the low bound."""
    hot = function.hot()
    time = hot.parent if work.hot_turns else hot
    rates, limits, counts = [], [], []
    for bound in (0, 1):
        outer, seldom = time.own if bound == 0 else time.always, 0.0
        if turns is not None and bound == 0:
            outer = turns.usual(time.own)
            seldom = turns.count(time.own) - len(outer)
        inner = (hot.own if bound == 0 else hot.always) if work.hot_turns else []
        near = bound == 1
        stalls = fetch_stalls(len(outer) + len(inner), bound)
        busy = stalls * (busy_cycles(outer, class_of, near) + seldom) + work.hot_turns * busy_cycles(inner, class_of, near)
        issue = len(outer) + seldom + work.hot_turns * len(inner)
        lone = stalls * (lone_cycles(outer, class_of, near) + 2 * seldom) + work.hot_turns * (lone_cycles(inner, class_of, near) if inner else 0)
        on_a_scheduler = math.ceil(work.warps / machine.schedulers())
        waves = math.ceil(work.warps / (machine.sms * residents(machine, function, work)))
        cycles = max(on_a_scheduler * busy, waves * lone)
        compute = work.steps() * machine.clocks[bound] / (work.turns * cycles)
        memory = machine.bandwidth[bound] / work.bytes_per_step
        rates.append(min(compute, memory))
        limit = "issue" if busy <= issue * stalls else "units"
        limit = "latency" if waves * lone > on_a_scheduler * busy else limit
        limits.append("memory" if memory < compute else limit)
        counts.append(32 * issue * work.turns * work.warps / work.steps())
    return Estimate(tuple(rates), tuple(limits), tuple(counts))
