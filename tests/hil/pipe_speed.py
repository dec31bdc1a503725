#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How close the pipe comes to its slowest stage, on a link of a known rate.

    python3 tests/hil/pipe_speed.py --bin build/release/bin --model NET.cleave [--split K]
        [--mbit 10] [--pictures 60] [--json FILE] PICTURE...

Starts a server and an agent in network namespaces of their own (needs `unshare`, `ip`, `tc`; no root
where users may make namespaces), joined by a link that a token bucket limits in both directions (two
frames of burst). In the same run:
  - a plain TCP sender, for what the link carries;
  - one picture at a time (--overlap 1): the parts of each (device, encoding, link, server);
  - the same pictures overlapped: throughput against the slowest stage's own rate, where the link's
    is that of the plain sender for the same bytes; and bytes a second against the plain sender.
Exit code 1 when a bound below is broken, 2 for usage, 77 without namespaces.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

from namespace_link import NamespaceLink

LEAST_THROUGHPUT = 0.95   # of the slowest stage's own rate
LEAST_LINK_USE = 0.98     # of the plain sender's bytes a second
MOST_LATENCY = 1.03       # times the sum of a picture's parts,
LATENCY_SPARE_MS = 1.0    # and so much
AGENT, SERVER = "10.78.0.1", "10.78.0.2"
SERVER_PORT, SINK_PORT = 7436, 7437
QUEUE_BYTES = 262144
PLAIN_SECONDS = 5.0
WARM_UP = 3               # pictures: the pipe is not full yet, the server packs


def sink():
    """In the server's namespace: takes what comes, and says how much when asked to end."""
    with socket.create_server((SERVER, SINK_PORT)) as server:
        print("ready", flush=True)
        peer, _ = server.accept()
        first = last = None
        total = 0
        while data := peer.recv(1 << 16):
            last = time.monotonic()
            if first is None:
                first, total = last, -len(data)  # counted from the first byte's arrival
            total += len(data)
        print(json.dumps({"bytes_per_s": total / (last - first)}), flush=True)


def plain_bytes_per_s(link):
    """Payload of one TCP stream over some seconds, as the receiver sees it."""
    process = subprocess.Popen(link.inside(sys.executable, os.path.abspath(__file__), "--sink"),
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    with socket.create_connection((SERVER, SINK_PORT)) as stream:
        end = time.monotonic() + PLAIN_SECONDS
        while time.monotonic() < end:
            stream.sendall(bytes(1 << 14))
    return json.loads(process.communicate()[0])["bytes_per_s"]


def run_agent(options, pictures, overlap):
    """The records, the stats line, and when each answer came (of a clock that starts anywhere)."""
    command = [os.path.join(options.bin, "cleave-agent"), "run", "--json", "--stats", "--model",
               options.model, "--server", f"{SERVER}:{SERVER_PORT}", "--allow-plain", "--split",
               options.split, "--codec", options.codec, "--overlap", str(overlap)]
    with subprocess.Popen(command + pictures, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        errors = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
        reader.start()
        records, times = [], []
        for line in process.stdout:
            times.append(time.monotonic())
            records.append(json.loads(line))
        reader.join()
    bad = [r for r in records if "error" in r or "fallback" in r]
    if process.wait() != 0 or bad:
        sys.exit(f"{' '.join(command)}: {bad[:1]} {errors[0]}")
    stats = [line for line in errors[0].splitlines() if line.startswith('{"event":"stats"')]
    return records, times, stats[0]


def parts_ms(record):
    device = (record["edge_ns"] + record["encode_ns"]) / 1e6
    return {"device": device, "link": (record["tx_ns"] + record["rx_ns"]) / 1e6,
            "server": record["server_ns"] / 1e6}


def measure(link, options):
    pictures = [options.pictures_named[i % len(options.pictures_named)]
                for i in range(options.pictures + WARM_UP)]
    plain = plain_bytes_per_s(link)
    alone, _, _ = run_agent(options, pictures[:options.pictures // 3 + WARM_UP], 1)
    alone = alone[WARM_UP:]
    # What is not in any part: starting, waiting for a turn, telling.
    beyond = [r["total_ns"] / 1e6 - sum(parts_ms(r).values()) for r in alone]
    sums = [sum(parts_ms(r).values()) for r in alone]
    late = statistics.median(r["total_ns"] / 1e6 / ((s * MOST_LATENCY) + LATENCY_SPARE_MS)
                             for r, s in zip(alone, sums))
    records, times, stats = run_agent(options, pictures, options.overlap)
    frames = [r["bytes_up"] for r in records]
    seconds = times[-1] - times[WARM_UP - 1]
    done = len(times) - WARM_UP
    stages = {"device": statistics.mean(parts_ms(r)["device"] for r in alone),
              "link": statistics.mean(frames[WARM_UP:]) / plain * 1e3,
              "server": statistics.mean(parts_ms(r)["server"] for r in alone)}
    slowest = max(stages, key=stages.get)
    again = plain_bytes_per_s(link)
    return {"plain_bytes_per_s": plain, "plain_again_bytes_per_s": again,
            "single_ms": statistics.median(r["total_ns"] / 1e6 for r in alone),
            "single_parts_ms": statistics.median(sums), "beyond_ms": statistics.median(beyond),
            "latency_share": late, "stages_ms": stages, "slowest": slowest,
            "pictures_per_s": done / seconds, "bytes_up": statistics.mean(frames),
            "throughput": done / seconds * stages[slowest] / 1e3,
            "link_use": sum(frames[WARM_UP:]) / seconds / plain, "stats": stats}


def report(options, figures):
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in figures["stages_ms"].items())
    print(f"link {options.mbit} Mbit/s; a plain TCP sender: "
          f"{figures['plain_bytes_per_s'] * 8 / 1e6:.3f} Mbit/s of payload "
          f"(again: {figures['plain_again_bytes_per_s'] * 8 / 1e6:.3f})")
    print(f"one picture at a time: {figures['single_ms']:.2f} ms, its parts "
          f"{figures['single_parts_ms']:.2f} ms, beyond them {figures['beyond_ms']:.3f} ms")
    print(f"stages, ms a picture: {stages}; slowest: {figures['slowest']}")
    print(f"overlapped: {figures['pictures_per_s']:.2f} pictures/s of {figures['bytes_up']:.0f} "
          f"bytes, {figures['throughput']:.1%} of the slowest stage's own rate; link use "
          f"{figures['link_use']:.1%} of the plain sender")
    print(f"stats: {figures['stats']}")


def broken_bounds(figures):
    broken = []
    if figures["throughput"] < LEAST_THROUGHPUT:
        broken.append(f"throughput under {LEAST_THROUGHPUT:.0%} of the slowest stage's")
    if figures["slowest"] == "link" and figures["link_use"] < LEAST_LINK_USE:
        broken.append(f"link use under {LEAST_LINK_USE:.0%} of a plain sender's")
    if figures["latency_share"] > 1:
        broken.append("a single picture takes longer than its parts, 3 % and 1 ms")
    return broken


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--model")
    parser.add_argument("--split", default="4")
    parser.add_argument("--codec", default="raw")
    parser.add_argument("--mbit", type=float, default=10)
    parser.add_argument("--overlap", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--json")
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("pictures_named", nargs="*", metavar="PICTURE")
    options = parser.parse_args()
    if not options.sink and not (options.model and options.pictures_named):
        parser.error("--model and pictures are needed")
    return options


def main():
    options = parse_options()
    if options.sink:
        sink()
        return 0
    if "PIPE_SPEED_INSIDE" not in os.environ:
        probe = subprocess.run(["unshare", "-rn", "true"], stderr=subprocess.DEVNULL, check=False)
        if probe.returncode != 0:
            print("no network namespaces here")
            return 77
        return subprocess.run(["unshare", "-rn", sys.executable, *sys.argv], check=False,
                              env={**os.environ, "PIPE_SPEED_INSIDE": "1"}).returncode
    link = NamespaceLink("pip", AGENT, SERVER)
    link.set_rate(options.mbit, QUEUE_BYTES)
    try:
        server = subprocess.Popen(
            link.inside(os.path.join(options.bin, "cleave-server"), "--model", options.model,
                        "--listen", f"{SERVER}:{SERVER_PORT}", "--allow-plain"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(2.0)
        try:
            figures = measure(link, options)
        finally:
            server.terminate()
            server.wait()
    finally:
        link.close()
    report(options, figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    broken = broken_bounds(figures)
    for what in broken:
        print("BROKEN: " + what)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
