#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of pictures when the link itself goes: an interface that is down, packets that vanish.

    python3 tests/hil/link_down.py [--bin build/release/bin] [--keep FOLDER]

Starts a server and agents in network namespaces of their own (needs `unshare` and `ip`; no root where
users may make namespaces) and a link of 10 Mbit/s between them. Other than a relay that closes its
connections, neither end hears anything:
  - down for 2 s in the middle of a run: this side's interface, so that connecting fails at once, with a
    spool and a device that cannot finish alone. What could not be answered waits, and the same run finds
    its way back;
  - gone for good, the other side's interface: packets vanish and no FIN ever comes. The run waits for up
    to a minute for an answer, but notices the silence and finishes alone, in far less;
  - the same for a device that cannot finish alone: it ends with everything in the spool, and once the link
    is there again the next run drains it.
Each time every picture ends exactly once in the result log, with the scores of a run without a server.
Exit code 1 when it does not, 2 for usage, 77 without namespaces.
"""
import argparse
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from namespace_link import NamespaceLink

AGENT, SERVER, PORT = "10.79.0.1", "10.79.0.2", 7438
MBIT, QUEUE_BYTES = 10, 262144
DOWN_SECONDS = 2.0
INTERVAL_SECONDS = 0.1      # between pictures of the run that has the link down within it
SILENCE_SECONDS = 9.0       # 3 s until the agent asks, 6 s until it gives up (schemas/wire_format.md)
MOST_SECONDS_ALONE = 40.0   # of a run whose server is gone: silence, and connecting in vain


def png(path, seed, side=96):
    """A picture with waves in it."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            for channel in range(3):
                wave = math.sin(0.05 * (1 + (seed + channel) % 5) * x + 0.07 * (1 + seed % 4) * y)
                rows.append(int(128 + 100 * wave))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                   chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))


class Agent:
    """A run that gets its names from standard input; its lines as they come, with their times."""

    def __init__(self, words):
        self.process = subprocess.Popen(words + ["-"], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines, self.errors = [], []
        self.readers = [threading.Thread(target=self.read_lines),
                        threading.Thread(target=lambda: self.errors.append(self.process.stderr.read()))]
        for reader in self.readers:
            reader.start()

    def read_lines(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), json.loads(line)))

    def give(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()

    def await_lines(self, count, seconds=30.0):
        end = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.lines) >= count

    def end(self, seconds):
        """Its exit code; None when it had to be killed."""
        self.process.stdin.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        for reader in self.readers:
            reader.join()
        self.process.wait()
        return code


class Station:
    """A model, its server behind the link, pictures, and what is right."""

    def __init__(self, options, folder):
        self.bin, self.folder = options.bin, folder
        self.model = self.path("m.cleave")
        self.tool("cleave-import", "zoo", "mobilenet_v2", self.model, "--input", "96", "--width",
                  "0.35")
        self.complaints = []
        sources = [self.path(f"source{i}.png") for i in range(6)]
        for i, source in enumerate(sources):
            png(source, i)
        done = self.tool("cleave-agent", "run", "--model", self.model, "--no-cache", "--split", "all",
                         "--json", "--scores", *sources)
        self.right = [json.loads(line)["scores"] for line in done.splitlines()]
        rows = json.loads(self.tool("cleave-agent", "plan", "--model", self.model, "--no-cache",
                                    "--json"))["splits"]
        head = max(row["ram_bytes"] for row in rows if row["split"] <= 3)
        self.cap = (head + rows[-1]["ram_bytes"]) // 2
        assert head < self.cap, "the whole takes no more than its head"

    def path(self, name):
        return os.path.join(self.folder, name)

    def tool(self, program, *words):
        return subprocess.run([os.path.join(self.bin, program), *words], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def pictures(self, case, count):
        """Names of their own for `count` pictures."""
        names = [self.path(f"{case}-{i}.png") for i in range(count)]
        for i, name in enumerate(names):
            os.link(self.path(f"source{i % 6}.png"), name)
        return names

    def words(self, case, *more, capped):
        words = [os.path.join(self.bin, "cleave-agent"), "run", "--model", self.model, "--no-cache",
                 "--server", f"{SERVER}:{PORT}", "--allow-plain", "--split", "3", "--json", "--scores",
                 "--stats", "--results", self.path(case + ".jsonl"), "--spool",
                 self.path(case + ".spool"), *more]
        return words + (["--ram", str(self.cap)] if capped else [])

    def expect(self, holds, what):
        if not holds:
            self.complaints.append(what)
        return holds

    def judge(self, case, names):
        """Each of `names` ended once, rightly; nothing else did."""
        ended = {}
        with open(self.path(case + ".jsonl"), encoding="utf-8") as log:
            for line in log.read().splitlines()[1:]:  # the first begins the log
                record = json.loads(line)
                ended.setdefault(record["image"], []).append(record)
        self.expect(sorted(ended) == sorted(names), f"{case}: {len(ended)} of {len(names)} ended")
        for name, records in ended.items():
            right = self.right[int(name.rpartition("-")[2].partition(".")[0]) % 6]
            self.expect(len(records) == 1, f"{name} ended {len(records)} times")
            for record in records:
                self.expect(record.get("scores") == right, f"{name} ended so: {str(record)[:300]}")

    def drain(self, case):
        subprocess.run(self.words(case, capped=True), check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def was_by_server(record):
    return "scores" in record and "sent" in record and "fallback" not in record


def down_and_up(station, link):
    """The link is down for a while in the middle of a run."""
    names = station.pictures("down", 70)
    agent = Agent(station.words("down", "--timeout", "500ms", capped=True))
    down_after, up_after = len(names) * 2 // 7, len(names) * 2 // 7 + int(DOWN_SECONDS / INTERVAL_SECONDS)
    times = {}
    for i, name in enumerate(names):
        if i == down_after:
            link.set_near("down")
            times["down"] = time.monotonic()
        if i == up_after:
            link.set_near("up")
            times["up"] = time.monotonic()
        agent.give(name)
        time.sleep(INTERVAL_SECONDS)
    code = agent.end(60)
    lines = agent.lines
    before = [r for at, r in lines if was_by_server(r) and at < times["down"]]
    spooled = [r for at, r in lines if r.get("spooled")]
    after = [r for at, r in lines if was_by_server(r) and at > times["up"]]
    station.drain("down")
    print(f"down for {times['up'] - times['down']:.1f} s: {len(before)} answered by the server before, "
          f"{len(spooled)} waited, {len(after)} answered by it in the same run afterwards, exit code {code}")
    station.expect(code in (0, 12), f"down: exit code {code}: {agent.errors}")
    station.expect(before and spooled and after, "down: the link did not go within the run")
    station.judge("down", names)


def vanish(station, link, case, capped):
    """From the middle of a run on nothing passes, and nobody says so."""
    names = station.pictures(case, 24)
    agent = Agent(station.words(case, "--timeout", "60s" if not capped else "20s", capped=capped))
    for name in names[:8]:
        agent.give(name)
    station.expect(agent.await_lines(4), f"{case}: nothing was answered to begin with")
    link.set_far("down")
    began = time.monotonic()
    for name in names[8:]:
        agent.give(name)
    code = agent.end(120)
    seconds = time.monotonic() - began
    link.set_far("up")
    spooled = sum(1 for _, r in agent.lines if r.get("spooled"))
    alone = sum(1 for _, r in agent.lines if "fallback" in r)
    stats = agent.errors[0].rpartition("stats: ")[2].strip()
    print(f"{case}: over after {seconds:.1f} s, {alone} finished alone, {spooled} waited, exit code {code}; "
          f"{stats}")
    station.expect(code == (12 if capped else 0), f"{case}: exit code {code}: {agent.errors}")
    station.expect(seconds < MOST_SECONDS_ALONE, f"{case}: took {seconds:.1f} s")
    station.expect("heartbeats_missed=0" not in stats, f"{case}: the silence was not noticed")
    station.expect((spooled if capped else alone) >= len(names) - 8, f"{case}: the link was still there")
    if capped:
        time.sleep(0.5)
        station.drain(case)
    station.judge(case, names)


def run(options, folder):
    station = Station(options, folder)
    link = NamespaceLink("lnk", AGENT, SERVER)
    try:
        link.set_rate(MBIT, QUEUE_BYTES)
        server = subprocess.Popen(
            link.inside(os.path.join(options.bin, "cleave-server"), "--model", station.model,
                        "--no-cache", "--listen", f"{SERVER}:{PORT}", "--allow-plain", "--json",
                        "--log-level", "warn"), stdout=subprocess.PIPE, text=True)
        server.stdout.readline()
        try:
            down_and_up(station, link)
            vanish(station, link, "alone", capped=False)
            vanish(station, link, "spool", capped=True)
        finally:
            server.terminate()
            code = server.wait(60)
        station.expect(code == 0, f"the server ended with {code}")
    finally:
        link.close()
    for complaint in station.complaints:
        print("BROKEN: " + complaint)
    return 1 if station.complaints else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--keep", metavar="FOLDER", help="where logs and spools stay")
    options = parser.parse_args()
    if "LINK_DOWN_INSIDE" not in os.environ:
        probe = subprocess.run(["unshare", "-rn", "ip", "link"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, check=False)
        if probe.returncode != 0:
            print("skipped: no network namespaces here")
            return 77
        return subprocess.run(["unshare", "-rn", sys.executable, *sys.argv], check=False,
                              env={**os.environ, "LINK_DOWN_INSIDE": "1"}).returncode
    if options.keep:
        os.makedirs(options.keep)
        return run(options, options.keep)
    with tempfile.TemporaryDirectory() as folder:
        return run(options, folder)


if __name__ == "__main__":
    sys.exit(main())
