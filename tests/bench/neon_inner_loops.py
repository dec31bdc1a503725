#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Share of peak FMA rate in the inner loops of the NEON kernels, as models of the cores see them.

    python3 tests/bench/neon_inner_loops.py [KERNEL.cc...]

Compiles each kernel as the aarch64 build does (-O3), takes the loop with the most vector
multiply-adds (ties: the shortest; of fully connected kernels for one picture and for four), and has
it run by llvm-mca for cortex-a53 and cortex-a72, and by the rules of a53_issue.py. All issue at most
one 128-bit FMA a cycle, so the share of peak is FMAs / cycles. Estimates: caches are not modelled.
Needs aarch64-linux-gnu-g++ and llvm-mca.

llvm-mca has an in-order core finish its instructions in order too: whatever stands behind a
multiply-add and takes less time waits for it. The lines below the table show what that costs, and
the bound that follows: the loop's multiply-adds alone, and with nothing but the loop's end.
"""
import glob
import re
import subprocess
import sys

import a53_issue

CORES = ("cortex-a53", "cortex-a72")
MULTIPLY_ADD = re.compile(r"\s(fmla|fmadd)\s")


def assembly(path):
    command = ["aarch64-linux-gnu-g++", "-std=c++20", "-O3", "-ffp-contract=off", "-I.", "-S", "-o", "-", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def loops(lines):
    """Bodies of innermost loops: from a label to a branch back to it, none such between."""
    labels, last_loop = {}, -1
    for number, line in enumerate(lines):
        found = re.match(r"(\.L\w+):", line)
        if found:
            labels[found.group(1)] = number
            continue
        branch = re.match(r"\s+(?:b(?:\.?\w\w)?\s+|cbn?z\s+\w+, )(\.L\w+)", line)
        start = labels.get(branch.group(1)) if branch else None
        if start is None or start < last_loop:
            continue
        last_loop = number
        yield [l for l in lines[start + 1:number + 1] if re.match(r"\s+[a-z]", l)]


def cycles_per_round(body, core):
    rounds = 100
    command = ["llvm-mca", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={rounds}"]
    report = subprocess.run(command, input="\n".join(body), check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", report).group(1)) / rounds


def sums_of(body):
    """The registers that the loop adds to."""
    return {line.split()[1].split(".")[0] for line in body if MULTIPLY_ADD.search(line)}


def inner_loops(kernel):
    """(name, body, multiply-adds) of the loops to be judged: one of each number of pictures."""
    name = kernel.rsplit("/", 1)[-1].removesuffix(".cc")
    counted = [(sum(1 for line in body if MULTIPLY_ADD.search(line)), -len(body), body)
               for body in loops(assembly(kernel))]
    counted = [c for c in counted if c[0] > 0]
    # Four rows of weights are a sum each and picture.
    kinds = ((", 1 picture", 4), (", 4 pictures", 16)) if "fully_connected" in name else (("", None),)
    for suffix, sums in kinds:
        fitting = [c for c in counted if sums is None or len(sums_of(c[2])) == sums]
        if fitting:
            count, _, body = max(fitting, key=lambda c: c[:2])
            yield name + suffix, body, count
        else:
            print(f"{name + suffix:44}  no loop with multiply-adds: straight code")


def share(count, cycles):
    return f"{cycles:9.1f} cycles {100 * count / cycles:5.1f} %"


def by_the_rules(body, count):
    try:
        return share(count, a53_issue.cycles_per_round(body))
    except ValueError as error:
        return f"   {error}"


def print_model():
    """What the A53 of llvm-mca takes for loops without loads."""
    sums = [f"\tfmla v{16 + i}.4s, v0.4s, v1.s[0]" for i in range(16)]
    end = ["\tsubs x0, x0, #1", "\tb.ne .L1"]
    print("\nllvm-mca, cortex-a53, no loads at all:")
    for name, count, body in (("64 FMAs", 64, sums * 4), ("64 FMAs and a nop", 64, sums * 4 + ["\tnop"]),
                              ("64 FMAs and the loop's end", 64, sums * 4 + end),
                              ("256 FMAs and the loop's end", 256, sums * 16 + end)):
        print(f"{name:44}{len(body):13}{count:6}{share(count, cycles_per_round(body, 'cortex-a53'))}")


def main():
    kernels = sys.argv[1:] or sorted(glob.glob("engine/kernels/*_neon.cc"))
    if not kernels:
        sys.exit("no kernels found: run this from the source tree")
    print(f"{'kernel':44}{'instructions':>13}{'FMAs':>6}" + "".join(f"{core:>24}" for core in CORES) +
          f"{'a53_issue.py':>24}")
    for kernel in kernels:
        for name, body, count in inner_loops(kernel):
            shares = "".join(share(count, cycles_per_round(body, core)) for core in CORES)
            print(f"{name:44}{len(body):13}{count:6}{shares}{by_the_rules(body, count)}")
    print_model()


if __name__ == "__main__":
    main()
