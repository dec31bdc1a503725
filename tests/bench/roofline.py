#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes engine/roofline.md: on paper, the least time of our networks on Raspberry Pis. Estimates.

    python3 tests/bench/roofline.py PATH/TO/cleave-import [--write] [FILE...]

Works, output sizes and bytes of weights are read off `cleave-import inspect --json`; FILE are model
files with the variants f32, f16 and int8, made with `cleave-import zoo` for the time of the run when
none is given (VGG-16 needs 1 GB). --write replaces engine/roofline.md, else the text is printed.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

NETWORKS = ("vgg16", "alexnet", "mobilenet_v2")
# GHz; multiply-adds a cycle and core in f32 and int8; GB/s of the memory bus and as used here.
BOARDS = (
    {"name": "Pi 3B+", "core": "Cortex-A53", "cores": 4, "ghz": 1.4, "f32": 4, "int8": 16 / 3, "bus": 3.6, "gbs": 2.4},
    {"name": "Pi 4 (1.5 GHz)", "core": "Cortex-A72", "cores": 4, "ghz": 1.5, "f32": 4, "int8": 8, "bus": 12.8, "gbs": 5.6},
    {"name": "Pi 4 (1.8 GHz)", "core": "Cortex-A72", "cores": 4, "ghz": 1.8, "f32": 4, "int8": 8, "bus": 12.8, "gbs": 5.6},
    {"name": "Pi 5", "core": "Cortex-A76", "cores": 4, "ghz": 2.4, "f32": 8, "int8": 32, "bus": 17.1, "gbs": 12.0},
)

INTRODUCTION = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Written by tests/bench/roofline.py; change that, not this. -->
# What a Raspberry Pi could do at best: estimates on paper

**Nothing here was measured on a board.** Lower bounds of the time of one picture, from the peak of
the cores, the speed of the memory, and what our algorithms have to compute and to read. Real times
lie above them. Again with

    python3 tests/bench/roofline.py build/release/bin/cleave-import --write

## Boards
"""

SOURCES = """
Where the numbers come from:
- Clock, cores, memory: the makers' specifications. Bus: LPDDR2-900, LPDDR4-3200, LPDDR4X-4267, each of
  32 bits (Pi 5: threedots.ovh/blog/2023/09/gathering-some-raspberry-pi-5-details, "17GB/sec").
- FMA: one vector of four f32 a cycle on Cortex-A53 and A72, two on A76 (Arm's software optimization
  guides; llvm-mca's models of A53 and A72 say the same). A multiply-add is two FLOP.
- int8: without the dot product instruction 16 multiply-adds are two multiplications and a pairwise sum
  of vectors: three cycles on one vector pipeline (A53), two where a second one takes the sums (A72).
  With it (A76), 16 a cycle in each of two.
- Usable memory, Pi 4: 5.5 GB/s in STREAM's copy (sci-pi.org.uk/bench/stream.html), 2.8 GB/s copied, so
  twice that moved, in tinymembench (github.com/geerlingguy/sbc-reviews/issues/110). Pi 5: 5.7 to 6.1
  GB/s copied there (issues 21 and 81), so about 12. Pi 3B+: no figure found that names its source;
  two thirds of the bus, as other Cortex-A53 boards show on LPDDR4 (Texas Instruments SPRACV1B: 67 to
  71 % of the wire in STREAM).

## Formula
Operators run one after the other, on all cores. An operator takes at least

    max(multiply-adds / (cores x clock x multiply-adds a cycle), bytes / memory)

and a network their sum. What is counted:
- **Multiply-adds** are those of the layer, but 3x3 and 5x5 convolutions of stride 1 with at least 16
  channels on both sides, where they run on f32 tensors: Winograd's F(4x4, 3x3) and F(2x2, 5x5), 36
  multiplications for each tile of the output, input and output channel, or F(2x2, 3x3) with 16 for
  pictures of at most 16 tiles of 4x4 and many channels; tiles and channels rounded up as the kernels
  do (channels in by 16, out by 8). Its transforms are left out. Tensors are int8 in the variant int8,
  except around fully connected layers, which multiply f32 by int8 weights in f32.
- **Bytes** are weights, each read once: as the model file has them for fully connected layers; as they
  are packed for convolutions: f32 also in the variant f16, and 36 or 16 values for the 9 or 25 of a
  kernel for Winograd. Activations are left out: they may stay in the caches.
"""

READING = """
One core alone may not draw all of the memory's speed; these bounds let it. Boards without the dot
product instruction multiply int8 little faster than f32, so where Winograd saves three quarters of
the multiplications (VGG), f32 and f16 are ahead of int8 on them: int8 saves memory there, not time.
"""


def inspect(importer, path):
    printed = subprocess.run([importer, "inspect", path, "--json"], check=True, capture_output=True).stdout
    return json.loads(printed)


def make_network(importer, name, folder):
    path = os.path.join(folder, name + ".cleave")
    subprocess.run([importer, "zoo", name, path, "--f16", "--int8"], check=True, capture_output=True)
    model = inspect(importer, path)
    os.remove(path)
    return model


def read_models(importer, files):
    if files:
        return [inspect(importer, path) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        return [make_network(importer, name, folder) for name in NETWORKS]


def winograd_window(op, input_shape, precision):
    """3, 5, or 0 where the direct form runs, as engine/ops/winograd_conv2d.cc decides on Arm; the
    window's size follows from the multiply-adds."""
    if op["kind"] != "Conv2D" or precision == "QS8":
        return 0
    height, width, channels = op["output_shape"]
    if input_shape != [height, width, input_shape[2]] or min(channels, input_shape[2]) < 16:
        return 0
    taps = op["multiply_adds"] / (height * width * channels * input_shape[2])
    return {9: 3, 25: 5}.get(taps, 0)


def round_up(value, multiple):
    return -(-value // multiple) * multiple


def winograd_cost(op, window, input_channels):
    height, width, channels = op["output_shape"]
    patch = 6
    few_tiles = math.ceil(height / 4) * math.ceil(width / 4) <= 16
    if window == 3 and few_tiles and input_channels * channels >= 1 << 15:
        patch = 4  # engine/ops/winograd_weights.h
    side = patch + 1 - window  # of a tile
    tiles = math.ceil(height / side) * math.ceil(width / side)
    values = patch * patch * round_up(input_channels, 16) * round_up(channels, 8)
    return tiles * values, 4 * values


def op_costs(variant):
    """(multiply-adds, bytes, whether on int8 tensors) of each operator that has weights."""
    shapes = {0: variant["input_shape"]}
    precision = variant["precision"]
    for op in variant["ops"]:
        shapes[op["output"]] = op["output_shape"]
        if op["multiply_adds"] == 0:
            continue
        input_shape = shapes[op["inputs"][0]]
        window = winograd_window(op, input_shape, precision)
        if window:
            yield *winograd_cost(op, window, input_shape[2]), False
        elif op["kind"] == "FullyConnected":
            yield op["multiply_adds"], op["weight_bytes"], False
        else:
            packed = op["weight_bytes"] * (2 if precision == "F16" else 1)
            yield op["multiply_adds"], packed, precision == "QS8"


def least_ms(variant, board, cores):
    total = 0.0
    for multiply_adds, read, on_int8 in op_costs(variant):
        rate = cores * board["ghz"] * 1e9 * board["int8" if on_int8 else "f32"]
        total += max(multiply_adds / rate, read / (board["gbs"] * 1e9))
    return 1000 * total


def board_table():
    yield "| board | cores | f32 peak, a core | f32 peak | int8 peak | bus | memory, as used here |"
    yield "|---|---|---|---|---|---|---|"
    for board in BOARDS:
        core = 2 * board["ghz"] * board["f32"]
        int8 = 2 * board["ghz"] * board["int8"] * board["cores"]
        yield (f"| {board['name']} | {board['cores']} x {board['core']}, {board['ghz']} GHz | {core:.1f} GFLOP/s | "
               f"{core * board['cores']:.1f} GFLOP/s | {int8:.0f} GOP/s | {board['bus']} GB/s | {board['gbs']} GB/s |")


def work_table(models):
    yield "| network | variant | multiply-adds of the layers | as computed | weights, stored | weights, read |"
    yield "|---|---|---|---|---|---|"
    for model in models:
        for variant in model["variants"]:
            costs = list(op_costs(variant))
            yield (f"| {model['name']} | {variant['name']} | {variant['multiply_adds'] / 1e6:.0f} M | "
                   f"{sum(c[0] for c in costs) / 1e6:.0f} M | {variant['weight_bytes'] / 1e6:.1f} MB | "
                   f"{sum(c[1] for c in costs) / 1e6:.1f} MB |")


def shown(ms):
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}"


def time_table(models, all_cores):
    names = [f"{m['name']} {v['name']}" for m in models for v in m["variants"]]
    yield "| board | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for board in BOARDS:
        cores = board["cores"] if all_cores else 1
        times = [least_ms(v, board, cores) for m in models for v in m["variants"]]
        yield f"| {board['name']} | " + " | ".join(shown(t) for t in times) + " |"


def document(models):
    text = INTRODUCTION + "\n".join(board_table()) + "\n" + SOURCES
    text += "\n## Work\n" + "\n".join(work_table(models)) + "\n"
    text += "\n## Estimated least time of a picture, 4 cores, ms\n" + "\n".join(time_table(models, True)) + "\n"
    text += "\n## The same on 1 core, ms\n" + "\n".join(time_table(models, False)) + "\n"
    return text + READING


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("importer")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_intermixed_args()
    text = document(read_models(options.importer, options.files))
    if not options.write:
        sys.stdout.write(text)
        return
    with open("engine/roofline.md", "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
