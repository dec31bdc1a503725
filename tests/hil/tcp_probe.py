#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What plain TCP makes of a link: a stream's bytes a second, and how long an exchange of given sizes takes.

The other end is this file run as a program, `tcp_probe.py ADDRESS PORT`. A connection begins with two
numbers, how much is sent and how much comes back, round after round; 0 and 0: a stream, and at its end
the bytes a second at which it came.
"""
import os
import socket
import statistics
import struct
import subprocess
import sys
import time

from processes import ScopedProcess

SIZES = struct.Struct("!QQ")
RATE = struct.Struct("!d")
CHUNK = 1 << 16


def receive(peer, count):
    """Exactly so many bytes; False at the end of the connection."""
    while count > 0:
        data = peer.recv(min(count, CHUNK))
        if not data:
            return False
        count -= len(data)
    return True


def take_stream(peer):
    first = last = None
    total = 0
    while data := peer.recv(CHUNK):
        last = time.monotonic()
        if first is None:
            first, total = last, -len(data)  # counted from the first byte's arrival
        total += len(data)
    peer.sendall(RATE.pack(total / (last - first)))


def answer(peer):
    head = peer.recv(SIZES.size, socket.MSG_WAITALL)
    if len(head) < SIZES.size:
        return
    up, down = SIZES.unpack(head)
    if (up, down) == (0, 0):
        take_stream(peer)
        return
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while receive(peer, up):
        peer.sendall(bytes(down))


class TcpProbe:
    """Its other end runs behind `prefix`, a command that runs another, until the `with` is over."""

    def __init__(self, prefix, address, port):
        self.place = (address, port)
        self.process = ScopedProcess([*prefix, sys.executable, os.path.abspath(__file__), address,
                                      str(port)], stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self.process.stdout.readline()  # it listens
        return self

    def __exit__(self, *why):
        self.process.close()

    def bytes_per_s(self, seconds):
        """Payload of one stream, as its receiver sees it."""
        with socket.create_connection(self.place) as stream:
            stream.sendall(SIZES.pack(0, 0))
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                stream.sendall(bytes(1 << 14))
            stream.shutdown(socket.SHUT_WR)
            return RATE.unpack(stream.recv(RATE.size, socket.MSG_WAITALL))[0]

    def exchange_ms(self, up, down, rounds, pause_s=0.0, warm_up=3):
        """The median time from the first byte sent to the last received, a pause before each."""
        times = []
        with socket.create_connection(self.place) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream.sendall(SIZES.pack(up, down))
            for _ in range(warm_up + rounds):
                time.sleep(pause_s)
                start = time.monotonic()
                stream.sendall(bytes(up))
                receive(stream, down)
                times.append((time.monotonic() - start) * 1e3)
        return statistics.median(times[warm_up:])


def main():
    with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
        print("ready", flush=True)
        while True:
            peer, _ = server.accept()
            with peer:
                answer(peer)


if __name__ == "__main__":
    main()
