# SPDX-License-Identifier: Apache-2.0
"""Processes that are over when the `with` is that they are in, and what an agent counted."""
import json
import os
import signal
import subprocess
import sys

IN_NAMESPACE = "CLEAVE_IN_NAMESPACE"


class ScopedProcess(subprocess.Popen):
    """Whatever ends the `with`: a process that still runs is killed, and waited for.

    Likewise when this program itself is killed, which no `with` sees.
    """

    def __init__(self, command, **options):
        super().__init__(["setpriv", "--pdeathsig", "KILL", *command], **options)

    def close(self):
        if self.poll() is None:
            self.kill()
        super().__exit__(None, None, None)

    def __exit__(self, *why):
        self.close()


def stats_of(errors):
    """The counters of `cleave-agent run --json --stats` (agent/run_stats.h), by name.

    `errors` is all that it wrote to standard error: sentences, and one JSON object, which says of
    itself that it is the stats. ValueError when there is none or another.
    """
    objects = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    stats = [each for each in objects if each.pop("event", None) == "stats"]
    if len(stats) != 1:
        raise ValueError(f"{len(stats)} lines of stats in: {errors}")
    return stats[0]


def enter_namespace():
    """Starts this program once more in a network namespace of its own, where this user is root.

    There, True; False: there are no namespaces here. SIGTERM ends the program as an exception does,
    so that no `with` is left out.
    """
    if IN_NAMESPACE in os.environ:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        return True
    probe = subprocess.run(["unshare", "-rn", "setpriv", "--pdeathsig", "KILL", "ip", "link"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
    if probe.returncode != 0:
        return False
    os.environ[IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "-rn", sys.executable, *sys.argv])
