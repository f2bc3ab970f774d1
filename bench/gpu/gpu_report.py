#!/usr/bin/env python3
"""One table of what a GPU did: measured, against the prediction and against the goals.

usage: gpu_report.py MEASURED.json [--predicted FILE_OR_FOLDER] [--out FILE.md]
  MEASURED.json is what `lockstep_bench --save` wrote; of a folder the newest predicted-*.md is taken.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from gpu_model import GOALS, MACHINES  # noqa: E402

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
IN_SECONDS = ("BM_launch_overhead", "BM_finish")  # the others are rates


def plain_name(name):
    """Without what the library appends, and the emulator's rows under the device's names."""
    return re.sub(r"/(iterations:\d+|manual_time|real_time|process_time)", "", name).replace("cuda_emulated", "cuda")


def read_measured(path):
    """Context, and the median of every CUDA row with its shares of the ceilings."""
    document = json.loads(pathlib.Path(path).read_text())
    runs = {}
    for run in document["benchmarks"]:
        if run.get("run_type", "iteration") == "iteration" and not run.get("error_occurred"):
            runs.setdefault(plain_name(run.get("run_name", run["name"])), []).append(run)
    rows = {}
    for name, found in runs.items():
        if "/cuda" not in name:
            continue
        if name.startswith(IN_SECONDS):
            value = statistics.median(r["real_time"] * UNITS[r["time_unit"]] for r in found)
        else:
            value = statistics.median(r["items_per_second"] for r in found)
        shares = {key: statistics.median(r[key] for r in found) for key in ("%fma_peak", "%copy_peak") if key in found[0]}
        rows[name] = (value, shares)
    return document.get("context", {}), rows


def machine_of(gpu):
    """Name of the machine the model knows; empty for any other."""
    return next((m.name for m in MACHINES if m.name in gpu), "")


def read_predicted(path, machine):
    """Row -> (low, high) of the machine's columns."""
    path = pathlib.Path(path)
    if path.is_dir():
        files = sorted(path.glob("predicted-*.md"))
        if not files:
            return None, {}
        path = files[-1]
    rows, columns = {}, None
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if f"{machine} low" in cells:
            columns = cells.index(f"{machine} low"), cells.index(f"{machine} high")
        elif columns and cells[0].startswith("BM_") and len(cells) > max(columns):
            rows[cells[0]] = tuple(float(cells[c]) for c in columns)
    return path, rows


def verdict(value, bounds, lower_is_better):
    if bounds is None:
        return ""
    low, high = sorted(bounds)
    if low <= value <= high:
        return "as predicted"
    return "faster" if (value < low) == lower_is_better else "slower"


def table(rows, predicted, gpu):
    lines = ["| row | measured | of peak | predicted | | goal | |", "|---|---|---|---|---|---|---|"]
    missed = 0
    for name in sorted(set(rows) | set(GOALS), key=lambda n: (n.split("/N:")[0], int((re.findall(r"N:(\d+)", n) or [0])[0]))):
        value, shares = rows.get(name, (None, {}))
        unit = "s" if name.startswith(IN_SECONDS) else "/s"
        bounds = predicted.get(name)
        goal, word = "", ""
        if name in GOALS:
            limit, _, where = GOALS[name]
            goal = f"{'<=' if unit == 's' else '>='} {limit:.2g} {unit} ({where})"
            if machine_of(gpu) and machine_of(gpu) in where:
                met = value is not None and (value <= limit if unit == "s" else value >= limit)
                word = "met" if met else "not measured" if value is None else "MISSED"
                missed += not met
        peak = ", ".join(f"{share:.1f} % {key[1:].replace('_peak', '')}" for key, share in shares.items())
        cells = [name, "-" if value is None else f"{value:.3g} {unit}", peak,
                 f"{bounds[0]:.2g} .. {bounds[1]:.2g}" if bounds else "",
                 verdict(value, bounds, unit == "s") if value is not None else "", goal, word]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines), missed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("measured")
    parser.add_argument("--predicted")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    context, rows = read_measured(arguments.measured)
    if not rows:
        raise SystemExit(f"{arguments.measured}: no rows of a CUDA device")
    gpu = context.get("gpu", "unknown")
    source, predicted = (None, {})
    if arguments.predicted:
        source, predicted = read_predicted(arguments.predicted, machine_of(gpu))
    body, missed = table(rows, predicted, gpu)
    keys = ("gpu", "gpu_driver", "cuda_runtime", "gpu_clock_khz", "gpu_fma_peak", "gpu_copy_peak", "cpu", "commit")
    facts = "\n".join(f"{key}: {context[key]}  " for key in keys if key in context)
    text = f"""# Measured on {gpu}, {context.get('date', '?')[:10]}

{facts}
prediction: {source.name if source else 'none'}, columns of {machine_of(gpu) or 'no machine that it knows'}

Medians of the repetitions. Of peak: the policy's useful multiply-adds, or the bytes that must move, of
the ceilings measured by the same process.

{body}

goals missed or not measured: {missed}
"""
    if arguments.out:
        pathlib.Path(arguments.out).write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
