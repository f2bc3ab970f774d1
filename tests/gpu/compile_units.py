#!/usr/bin/env python3
"""Compiles CUDA units to what ptx_check.py and sass_check.py read: <unit>.ptx, .cubin and .log in a folder.

The flags are those the build compiles the unit with, from its compile_commands.json, but for one real
architecture; the log is what `ptxas -v` says about registers and spills.

usage: compile_units.py --database FILE --out FOLDER UNIT.cu...
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

WITH_VALUE = {"-gencode", "--generate-code", "-arch", "--gpu-architecture", "-o", "-x", "-MT", "-MF", "-MQ"}
ALONE = {"-c", "-MD", "-MMD"}


def plain_flags(flags):
    """`flags` without architectures, outputs and dependency files."""
    kept, skip = [], False
    for flag in flags:
        if skip:
            skip = False
        elif flag in WITH_VALUE:
            skip = True
        elif flag not in ALONE and not flag.startswith(tuple(f + "=" for f in WITH_VALUE)):
            kept.append(flag)
    return kept


def build_command(database, unit):
    """Compiler, flags and folder of the build's own command for `unit`."""
    unit = pathlib.Path(unit).resolve()
    for entry in json.loads(pathlib.Path(database).read_text()):
        folder = pathlib.Path(entry["directory"])
        if (folder / entry["file"]).resolve() != unit:
            continue
        compiler, *flags = entry.get("arguments") or shlex.split(entry["command"])
        flags = [f for f in flags if (folder / f).resolve() != unit]
        return compiler, plain_flags(flags), folder
    raise SystemExit(f"{database}: no command compiles {unit}")


def compile_unit(nvcc, flags, unit, out, arch="sm_90", folder=None):
    """Writes unit.ptx, unit.cubin, unit.log; the cubin is made from that PTX. Returns the cubin's path."""
    unit, out = pathlib.Path(unit).resolve(), pathlib.Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as keep:
        cubin = out / (unit.stem + ".cubin")
        command = [nvcc, *flags, f"-arch={arch}", "-cubin", "-keep", "-keep-dir", keep, "-Xptxas", "-v",
                   "-o", str(cubin), str(unit)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if result.returncode != 0:
            raise SystemExit(f"{shlex.join(command)}\n{result.stdout}{result.stderr}")
        cubin.with_suffix(".log").write_text(result.stdout + result.stderr)
        (ptx,) = pathlib.Path(keep).glob("*.ptx")
        cubin.with_suffix(".ptx").write_bytes(ptx.read_bytes())
    return cubin


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("units", nargs="+")
    parser.add_argument("--database", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    for unit in arguments.units:
        nvcc, flags, folder = build_command(arguments.database, unit)
        print(compile_unit(nvcc, flags, unit, arguments.out, folder=folder))


if __name__ == "__main__":
    sys.exit(main())
