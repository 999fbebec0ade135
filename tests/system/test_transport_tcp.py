# SPDX-License-Identifier: ISC
"""The transport "tcp": two daemons over sockets."""

import os
import socket
import subprocess
import threading

import pytest

import native
import road
import wires
from peers_common import free_port, program
from road import Mail

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"


def exchange(paris, oslo, calls_first):
    """A mail each way; who is called has to run before."""
    for one in reversed(calls_first):
        one.start()
    for one, other in ((paris, oslo), (oslo, paris)):
        one.submit(f"ann@{one.site}.example", [f"bob@{other.site}.example"],
                   HELLO)
    for one in (paris, oslo):
        assert one.wait_mail("bob") == [HELLO], one.log()


@pytest.mark.parametrize("dialect", ["native", "bsmtp"])
def test_both_ways(node, dialect):
    port = free_port()
    paris, oslo = wires.pair(
        node, ("tcp", [f"to=127.0.0.1:{port}"]),
        ("tcp", [f"listen=127.0.0.1:{port}"]), dialect=dialect, stays="yes")
    exchange(paris, oslo, [paris, oslo])
    native.wait_settled(paris, oslo)


def test_one_shot(node):
    """Who calls hangs up when both have nothing more, and calls again."""
    port = free_port()
    paris, oslo = wires.pair(
        node, ("tcp", [f"to=127.0.0.1:{port}"]),
        ("tcp", [f"listen=127.0.0.1:{port}", "stay=yes"]), dialect="bsmtp")
    oslo.start()
    paris.start()
    for n in range(2):
        paris.submit("ann@paris.example", [f"b{n}@oslo.example"], HELLO)
        assert oslo.wait_mail(f"b{n}") == [HELLO]


def test_unix_without_keys(node, work):
    path = os.path.join(work, "link")
    paris, oslo = wires.pair(
        node, ("tcp", [f"to={path}", "secret=none"]),
        ("tcp", [f"listen={path}", "secret=none"]), keys=False,
        dialect="bsmtp", stays="yes")
    exchange(paris, oslo, [paris, oslo])
    assert os.stat(path).st_mode & 0o777 == 0o660


def test_cut(node):
    """A large mail goes on where it was."""
    port = free_port()
    proxy = wires.Cutter(port, [300000, 500000, 700000])
    paris, oslo = wires.pair(
        node, ("tcp", [f"to=127.0.0.1:{proxy.port}"]),
        ("tcp", [f"listen=127.0.0.1:{port}"]), dialect="native",
        stays="yes")
    mail = Mail("bob", b"Subject: large\r\n\r\n" + b"".join(
        os.urandom(36).hex().encode() + b"\r\n" for _ in range(60000)),
        "data", "")
    oslo.start()
    paris.start()
    road.hand_in(paris, "ann@paris.example", [mail], "oslo.example")
    road.wait_delivered(oslo, 1, timeout=90)
    road.assert_identical(oslo, [mail])
    assert proxy.done == 3
    native.wait_settled(paris, oslo)
    proxy.close()


def test_ipv6(node):
    port = free_port("::1")
    paris, oslo = wires.pair(
        node, ("tcp", [f"to=[::1]:{port}"]), ("tcp", [f"listen=[::1]:{port}"]),
        dialect="native", stays="yes")
    exchange(paris, oslo, [paris, oslo])


def test_another_key(node):
    """Who has not the secret gets nothing."""
    port = free_port()
    paris, oslo = wires.pair(
        node, ("tcp", [f"to=127.0.0.1:{port}", "patience=3",
                       "secret=none"]),
        ("tcp", [f"listen=127.0.0.1:{port}", "patience=3"]),
        dialect="native", stays="yes")
    oslo.start()
    paris.start()
    paris.submit("ann@paris.example", ["bob@oslo.example"], HELLO)
    paris.wait_log("transport-exited peer=oslo status=75")
    oslo.wait_log("nobody called who has a secret")
    assert not os.path.exists(oslo.mail)


class Socks(threading.Thread):
    """A SOCKS5 proxy for one connection; knows one name."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = port
        self.asked = b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        near, _ = self.socket.accept()
        assert near.recv(3, socket.MSG_WAITALL) == b"\5\1\0"
        near.sendall(b"\5\0")
        head = near.recv(5, socket.MSG_WAITALL)
        self.asked = head + near.recv(head[4] + 2, socket.MSG_WAITALL)
        far = socket.create_connection(("127.0.0.1", self.to))
        near.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        threading.Thread(target=wires.Cutter.carry, daemon=True,
                         args=(far, near, None)).start()
        wires.Cutter.carry(near, far, None)


def test_socks(node):
    """The name is the proxy's to resolve."""
    port = free_port()
    proxy = Socks(port)
    paris, oslo = wires.pair(
        node, ("tcp", ["to=hidden.example:4004",
                       f"socks=127.0.0.1:{proxy.port}"]),
        ("tcp", [f"listen=127.0.0.1:{port}"]), dialect="native",
        stays="yes")
    exchange(paris, oslo, [paris, oslo])
    assert proxy.asked == b"\5\1\0\3\x0ehidden.example" + \
        (4004).to_bytes(2, "big")


def run(work, *sets):
    argv = [program("tcp"), "--peer", "x", "--out", str(work), "--in",
            str(work)]
    for one in sets:
        argv += ["--set", one]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize("sets,word", [
    ((), "listen"), (("to=a:1", "listen=b:2"), "listen"),
    (("to=nothing",), "to="), (("to=::1:25",), "to="),
    (("to=/a", "socks=b:1"), "socks"), (("to=[::1:25",), "to="),
    (("to=a:1", "role=both"), "role"), (("to=a:1",), "secret"),
    (("to=a:1", "secret=none", "x=1"), "x"),
])
def test_misconfigured(work, sets, word):
    done = run(work, *sets)
    assert done.returncode == 78
    assert word in done.stderr


def test_nobody_there(work):
    done = run(work, f"to=127.0.0.1:{free_port()}", "secret=none")
    assert done.returncode == 75
    assert "refused" in done.stderr
