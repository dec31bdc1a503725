#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How well plans predict, and how much they give away, on links of known rates and delays.

    python3 tests/hil/online_links.py --bin build/release/bin --model NET.cleave PICTURE...
        [--ram 22MiB] [--policy loa] [--links 0.5,1,5,10,100] [--delays 0,40] [--pictures 40]
        [--rounds 3] [--no-trace] [--json FILE]

Starts a server and an agent in network namespaces of their own (needs `unshare`, `nsenter`, `setpriv`,
`ip`, `tc`; no root where users may make namespaces), joined by a link whose rate a token bucket limits in both
directions (two frames of burst) and that a relay delays. For each link:
  - a planned run; the median error of its predictions after 20 pictures, and its changes of split;
  - every fixed split that could be the fastest (a fixed split 0 sends JPEGs as they are, a planned
    one pixels where that is faster), on the same pictures: the regret is how much longer
    than the best of them the planned pictures took after the first 20 (medians);
  - both in turn for some rounds, as the machine is not equally fast all the time: the median counts.
Then a link whose rate changes every ten seconds: mean time a picture of the planned run against the
best fixed split over the same changes. Every planned run writes a trace, which `plan --replay` must
decide again in the same way.
Exit code 1 when a bound of the table below is broken, 2 for usage, 77 without namespaces.
"""
import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from namespace_link import NamespaceLink, quiet
from processes import enter_namespace

MOST_ERROR = 0.10           # median of the total, after WARM_UP pictures
MOST_REGRET_STEADY = 0.05
MOST_REGRET_TRACE = 0.10
MOST_CHANGES_STEADY = 1     # of the split after the warm-up: more is flapping
WARM_UP = 20
AGENT, SERVER = "10.77.0.1", "10.77.0.2"
RELAY_PORT, SERVER_PORT = 7433, 7434
# A queue as deep as those of slow links' modems: what is lost there is TCP's to mend, and makes the
# same bytes take one time or another.
QUEUE_BYTES = 1048576
TRACE_MBIT = [10, 10, 2, 0.5, 0.5, 5, 50, 50, 1, 10]
TRACE_STEP_S = 10
TRACE_PICTURES = 8000       # more than the changes last for; their names take memory, too


async def relay(delay_s):
    """Forwards to the server, every byte `delay_s` after it came, both ways."""

    async def forward(reader, writer):
        pieces = asyncio.Queue(maxsize=1024)

        async def drain():
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(data)
                if not data:
                    writer.close()
                    return
                await writer.drain()

        sending = asyncio.create_task(drain())
        try:
            while data := await reader.read(16384):
                await pieces.put((time.monotonic() + delay_s, data))
        except ConnectionError:
            pass
        await pieces.put((0.0, b""))
        await sending

    async def serve(reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", SERVER_PORT)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(forward(reader, up_writer), forward(up_reader, writer),
                             return_exceptions=True)

    async with await asyncio.start_server(serve, SERVER, RELAY_PORT) as server:
        await server.serve_forever()


class Peer:
    """The server's side: the server itself, and the relay in front of it."""

    def __init__(self, link, options, delay_s, log):
        self.processes = [
            subprocess.Popen(link.inside(os.path.join(options.bin, "cleave-server"), "--model",
                                         options.model, "--listen", f"127.0.0.1:{SERVER_PORT}"),
                             stdout=log, stderr=log),
            subprocess.Popen(link.inside(sys.executable, os.path.abspath(__file__), "--relay",
                                         str(delay_s)), stderr=log)]
        time.sleep(2.0)

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()


def run_agent(options, pictures, extra, seconds=None, folder=None):
    """Records of a run; of one that is ended after `seconds`, those until then."""
    command = [os.path.join(options.bin, "cleave-agent"), "run", "--json", "--model", options.model,
               "--server", f"{SERVER}:{RELAY_PORT}", "--allow-plain", "--overlap", "1",
               "--profile", options.profile, *extra]
    if options.ram:
        command += ["--ram", options.ram]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command + pictures, stdout=out, stderr=subprocess.PIPE, cwd=folder)
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.communicate()
            errors = b""
        out.seek(0)
        lines = [line for line in out.read().splitlines() if line.endswith("}")]
    records = [json.loads(line) for line in lines]
    bad = [record for record in records if "error" in record]
    if not records or bad:
        sys.exit(f"{' '.join(command)}: {bad[:1]} {errors.decode()}")
    return records


def replay(options, trace):
    done = subprocess.run([os.path.join(options.bin, "cleave-agent"), "plan", "--model",
                           options.model, "--replay", trace, "--json"],
                          stdout=subprocess.PIPE, check=False)
    return done.returncode == 0


def plan_rows(options, mbit, delay_s, pictures):
    command = [os.path.join(options.bin, "cleave-agent"), "plan", "--json", "--model", options.model,
               "--server", f"{SERVER}:{RELAY_PORT}", "--allow-plain", "--profile", options.profile, "--bandwidth",
               f"{int(mbit * 1000)}kbit", "--rtt", f"{max(1, int(2000 * delay_s))}ms"]
    if options.ram:
        command += ["--ram", options.ram]
    done = subprocess.run(command + pictures, stdout=subprocess.PIPE, check=True)
    return [row for row in json.loads(done.stdout)["splits"] if row["feasible"]]


def worth_trying(rows, spare):
    """Splits that could be the fastest although every plan were wrong by `spare`."""
    best = min(row["total_ns"] for row in rows)
    near = [row["split"] for row in rows if row["total_ns"] <= best * (1 + spare)]
    return list(dict.fromkeys(near))  # split 0 has a row for each form of a picture


def totals_ms(records):
    return [record["total_ns"] / 1e6 for record in records]


def errors_of(records):
    return [abs(r["predicted"]["total_ns"] - r["total_ns"]) / r["total_ns"]
            for r in records if "predicted" in r and "fallback" not in r]


def changes(records):
    splits = [record["split"] for record in records]
    return sum(a != b for a, b in zip(splits, splits[1:]))


def round_of_runs(options, pictures, candidates):
    """A planned run and one of each candidate, one after the other: (records, medians, replays)."""
    trace = os.path.join(options.folder, "trace")
    planned = run_agent(options, pictures, ["--policy", options.policy, "--trace", trace])
    # The same pictures as those after the warm-up, one run a split.
    fixed = {split: statistics.median(totals_ms(
                 run_agent(options, pictures[WARM_UP:], ["--split", str(split)])[1:]))
             for split in candidates}
    return planned[WARM_UP:], fixed, replay(options, trace)


def steady(link, options, mbit, delay_ms, log):
    link.set_rate(mbit, QUEUE_BYTES)
    peer = Peer(link, options, delay_ms / 2000, log)
    try:
        pictures = [options.pictures_named[i % len(options.pictures_named)]
                    for i in range(options.pictures)]
        candidates = worth_trying(plan_rows(options, mbit, delay_ms / 2000, options.pictures_named),
                                  options.spare)
        rounds = [round_of_runs(options, pictures, candidates) for _ in range(options.rounds)]
    finally:
        peer.close()
    took = [statistics.median(totals_ms(after)) for after, _, _ in rounds]
    of_split = {split: statistics.median(fixed[split] for _, fixed, _ in rounds)
                for split in candidates}
    best = min(of_split, key=of_split.get)
    # Of each round by itself: a machine that others use is not equally fast all the time.
    regret = statistics.median(ours / fixed[best] - 1 for ours, (_, fixed, _) in zip(took, rounds))
    after = [record for records, _, _ in rounds for record in records]
    return {"mbit": mbit, "delay_ms": delay_ms, "split": statistics.mode(r["split"] for r in after),
            "median_ms": statistics.median(took), "error": statistics.median(errors_of(after)),
            "best_split": best, "best_ms": of_split[best], "regret": max(0.0, regret),
            "changes": max(changes(records) for records, _, _ in rounds),
            "replays": all(again for _, _, again in rounds), "tried": len(candidates)}


def change_rates(link, stop):
    for mbit in TRACE_MBIT:
        link.set_rate(mbit, QUEUE_BYTES)
        if stop.wait(TRACE_STEP_S):
            return


def run_over_trace(link, options, extra):
    stop = threading.Event()
    changer = threading.Thread(target=change_rates, args=(link, stop))
    link.set_rate(TRACE_MBIT[0], QUEUE_BYTES)
    named = short_names(options)
    changer.start()
    try:
        return run_agent(options, named * (TRACE_PICTURES // len(named)), extra,
                         seconds=len(TRACE_MBIT) * TRACE_STEP_S, folder=options.folder)
    finally:
        stop.set()
        changer.join()


def short_names(options):
    """Links in the working folder: a name costs the agent some copies of it."""
    names = []
    for i, picture in enumerate(options.pictures_named):
        names.append(f"{i}{os.path.splitext(picture)[1]}")
        place = os.path.join(options.folder, names[-1])
        if not os.path.lexists(place):
            os.symlink(os.path.abspath(picture), place)
    return names


def changing(link, options, log):
    link.set_rate(TRACE_MBIT[0], QUEUE_BYTES)
    peer = Peer(link, options, 0, log)
    try:
        trace = os.path.join(options.folder, "trace")
        planned = run_over_trace(link, options, ["--policy", options.policy, "--trace", trace])
        again = replay(options, trace)
        splits = set()
        for mbit in sorted(set(TRACE_MBIT)):
            splits |= set(worth_trying(plan_rows(options, mbit, 0, options.pictures_named), 0.1))
        fixed = {split: run_over_trace(link, options, ["--split", str(split)]) for split in splits}
    finally:
        peer.close()
    means = {split: statistics.mean(totals_ms(records)) for split, records in fixed.items()}
    best = min(means, key=means.get)
    took = statistics.mean(totals_ms(planned))
    return {"mean_ms": took, "best_split": best, "best_ms": means[best],
            "regret": max(0.0, took / means[best] - 1), "changes": changes(planned),
            "pictures": len(planned), "error": statistics.median(errors_of(planned)),
            "replays": again}


def print_head():
    print(f"{'Mbit/s':>7}{'delay':>8}{'split':>7}{'ms':>9}{'error':>8}{'best':>6}{'ms':>9}"
          f"{'regret':>8}{'changes':>9}  replay", flush=True)


def print_row(row):
    print(f"{row['mbit']:7}{row['delay_ms']:5} ms{row['split']:7}{row['median_ms']:9.1f}"
          f"{row['error']:8.1%}{row['best_split']:6}{row['best_ms']:9.1f}{row['regret']:8.1%}"
          f"{row['changes']:9}  {'the same' if row['replays'] else 'DIFFERENT'}", flush=True)


def print_trace(trace):
    print(f"changing link, {trace['pictures']} pictures: mean {trace['mean_ms']:.1f} ms, best fixed "
          f"split {trace['best_split']} {trace['best_ms']:.1f} ms, regret {trace['regret']:.1%}, "
          f"median error {trace['error']:.1%}, {trace['changes']} changes, replay "
          f"{'the same' if trace['replays'] else 'DIFFERENT'}")


def is_broken(row):
    return (row["error"] > MOST_ERROR or row["regret"] > MOST_REGRET_STEADY
            or row["changes"] > MOST_CHANGES_STEADY or not row["replays"])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--model")
    parser.add_argument("--ram", default="")
    parser.add_argument("--policy", default="loa")
    parser.add_argument("--links", default="0.5,1,5,10,100", help="Mbit/s")
    parser.add_argument("--delays", default="0,40", help="round trips, ms")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--spare", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=3,
                        help="of planned and fixed runs in turn")
    parser.add_argument("--no-trace", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--relay", type=float, help=argparse.SUPPRESS)
    parser.add_argument("pictures_named", nargs="*", metavar="PICTURE")
    options = parser.parse_args()
    if options.relay is None and (not options.model or not options.pictures_named
                                  or options.pictures <= WARM_UP + 1):
        parser.error(f"needs --model, pictures, and --pictures of more than {WARM_UP + 1}")
    if options.model:
        options.bin, options.model = os.path.abspath(options.bin), os.path.abspath(options.model)
    return options


def measure(options):
    rows, trace = [], None
    with NamespaceLink("clv", AGENT, SERVER) as link, tempfile.TemporaryDirectory() as options.folder:
        options.profile = os.path.join(options.folder, "profile")
        print_head()
        quiet(os.path.join(options.bin, "cleave-agent"), "profile", "--model", options.model,
              "--output", options.profile)
        with open(os.path.join(options.folder, "log"), "w") as log:
            for delay_ms in [float(d) for d in options.delays.split(",")]:
                for mbit in [float(m) for m in options.links.split(",")]:
                    rows.append(steady(link, options, mbit, int(delay_ms), log))
                    print_row(rows[-1])
            if not options.no_trace:
                trace = changing(link, options, log)
                print_trace(trace)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"steady": rows, "changing": trace}, file, indent=1)
    return any(map(is_broken, rows)) or bool(
        trace and (trace["regret"] > MOST_REGRET_TRACE or not trace["replays"]))


def main():
    options = parse_options()
    if options.relay is not None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        asyncio.run(relay(options.relay))
    if not enter_namespace():
        print("skipped: no network namespaces here")
        return 77
    broken = measure(options)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
