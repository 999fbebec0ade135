# SPDX-License-Identifier: ISC
"""Two sites, paris and oslo, whose peers use transports with a link; and
proxies that cut, slow down or rewrite, and programs without a daemon."""

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


def pump(one, other, hand_on=None, go_on=lambda: True, step=16384):
    """What comes from one goes to the other until it ends or go_on() says no;
    then both are shut."""
    hand_on = hand_on or other.sendall
    try:
        while go_on() and (data := one.recv(step)):
            hand_on(data)
    except OSError:
        pass
    for sock in (one, other):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy(threading.Thread):
    """Connections to .port of 127.0.0.1 go on, one after the other, to
    another port there; carry() is what each kind of proxy does with one."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = port
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            with near:
                try:
                    far = socket.create_connection(("127.0.0.1", self.to))
                except OSError:
                    continue
                with far:
                    self.carry(near, far)

    def carry(self, near, far):
        """Until the connection is of no more use."""
        raise NotImplementedError

    def close(self):
        self.socket.close()


class Cutter(Proxy):
    """The first connections are cut after so many octets to the far end, one
    number for each; .done is how many were."""

    def __init__(self, port, cuts):
        self.cuts = list(cuts)
        self.done = 0
        super().__init__(port)

    def carry(self, near, far):
        left = self.cuts[0] if self.cuts else None
        passed = 0

        def hand_on(data):
            nonlocal passed
            far.sendall(data)
            passed += len(data)

        def go_on():
            return left is None or passed < left

        back = threading.Thread(target=pump, daemon=True, args=(far, near))
        back.start()
        pump(near, far, hand_on, go_on)
        back.join()
        if not go_on():
            self.cuts.pop(0)
            self.done += 1


class Shaper(Proxy):
    """A slow road: so many octets a second each way.  Connections are cut,
    one after the other, after so many octets of both ways together; .passed
    is what went through in all."""

    def __init__(self, port, rate, cuts):
        self.rate = rate
        self.cuts = list(cuts)
        self.cut = 0
        self.passed = {"there": 0, "back": 0}
        super().__init__(port)

    def carry(self, near, far):
        limit = self.cuts[0] if self.cuts else None
        began = sum(self.passed.values())

        def go_on():
            return limit is None or \
                sum(self.passed.values()) - began < limit

        def slowly(other, way):
            def hand_on(data):
                other.sendall(data)
                self.passed[way] += len(data)
                time.sleep(len(data) / self.rate)
            return hand_on

        for sock in (near, far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        back = threading.Thread(target=pump, daemon=True, args=(
            far, near, slowly(near, "back"), go_on, 2048))
        back.start()
        pump(near, far, slowly(far, "there"), go_on, 2048)
        back.join()
        if not go_on():
            self.cuts.pop(0)
            self.cut += 1


class Rewriter(Proxy):
    """What the far end says is told as rewrite(octets) has it; within TLS to
    who calls, where tls (an ssl.SSLContext) is given."""

    def __init__(self, port, rewrite, tls=None):
        self.rewrite, self.tls = rewrite, tls
        self.heard = []     # what was said to the far end
        super().__init__(port)

    def carry(self, near, far):
        def hear(data):
            self.heard.append(data)
            far.sendall(data)

        if self.tls is not None:
            try:
                near = self.tls.wrap_socket(near, server_side=True)
            except OSError:
                return
        with near:
            back = threading.Thread(target=pump, daemon=True, args=(
                far, near, lambda data: near.sendall(self.rewrite(data))))
            back.start()
            pump(near, far, hear)
            back.join()


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
