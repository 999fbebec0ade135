# SPDX-License-Identifier: ISC
"""Two sites, paris and oslo, whose peers use transports with a link; and a
proxy that cuts connections, a slow road, and programs without a daemon."""

import os
import socket
import subprocess
import threading
import time

import native
import road
from peers_common import patient

PEER = """\
peer {name} {{
	transport = {transport}
	set = {{ {sets} }}
	retry-min = 1s
	retry-max = 2s
{settings}}}
routes {{ {name}.example = {name} }}
"""


def peer(name, transport, sets, **settings):
    named = {key.replace("_", "-"): value for key, value in settings.items()}
    return PEER.format(name=name, transport=transport, settings=road.lines(
        named), sets=", ".join(f'"{one}"' for one in sets))


def pair(node, paris, oslo, keys=True, **settings):
    """Nodes with these (transport, set); cards are known where keys."""
    ends = []
    for name, other, (transport, sets) in (("paris", "oslo", paris),
                                           ("oslo", "paris", oslo)):
        ends.append(node(name, config=road.config(
            name, peer(other, transport, sets, **settings),
            message_max="64M")))
    if keys:
        native.introduce(*ends)
    return ends


class Cutter(threading.Thread):
    """A proxy at .port of 127.0.0.1 before address; the first connections are
    cut after so many octets to the far end, one number for each."""

    def __init__(self, port, cuts):
        super().__init__(daemon=True)
        self.to = port
        self.cuts = list(cuts)
        self.done = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            left = self.cuts[0] if self.cuts else None
            threading.Thread(target=self.carry, daemon=True,
                             args=(far, near, None)).start()
            if self.carry(near, far, left):
                self.cuts.pop(0)
                self.done += 1

    @staticmethod
    def carry(one, other, left):
        """True: left was used up."""
        try:
            while left is None or left > 0:
                data = one.recv(16384)
                if not data:
                    break
                other.sendall(data)
                if left is not None:
                    left -= len(data)
        except OSError:
            pass
        for sock in (one, other):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return left is not None and left <= 0

    def close(self):
        self.socket.close()


class Shaper(threading.Thread):
    """A slow road at .port of 127.0.0.1 before another port: so many octets a
    second each way.  Connections are cut, one after the other, after so many
    octets of both ways together; .passed is what went through in all."""

    STEP = 2048

    def __init__(self, port, rate, cuts):
        super().__init__(daemon=True)
        self.to, self.rate = port, rate
        self.cuts = list(cuts)
        self.cut = 0
        self.passed = {"there": 0, "back": 0}
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            self._pass(near)

    def _pass(self, near):
        with near, socket.create_connection(("127.0.0.1", self.to)) as far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            limit = self.cuts[0] if self.cuts else None
            began = sum(self.passed.values())

            def over():
                return limit is not None and \
                    sum(self.passed.values()) - began >= limit

            back = threading.Thread(target=self._carry, args=(
                far, near, "back", over), daemon=True)
            back.start()
            self._carry(near, far, "there", over)
            back.join()
            if over():
                self.cuts.pop(0)
                self.cut += 1

    def _carry(self, one, other, way, over):
        try:
            while not over():
                data = one.recv(self.STEP)
                if not data:
                    break
                other.sendall(data)
                self.passed[way] += len(data)
                time.sleep(len(data) / self.rate)
        except OSError:
            pass
        for sock in (one, other):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.socket.close()


class Program:
    """A transport program without a daemon: folders out and in, and what a
    daemon does on `sent`."""

    def __init__(self, work, name, program, *sets):
        self.out, self.inn = (os.path.join(work, name, sub)
                              for sub in ("out", "in"))
        for path in (self.out, self.inn):
            os.makedirs(path)
        self.argv = [program, "--peer", "x", "--out", self.out, "--in",
                     self.inn]
        for one in sets:
            self.argv += ["--set", one]
        self.popen, self.reader = None, None
        self.sent, self.received, self.notes = [], [], []

    def start(self):
        self.popen = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True,
                                       args=(self.popen.stdout,))
        self.reader.start()

    def _read(self, stream):
        for line in stream:
            word, _, rest = line.strip().partition(" ")
            if word == "sent":
                os.unlink(os.path.join(self.out, rest))
                self.sent.append(rest)
            elif word == "received":
                self.received.append(rest)
            elif word == "note":
                self.notes.append(rest)

    def wait(self, timeout=60):
        """The exit status; all it said is known then."""
        status = self.popen.wait(patient(timeout))
        self.reader.join(patient(10))
        return status

    def stop(self):
        if self.popen is not None and self.popen.poll() is None:
            self.popen.stdin.close()
            try:
                self.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
