#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Share of peak FMA rate in the inner loops of the NEON kernels, as llvm-mca models the cores.

    python3 tests/bench/neon_inner_loops.py [KERNEL.cc...]

Compiles each kernel as the aarch64 build does (-O3), takes the loop with the most vector
multiply-adds (ties: the shortest), and lets llvm-mca run it on cortex-a53 and cortex-a72. Both issue
at most one 128-bit FMA a cycle, so the share of peak is FMAs / cycles. Estimates: caches are not
modelled. Needs aarch64-linux-gnu-g++ and llvm-mca.
"""
import glob
import re
import subprocess
import sys

CORES = ("cortex-a53", "cortex-a72")
MULTIPLY_ADD = re.compile(r"\s(fmla|fmadd)\s")


def assembly(path):
    command = ["aarch64-linux-gnu-g++", "-std=c++20", "-O3", "-ffp-contract=off", "-I.", "-S", "-o", "-", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def loops(lines):
    """Bodies of innermost loops: from a label to a branch back to it, no other label between."""
    start, label = 0, None
    for number, line in enumerate(lines):
        found = re.match(r"(\.L\w+):", line)
        if found:
            start, label = number + 1, found.group(1)
            continue
        branch = re.match(r"\s+b\.?(?:eq|ne|cs|cc|mi|pl|hi|ls|ge|lt|gt|le|hs|lo)?\s+(\.L\w+)|\s+cbn?z\s+\w+, (\.L\w+)", line)
        if branch and label and label in branch.groups():
            body = [l for l in lines[start:number + 1] if l.startswith("\t") and not l.startswith("\t.")]
            yield body


def cycles_per_round(body, core):
    rounds = 100
    command = ["llvm-mca", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={rounds}"]
    report = subprocess.run(command, input="\n".join(body), check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", report).group(1)) / rounds


def main():
    kernels = sys.argv[1:] or sorted(glob.glob("engine/kernels/*_neon.cc"))
    if not kernels:
        sys.exit("no kernels found: run this from the source tree")
    print(f"{'kernel':44}{'instructions':>13}{'FMAs':>6}" + "".join(f"{core:>24}" for core in CORES))
    for kernel in kernels:
        candidates = [(sum(1 for l in body if MULTIPLY_ADD.search(l)), -len(body), body)
                      for body in loops(assembly(kernel))]
        candidates = [c for c in candidates if c[0] > 0]
        name = kernel.rsplit("/", 1)[-1].removesuffix(".cc")
        if not candidates:
            print(f"{name:44}  no loop with multiply-adds: straight code")
            continue
        count, _, body = max(candidates, key=lambda c: (c[0], c[1]))
        shares = ""
        for core in CORES:
            cycles = cycles_per_round(body, core)
            shares += f"{cycles:9.1f} cycles {100 * count / cycles:5.1f} %"
        print(f"{name:44}{len(body):13}{count:6}{shares}")


if __name__ == "__main__":
    main()
