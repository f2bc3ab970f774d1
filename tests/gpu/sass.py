"""Machine code of kernels: nvdisasm's text as functions, their flow graphs, loops and instruction mixes.

Counts are static: instructions of a loop's body, whatever the predicates. A block that calls one of the
compiler's slow paths (denormal operands of a division or a square root) is cold and not counted.
"""

import collections
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sysconfig

from kernel_names import short_names

# what a class of instructions shares: the pipe or the unit that issues it
CLASSES = [
    ("FFMA", r"FFMA"),
    ("FADD", r"FADD"),
    ("FMUL", r"FMUL"),
    ("FALU", r"(FMNMX|FSEL|FSETP|FSET|FCHK|FSWZADD)"),
    ("FP64", r"D(ADD|MUL|FMA|SETP|MNMX)"),
    ("IMAD", r"IMAD"),
    ("INT", r"(IADD3|VIADD|LEA|LOP3|SHF|SHL|SHR|ISETP|SEL|IMNMX|VIMNMX|PRMT|IABS|SGXT|BMSK|MOV|PLOP3|P2R|R2P"
            r"|LOP|ISCADD|CS2R|VIADDMNMX|IADD)"),
    ("MUFU", r"(MUFU|I2F|F2I|F2F|FRND|POPC|FLO|BREV|I2FP|F2FP)"),
    ("LDS", r"(LDS|LDSM)"),
    ("STS", r"(STS|ATOMS)"),
    ("LDG", r"(LDG|LD)"),
    ("STG", r"(STG|ST)"),
    ("ATOM", r"(ATOM|ATOMG|RED|REDG)"),
    ("LOCAL", r"(LDL|STL)"),
    ("LDC", r"(LDC|ULDC|LDCU)"),
    ("SHFL", r"(SHFL|VOTE|VOTEU|REDUX|MATCH)"),
    ("BAR", r"(BAR|MEMBAR|ERRBAR|CCTL|WARPSYNC|DEPBAR|NANOSLEEP|FENCE)"),
    ("BRA", r"(BRA|BRX|JMP|JMX|CALL|RET|EXIT|BSSY|BSYNC|BREAK|YIELD|BMOV|KILL|BPT)"),
    ("UNIFORM", r"U\w+|R2UR|S2UR"),
    ("NOP", r"NOP"),
]


def class_of(opcode):
    base = opcode.split(".")[0]
    for name, pattern in CLASSES:
        if re.fullmatch(pattern, base):
            return name
    return "OTHER"


@dataclasses.dataclass
class Instruction:
    address: int
    predicate: str  # "" or "@P0"
    opcode: str
    operands: str
    control: int = 0  # how the compiler scheduled it, 21 bits of the encoding; 0 without -hex

    @property
    def stall(self):
        """Cycles until the next instruction may issue."""
        return self.control & 15

    @property
    def write_barrier(self):
        """Scoreboard that is free when the result is there; 7 = none."""
        return self.control >> 5 & 7

    @property
    def waits(self):
        """Scoreboards that must be free before it issues, as bits."""
        return self.control >> 11 & 63

    @property
    def base(self):
        return self.opcode.split(".")[0]


@dataclasses.dataclass
class Loop:
    header: int  # index of the first block
    blocks: set
    parent: "Loop" = None
    depth: int = 1
    own: list = dataclasses.field(default_factory=list)  # instructions outside inner loops and cold blocks
    always: list = dataclasses.field(default_factory=list)  # of these, in blocks that every turn passes
    cold: int = 0

    def count(self):
        return len(self.own)

    def mix(self):
        return collections.Counter(class_of(i.opcode) for i in self.own)


@dataclasses.dataclass
class Function:
    name: str  # mangled
    short: str
    instructions: list
    labels: dict  # label -> address
    loops: list = None  # by address of the header
    calls: list = None  # targets
    registers: int = None
    stack: int = None  # bytes
    spills: int = None  # bytes stored and loaded
    shared: int = None  # bytes, static
    outside: Loop = None  # what belongs to no loop

    def innermost(self):
        return [l for l in self.loops if not any(m.parent is l for m in self.loops)]

    def hot(self):
        """The innermost loop with the most multiplications and additions, else the longest; without loops all."""
        loops = self.innermost()
        if not loops:
            return self.outside
        return max(loops, key=lambda l: (sum(l.mix()[c] for c in ("FFMA", "FADD", "FMUL")), l.count()))


LINE = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][\w.]*)\s*([^;]*);")
HIGH_WORD = re.compile(r"\s*/\* 0x([0-9a-f]{16}) \*/")
LABEL = re.compile(r"(\.L_x_\w+|\.L_\w+|\$[\w$]+):")


def parse(text):
    """Functions of nvdisasm's output, without loops."""
    functions, current, waiting = [], None, []
    for line in text.splitlines():
        section = re.match(r"\s*\.section\s+\.text\.([\w$]+)", line)
        if section:
            current = Function(section.group(1), section.group(1), [], {})
            functions.append(current)
            waiting = []
            continue
        if current is None:
            continue
        if re.match(r"\s*\.section\s", line):
            current = None
            continue
        label = LABEL.match(line.strip())
        if label:
            waiting.append(label.group(1))
            continue
        high = HIGH_WORD.match(line)
        if high and current.instructions:
            current.instructions[-1].control = int(high.group(1), 16) >> 41 & 0x1FFFFF
        match = LINE.match(line)
        if match:
            address = int(match.group(1), 16)
            for name in waiting:
                current.labels[name] = address
            waiting = []
            current.instructions.append(
                Instruction(address, (match.group(2) or "").strip(), match.group(3), match.group(4).strip())
            )
    functions = [f for f in functions if f.instructions]
    names = short_names(f.name for f in functions)
    for function in functions:
        function.short = names[function.name]
        find_loops(function)
    return functions


def targets(function, instruction):
    names = re.findall(r"`\(([^)]+)\)|(\.L_x_\w+)", instruction.operands)
    return [function.labels[a or b] for a, b in names if (a or b) in function.labels]


def successors(function, instruction, following):
    """Addresses where execution may go on; None for a way out."""
    conditional = bool(instruction.predicate)
    base = instruction.base
    if base in ("EXIT", "RET", "KILL"):
        return [following] if conditional else []
    if base in ("BRA", "JMP", "BRX", "JMX"):
        # a predicate, a uniform predicate or a divergence test among the operands
        conditional = conditional or ".DIV" in instruction.opcode or re.match(r"!?U?P\d", instruction.operands)
        return targets(function, instruction) + ([following] if conditional else [])
    return [following]


def find_blocks(function):
    code = function.instructions
    index = {i.address: n for n, i in enumerate(code)}
    starts = {0}
    for n, instruction in enumerate(code):
        if instruction.base in ("BRA", "JMP", "BRX", "JMX", "EXIT", "RET", "KILL", "CALL"):
            starts.add(n + 1)
        if instruction.base in ("BRA", "JMP", "BRX", "JMX"):
            starts.update(index[a] for a in targets(function, instruction))
    starts.update(index[a] for a in function.labels.values() if a in index)
    bounds = sorted(s for s in starts if s < len(code))
    blocks = [code[a:b] for a, b in zip(bounds, bounds[1:] + [len(code)])]
    number = {block[0].address: n for n, block in enumerate(blocks)}
    edges = []
    for n, block in enumerate(blocks):
        following = blocks[n + 1][0].address if n + 1 < len(blocks) else None
        edges.append([number[a] for a in successors(function, block[-1], following) if a in number])
    return blocks, edges


def dominators(edges):
    """Sets of blocks that every way from block 0 passes; unreachable blocks have None."""
    before = [[] for _ in edges]
    for n, after in enumerate(edges):
        for m in after:
            before[m].append(n)
    order, seen, stack = [], {0}, [(0, iter(edges[0]))]
    while stack:
        node, after = stack[-1]
        for m in after:
            if m not in seen:
                seen.add(m)
                stack.append((m, iter(edges[m])))
                break
        else:
            order.append(node)
            stack.pop()
    order.reverse()
    result = [None] * len(edges)
    result[0] = {0}
    changed = True
    while changed:
        changed = False
        for n in order[1:]:
            known = [result[m] for m in before[n] if result[m] is not None]
            now = set.intersection(*known) | {n}
            if now != result[n]:
                result[n] = now
                changed = True
    return result, before


def find_loops(function):
    blocks, edges = find_blocks(function)
    dominated, before = dominators(edges)
    loops, ends = {}, {}  # by header; ends: where the loop jumps back from
    for n, after in enumerate(edges):
        for header in after:
            if dominated[n] is None or header not in dominated[n]:
                continue
            body, stack = {header}, [n]
            while stack:
                m = stack.pop()
                if m not in body:
                    body.add(m)
                    stack.extend(before[m])
            loop = loops.setdefault(header, Loop(header, set()))
            loop.blocks |= body
            ends.setdefault(header, []).append(n)
    found = sorted(loops.values(), key=lambda l: len(l.blocks))
    for n, loop in enumerate(found):
        loop.parent = next((o for o in found[n + 1 :] if loop.header in o.blocks and o is not loop), None)
    for loop in found:
        above = loop.parent
        while above is not None:
            loop.depth += 1
            above = above.parent
    function.outside = Loop(0, set(range(len(blocks))), depth=0)
    function.calls = []
    for n, block in enumerate(blocks):
        if dominated[n] is None:
            continue  # a slow path, or padding behind the last branch
        owner = next((l for l in found if n in l.blocks), function.outside)
        call = [i for i in block if i.base == "CALL"]
        function.calls += [c for i in call for c in re.findall(r"`\(([^)]+)\)", i.operands) or [i.operands]]
        if call and all("$__internal_" in i.operands for i in call):
            owner.cold += len(block)
        else:
            owner.own += [i for i in block if i.base != "NOP"]
            if all(n in dominated[end] for end in ends.get(owner.header, []) if owner is not function.outside):
                owner.always += [i for i in block if i.base != "NOP"]
    function.loops = sorted(found, key=lambda l: blocks[l.header][0].address)


def read_resources(functions, log):
    """Fills in what `ptxas -v` said about each function."""
    by_name = {f.name: f for f in functions}
    current = None
    for line in log.splitlines():
        start = re.search(r"Compiling entry function '([\w$]+)'", line) or re.search(
            r"Function properties for ([\w$]+)", line
        )
        if start:
            current = by_name.get(start.group(1))
        if current is None:
            continue
        memory = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if memory:
            current.stack = int(memory.group(1))
            current.spills = int(memory.group(2)) + int(memory.group(3))
        used = re.search(r"Used (\d+) registers", line)
        if used:
            current.registers = int(used.group(1))
            shared = re.search(r"(\d+) bytes smem", line)
            current.shared = int(shared.group(1)) if shared else 0


def find_nvdisasm(given=None):
    """The disassembler: as given, on the PATH, or of the interpreter's packages; None if there is none."""
    if given or shutil.which("nvdisasm"):
        return given or shutil.which("nvdisasm")
    for key in ("purelib", "platlib"):
        for path in pathlib.Path(sysconfig.get_paths()[key]).glob("nvidia/*/bin/nvdisasm"):
            path.chmod(path.stat().st_mode | 0o111)  # pip leaves it without the bit
            return str(path)
    return None


def load(cubin, nvdisasm, log):
    """The kernels of a cubin, with what ptxas said of them."""
    result = subprocess.run([nvdisasm, "-c", "-hex", str(cubin)], capture_output=True, text=True, check=True)
    functions = parse(result.stdout)
    read_resources(functions, log)
    return functions
