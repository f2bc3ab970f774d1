#!/usr/bin/env python3
"""Holds every launch of the emulated plug-in against the registers that nvcc gave its kernel.

The emulator has no registers and sees no launch bounds. Both are in what compile_units.py made: here they
become a table for LS_EMULATOR_REGISTERS, by the kernels' places in the emulated plug-in, and hashes.py runs
with it as every device the emulator knows. A launch beyond either fails as on a GPU. Registers are those of
sm_90; launch bounds hold on all devices, whose own code the compiler keeps within them.

usage: registers.py --code FOLDER --plugin FILE --program FILE [--devices NAME...]
exit code: 0 all launches fit, 1 not
"""

import argparse
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from kernel_names import short_names

HASHES = pathlib.Path(__file__).resolve().parent / "hashes.py"
EMULATED = {"compact_kernel": (32, 1)}  # what Thrust launches on a device
DENSE = "rollout cartpole --envs 300 --steps 20 --math dense --device cuda"
REFUSED = "too many resources requested for launch"


def compiled(ptx, log):
    """Registers of a thread and most threads of a block, by short name of the kernel."""
    bounds, registers, name = {}, {}, None
    for line in ptx.splitlines():
        if entry := re.match(r"\.?\w*\s*\.entry ([\w$]+)\(", line):
            name = entry.group(1)
            bounds[name] = 1024
        elif most := re.match(r"\.maxntid (\d+(?:, \d+)*)", line):
            bounds[name] = math.prod(map(int, most.group(1).split(", ")))
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '([\w$]+)'", line):
            name = entry.group(1)
        elif used := re.search(r"Used (\d+) registers", line):
            registers[name] = int(used.group(1))
    names = short_names(registers)
    return {names[name]: (count, bounds[name]) for name, count in registers.items()}


def places(plugin):
    """Functions of a library by short name: their places in it."""
    listed = subprocess.run(["nm", "--defined-only", str(plugin)], capture_output=True, text=True, check=True).stdout
    symbols = [line.split() for line in listed.splitlines()]
    symbols = {s[2]: s[0] for s in symbols if len(s) == 3 and s[1] in "tTwW" and re.fullmatch(r"_Z\w+", s[2])}
    found = {}
    for name, short in short_names(symbols).items():
        if "kernel" in short:
            found.setdefault(short, []).append(symbols[name])
    return found


def table(kernels, found):
    """Lines for the emulator: place, registers, threads."""
    lost = sorted(name for name in kernels if name not in found and not name.startswith("cub::"))
    if lost:
        raise SystemExit(f"the emulated plug-in lacks {lost}")
    return [(place, *kernels[name]) for name in kernels if name in found for place in found[name]]


def run(arguments, rows, device):
    """hashes.py and the dense path with a table, as that device: failures and text."""
    with tempfile.NamedTemporaryFile("w", suffix=".registers") as file:
        file.writelines(f"{place} {registers} {threads}\n" for place, registers, threads in rows)
        file.flush()
        environment = os.environ | {"LS_CUDA_EMULATOR": "1", "LS_EMULATOR_REGISTERS": file.name,
                                    "LS_EMULATOR_DEVICE": device}
        commands = [[sys.executable, str(HASHES), "--emulated", "--program", arguments.program],
                    [arguments.program, *DENSE.split()]]
        runs = [subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                for command in commands]
    return sum(done.returncode != 0 for done in runs), "".join(done.stdout for done in runs)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--code", required=True, type=pathlib.Path)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--devices", nargs="+", default=["t4", "a100", "rtx", "h200"])
    arguments = parser.parse_args()
    kernels = dict(EMULATED)
    for ptx in sorted(arguments.code.glob("*.ptx")):
        kernels |= compiled(ptx.read_text(), ptx.with_suffix(".log").read_text())
    rows = table(kernels, places(arguments.plugin))
    print(f"{len(rows)} kernels, at most {max(r[1] for r in rows)} registers, {max(r[2] for r in rows)} threads")
    failures = 0
    for device in arguments.devices:
        code, text = run(arguments, rows, device)
        failures += code
        print(f"{device}: {'all launches fit' if code == 0 else text}")
    # that it would notice: every kernel as if it were compiled for 31 threads
    code, text = run(arguments, [(place, registers, 31) for place, registers, _ in rows], arguments.devices[-1])
    if code == 0 or REFUSED not in text:
        print(f"launches of too many threads passed:\n{text}")
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
