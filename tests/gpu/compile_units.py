#!/usr/bin/env python3
"""Compiles CUDA units to what ptx_check.py and sass_check.py read: <unit>.ptx, .cubin and .log in a folder.

The flags must be the ones the units are built with; the log is what `ptxas -v` says about registers and
spills.

usage: compile_units.py --nvcc NVCC --out FOLDER [--flags "FLAG..."] UNIT.cu...
"""

import argparse
import pathlib
import shlex
import subprocess
import sys
import tempfile


def without_arch(flags):
    """`flags` without any choice of architecture."""
    kept, skip = [], False
    for flag in flags:
        if skip or flag in ("-gencode", "--generate-code", "-arch", "--gpu-architecture"):
            skip = not skip
        elif not flag.startswith(("-gencode=", "--generate-code=", "-arch=", "--gpu-architecture=")):
            kept.append(flag)
    return kept


def compile_unit(nvcc, flags, unit, out, arch="sm_90"):
    """Writes unit.ptx, unit.cubin, unit.log; the cubin is made from that PTX. Returns the cubin's path."""
    unit, out = pathlib.Path(unit), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as keep:
        cubin = out / (unit.stem + ".cubin")
        command = [nvcc, *without_arch(flags), f"-arch={arch}", "-cubin", "-keep", "-keep-dir", keep, "-Xptxas", "-v",
                   "-o", str(cubin), str(unit)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise SystemExit(f"{shlex.join(command)}\n{result.stdout}{result.stderr}")
        cubin.with_suffix(".log").write_text(result.stdout + result.stderr)
        (ptx,) = pathlib.Path(keep).glob("*.ptx")
        cubin.with_suffix(".ptx").write_bytes(ptx.read_bytes())
    return cubin


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("units", nargs="+")
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--flags", default="")
    arguments = parser.parse_args()
    for unit in arguments.units:
        print(compile_unit(arguments.nvcc, shlex.split(arguments.flags), unit, arguments.out))


if __name__ == "__main__":
    sys.exit(main())
