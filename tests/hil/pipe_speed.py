#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How close the pipe comes to its slowest stage, on a link of a known rate.

    python3 tests/hil/pipe_speed.py --bin build/release/bin --model NET.cleave [--slow STAGE]
        [--split K] [--mbit 10] [--pictures 60] [--json FILE] PICTURE...
    python3 tests/hil/pipe_speed.py --demo [--slow STAGE] ...    # a seeded network and pictures

Starts a server and an agent in network namespaces of their own (needs `unshare`, `nsenter`, `setpriv`,
`ip`, `tc`; no root where users may make namespaces), joined by a link that a token bucket limits in
both directions (two frames of burst). In the same run:
  - without the link, one picture after the other against a server beside the agent: what device and
    server need by their own clocks, and how many bytes a request and its answer are;
  - over the link a plain TCP sender, for what it carries, and plain TCP exchanges of just as many
    bytes: the link's part of a picture;
  - without the link again, with a pause as long as that between two pictures: a processor that was
    idle computes slower at first;
  - over the link one picture at a time (--overlap 1): beside the sum of these parts, none of which
    is derived from its own time;
  - the same pictures overlapped: throughput against the slowest stage's own rate, where the link's
    is that of the plain sender for the same bytes; and bytes a second against the plain sender.
--slow says which stage is to be the slowest, and where they are not given chooses cut and codec:
`link` cuts after 4 layers, `device` before the last layer, and `server` before the first, so that a
JPEG at model size crosses. For the last two a network is wanted that computes longer than its bytes
take (of --demo: VGG-16).
Exit code 1 when a bound below is broken, another stage is the slowest, or the agent's own counter
(`most_in_work` of --stats) has not several pictures in work at a time in the overlapped run and one
in the other; 2 for usage, 77 without namespaces.
"""
import argparse
import json
import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from namespace_link import NamespaceLink
from processes import ScopedProcess, enter_namespace, stats_of
from tcp_probe import TcpProbe

LEAST_THROUGHPUT = 0.95   # of the slowest stage's own rate
LEAST_LINK_USE = 0.98     # of the plain sender's bytes a second
MOST_LATENCY = 1.03       # times the sum of a picture's parts,
LATENCY_SPARE_MS = 1.0    # and so much
AGENT, SERVER, HERE = "10.78.0.1", "10.78.0.2", "127.0.0.1"
SERVER_PORT, PROBE_PORT = 7436, 7437
QUEUE_BYTES = 262144
PLAIN_SECONDS = 5.0
MOST_SECONDS_TO_END = 60.0  # of a server that nobody uses any more
WARM_UP = 3               # pictures: the pipe is not full yet, the server packs
# Of --demo: network, options, input. VGG-16 computes for longer than its pixels are on the link.
QUICK = ("mobilenet_v2", ("--input", "96", "--width", "0.35"), 96)
BUSY = ("vgg16", (), 224)
BLOCK = 14                # pixels a side of its pictures' blocks


class Server:
    """cleave-server at `address`, behind `prefix`, which runs a command elsewhere; as long as its
    `with`."""

    def __init__(self, options, address, prefix=()):
        self.process = ScopedProcess(
            [*prefix, os.path.join(options.bin, "cleave-server"), "--model", options.model,
             "--listen", f"{address}:{SERVER_PORT}", "--allow-plain", "--json", "--log-level",
             "error"], stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if not self.process.stdout.readline():
            self.process.close()
            sys.exit("the server did not start")
        return self

    def __exit__(self, *why):
        self.process.close()

    def end(self):
        """Its counters."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=MOST_SECONDS_TO_END)
        return json.loads(out.splitlines()[-1])


def run_agent(options, address, pictures, overlap, pause_s=None):
    """The records, when each came (of a clock that starts anywhere), and the agent's counters. With
    `pause_s` a picture is named so long after the answer to the one before it."""
    command = [os.path.join(options.bin, "cleave-agent"), "run", "--json", "--stats", "--model",
               options.model, "--server", f"{address}:{SERVER_PORT}", "--allow-plain", "--split",
               options.split, "--codec", options.codec, "--overlap", str(overlap)]
    records, times = [], []
    with tempfile.TemporaryFile("w+") as errors:
        named = pictures if pause_s is None else ["-"]
        left = [] if pause_s is None else list(reversed(pictures))
        with ScopedProcess(command + named, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=errors, text=True) as process:
            name_next(process, left)
            for line in process.stdout:
                record = json.loads(line)
                if "total_ns" not in record:
                    continue
                times.append(time.monotonic())
                records.append(record)
                time.sleep(pause_s or 0)
                name_next(process, left)
            code = process.wait()
        errors.seek(0)
        said = errors.read()
    bad = [r for r in records if "error" in r or "fallback" in r]
    if code != 0 or bad:
        sys.exit(f"{' '.join(command)}: {bad[:1]} {said}")
    return records, times, stats_of(said)


def name_next(process, left):
    """Takes the last of `left`; none: that was all."""
    if process.stdin.closed:
        return
    if left:
        process.stdin.write(left.pop() + "\n")
        process.stdin.flush()
    else:
        process.stdin.close()


def median_ms(records, *names):
    return statistics.median(sum(r[name] for name in names) / 1e6 for r in records)


def mean_ms(records, *names):
    """What a rate is made of: a median has nothing of the pictures that took long."""
    return statistics.mean(sum(r[name] for name in names) / 1e6 for r in records)


def without_link(options, pictures):
    """What device and server need alone, and the bytes of a request and of its answer."""
    moved, records = {}, []
    for count in (1, len(pictures)):
        with Server(options, HERE) as server:
            records, _, _ = run_agent(options, HERE, pictures[:count], 1)
            counters = server.end()
        # Of both runs the handshake, which their difference does not have.
        moved[count] = (counters["bytes_in"], counters["bytes_out"])
    more = len(pictures) - 1
    up, down = ((moved[len(pictures)][i] - moved[1][i]) / more for i in (0, 1))
    records = records[WARM_UP:]
    return {"device_ms": mean_ms(records, "edge_ns", "encode_ns"),
            "server_ms": mean_ms(records, "server_ns"), "total_ms": median_ms(records, "total_ns"),
            "bytes_up": up, "bytes_down": down}


def one_at_a_time(options, probe, pictures, alone):
    """Pictures over the link beside the sum of their parts."""
    up, down = round(alone["bytes_up"]), round(alone["bytes_down"])
    pause_s = (alone["device_ms"] + alone["server_ms"]) / 1e3  # the link is idle for as long
    exchange = probe.exchange_ms(up, down, len(pictures) - WARM_UP, pause_s)
    with Server(options, HERE) as server:
        rested, _, _ = run_agent(options, HERE, pictures, 1, exchange / 1e3)
        server.end()
    records, _, stats = run_agent(options, SERVER, pictures, 1)
    again = probe.exchange_ms(up, down, len(pictures) - WARM_UP, pause_s)
    return {"single_ms": median_ms(records[WARM_UP:], "total_ns"),
            "rested_device_ms": median_ms(rested[WARM_UP:], "edge_ns", "encode_ns"),
            "rested_server_ms": median_ms(rested[WARM_UP:], "server_ns"),
            "link_ms": (exchange + again) / 2, "link_first_ms": exchange, "link_again_ms": again,
            "round_trip_ms": probe.exchange_ms(1, 1, 20),
            "single_most_in_work": stats["most_in_work"]}


def overlapped(options, pictures):
    records, times, stats = run_agent(options, SERVER, pictures, options.overlap)
    seconds = times[-1] - times[WARM_UP - 1]
    done = len(times) - WARM_UP
    return {"pictures_per_s": done / seconds,
            "bytes_per_s": sum(r["bytes_up"] for r in records[WARM_UP:]) / seconds,
            "most_in_work": stats["most_in_work"]}


def measure(link, options):
    pictures = [options.pictures_named[i % len(options.pictures_named)]
                for i in range(options.pictures + WARM_UP)]
    few = pictures[:max(options.pictures // 3, 3) + WARM_UP]
    figures = without_link(options, few)
    with TcpProbe(link.inside(), SERVER, PROBE_PORT) as probe, \
            Server(options, SERVER, link.inside()) as server:
        figures["plain_bytes_per_s"] = probe.bytes_per_s(PLAIN_SECONDS)
        figures.update(one_at_a_time(options, probe, few, figures))
        figures.update(overlapped(options, pictures))
        figures["plain_again_bytes_per_s"] = probe.bytes_per_s(PLAIN_SECONDS)
        server.end()
    figures["sum_ms"] = (figures["rested_device_ms"] + figures["link_ms"]
                         + figures["rested_server_ms"])
    stages = {"device": figures["device_ms"], "server": figures["server_ms"],
              "link": figures["bytes_up"] / figures["plain_bytes_per_s"] * 1e3}
    figures["stages_ms"] = stages
    figures["slowest"] = max(stages, key=stages.get)
    figures["throughput"] = figures["pictures_per_s"] * stages[figures["slowest"]] / 1e3
    figures["link_use"] = figures["bytes_per_s"] / figures["plain_bytes_per_s"]
    return figures


def report(options, figures):
    rate = f"{options.mbit:g} Mbit/s" if options.mbit > 0 else "without a limit"
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in figures["stages_ms"].items())
    print(f"link {rate}; a plain TCP sender: {figures['plain_bytes_per_s'] * 8 / 1e6:.3f} Mbit/s "
          f"of payload (again: {figures['plain_again_bytes_per_s'] * 8 / 1e6:.3f}), round trip "
          f"{figures['round_trip_ms']:.2f} ms")
    print(f"a request {figures['bytes_up']:.0f} bytes, its answer {figures['bytes_down']:.0f}")
    print(f"parts, ms: device {figures['rested_device_ms']:.2f} and server "
          f"{figures['rested_server_ms']:.2f} without the link and with its pauses, link "
          f"{figures['link_ms']:.2f} by plain TCP (before "
          f"{figures['link_first_ms']:.2f}, after {figures['link_again_ms']:.2f}); sum "
          f"{figures['sum_ms']:.2f}")
    print(f"one picture at a time: {figures['single_ms']:.2f} ms, "
          f"{figures['single_ms'] - figures['sum_ms']:+.2f} ms and "
          f"{figures['single_ms'] / figures['sum_ms'] - 1:+.1%} beside the sum (without the link "
          f"and pauses: {figures['total_ms']:.2f} ms)")
    print(f"stages, ms a picture: {stages}; slowest: {figures['slowest']}")
    print(f"overlapped, {figures['most_in_work']} pictures in work: "
          f"{figures['pictures_per_s']:.2f} pictures/s, {figures['throughput']:.1%} of "
          f"the slowest stage's own rate; link use {figures['link_use']:.1%} of the plain sender")


def broken_bounds(figures, options):
    broken = []
    less = 1 - options.tolerance
    if figures["single_most_in_work"] != 1:
        broken.append(f"one picture at a time: {figures['single_most_in_work']} were in work")
    if figures["most_in_work"] <= 1:
        broken.append("nothing overlapped: no two pictures were in work at a time")
    if options.slow and figures["slowest"] != options.slow:
        broken.append(f"the slowest stage is the {figures['slowest']}, not the {options.slow}")
    if figures["throughput"] < LEAST_THROUGHPUT * less:
        broken.append(f"throughput under {LEAST_THROUGHPUT * less:.0%} of the slowest stage's")
    if figures["slowest"] == "link" and figures["link_use"] < LEAST_LINK_USE * less:
        broken.append(f"link use under {LEAST_LINK_USE * less:.0%} of a plain sender's")
    most_ms = figures["sum_ms"] * (MOST_LATENCY + options.tolerance) + LATENCY_SPARE_MS
    if figures["single_ms"] > most_ms:
        broken.append(f"a single picture takes longer than {most_ms:.2f} ms: its parts, 3 % and 1 ms"
                      + (" and the tolerance" if options.tolerance else ""))
    return broken


def png(path, side, seed):
    """Of seeded blocks of noise: a picture that any agent reads, and that is a JPEG like a photo's."""
    noise = random.Random(seed)
    count = -(-side // BLOCK)
    bands = (b"\0" + b"".join(noise.randbytes(3) * BLOCK for _ in range(count))[:3 * side]
             for _ in range(count))
    rows = b"".join(band * BLOCK for band in bands)[:(1 + 3 * side) * side]
    chunks = ((b"IHDR", struct.pack("!IIBBBBB", side, side, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            file.write(struct.pack("!I", len(data)) + kind + data
                       + struct.pack("!I", zlib.crc32(kind + data)))
    return path


def make_demo(options, folder):
    network, shape, side = BUSY if options.slow in ("device", "server") else QUICK
    options.model = os.path.join(folder, "demo.cleave")
    subprocess.run([os.path.join(options.bin, "cleave-import"), "zoo", network, options.model, *shape],
                   check=True, stdout=subprocess.DEVNULL)
    options.pictures_named = [png(os.path.join(folder, f"{i}.png"), side, i)
                              for i in range(4)]


def choose_cut(options):
    """The cut and the codec of --slow, where none were given."""
    if options.codec is None:
        options.codec = "jpeg:75" if options.slow == "server" else "raw"
    if options.split is not None:
        return
    shown = subprocess.run([os.path.join(options.bin, "cleave-import"), "inspect", "--json",
                            options.model], check=True, capture_output=True, text=True).stdout
    layers = len(json.loads(shown)["variants"][0]["layers"])
    options.split = {"device": str(layers - 1), "server": "0"}.get(options.slow, "4")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--model")
    parser.add_argument("--demo", action="store_true", help="a seeded network and pictures")
    parser.add_argument("--slow", choices=("link", "device", "server"))
    parser.add_argument("--split")
    parser.add_argument("--codec")
    parser.add_argument("--mbit", type=float, default=10.0, help="0: no limit")
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--tolerance", type=float, default=0.0,
                        help="share by which the bounds are wider, for a machine with other work")
    parser.add_argument("--json")
    parser.add_argument("pictures_named", nargs="*", metavar="PICTURE")
    options = parser.parse_args()
    if options.overlap < 2:
        parser.error("--overlap: at least 2 pictures at a time")
    if not options.demo and not (options.model and options.pictures_named):
        parser.error("--model and pictures are needed, or --demo")
    return options


def run(options):
    choose_cut(options)
    with NamespaceLink("pip", AGENT, SERVER) as link:
        if options.mbit > 0:
            link.set_rate(options.mbit, QUEUE_BYTES)
        figures = measure(link, options)
    report(options, figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    broken = broken_bounds(figures, options)
    for what in broken:
        print("BROKEN: " + what)
    return 1 if broken else 0


def main():
    options = parse_options()
    if not enter_namespace():
        print("skipped: no network namespaces here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        if options.demo:
            make_demo(options, folder)
        return run(options)


if __name__ == "__main__":
    sys.exit(main())
