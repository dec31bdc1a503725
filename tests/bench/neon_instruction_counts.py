#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that the NEON kernels execute, counted under qemu.

    python3 tests/bench/neon_instruction_counts.py

Builds neon_run_once.cc with the kernels for aarch64, runs each kernel once in qemu-aarch64 with a
translation block an instruction, and counts the blocks that it enters between the kernels' first and
last addresses: all that one call executes, prologue and tail included. A vector multiply-add is four
scalar ones, so 0.25 instructions a multiply-add would be nothing but FMAs. The transforms of
Winograd are counted per value of the tile that they write (36 or 16 times 16 channels).
Needs aarch64-linux-gnu-g++ and qemu-aarch64-static (or qemu-aarch64).
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

WRITTEN = {"input of a tile": 36 * 16, "output of a tile": 16 * 16}


def build(folder):
    binary = os.path.join(folder, "neon_run_once")
    sources = ["tests/bench/neon_run_once.cc"] + sorted(glob.glob("engine/kernels/*_neon.cc"))
    subprocess.run(["aarch64-linux-gnu-g++", "-std=c++20", "-O3", "-ffp-contract=off", "-static", "-I.",
                    "-o", binary] + sources, check=True)
    return binary


def kernel_addresses(binary):
    """Ranges of the kernels' functions, as -dfilter takes them; not of what only calls them."""
    listed = subprocess.run(["aarch64-linux-gnu-nm", "--print-size", binary], check=True,
                            capture_output=True, text=True).stdout
    found = re.findall(r"^(\w+) (\w+) [tTwW] (_ZN6cleave7kernels\S*)", listed, re.MULTILINE)
    return ",".join(f"0x{int(start, 16):x}+0x{int(size, 16):x}" for start, size, name in found
                    if not re.search(r"run_once|run_gemm|run_fully|run_winograd|kCases|_FUN", name))


def count(qemu, binary, addresses, name, log):
    command = [qemu, "-singlestep", "-d", "exec,nochain", "-D", log, "-dfilter", addresses, binary, name]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with open(log) as file:
        return int(printed), sum(1 for line in file if line.startswith("Trace"))


def main():
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None or not glob.glob("engine/kernels/*_neon.cc"):
        sys.exit("needs qemu-aarch64-static, and to be run from the source tree")
    with tempfile.TemporaryDirectory() as folder:
        binary = build(folder)
        addresses = kernel_addresses(binary)
        names = subprocess.run([qemu, binary], check=True, capture_output=True, text=True).stdout
        print(f"{'kernel':44}{'multiply-adds':>14}{'instructions':>14}{'ratio':>8}")
        for name in names.splitlines():
            work, instructions = count(qemu, binary, addresses, name, os.path.join(folder, "log"))
            per = work or WRITTEN[name.partition(", ")[2]]
            print(f"{name:44}{work or '-':>14}{instructions:14}{instructions / per:8.3f}")


if __name__ == "__main__":
    main()
