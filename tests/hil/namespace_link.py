# SPDX-License-Identifier: Apache-2.0
"""A link of a known rate between two network namespaces: this one, where the agent runs, and another."""
import subprocess
import time


def quiet(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class NamespaceLink:
    """A pair of virtual interfaces, `name`0 in this namespace and `name`1 in the server's."""

    def __init__(self, name, agent, server):
        self.near, self.far = name + "0", name + "1"
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        time.sleep(0.3)
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
        self.holder.kill()
        self.holder.wait()
