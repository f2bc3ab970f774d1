#!/usr/bin/env python3
"""Plants the faults of tests/mutants.txt one at a time and demands that the named test turns red.

A copy of the tree is patched, only what the test needs is built again, the test runs, the file is put
back. A row whose test stays green is a hole in the tests: the exit code is 1. A row that no longer
applies, does not compile, or names a test that is red without the fault is an error: exit code 2.
Before the rows, the driver checks itself with a patch that changes nothing, which must be missed.

usage: tests/mutants.py [--only REGEX] [--budget SECONDS] [--work FOLDER] [--jobs N] [--list]
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEPARATOR = " @@ "
# what a script test looks at; the others look at sources alone
TARGETS = {"isa_symbols": ["lockstep_env_cartpole", "lockstep_env_pong", "lockstep_host"],
           "labels": ["build.ninja"]}
TEST_TIMEOUT = 300  # seconds; a fault that makes a test hang is caught by it


@dataclasses.dataclass
class Row:
    line: int
    file: str
    old: str
    new: str
    test: str  # "host/files/npy_test NpyTest.RoundTrips", or the name of a script test such as "layering"

    def title(self):
        return f"line {self.line}: {self.file}: {self.old!r} -> {self.new!r}"


class RowError(Exception):
    """The row itself is wrong, so nothing was learned about the test."""


def read_table(path):
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(SEPARATOR)
        if len(fields) != 4:
            raise SystemExit(f"{path}:{number}: expected four fields separated by '{SEPARATOR}'")
        file, old, new, test = (field.strip() for field in fields)
        rows.append(Row(number, file, old.replace("\\n", "\n"), new.replace("\\n", "\n"), test))
    return rows


class Workshop:
    """A copy of the tree and its build folder."""

    def __init__(self, folder, jobs):
        self.tree = folder / "tree"
        self.build = folder / "build"
        self.programs = {}  # file of tests -> its program
        self.jobs = str(jobs)
        self.green = {}  # test -> passes without a fault
        self._copy()
        self._configure()

    def _copy(self):
        """Copies tracked and new files; a file that did not change keeps its build products."""
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True).stdout
        wanted = {name for name in listing.split("\0") if name and (ROOT / name).is_file()}
        for name in wanted:
            target = self.tree / name
            if target.exists() and target.read_bytes() == (ROOT / name).read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        for target in list(self.tree.rglob("*")):
            if target.is_file() and str(target.relative_to(self.tree)) not in wanted:
                target.unlink()

    def _configure(self):
        command = ["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DLS_TESTS=ON",
                   "-DLS_BENCH=OFF", "-DLS_UNITY=OFF", "-DCMAKE_BUILD_TYPE=Debug",
                   "-DCMAKE_CXX_FLAGS_DEBUG=-O1"]
        if shutil.which("ccache"):
            command.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        lines = (self.build / "tests" / "programs.txt").read_text().split("\n")
        for line in filter(None, lines):  # what is built twice, once to run longer, comes first as usual
            self.programs.setdefault(*line.split())

    def cases(self, name, pattern):
        """A GoogleTest filter for `pattern` within the file: a program has the tests of a folder."""
        if pattern != "*":
            return pattern
        text = (self.tree / "tests" / (name + ".cpp")).read_text()
        suites = sorted(set(re.findall(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)", text, re.MULTILINE)))
        return ":".join(f"{suite}.*:*/{suite}.*:{suite}/*" for suite in suites)

    def passes(self, test):
        """Builds and runs one test; RowError when it cannot be built or does not exist."""
        name, _, pattern = test.partition(" ")
        if pattern and name not in self.programs:
            raise RowError(f"no such file of tests: {name}")
        targets = [self.programs[name]] if pattern else TARGETS.get(name, [])
        if targets:
            built = subprocess.run(["ninja", "-C", self.build, "-j", self.jobs, *targets],
                                   capture_output=True, text=True)
            if built.returncode:
                raise RowError("does not build:\n" + built.stdout[-3000:])
        if pattern:
            command = [self.build / "tests" / "bin" / targets[0], f"--gtest_filter={self.cases(name, pattern)}",
                       "--gtest_brief=1"]
        else:
            command = ["ctest", "--test-dir", self.build, "--no-tests=error", "-R", f"^{name}$"]
        try:
            run = subprocess.run(command, cwd=self.tree, capture_output=True, text=True,
                                 errors="replace", timeout=TEST_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        passed_none = re.search(r"^0 tests|\[  PASSED  \] 0 tests", run.stdout, re.MULTILINE)
        if pattern and run.returncode == 0 and passed_none:
            raise RowError(f"no case matches '{pattern}' or all were skipped")
        return run.returncode == 0

    def is_caught(self, row):
        """True if the row's test turns red by the row's fault."""
        if row.test not in self.green:
            self.green[row.test] = self.passes(row.test)
        if not self.green[row.test]:
            raise RowError("the test is red without the fault")
        path = self.tree / row.file
        if not path.is_file():
            raise RowError("no such file")
        original = path.read_text()
        if original.count(row.old) != 1:
            raise RowError(f"the old text occurs {original.count(row.old)} times, not once")
        try:
            path.write_text(original.replace(row.old, row.new))
            return not self.passes(row.test)
        finally:
            path.write_text(original)


def check_driver(workshop, rows):
    """A patch that adds a comment must not be reported as caught."""
    row = next((row for row in rows if " " in row.test), None)  # else no GoogleTest, but a source
    row = row or next((row for row in rows if row.file.endswith((".h", ".cpp"))), None)
    if row is None:
        return
    harmless = dataclasses.replace(row, new=row.old + "  /* nothing changes */ ")
    if workshop.is_caught(harmless):
        raise SystemExit(f"self-check: a comment was reported as a caught fault ({row.title()})")
    print("self-check: a harmless patch is reported as missed, as it should be", flush=True)


def main(workshop_type=Workshop, table=ROOT / "tests" / "mutants.txt", work="mutants"):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose file or test matches this expression")
    parser.add_argument("--budget", type=float, default=float("inf"),
                        help="start no new row after this many seconds")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / work)
    parser.add_argument("--table", type=pathlib.Path, default=table)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    options = parser.parse_args()

    rows = [row for row in read_table(options.table)
            if re.search(options.only, row.file + " " + row.test)]
    if options.list:
        print("\n".join(row.title() + "  by  " + row.test for row in rows))
        return 0
    if not rows:
        raise SystemExit("no row to run")
    start = time.monotonic()
    workshop = workshop_type(options.work, options.jobs)
    check_driver(workshop, rows)

    caught, missed, wrong, left = 0, [], [], 0
    # with a budget, another part of the table comes first at every commit
    if options.budget < float("inf"):
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        turn = int(head.stdout[:8] or "0", 16) % len(rows)
        rows = rows[turn:] + rows[:turn]
    for row in rows:
        if time.monotonic() - start > options.budget:
            left += 1
            continue
        began = time.monotonic()
        try:
            if workshop.is_caught(row):
                caught += 1
                verdict = "caught"
            else:
                missed.append(row)
                verdict = "MISSED"
        except RowError as error:
            wrong.append(row)
            verdict = f"ERROR ({error})"
        print(f"{verdict}  {row.title()}  by  {row.test}  [{time.monotonic() - began:.0f} s]",
              flush=True)

    print(f"{caught} faults caught, {len(missed)} missed, {len(wrong)} rows in error, "
          f"{left} not tried for lack of time")
    return 2 if wrong else 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
