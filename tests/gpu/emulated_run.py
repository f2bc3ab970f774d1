#!/usr/bin/env python3
"""run_all.sh from end to end without a GPU: on the emulator, with a shrunken clock that ends parts early.

What must hold of it whatever the speed of the machine: it ends in its time, the parts run in order and each
says how it ended, and LS_OUT has what a part found before it ended, in files that can be read. The build is
there already; compute-sanitizer is a stand-in that only runs the program.

usage: emulated_run.py --build FOLDER [--seconds N]
  FOLDER: a build folder with the emulated plug-in and benchmarks. exit code: 0 all of it holds, 1 not
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

SCRIPT = pathlib.Path(__file__).resolve().parent / "run_all.sh"
PARTS = ["facts", "bench", "report", "hashes", "tests", "sanitizers"]
TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
SPARE = 60  # seconds: what was asked to end may take ten, and a machine is busy
STAND_IN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do
  case $1 in --tool | --error-exitcode | --leak-check) shift ;; esac
  shift
done
exec "$@"
"""


def run(build, seconds, folder):
    """Everything printed, and the seconds it took."""
    stand_in = folder / "compute-sanitizer"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    environment = os.environ | {"LS_OUT": str(folder / "out"), "LS_GPU_BUILD": str(build), "LS_DEBS": str(folder),
                                "LS_GPU_SECONDS": str(seconds), "LS_COMPUTE_SANITIZER": str(stand_in)}
    began = time.monotonic()
    done = subprocess.run([SCRIPT, "--emulated", *PARTS], env=environment, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    return done, time.monotonic() - began


def faults_of_log(done, took, seconds, log):
    """What is wrong with the course of the run."""
    if took > seconds + SPARE:
        yield f"took {took:.0f} s of {seconds}"
    if log != done.stdout:
        yield "run_all.log is not what was printed"
    verdicts = dict(re.findall(r"^=== (\w+): (passed|FAILED) in \d+ s ===$", log, re.MULTILINE))
    if list(verdicts) != PARTS:
        yield f"parts with a verdict: {list(verdicts)}, not {PARTS}"
    failed = [part for part, verdict in verdicts.items() if verdict == "FAILED"]
    last = log.strip().splitlines()[-1]
    if not re.fullmatch(rf"{len(PARTS) - len(failed)} passed, 0 skipped, {len(failed)} failed in \d+ s, emulated", last):
        yield f"the last line is '{last}' with {failed} failed"
    if (done.returncode == 0) != (not failed):
        yield f"exit code {done.returncode} with {failed} failed"
    for part in failed:  # nothing but the clock may have ended it
        text = re.search(rf"^=== {part} ===$(.*?)^=== {part}: ", log, re.MULTILINE | re.DOTALL).group(1)
        if not re.search("ended at its limit|no time left|exit code (124|137)|Timeout|stop time", text):
            yield f"{part} failed, and not at its limit"
    for part in ("facts", "report"):
        if part in failed:
            yield f"{part} failed"


def faults_of_files(out):
    """What is wrong with the files to bring home."""
    names = sorted(path.name for path in out.iterdir())
    if len(names) > 8 or not all(re.fullmatch(r"[\w.-]+", name) for name in names):
        yield f"files that cannot all be brought home: {names}"
    results = [name for name in names if re.fullmatch(r"\d{4}-\d\d-\d\d-\w+-emulated\.json", name)]
    wanted = sorted(["run_all.log", "tests.xml", *(f"{tool}.log" for tool in TOOLS)])
    if len(results) != 1 or [n for n in names if n in wanted] != wanted:
        yield f"files missing: {names}"
        return
    document = json.loads((out / results[0]).read_text())
    if not any("/cuda_emulated/" in row["name"] for row in document["benchmarks"]):
        yield "no row of a device was measured"
    if "| BM_" not in (out / results[0]).with_suffix(".md").read_text():
        yield "the report has no rows"
    if not list(xml.etree.ElementTree.parse(out / "tests.xml").iter("testcase")):
        yield "tests.xml has no tests"
    if not any("clean: lockstep" in (out / f"{tool}.log").read_text() for tool in TOOLS):
        yield "no workload ran under a sanitizer"


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done, took = run(arguments.build.resolve(), arguments.seconds, folder)
        log = (folder / "out" / "run_all.log").read_text(errors="replace")
        faults = [*faults_of_log(done, took, arguments.seconds, log), *faults_of_files(folder / "out")]
    for fault in faults:
        print("FAULT:", fault)
    print(f"emulated run: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
