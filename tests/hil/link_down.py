#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of pictures when the link itself goes: an interface that is down, packets that vanish.

    python3 tests/hil/link_down.py [--bin build/release/bin] [--keep FOLDER]

Starts a server and agents in network namespaces of their own (needs `unshare`, `nsenter`, `setpriv`,
`ip`, `tc`; no root where users may make namespaces) and a link of 10 Mbit/s between them, and takes the
link away in a way that no relay can, which closes connections: nobody is told. Three runs, each judged by its records, its
counters (`--stats`), its exit code and its result log:
  - down: this side's interface is down for 2 s in the middle of a run with a spool on a device that
    cannot finish alone. Meanwhile connecting fails at once, no answer comes, and at least the pictures
    that are in work in each `--timeout` of it but one wait in the spool. Afterwards the same run is back at the
    server within the longest pause that its backoff can have reached, and answers what waited;
  - alone: the other side's interface is down for good, on a device that can finish alone. Packets vanish
    and no FIN comes. A picture may wait 60 s for its answer, but the one connection is dropped as silent
    (`heartbeats_missed`) after 3 s, a Ping and 6 s: the first picture without an answer ends after that and
    one attempt to connect, each further one at most one such attempt after the one before it, and all of
    them are computed here;
  - spool: likewise on a device that cannot finish alone. All of them wait in the spool, and once the
    link is there again the next run answers them.
In the result log every picture has exactly one end, an answer with the scores of a run without a
server. The server ends with 0 when it is told to.
Exit code 1 when one of these is not so, 2 for usage, 77 without namespaces.
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
from processes import ScopedProcess, enter_namespace, stats_of

AGENT, SERVER, PORT = "10.79.0.1", "10.79.0.2", 7438
MBIT, QUEUE_BYTES = 10, 262144
EXIT_OK, EXIT_PARTIAL = 0, 12     # schemas/exit_code.h

# What the agent keeps to: agent/connection_options.h, agent/liveness.h.
PING_AFTER_SECONDS, GONE_AFTER_SECONDS = 3.0, 6.0
LOOK_SECONDS = PING_AFTER_SECONDS / 4   # it looks so often, and may see either so much later
CONNECT_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.2

SPARE_SECONDS = 2.0               # of a machine that has other work
MOST_SECONDS_TO_NOTICE = PING_AFTER_SECONDS + GONE_AFTER_SECONDS + 2 * LOOK_SECONDS

# The run that has the link down within it: names at this pace.
INTERVAL_SECONDS = 0.1
BEFORE_SECONDS, DOWN_SECONDS = 2.0, 2.0
DOWN_TIMEOUT_SECONDS = 0.5        # --timeout

# The runs whose link goes for good.
GONE_TIMEOUT_SECONDS = 60.0       # --timeout: far more than it takes to notice
PICTURES_BEFORE, PICTURES_GONE = 8, 16
FIRST_ANSWERS = 4                 # of those before: the link is seen to work
MOST_SECONDS_TO_END = 120.0       # of a run that is killed then
assert MOST_SECONDS_TO_NOTICE + CONNECT_SECONDS + SPARE_SECONDS < GONE_TIMEOUT_SECONDS / 2


def longest_pause(seconds):
    """Of a backoff (agent/backoff.h) whose pauses began within so many seconds.

    Each is twice as long as the one before, or by its jitter half of that.
    """
    pause, least = FIRST_BACKOFF_SECONDS, 0.0
    while least + pause / 2 <= seconds:
        least += pause / 2
        pause *= 2
    return pause


MOST_SECONDS_BACK = longest_pause(DOWN_SECONDS) + DOWN_TIMEOUT_SECONDS + SPARE_SECONDS


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
    """A run that gets its names from standard input; its lines as they come, with their times.

    As long as its `with`.
    """

    def __init__(self, words):
        self.lines = []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = ScopedProcess(words + ["-"], stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.PIPE, stderr=self.errors)
        self.reader = threading.Thread(target=self.read_lines)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.process.kill()  # does nothing to one that was waited for
        self.reader.join()
        self.process.close()
        self.errors.close()

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

    def end(self):
        """Its exit code and its counters. TimeoutExpired when it does not end."""
        self.process.stdin.close()
        code = self.process.wait(MOST_SECONDS_TO_END)
        self.reader.join()
        return code, stats_of(self.said())

    def said(self):
        self.errors.seek(0)
        return self.errors.read()


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


def option_seconds(seconds):
    return f"{int(seconds * 1000)}ms"


def give_while_down(agent, names, link):
    """The names at their pace, the link going down and up: when it was down, and was about to be up."""
    down_from = int(BEFORE_SECONDS / INTERVAL_SECONDS)
    up_from = down_from + int(DOWN_SECONDS / INTERVAL_SECONDS)
    for i, name in enumerate(names):
        if i == down_from:
            link.set_near("down")
            down = time.monotonic()
        if i == up_from:
            up = time.monotonic()
            link.set_near("up")
        agent.give(name)
        time.sleep(INTERVAL_SECONDS)
    return down, up


def down_and_up(station, link):
    """The link is down for a while in the middle of a run."""
    seconds = BEFORE_SECONDS + DOWN_SECONDS + MOST_SECONDS_BACK
    names = station.pictures("down", math.ceil(seconds / INTERVAL_SECONDS))
    with Agent(station.words("down", "--timeout", option_seconds(DOWN_TIMEOUT_SECONDS),
                             capped=True)) as agent:
        down, up = give_while_down(agent, names, link)
        code, stats = agent.end()
    answered = [(at, r) for at, r in agent.lines if was_by_server(r)]
    before = [at for at, _ in answered if at < down]
    # One that was there already may still be printed.
    within = [at for at, _ in answered if down + DOWN_TIMEOUT_SECONDS < at < up]
    back = [at - up for at, r in answered if at > up and not r.get("drained")]
    spooled = sum(1 for _, r in agent.lines if r.get("spooled"))
    drained = sum(1 for _, r in agent.lines if r.get("drained"))
    print(f"down for {up - down:.1f} s: {len(before)} answered by the server before, {spooled} waited, the "
          f"next answer {min(back, default=math.inf):.1f} s after the link was there again; {drained} of those "
          f"that waited answered in the same run, exit code {code}; {stats}")
    least_waiting = stats["most_in_work"] * (int(DOWN_SECONDS / DOWN_TIMEOUT_SECONDS) - 1)
    station.expect(before, "down: nothing was answered to begin with")
    station.expect(not within, f"down: {len(within)} answers came over no link")
    station.expect(spooled >= least_waiting, f"down: {spooled} waited, not {least_waiting}")
    station.expect(stats["connect_unreachable"] >= 1, "down: connecting did not fail")
    station.expect(min(back, default=math.inf) <= MOST_SECONDS_BACK, "down: the run did not find its way back")
    station.expect(drained >= 1, "down: what waited was not tried again in the same run")
    station.expect(code == EXIT_PARTIAL, f"down: exit code {code}")
    station.drain("down")
    station.judge("down", names)


def judge_silence(station, case, began, lines):
    """`lines` are those of the pictures that had no answer when the link went, at `began`."""
    first = lines[0][0] - began
    gaps = [after - before for (before, _), (after, _) in zip(lines, lines[1:])]
    most_first = MOST_SECONDS_TO_NOTICE + CONNECT_SECONDS + SPARE_SECONDS
    station.expect(first <= most_first, f"{case}: the first ended after {first:.1f} s")
    station.expect(max(gaps) <= CONNECT_SECONDS + SPARE_SECONDS,
                   f"{case}: for {max(gaps):.1f} s none ended")
    return first, max(gaps)


def vanish(station, link, case, capped):
    """From the middle of a run on nothing passes, and nobody says so."""
    names = station.pictures(case, PICTURES_BEFORE + PICTURES_GONE)
    with Agent(station.words(case, "--timeout", option_seconds(GONE_TIMEOUT_SECONDS),
                             capped=capped)) as agent:
        for name in names[:PICTURES_BEFORE]:
            agent.give(name)
        station.expect(agent.await_lines(FIRST_ANSWERS), f"{case}: nothing was answered to begin with")
        link.set_far("down")
        began = time.monotonic()
        try:
            for name in names[PICTURES_BEFORE:]:
                agent.give(name)
            code, stats = agent.end()
        finally:
            link.set_far("up")
    first_lines = {}  # a picture whose drain finds no server either has a line each time it waited
    for at, record in agent.lines:
        if record.get("spooled" if capped else "fallback"):
            first_lines.setdefault(record["image"], (at, record))
    lost = list(first_lines.values())
    print(f"{case}: {len(lost)} {'waited' if capped else 'finished alone'}, exit code {code}; {stats}")
    station.expect(PICTURES_GONE <= len(lost) <= len(names) - FIRST_ANSWERS,
                   f"{case}: {len(lost)} had no answer")
    if len(lost) > 1:
        first, gap = judge_silence(station, case, began, lost)
        print(f"{case}: the first after {first:.1f} s, then at most {gap:.1f} s from one to the next")
    station.expect(stats["pings"] >= 1, f"{case}: the server was not asked whether it is there")
    station.expect(stats["heartbeats_missed"] == 1, f"{case}: the silence was not noticed")
    station.expect(stats["connections"] == 1, f"{case}: {stats['connections']} connections")
    station.expect(code == (EXIT_PARTIAL if capped else EXIT_OK), f"{case}: exit code {code}")
    if capped:
        time.sleep(0.5)
        station.drain(case)
    station.judge(case, names)


def run(options, folder):
    station = Station(options, folder)
    with NamespaceLink("lnk", AGENT, SERVER) as link:
        link.set_rate(MBIT, QUEUE_BYTES)
        with ScopedProcess(
                link.inside(os.path.join(options.bin, "cleave-server"), "--model", station.model,
                            "--no-cache", "--listen", f"{SERVER}:{PORT}", "--allow-plain", "--json",
                            "--log-level", "warn"), stdout=subprocess.PIPE, text=True) as server:
            server.stdout.readline()
            down_and_up(station, link)
            vanish(station, link, "alone", capped=False)
            vanish(station, link, "spool", capped=True)
            server.terminate()
            code = server.wait(MOST_SECONDS_TO_END)
        station.expect(code == 0, f"the server ended with {code}")
    for complaint in station.complaints:
        print("BROKEN: " + complaint)
    return 1 if station.complaints else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--keep", metavar="FOLDER", help="where logs and spools stay")
    options = parser.parse_args()
    if not enter_namespace():
        print("skipped: no network namespaces here")
        return 77
    if options.keep:
        os.makedirs(options.keep)
        return run(options, options.keep)
    with tempfile.TemporaryDirectory() as folder:
        return run(options, folder)


if __name__ == "__main__":
    sys.exit(main())
