#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that one plan() executes on aarch64, counted under qemu.

    python3 tests/bench/planner_instruction_counts.py

Builds planner_run_once.cc with the planner for aarch64 and counts every instruction between the
first and last address of the planner's functions. Copies that the compiler leaves to memcpy are not
counted.
Needs aarch64-linux-gnu-g++ and qemu-aarch64-static (or qemu-aarch64).
"""
import os
import tempfile

import qemu_instructions

TABLES_MAKERS = "7planner5bench"


def main():
    qemu = qemu_instructions.find_qemu()
    with tempfile.TemporaryDirectory() as folder:
        binary = qemu_instructions.build(folder, "planner_run_once", "planner/*.cc")
        planner = qemu_instructions.addresses(binary, "_ZNK?6cleave7planner", TABLES_MAKERS)
        print(f"{'plan':34}{'candidates':>11}{'instructions':>14}{'each':>8}")
        for case in qemu_instructions.cases(qemu, binary):
            candidates, instructions = qemu_instructions.count(qemu, binary, planner, case,
                                                               os.path.join(folder, "log"))
            print(f"{case:34}{candidates:11}{instructions:14}{instructions / candidates:8.1f}")


if __name__ == "__main__":
    main()
