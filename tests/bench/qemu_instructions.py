# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions that chosen functions of an aarch64 program execute, under qemu.

A program that is counted prints its cases' names when run without an argument, and with one runs
that case once and prints a number. Needs aarch64-linux-gnu-g++ and qemu-aarch64-static (or
qemu-aarch64).
"""
import glob
import os
import re
import shutil
import subprocess
import sys


def find_qemu():
    """Path of qemu; ends the program when there is none, or when this is not the source tree."""
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None or not os.path.exists("engine/kernels"):
        sys.exit("needs qemu-aarch64-static, and to be run from the source tree")
    return qemu


def build(folder, program, library_sources):
    """Builds tests/bench/PROGRAM.cc with the sources of a pattern; returns the binary's path."""
    binary = os.path.join(folder, program)
    sources = [f"tests/bench/{program}.cc"] + sorted(glob.glob(library_sources))
    subprocess.run(["aarch64-linux-gnu-g++", "-std=c++20", "-O3", "-ffp-contract=off", "-static", "-I.",
                    "-o", binary] + sources, check=True)
    return binary


def addresses(binary, symbol, excluded):
    """Ranges of the functions whose mangled names match `symbol` and not `excluded`, for -dfilter."""
    listed = subprocess.run(["aarch64-linux-gnu-nm", "--print-size", binary], check=True,
                            capture_output=True, text=True).stdout
    found = re.findall(r"^(\w+) (\w+) [tTwW] (\S+)", listed, re.MULTILINE)
    return ",".join(f"0x{int(start, 16):x}+0x{int(size, 16):x}" for start, size, name in found
                    if re.match(symbol, name) and not re.search(excluded, name))


def cases(qemu, binary):
    return subprocess.run([qemu, binary], check=True, capture_output=True, text=True).stdout.splitlines()


def count(qemu, binary, ranges, case, log):
    """(the number that the program printed, instructions within the ranges)"""
    command = [qemu, "-singlestep", "-d", "exec,nochain", "-D", log, "-dfilter", ranges, binary, case]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with open(log) as file:
        return int(printed), sum(1 for line in file if line.startswith("Trace"))
