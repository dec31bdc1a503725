# SPDX-License-Identifier: Apache-2.0
"""A link of a known rate between two network namespaces: this one, where the agent runs, and another."""
import os
import subprocess
import time

from processes import ScopedProcess

MOST_SECONDS_TO_UNSHARE = 10.0


def quiet(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class NamespaceLink:
    """A pair of virtual interfaces, `name`0 in this namespace and `name`1 in the server's.

    They are gone, and the server's namespace is once nobody runs in it, when the `with` is over.
    """

    def __init__(self, name, agent, server):
        self.near, self.far = name + "0", name + "1"
        self.holder = ScopedProcess(["unshare", "-n", "sleep", "infinity"])
        try:
            self.await_namespace()
            self.join(agent, server)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()

    def await_namespace(self):
        end = time.monotonic() + MOST_SECONDS_TO_UNSHARE
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            if self.holder.poll() is not None or time.monotonic() > end:
                raise RuntimeError("no second network namespace")
            time.sleep(0.01)

    def join(self, agent, server):
        quiet("ip", "link", "set", "lo", "up")
        quiet("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far,
              "netns", str(self.holder.pid))
        quiet("ip", "addr", "add", agent + "/24", "dev", self.near)
        quiet("ip", "link", "set", self.near, "up")
        self.there("ip", "link", "set", "lo", "up")
        self.there("ip", "addr", "add", server + "/24", "dev", self.far)
        self.there("ip", "link", "set", self.far, "up")

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *command]

    def there(self, *command):
        quiet(*self.inside(*command))

    def set_rate(self, mbit, queue_bytes):
        """A token bucket in both directions, two frames of burst."""
        rule = ["root", "tbf", "rate", f"{int(mbit * 1000)}kbit", "burst", "3028", "limit",
                str(queue_bytes)]
        quiet("tc", "qdisc", "replace", "dev", self.near, *rule)
        self.there("tc", "qdisc", "replace", "dev", self.far, *rule)

    def set_near(self, state):
        """"down": connecting fails at once, what is under way finds no route; or "up"."""
        quiet("ip", "link", "set", self.near, state)

    def set_far(self, state):
        """"down": what the agent sends vanishes, and nothing comes; or "up"."""
        self.there("ip", "link", "set", self.far, state)

    def sent_bytes(self):
        """Of the agent's side, headers of every layer included."""
        with open(f"/sys/class/net/{self.near}/statistics/tx_bytes", encoding="ascii") as file:
            return int(file.read())

    def close(self):
        self.holder.close()
