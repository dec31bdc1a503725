# SPDX-License-Identifier: Apache-2.0
"""In which cycle a Cortex-A53 issues each instruction of a loop, by published rules.

The rules are what ncnn's developers measured (its docs/developer-guide/arm-a53-a55-dual-issue.md):
two instructions a cycle, in order, one load or store among them, and one on the vector unit;
  - a load of 128 bits to a vector register issues alone and takes two cycles;
  - one of 64 bits takes a cycle, in which an insertion into a lane can go along, not a multiply-add;
  - loads to general registers, sums of pointers and prefetches go along with a multiply-add;
  - no vector is loaded in the fourth cycle after a multiply-add was issued.
A result can be used after LATENCY cycles; a sum by the next multiply-add after four. Caches are left
out. Estimates: it knows the instructions of our loops, and refuses others.
"""
import re

LATENCY = {"multiply-add": 8, "vector": 4, "vector load": 4, "load": 3, "integer": 1, "other": 0}
ACCUMULATE_LATENCY = 4
INTEGER = {"add", "sub", "subs", "cmp", "mov", "lsl", "cset", "csel", "and", "mul", "madd"}
VECTOR = {"fcvtl", "sxtl", "scvtf", "sshll", "fadd", "fsub", "fmul", "movi", "dup", "ins", "tbl"}


def registers(text):
    """v0 of v0.4s, q0, d0, s0; x0 of x0, w0."""
    return [("v" if kind in "vqds" else "x") + number
            for kind, number in re.findall(r"\b([vqdsxw])(\d+)\b", text)]


class Instruction:
    def __init__(self, line):
        self.text = line.strip()
        self.name, _, rest = self.text.replace("\t", " ").partition(" ")
        address = re.search(r"\[.*?\](!|, *[#\d]+)?", rest) if self.name.startswith(("ld", "prf")) else None
        operands = rest.replace(address.group(0), "") if address else rest
        first, _, others = operands.partition(",")
        self.writes, self.reads = registers(first), registers(others)
        self.held, self.alone = 1, False
        self.kind = self.find_kind(operands)
        if self.kind in ("load", "vector load"):
            self.writes = registers(operands)
            self.reads = registers(address.group(0))
            self.wide(operands)
            if address.group(1):
                self.writes += self.reads
        elif self.name == "prfm":
            self.writes, self.reads = [], registers(rest)
        elif self.kind == "multiply-add" or self.name == "ins":
            self.reads += self.writes
        if self.name in ("subs", "cmp"):
            self.reads += self.writes if self.name == "cmp" else []
            self.writes = (self.writes if self.name == "subs" else []) + ["flags"]
        elif self.name.startswith("b") or self.name in ("cset", "csel"):
            self.reads, self.writes = self.reads + ["flags"], self.writes if self.name[0] == "c" else []

    def find_kind(self, operands):
        if self.name == "fmla":
            return "multiply-add"
        if self.name == "ld1r" and re.match(r"\s*\{v\d+\.(2s|4h|8b)\}", operands):
            return "vector load"
        if self.name in ("ldr", "ldp"):
            return "vector load" if re.match(r"\s*[qds]\d", operands) else "load"
        if self.name == "mov" and re.search(r"\bv\d+\.", operands):
            return "vector"
        if self.name in VECTOR or self.name.rstrip("2") in VECTOR:
            return "vector"
        if self.name in INTEGER:
            return "integer"
        if self.name == "prfm" or re.fullmatch(r"b(\.?\w\w)?|cbn?z", self.name):
            return "other"
        raise ValueError(f"no rule for: {self.text}")

    def wide(self, operands):
        if self.kind == "vector load" and re.match(r"\s*q", operands):
            self.held, self.alone = 2 * len(self.writes), True
        else:
            self.held, self.alone = len(self.writes), len(self.writes) > 1

    def uses_memory(self):
        return self.kind in ("load", "vector load") or self.name == "prfm"

    def pairs_with(self, other):
        if self.alone or other.alone or (self.uses_memory() and other.uses_memory()):
            return False
        kinds = {self.kind, other.kind}
        if kinds == {"multiply-add", "vector load"} or kinds <= {"multiply-add", "vector"}:
            return False
        return kinds != {"vector", "vector load"} or "ins" in (self.name, other.name)


def cycles_per_round(body, rounds=20):
    """Cycles from one round of the loop to the next, in the long run."""
    loop = [Instruction(line) for line in body if not line.strip().endswith(":")]
    ready, accumulated, multiply_adds = {}, {}, set()
    now, in_cycle, ends = 0, [], []
    for instruction in loop * rounds:
        earliest = now
        if len(in_cycle) == 2 or any(not other.pairs_with(instruction) for other in in_cycle):
            earliest = now + max(other.held for other in in_cycle)
        for name in instruction.reads:
            own_sum = instruction.kind == "multiply-add" and name == instruction.writes[0]
            earliest = max(earliest, (accumulated if own_sum and name in accumulated else ready).get(name, 0))
        while instruction.kind == "vector load" and earliest - 4 in multiply_adds:
            earliest += 1
        if earliest > now:
            now, in_cycle = earliest, []
        in_cycle.append(instruction)
        if instruction.kind == "multiply-add":
            multiply_adds.add(now)
        for name in instruction.writes:
            accumulated.pop(name, None)
            ready[name] = now + LATENCY[instruction.kind]
            if instruction.kind == "multiply-add":
                accumulated[name] = now + ACCUMULATE_LATENCY
        if instruction is loop[-1]:
            ends.append(now)
    half = len(ends) // 2
    return (ends[-1] - ends[half - 1]) / (len(ends) - half)
