#!/usr/bin/env python3
"""Plants the parser faults of tests/fuzz/planted.txt one at a time; libFuzzer must find each in time.

The table has the form of tests/mutants.txt, with the target's name as the test. A copy of the tree is
patched and one target built and run from its seeds alone. Exit code 1 if a fault is not found.

usage: tests/fuzz/planted.py [--only REGEX] [--budget SECONDS] [--work FOLDER] [--jobs N] [--list]
"""

import pathlib
import shutil
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
import mutants

LIMIT = 60  # seconds a fault may take to be found
CLEAN = 10  # seconds without a finding before a target counts as clean without its fault
FOUND = 1   # exit code of run.sh


class FuzzWorkshop(mutants.Workshop):
    """Where a test is a fuzz target and red means that it found something."""

    seconds = CLEAN

    def _configure(self):
        # as in the checkout, so that a compiler cache knows what is built; run.sh does the rest
        self.build = self.tree / "build" / "fuzz"

    def passes(self, test):
        for old in ("inputs", "findings"):  # what earlier faults left must not help
            shutil.rmtree(self.build / old, ignore_errors=True)
        run = subprocess.run(
            [self.tree / "tests/fuzz/run.sh", "--seconds", str(self.seconds), test],
            cwd=self.tree, capture_output=True, text=True, errors="replace")
        if run.returncode not in (0, FOUND):
            raise mutants.RowError("does not build:\n" + run.stdout[-3000:] + run.stderr[-500:])
        print("   ", run.stdout.splitlines()[0], flush=True)
        return run.returncode == 0

    def is_caught(self, row):
        if row.test not in self.green:
            self.seconds = CLEAN
            self.green[row.test] = self.passes(row.test)
        self.seconds = LIMIT
        return super().is_caught(row)


if __name__ == "__main__":
    sys.exit(mutants.main(FuzzWorkshop, FOLDER / "planted.txt", "planted"))
