#!/usr/bin/env python3
"""Shows that kernels compute with IEEE operations alone: no contraction, approximation or flushing.

Reads the PTX of nvcc. Floating-point instructions are held against a list of what is known to be
exact or correctly rounded, so that an instruction nobody thought of is refused too:

  add sub mul fma mad div sqrt rcp   of f32 and f64, with .rn: `mul` and `add` without .rn may become
                                     one fma in ptxas, and nvcc leaves .rn away unless -fmad=false
  cvt                                .rn, to an integer any rounding; never .sat
  abs neg min max copysign testp setp set selp slct mov ld st   exact

and nothing may say .approx, .ftz or .full, add floats atomically (the order would show) or use a
tensor core (its rounding is its own).

usage: ptx_check.py FILE.ptx...              prints kernels and violations; exit code 1 if there are any
       ptx_check.py --self-test [--nvcc NVCC]   shows itself every violation first, as text and (with
                                             a compiler) as planted kernels
"""

import argparse
import collections
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile

from kernel_names import short_names

FLOAT = re.compile(r"(b?f16(x2)?|tf32|f32(x2)?|f64|e[45]m[0-9]\w*)$")
INTEGER = re.compile(r"[usb](8|16|32|64|128)$")
PLAIN = {"f32", "f64"}
ROUNDED = {"add", "sub", "mul", "fma", "mad", "div", "sqrt", "rcp"}
EXACT = {"abs", "neg", "min", "max", "copysign", "testp", "setp", "set", "selp", "slct", "mov", "ld",
         "ldu", "st"}
TRANSCENDENTAL = {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"}
ATOMIC = {"atom", "red", "redux", "multimem"}
TENSOR = {"mma", "wmma", "wgmma", "tcgen05"}


def fault(mnemonic):
    """Why an instruction such as 'mul.rn.ftz.f32' is refused, or None."""
    base, *modifiers = mnemonic.replace("::", ".").split(".")
    floats = [m for m in modifiers if FLOAT.match(m)]
    for word, reason in (("approx", "approximate"), ("full", "approximate"), ("ftz", "flushes subnormals")):
        if word in modifiers:
            return f"{reason} (.{word})"
    if base in TRANSCENDENTAL:
        return "a function of the hardware, not of envs/math.h"
    if base in TENSOR:
        return "a tensor core rounds in its own way"
    if not floats:
        return None
    if base in ATOMIC:
        return "atomic on floats: the order of the additions would show"
    if any(f not in PLAIN for f in floats) and base not in ("mov", "ld", "st"):
        return "neither f32 nor f64"
    if "sat" in modifiers:
        return "saturates (.sat)"
    if base in EXACT:
        return None
    if base in ROUNDED:
        return None if "rn" in modifiers else "not rounded to nearest even (.rn)"
    if base == "cvt":
        types = [m for m in modifiers if FLOAT.match(m) or INTEGER.match(m)]
        widens = types == ["f64", "f32"]
        to_whole = any(m in modifiers for m in ("rni", "rzi", "rmi", "rpi"))
        return None if "rn" in modifiers or widens or to_whole else "a conversion without .rn"
    return "not known to be exact"


@dataclasses.dataclass
class Instruction:
    function: str  # mangled
    line: int
    mnemonic: str
    text: str


def instructions(text):
    """Everything a PTX file executes, in order."""
    function = ""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("//")[0]
        start = re.search(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)", line)
        if start:
            function = start.group(1)
            continue
        for piece in re.split(r"[;{}]", line):
            match = re.match(r"\s*(?:[\w$]+:\s*)?(?:@!?%\w+\s+)?([a-z]\w*(?:(?:\.|::)\w+)+|[a-z]\w*)\b", piece)
            if match:
                yield Instruction(function, number, match.group(1), piece.strip())


@dataclasses.dataclass
class Report:
    functions: dict  # mangled name -> number of floating-point instructions
    faults: list  # (Instruction, reason)


def check(text):
    functions = collections.OrderedDict()
    for name in re.findall(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)", text):
        functions.setdefault(name, 0)
    faults = []
    for instruction in instructions(text):
        reason = fault(instruction.mnemonic)
        if reason:
            faults.append((instruction, reason))
        parts = instruction.mnemonic.split(".")
        if instruction.function in functions and any(FLOAT.match(p) for p in parts[1:]):
            functions[instruction.function] += 1
    return Report(functions, faults)


def run(files):
    bad = 0
    for path in files:
        text = pathlib.Path(path).read_text()
        report = check(text)
        if ".entry" not in text:
            print(f"{path}: no kernel in it")
            bad += 1
        names = short_names(report.functions)
        for instruction, reason in report.faults:
            where = names.get(instruction.function, instruction.function)
            print(f"{path}:{instruction.line}: {where}: {instruction.text}: {reason}")
        bad += len(report.faults)
        total = sum(report.functions.values())
        print(f"{path}: {len(report.functions)} functions, {total} floating-point instructions, "
              f"{len(report.faults)} violations")
    return 1 if bad else 0


# --- self-test ---
GOOD = """add.rn.f32 sub.rn.f32 mul.rn.f32 fma.rn.f32 div.rn.f32 sqrt.rn.f32 rcp.rn.f32 add.rn.f64 fma.rn.f64
div.rn.f64 sqrt.rn.f64 cvt.rn.f32.s32 cvt.rn.f32.f64 cvt.f64.f32 cvt.rni.s32.f32 cvt.rzi.s64.f32
cvt.rmi.f32.f32 abs.f32 neg.f64 min.f32 setp.gtu.f32 selp.f32 mov.f32 ld.global.nc.f32 st.shared.v4.f32
ld.param.f64 copysign.f32 atom.global.add.u64 red.global.add.s32 atom.shared.or.b32 mul.wide.u32 mul.hi.u32
mad.lo.s32 shfl.sync.bfly.b32 vote.sync.ballot.b32 redux.sync.add.s32 cvt.u64.u32 bar.sync call.uni
ld.global.nc.v4.f32 mov.b32 st.global.v2.f32""".split()
BAD = """add.f32 sub.f32 mul.f32 fma.f32 mul.f64 div.f64 mad.f32 add.rz.f32 fma.rm.f32 mul.rp.f64 div.approx.f32
div.full.f32 sqrt.approx.f32 rcp.approx.ftz.f32 rsqrt.approx.f32 add.rn.ftz.f32 setp.lt.ftz.f32
cvt.rn.ftz.f32.f64 ex2.approx.f32 lg2.approx.f32 sin.approx.f32 cos.approx.f32 tanh.approx.f32
atom.global.add.f32 red.global.add.f64 atom.shared.add.noftz.f16x2 red.relaxed.gpu.global.add.f32
cvt.sat.f32.f32 fma.rn.sat.f32 cvt.rz.f32.f64 cvt.f32.s32 add.f16 fma.rn.f16x2 fma.rn.bf16x2
mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16
quux.rn.f32 add.rn.f32x2""".split()

PLANTED = """
__global__ void bad_exp(float* x) { x[0] = __expf(x[1]); }
__global__ void bad_expf(float* x) { x[0] = expf(x[1]); }
__global__ void bad_log(float* x) { x[0] = logf(x[1]) + __logf(x[2]); }
__global__ void bad_sin(float* x) { x[0] = __sinf(x[1]); }
__global__ void bad_divide(float* x) { x[0] = __fdividef(x[1], x[2]); }
__global__ void bad_atomic(float* x) { atomicAdd(x, x[1]); }
__global__ void bad_atomic_double(double* x) { x[2] = atomicAdd(x, x[1]); }
__global__ void bad_rsqrt(float* x) { x[0] = rsqrtf(x[1]); }
__global__ void bad_round(float* x) { x[0] = __fadd_rz(x[1], x[2]); }
__global__ void bad_saturate(float* x) { x[0] = __saturatef(x[1]); }
__device__ __noinline__ float bad_helper(float x) { return __cosf(x); }
__global__ void good(float* x, double* y, int* i) {
  x[0] = fmaf(x[1], x[2], x[3]) + x[4] * x[5] - x[6] / x[7] + sqrtf(x[8]);
  y[0] = y[1] * y[2] + y[3] / y[4] + sqrt(y[5]);
  x[9] = fminf(fabsf(x[10]), -x[11]) + static_cast<float>(y[6]) + static_cast<float>(i[0]);
  i[1] = static_cast<int>(x[12]) + __float2int_rn(x[13]) + atomicAdd(i + 2, 3);
}
__global__ void calls(float* x) { x[0] = bad_helper(x[1]); }
__global__ void plain(float* x) { x[0] = x[1] * x[2]; x[3] = x[4] + x[5]; }
"""
EXACT_FLAGS = ["-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true"]


def flagged(nvcc, source, flags):
    """Short names of the functions of `source` that violate something."""
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder, "unit.cu")
        unit.write_text(source)
        ptx = unit.with_suffix(".ptx")
        subprocess.run([nvcc, "-std=c++20", "-arch=sm_90", *flags, "-ptx", str(unit), "-o", str(ptx)], check=True)
        faults = check(ptx.read_text()).faults
    names = short_names(i.function for i, _ in faults)
    return {names[i.function] for i, _ in faults}


def self_test(nvcc):
    errors = [f"refuses {m}: {fault(m)}" for m in GOOD if fault(m)]
    errors += [f"lets {m} pass" for m in BAD if not fault(m)]
    text = ".visible .entry k(\n)\n{\n@%p1 mul.f32 %f1, %f2, %f3; // x\n$L_1: {ex2.approx.f32 %f1, %f1;}\n}\n"
    found = [(i.function, i.line, i.mnemonic) for i, _ in check(text).faults]
    if found != [("k", 4, "mul.f32"), ("k", 5, "ex2.approx.f32")]:
        errors.append(f"places of the violations: {found}")
    if nvcc:
        wanted = set(re.findall(r"bad_\w+(?=\()", PLANTED))
        got = flagged(nvcc, PLANTED, EXACT_FLAGS)
        if got != wanted:
            errors.append(f"planted kernels: missed {wanted - got}, false alarms {got - wanted}")
        for flag in ("-fmad=true", "-ftz=true", "-prec-div=false", "-prec-sqrt=false"):
            flags = [f for f in EXACT_FLAGS if f.split("=")[0] != flag.split("=")[0]] + [flag]
            if "good" not in flagged(nvcc, PLANTED, flags):
                errors.append(f"does not notice {flag}")
    for error in errors:
        print("self-test:", error)
    print(f"self-test: {len(GOOD) + len(BAD)} instructions"
          f"{', planted kernels and flags' if nvcc else ''}: {'FAILED' if errors else 'ok'}")
    return 1 if errors else 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--nvcc")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test(arguments.nvcc)
    if not arguments.files:
        parser.error("no files")
    return run(arguments.files)


if __name__ == "__main__":
    sys.exit(main())
