#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that the NEON kernels execute, counted under qemu.

    python3 tests/bench/neon_instruction_counts.py

Builds neon_run_once.cc with the kernels for aarch64, runs each kernel once in qemu-aarch64 with a
translation block an instruction, and counts the blocks that it enters between the kernels' first and
last addresses: all that one call executes, prologue and tail included. A vector multiply-add is four
scalar ones, so 0.25 instructions a multiply-add would be nothing but FMAs. The transforms of
Winograd are counted per value that they write: side squared times 16 channels.
Needs aarch64-linux-gnu-g++ and qemu-aarch64-static (or qemu-aarch64).
"""
import os
import tempfile

import qemu_instructions

WRITTEN = {"patch of 6x6": 36 * 16, "patch of 4x4": 16 * 16, "tile of 4x4": 16 * 16, "tile of 2x2": 4 * 16}
CALLERS = r"run_once|run_gemm|run_fully|run_winograd|kCases|_FUN"


def main():
    qemu = qemu_instructions.find_qemu()
    with tempfile.TemporaryDirectory() as folder:
        binary = qemu_instructions.build(folder, "neon_run_once", "engine/kernels/*_neon.cc")
        kernels = qemu_instructions.addresses(binary, "_ZN6cleave7kernels", CALLERS)
        print(f"{'kernel':44}{'multiply-adds':>14}{'instructions':>14}{'ratio':>8}")
        for case in qemu_instructions.cases(qemu, binary):
            work, instructions = qemu_instructions.count(qemu, binary, kernels, case,
                                                         os.path.join(folder, "log"))
            per = work or WRITTEN[case.partition(", ")[2]]
            print(f"{case:44}{work or '-':>14}{instructions:14}{instructions / per:8.3f}")


if __name__ == "__main__":
    main()
