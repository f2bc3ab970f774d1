"""Which instructions of a kernel's loop run in a usual turn of it, by the source lines they come from.

A loop has branches that hardly ever run: an episode's restart, a carry. nvdisasm names the source line
of every instruction and the lines it was inlined at; a list of words that such lines have says how often an
instruction runs in a turn.
"""

import functools
import pathlib
import re
import subprocess

PLACE = re.compile(r'//## File "([^"]+)", line (\d+)')
SECTION = re.compile(r"\s*\.section\s+\.text\.([\w$]+)")
INSTRUCTION = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?[A-Z]")


@functools.cache
def source(path):
    return pathlib.Path(path).read_text().splitlines()


def text_of(place):
    """The text of (path, line). The compiler takes one file for another now and then: then perhaps none."""
    path, number = place
    return source(path)[number - 1] if number <= len(source(path)) else ""


def parse(text):
    """(mangled name, address) -> source lines: the instruction's own, then those it was inlined at."""
    found, name, chain, fresh = {}, None, (), []
    for line in text.splitlines():
        section = SECTION.match(line)
        if section:
            name, chain, fresh = section.group(1), (), []
        elif "//## File" in line:
            fresh.append(PLACE.search(line).groups())
        elif name and (match := INSTRUCTION.match(line)):
            if fresh:
                chain, fresh = tuple((path, int(number)) for path, number in fresh), []
            found[name, int(match.group(1), 16)] = chain
    return found


def read_lines(cubin, nvdisasm):
    """parse() of a cubin compiled with -lineinfo, from the sources as they are now."""
    result = subprocess.run([nvdisasm, "-c", "-gi", str(cubin)], capture_output=True, text=True, check=True)
    lines = parse(result.stdout)
    made = pathlib.Path(cubin).stat().st_mtime
    for path in {path for chain in lines.values() for path, _ in chain}:
        if not pathlib.Path(path).exists() or pathlib.Path(path).stat().st_mtime > made:
            raise SystemExit(f"{cubin}: compile it again, {path} has changed since")
    return lines


def check_rules(rules, lines):
    """Ends the program where a rule fits nothing: its line was written anew."""
    texts = {text_of(place) for place in {place for chain in lines.values() for place in chain}}
    for words, _ in rules:
        if not any(words in text for text in texts):
            raise SystemExit(f"no instruction comes from a line with '{words}'")


class Turns:
    """How often the instructions of a function run in a turn of its loop."""

    def __init__(self, function, lines, rules):
        """rules: (words of a line, turns in which it runs), the first that fits counts; else 1."""
        self.function, self.lines, self.rules = function, lines, rules

    def weight(self, instruction):
        chain = self.lines.get((self.function.name, instruction.address), ())
        texts = [text_of(place) for place in chain]
        return next((turns for words, turns in self.rules if any(words in text for text in texts)), 1.0)

    def usual(self, instructions):
        """Those that run in every turn."""
        return [i for i in instructions if self.weight(i) == 1]

    def count(self, instructions):
        return sum(map(self.weight, instructions))
