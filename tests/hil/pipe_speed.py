#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How close the pipe comes to its slowest stage, on a link of a known rate.

    python3 tests/hil/pipe_speed.py --bin build/release/bin --model NET.cleave [--slow STAGE]
        [--split K] [--mbit 10] [--rounds 5] [--pictures 40] [--json FILE] PICTURE...
    python3 tests/hil/pipe_speed.py --demo [--slow STAGE] ...    # a seeded network and pictures

Starts a server and an agent in network namespaces of their own (needs `unshare`, `nsenter`, `setpriv`,
`taskset`, `ip`, `tc`; no root where users may make namespaces) and on processors of their own, joined
by a link that a token bucket limits in both directions (two frames of burst). In the same run:
  - without the link, one picture after the other against a server beside the agent: what device and
    server need by their own clocks, and how many bytes a request and its answer are;
  - in rounds, pictures over the link one at a time (--overlap 1) beside the sum of their parts, none
    of which is derived from their own time: plain TCP exchanges of just as many bytes, and device
    and server without the link, with a pause as long as such an exchange between two pictures (a
    processor that was idle computes slower at first);
  - in rounds, the same pictures overlapped: throughput against the slowest stage's own rate, where
    the link's is that of a plain TCP sender for the same bytes; and bytes a second against it.
What a round is compared with is measured just before and just after it: a machine that others share
changes its speed. The bounds are for the median of the rounds.
--slow says which stage is to be the slowest, and where they are not given chooses cut and codec:
`link` cuts after 4 layers, `device` before the last layer, and `server` before the first, so that a
JPEG at model size crosses. For the last two a network is wanted that computes longer than its bytes
take (of --demo: VGG-16).
Exit code 1 when a bound below is broken, another stage is the slowest, or the agent's own counter
(`most_in_work` of --stats) has not several pictures in work at a time in the overlapped run and one
in the other, or, where the device is the slowest and there is a codec, none was encoded beside another's
head (`encoded_beside`); 2 for usage, 77 without namespaces.
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
PLAIN_SECONDS = 2.0
MOST_SECONDS_TO_END = 60.0  # of a server that nobody uses any more
WARM_UP = 3               # pictures: the pipe is not full yet, the server packs
# Of --demo: network, options, input. VGG-16 computes for longer than its pixels are on the link.
QUICK = ("mobilenet_v2", ("--input", "96", "--width", "0.35"), 96)
BUSY = ("vgg16", (), 224)
BLOCK = 14                # pixels a side of its pictures' blocks


def half_of_processors(half):
    """Device and server are different machines: a half of this one's processors each, where it has
    several."""
    processors = sorted(os.sched_getaffinity(0))
    middle = len(processors) // 2
    return (processors[:middle], processors[middle:])[half] or processors


def on_half(half, command):
    return ["taskset", "-c", ",".join(map(str, half_of_processors(half))), *command]


class Server:
    """cleave-server at `address`, behind `prefix`, which runs a command elsewhere; as long as its
    `with`."""

    def __init__(self, options, address, prefix=()):
        self.process = ScopedProcess(
            on_half(1, [*prefix, os.path.join(options.bin, "cleave-server"), "--model",
                        options.model, "--listen", f"{address}:{SERVER_PORT}", "--allow-plain",
                        "--json", "--log-level", "error"]), stdout=subprocess.PIPE, text=True)

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
        with ScopedProcess(on_half(0, command + named), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=errors, text=True) as process:
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
    moved, figures = {}, {}
    for count in (1 + WARM_UP, len(pictures)):
        figures, counters = here(options, pictures[:count])
        # Of both runs the handshake, which their difference does not have.
        moved[count] = (counters["bytes_in"], counters["bytes_out"])
    few, many = sorted(moved)
    up, down = ((moved[many][i] - moved[few][i]) / (many - few) for i in (0, 1))
    return {**figures, "bytes_up": up, "bytes_down": down}


def here(options, pictures):
    """Device and server alone, by their own clocks, and the server's counters."""
    with Server(options, HERE) as server:
        records, _, _ = run_agent(options, HERE, pictures, 1)
        counters = server.end()
    records = records[WARM_UP:]
    return {"device_ms": mean_ms(records, "edge_ns"), "encode_ms": mean_ms(records, "encode_ns"),
            "server_ms": mean_ms(records, "server_ns"),
            "total_ms": median_ms(records, "total_ns")}, counters


def parts_alone(options, probe, pictures, alone_ms, bytes_moved):
    """The parts of a picture, ms, none of them from its time over the link. `alone_ms`: for so long the
    link is idle between two pictures."""
    link_ms = probe.exchange_ms(*bytes_moved, len(pictures) - WARM_UP, alone_ms / 1e3)
    with Server(options, HERE) as server:
        records, _, _ = run_agent(options, HERE, pictures, 1, link_ms / 1e3)
        server.end()
    return {"device": median_ms(records[WARM_UP:], "edge_ns", "encode_ns"),
            "server": median_ms(records[WARM_UP:], "server_ns"), "link": link_ms}


def one_at_a_time(options, probe, pictures, alone):
    """Of each round, pictures over the link one by one, beside the parts just before and after."""
    bytes_moved = round(alone["bytes_up"]), round(alone["bytes_down"])
    alone_ms = alone["device_ms"] + alone["encode_ms"] + alone["server_ms"]
    rounds = []
    before = parts_alone(options, probe, pictures, alone_ms, bytes_moved)
    for _ in range(options.rounds):
        records, _, stats = run_agent(options, SERVER, pictures, 1)
        after = parts_alone(options, probe, pictures, alone_ms, bytes_moved)
        parts = {name: (before[name] + after[name]) / 2 for name in before}
        one_ms = median_ms(records[WARM_UP:], "total_ns")
        rounds.append({"one_ms": one_ms, "parts_ms": parts, "sum_ms": sum(parts.values()),
                       "more_ms": one_ms - sum(parts.values()),
                       "over_ms": one_ms - MOST_LATENCY * sum(parts.values()) - LATENCY_SPARE_MS,
                       "most_in_work": stats["most_in_work"]})
        before = after
    return rounds


def alone(options, probe, pictures):
    """What a stage's own rate is made of."""
    figures, _ = here(options, pictures)
    return {"device_ms": figures["device_ms"], "encode_ms": figures["encode_ms"],
            "server_ms": figures["server_ms"], "plain_bytes_per_s": probe.bytes_per_s(PLAIN_SECONDS)}


def overlapped(options, pictures):
    records, times, stats = run_agent(options, SERVER, pictures, options.overlap)
    seconds = times[-1] - times[WARM_UP - 1]
    done = len(times) - WARM_UP
    return {"pictures_per_s": done / seconds,
            "bytes_per_s": sum(r["bytes_up"] for r in records[WARM_UP:]) / seconds,
            "most_in_work": stats["most_in_work"], "encoded_beside": stats["encoded_beside"]}


def device_stages(own):
    """Head and encoder have a thread each, which one processor runs one after the other."""
    if len(half_of_processors(0)) > 1:
        return {"device": own["device_ms"], "encoder": own["encode_ms"]}
    return {"device": own["device_ms"] + own["encode_ms"]}


def several_at_a_time(options, probe, pictures, few, bytes_up):
    """Of each round, the pipe beside what its stages are alone just before and just after it."""
    rounds = []
    before = alone(options, probe, few)
    for _ in range(options.rounds):
        pipe = overlapped(options, pictures)
        after = alone(options, probe, few)
        own = {name: (before[name] + after[name]) / 2 for name in before}
        stages = {**device_stages(own), "server": own["server_ms"],
                  "link": bytes_up / own["plain_bytes_per_s"] * 1e3}
        slowest = max(stages, key=stages.get)
        rounds.append({**pipe, "stages_ms": stages, "slowest": slowest,
                       "plain_bytes_per_s": own["plain_bytes_per_s"],
                       "throughput": pipe["pictures_per_s"] * stages[slowest] / 1e3,
                       "link_use": pipe["bytes_per_s"] / own["plain_bytes_per_s"]})
        before = after
    return rounds


def measure(link, options):
    pictures = [options.pictures_named[i % len(options.pictures_named)]
                for i in range(options.pictures + WARM_UP)]
    few = pictures[:max(options.pictures // 2, 3) + WARM_UP]
    figures = without_link(options, few)
    with TcpProbe(link.inside(), SERVER, PROBE_PORT) as probe, \
            Server(options, SERVER, link.inside()) as server:
        figures["round_trip_ms"] = probe.exchange_ms(1, 1, 20)
        figures["single"] = one_at_a_time(options, probe, few, figures)
        figures["pipe"] = several_at_a_time(options, probe, pictures, few, figures["bytes_up"])
        server.end()
    return figures


def of_rounds(rounds, name):
    """Median, least and most."""
    values = [one[name] for one in rounds]
    return statistics.median(values), min(values), max(values)


def slowest_stages(figures):
    return sorted({one["slowest"] for one in figures["pipe"]})


def listed(times_ms):
    return ", ".join(f"{name} {ms:.2f}" for name, ms in times_ms.items())


def report(options, figures):
    single, pipe = figures["single"], figures["pipe"]
    rate = f"{options.mbit:g} Mbit/s" if options.mbit > 0 else "without a limit"
    plain, least, most = (8e-6 * v for v in of_rounds(pipe, "plain_bytes_per_s"))
    print(f"link {rate}; a plain TCP sender: {plain:.3f} Mbit/s of payload ({least:.3f} to "
          f"{most:.3f}), round trip {figures['round_trip_ms']:.2f} ms")
    print(f"a request {figures['bytes_up']:.0f} bytes, its answer {figures['bytes_down']:.0f}; one "
          f"picture without the link: {figures['total_ms']:.2f} ms")
    for number, one in enumerate(single, 1):
        print(f"one at a time, round {number}: parts, ms: {listed(one['parts_ms'])}; sum "
              f"{one['sum_ms']:.2f}; a picture {one['one_ms']:.2f}, {one['more_ms']:+.2f}")
    for number, one in enumerate(pipe, 1):
        print(f"overlapped, round {number}: alone, ms: {listed(one['stages_ms'])}; overlapped, "
              f"{one['most_in_work']} in work, {one['encoded_beside']} encoded beside a head: "
              f"{1e3 / one['pictures_per_s']:.2f}, {one['throughput']:.1%}")
    print("one picture beside the sum of its parts: median {:+.2f} ms, {:+.2f} to {:+.2f}; beside "
          "the bound {:+.2f} ms".format(*of_rounds(single, "more_ms"),
                                        of_rounds(single, "over_ms")[0]))
    print(f"throughput of the slowest stage's own rate ({' and '.join(slowest_stages(figures))}): "
          "median {:.1%}, {:.1%} to {:.1%}".format(*of_rounds(pipe, "throughput")))
    print("link use of the plain sender: median {:.1%}, {:.1%} to {:.1%}".format(
        *of_rounds(pipe, "link_use")))


def broken_bounds(figures, options):
    single, pipe = figures["single"], figures["pipe"]
    broken = []
    less = 1 - options.tolerance
    if max(one["most_in_work"] for one in single) != 1:
        broken.append("one picture at a time: several were in work")
    if min(one["most_in_work"] for one in pipe) <= 1:
        broken.append("nothing overlapped: no two pictures were in work at a time")
    slowest = slowest_stages(figures)
    if options.slow and slowest != [options.slow]:
        broken.append(f"the slowest stage is the {' or the '.join(slowest)}, not the {options.slow}")
    # Elsewhere the device waits for the others, and a head may be over before the next is begun.
    always_computes = slowest == ["device"] and options.codec != "raw"
    if always_computes and min(one["encoded_beside"] for one in pipe) == 0:
        broken.append("no picture was encoded while another's head was computed")
    if of_rounds(pipe, "throughput")[0] < LEAST_THROUGHPUT * less:
        broken.append(f"throughput under {LEAST_THROUGHPUT * less:.0%} of the slowest stage's")
    if slowest == ["link"] and of_rounds(pipe, "link_use")[0] < LEAST_LINK_USE * less:
        broken.append(f"link use under {LEAST_LINK_USE * less:.0%} of a plain sender's")
    spare_ms = options.tolerance * of_rounds(single, "sum_ms")[0]
    if of_rounds(single, "over_ms")[0] > spare_ms:
        broken.append("a single picture takes longer than its parts, 3 % and 1 ms"
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=40, help="of a round")
    parser.add_argument("--tolerance", type=float, default=0.0,
                        help="share by which the bounds are wider, for a machine with other work")
    parser.add_argument("--json")
    parser.add_argument("pictures_named", nargs="*", metavar="PICTURE")
    options = parser.parse_args()
    if options.overlap < 2:
        parser.error("--overlap: at least 2 pictures at a time")
    if options.rounds < 1 or options.pictures < 1:
        parser.error("--rounds and --pictures: at least 1")
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
