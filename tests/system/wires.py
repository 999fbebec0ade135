# SPDX-License-Identifier: ISC
"""Two sites, paris and oslo, whose peers use transports with a link; and a
proxy that cuts connections."""

import socket
import threading

import native
import road

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
