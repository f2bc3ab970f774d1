#!/usr/bin/env python3
"""Holds the machine code of the kernels to the budgets written beside them.

Reads what compile_units.py made. For every kernel: registers, bytes spilled, and the instructions of its
hot loop (the innermost one with the most multiply-adds) by class. A budget is a comment of a .cuh:

    // budget: rollout_thread<CartPole, .*> registers<=128 spills<=0 loop<=52 per=8

The expression must match the kernel's whole name without parameters and namespaces. Limits:

  registers<=N   per thread
  spills<=N      bytes stored and loaded
  stack<=N       bytes of the frame; 0 where the budget says nothing
  loop<=N        may be left out: instructions of one turn of the hot loop; per=K says for how many items (units, steps ...)
                 that is, and the table then has instructions per item
  around<=N      instructions of the loops around the hot one
  calls<=N       calls of anything but the compiler's slow paths; 0 where the budget says nothing

A kernel without a budget is an error, and so is a budget without a kernel.

usage: sass_check.py --budgets FOLDER_OR_FILE... [--nvdisasm PROGRAM] [--loops] [--suggest] FILE.cubin...
       sass_check.py --self-test [--nvcc NVCC]
exit code: 0 all hold, 1 something is over its budget, 77 there is no disassembler
"""

import argparse
import dataclasses
import os
import pathlib
import re
import sys

import sass

LIMITS = ("registers", "spills", "stack", "loop", "around", "calls")


@dataclasses.dataclass
class Budget:
    place: str  # file:line
    pattern: str
    limits: dict
    per: float = 1
    used: bool = False


class BadBudget(Exception):
    """A budget line that says nothing, or nonsense."""


def parse_budget(place, text):
    match = re.fullmatch(r"(.+?)((?:\s+[a-z]+(?:<=|=)[0-9.]+)+)", text.strip())
    if not match:
        raise BadBudget(f"{place}: no 'NAME<=NUMBER' behind the name of the kernel")
    try:
        re.compile(match.group(1))
    except re.error as error:
        raise BadBudget(f"{place}: {error}") from None
    budget = Budget(place, match.group(1), {})
    for word in match.group(2).split():
        name, sign, number = re.fullmatch(r"([a-z]+)(<=|=)([0-9.]+)", word).groups()
        if name == "per" and sign == "=":
            budget.per = float(number)
        elif name in LIMITS and sign == "<=":
            budget.limits[name] = float(number)
        else:
            raise BadBudget(f"{place}: unknown limit '{word}'")
    for name in ("registers", "spills"):
        if name not in budget.limits:
            raise BadBudget(f"{place}: no limit for {name}")
    return budget


def read_budgets(paths):
    budgets = []
    for path in map(pathlib.Path, paths):
        for file in sorted(path.glob("*.cuh")) if path.is_dir() else [path]:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = re.match(r"\s*//\s*budget:\s*(.*)", line)
                if match:
                    budgets.append(parse_budget(f"{file}:{number}", match.group(1)))
    return budgets


def around(function):
    """Instructions of the loops around the hot one."""
    count, loop = 0, function.hot().parent
    while loop is not None:
        count += loop.count()
        loop = loop.parent
    return count


def measured(function):
    return {
        "registers": function.registers,
        "spills": function.spills,
        "stack": function.stack,
        "loop": function.hot().count(),
        "around": around(function),
        "calls": sum("$__internal_" not in c for c in function.calls),
    }


def check(functions, budgets):
    """Messages, one for each limit that is passed."""
    messages = []
    for budget in budgets:
        budget.used = False
    for function in functions:
        found = [b for b in budgets if re.fullmatch(b.pattern, function.short)]
        if not found:
            messages.append(f"{function.short}: no budget is written for it")
        for budget in found:
            budget.used = True
            values = measured(function)
            for name, limit in {"stack": 0, "calls": 0, **budget.limits}.items():
                if values[name] is None:
                    messages.append(f"{function.short}: ptxas said nothing about {name}")
                elif values[name] > limit:
                    messages.append(f"{function.short}: {name} {values[name]} > {limit:g} ({budget.place})")
    messages += [f"{b.place}: no kernel is named '{b.pattern}'" for b in budgets if not b.used]
    return messages


def table(functions, budgets):
    rows = []
    for function in functions:
        hot = function.hot()
        per = next((b.per for b in budgets if re.fullmatch(b.pattern, function.short)), 1)
        mix = " ".join(f"{n}:{name}" for name, n in hot.mix().most_common())
        rows.append((function.short, function.registers, function.spills, hot.count(), around(function),
                     f"{hot.count() / per:.2f}", mix))
    head = ("kernel", "registers", "spills", "loop", "around", "per item", "of the loop")
    rows = [head] + [tuple(map(str, row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if i in (0, 6) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def loop_tree(function):
    lines = [function.short]
    for loop in function.loops:
        mark = "  <- hot" if loop is function.hot() else ""
        mix = " ".join(f"{n}:{name}" for name, n in loop.mix().most_common())
        lines.append(f"{'  ' * loop.depth}{loop.count()} instructions, {loop.cold} cold: {mix}{mark}")
    return "\n".join(lines)


def suggestion(function):
    """A budget that this kernel just meets."""
    values = measured(function)
    extra = "".join(f" {name}<={values[name]}" for name in ("stack", "around", "calls") if values[name])
    name = re.sub(r"([().*+?\[\]])", r"\\\1", function.short)
    return f"// budget: {name} registers<={values['registers']} spills<={values['spills']} loop<={values['loop']}{extra}"


def run(arguments):
    nvdisasm = sass.find_nvdisasm(arguments.nvdisasm)
    if nvdisasm is None:
        print("nvdisasm is neither on the PATH nor among the packages (nvidia-cuda-nvdisasm); not checked")
        return 1 if os.environ.get("LS_REQUIRE_LIVE") == "1" else 77
    try:
        budgets = read_budgets(arguments.budgets)
    except BadBudget as error:
        print(error)
        return 1
    functions = []
    for cubin in map(pathlib.Path, arguments.files):
        functions += sass.load(cubin, nvdisasm, cubin.with_suffix(".log").read_text())
    print(table(functions, budgets))
    if arguments.loops:
        print("\n" + "\n".join(map(loop_tree, functions)))
    if arguments.suggest:
        print("\n" + "\n".join(map(suggestion, functions)))
    messages = check(functions, budgets)
    if not functions:
        messages.append("no kernel in these files")
    print("\n".join(["", *messages, f"{len(functions)} kernels, {len(budgets)} budgets, {len(messages)} violations"]))
    return 1 if messages else 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--budgets", nargs="+", default=[])
    parser.add_argument("--nvdisasm")
    parser.add_argument("--loops", action="store_true", help="show all loops, not only the hot ones")
    parser.add_argument("--suggest", action="store_true", help="show budgets that just hold")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--nvcc")
    arguments = parser.parse_args()
    if arguments.self_test:
        import sass_self_test

        return sass_self_test.run(arguments.nvcc, sass.find_nvdisasm(arguments.nvdisasm))
    if not arguments.files or not arguments.budgets:
        parser.error("no files, or no --budgets")
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
