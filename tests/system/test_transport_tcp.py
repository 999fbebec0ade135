# SPDX-License-Identifier: ISC
"""The transport "tcp": two daemons over sockets."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest

import native
import road
import wires
from conftest import need_ipv6, small_disk_at
from peers_common import (free_port, patient, peers_env, peers_program,
                          program, wait_for)
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


def test_socat(node, work, processes, peers):
    """A tty here, a socket there, and socat between."""
    port, tty = free_port(), os.path.join(work, "tty")
    locks = os.path.join(work, "locks")
    os.mkdir(locks)
    paris, oslo = wires.pair(
        node, ("serial", [f"device={tty}", "speed=115200", "flow=none",
                          "carrier=no", f"lock-dir={locks}"]),
        ("tcp", [f"listen=127.0.0.1:{port}"]), dialect="native", stays="yes")
    oslo.start()
    wait_for(lambda: listens(port), 10, oslo.log)
    processes.start([peers_program("socat"), f"PTY,link={tty},rawer,wait-slave",
                     f"TCP4:127.0.0.1:{port}"], os.path.join(work, "socat"),
                    peers_env())
    wait_for(lambda: os.path.exists(tty), 10, "socat's pty")
    exchange(paris, oslo, [paris])
    native.wait_settled(paris, oslo)


def listens(port):
    with open("/proc/net/tcp", encoding="ascii") as file:
        return f":{port:04X} 00000000:0000 0A" in file.read()


def put(one, name, size):
    data = os.urandom(size)
    with open(os.path.join(one.out, name), "wb") as file:
        file.write(data)
    return data


def test_ten_cuts(work):
    """Files both ways over a slow road that breaks ten times: each comes
    whole and once, and goes on from where it was, which the octets on the
    wire show."""
    port = free_port()
    road_ = wires.Shaper(port, 2000000, [300000 + 40000 * n
                                         for n in range(10)])
    answer = wires.Program(work, "oslo", program("tcp"), "secret=none",
                           f"listen=127.0.0.1:{port}", "stay=yes")
    caller = wires.Program(work, "paris", program("tcp"), "secret=none",
                           f"to=127.0.0.1:{road_.port}")
    ways = ((caller, answer), (answer, caller))
    files = [{f"{n}": put(one, f"{n}", size) for n, size
              in enumerate((1500000, 9, 1500000, 30000))} for one, _ in ways]
    answer.start()
    wait_for(lambda: listens(port), 10, "the listener")
    statuses = []
    try:
        while not statuses or (statuses[-1] == 75 and len(statuses) < 20):
            caller.start()
            statuses.append(caller.wait())
    finally:
        for one in (caller, answer):
            one.stop()
        road_.close()
    assert statuses == [75] * 10 + [0], caller.notes
    assert road_.cut == 10
    for (one, other), sent in zip(ways, files):
        assert sorted(one.sent) == sorted(sent)
        assert len(other.received) == len(sent)
        assert sorted(road.files(other.inn).values()) == \
            sorted(sent.values())
    for way, sent in zip(("there", "back"), files):
        size = sum(map(len, sent.values()))
        assert size < road_.passed[way] < 1.3 * size


@pytest.mark.requires_root
def test_no_room(work):
    """A real disk that is full: what fits comes, the rest when there is room,
    and the end that is full says so, once."""
    port = free_port()
    answer = wires.Program(work, "oslo", program("tcp"), "secret=none",
                           f"listen=127.0.0.1:{port}", "stay=yes")
    caller = wires.Program(work, "paris", program("tcp"), "secret=none",
                           f"to=127.0.0.1:{port}")
    with small_disk_at(answer.inn, "18m"), contextlib.ExitStack() as last:
        for one in (answer, caller):
            last.callback(one.stop)
        files = {f"{n}": put(caller, f"{n}", 600000) for n in range(6)}
        answer.start()
        wait_for(lambda: listens(port), 10, "the listener")
        caller.start()
        assert caller.wait() == 75
        there = road.files(answer.inn)
        assert 1 <= len(there) < 6
        wait_for(lambda: any("nothing can be" in note
                             for note in answer.notes), 10, "its word")
        full = [note for note in answer.notes if "nothing can be" in note]
        assert len(full) == 1 and "16 MiB" in full[0]
        assert answer.inn in full[0]
        for name in there:
            os.unlink(os.path.join(answer.inn, name))
        for _ in range(4):
            caller.start()
            if caller.wait() == 0:
                break
            for name, octets in road.files(answer.inn).items():
                there[name] = octets
                os.unlink(os.path.join(answer.inn, name))
        there.update(road.files(answer.inn))
        assert sorted(there.values()) == sorted(files.values())


def test_ipv6(node):
    need_ipv6()
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
    """A SOCKS5 proxy before a port of 127.0.0.1, whatever name is asked for;
    .asked is what each connection began with.  login: (user, password) that
    it wants, by RFC 1929; answers: what it says instead of what is right."""

    def __init__(self, port, login=None, answers=()):
        super().__init__(daemon=True)
        self.to = port
        self.login = login
        self.answers = answers
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,),
                             daemon=True).start()

    def serve(self, near):
        with near:
            if self.answers:
                for octets in self.answers:
                    near.recv(1000)
                    near.sendall(octets)
            elif self.agree(near) and self.let_in(near):
                self.connect(near)

    def agree(self, near):
        head = near.recv(2, socket.MSG_WAITALL)
        methods = near.recv(head[1], socket.MSG_WAITALL)
        good = (2 if self.login else 0) in methods and head[0] == 5
        near.sendall(b"\5\2" if good and self.login else
                     b"\5\0" if good else b"\5\xff")
        return good

    def let_in(self, near):
        if self.login is None:
            return True
        assert near.recv(1) == b"\1"
        said = tuple(near.recv(near.recv(1)[0], socket.MSG_WAITALL).decode()
                     for _ in range(2))
        near.sendall(b"\1\0" if said == self.login else b"\1\1")
        return said == self.login

    def connect(self, near):
        head = near.recv(5, socket.MSG_WAITALL)
        self.asked.append(head + near.recv(head[4] + 2, socket.MSG_WAITALL))
        far = socket.create_connection(("127.0.0.1", self.to))
        near.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        threading.Thread(target=wires.pump, daemon=True,
                         args=(far, near)).start()
        wires.pump(near, far)


PASSWORD = "a p\u00e5ss:word"


def write_password(work, text):
    path = os.path.join(work, "socks password")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


@pytest.mark.parametrize("login", [None, ("oslo", PASSWORD)])
def test_socks(node, work, login):
    """The name is the proxy's to resolve; the password is nowhere but in its
    file and on the wire to the proxy."""
    port = free_port()
    proxy = Socks(port, login)
    more = login and ["socks-user=oslo", "socks-password-file="
                      + write_password(work, PASSWORD + "\n")]
    paris, oslo = wires.pair(
        node, ("tcp", ["to=hidden.example:4004",
                       f"socks=127.0.0.1:{proxy.port}", *(more or ())]),
        ("tcp", [f"listen=127.0.0.1:{port}"]), dialect="native",
        stays="yes")
    exchange(paris, oslo, [paris, oslo])
    assert proxy.asked == [b"\5\1\0\3\x0ehidden.example" +
                           (4004).to_bytes(2, "big")]
    said = paris.log() + paris.cli("status", "--json") + paris.cli("status")
    with open(f"/proc/{paris.daemon.pid}/task/{paris.daemon.pid}/children",
              encoding="ascii") as file:
        for pid in file.read().split():
            for what in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{what}", encoding="utf-8",
                          errors="replace") as entry:
                    said += entry.read()
    assert "socks=127.0.0.1" in said
    assert PASSWORD[4:] not in said


@pytest.mark.parametrize("login,have,word", [
    (("oslo", PASSWORD), "wrong", "refuses the user"),
    (("oslo", PASSWORD), None, "wants a user"),
    (None, PASSWORD, "takes no user"),
])
def test_socks_says_no(work, login, have, word):
    sets = [f"socks=127.0.0.1:{Socks(1, login).port}", "to=a.example:4004",
            "secret=none"]
    if have:
        sets += ["socks-user=oslo",
                 "socks-password-file=" + write_password(work, have)]
    done = run(work, *sets)
    assert done.returncode == 75
    assert word in done.stderr and word in done.stdout
    assert have is None or have not in done.stdout + done.stderr


@pytest.mark.parametrize("answers,word", [
    ((b"HTTP/1.0 400 Bad Request\r\n\r\n",), "no SOCKS5"),
    ((b"\5\2", b"\1\0", b"\4Z\0\1\0\0"), "no SOCKS5"),
    ((b"\5\0",), "not offered"), ((b"\5",), "hung up"),
    ((b"\5\2", b"\1"), "hung up"),
    ((b"\5\2", b"\1\0", b"\5\0\0\1\0"), "hung up"),
    ((b"\5\2", b"\1\0", b"\5\2\0\1\0\0\0\0\0\0"), "not allowed"),
    ((b"\5\2", b"\1\0", b"\5\xee\0\1\0\0\0\0\0\0"), "it failed"),
])
def test_socks_answers(work, answers, word):
    """What a proxy must not say."""
    done = run(work, f"socks=127.0.0.1:{Socks(1, answers=answers).port}",
               "to=a.example:4004", "secret=none", "socks-user=oslo",
               "socks-password-file=" + write_password(work, PASSWORD))
    assert done.returncode == 75
    assert word in done.stderr


def test_password_that_others_read(work):
    path = write_password(work, "sesame")
    os.chmod(path, 0o640)
    done = run(work, "socks=a:1", "to=b:1", "secret=none", "socks-user=u",
               "socks-password-file=" + path)
    assert done.returncode == 78
    assert "socks-password-file: " in done.stderr
    assert "chmod 600" in done.stderr and path in done.stderr


def test_socks_passwords(work):
    """Of which length, and where from."""
    for text, word in (("", "password of at most 255"), ("\n", "255"),
                       ("x" * 256, "255"), ("x" * 3000, "password-file")):
        done = run(work, "socks=a:1", "to=b:1", "secret=none",
                   "socks-user=u", "socks-password-file="
                   + write_password(work, text))
        assert done.returncode == 78
        assert word in done.stderr and "xxx" not in done.stderr


def run(work, *sets):
    argv = [program("tcp"), "--peer", "x", "--out", str(work), "--in",
            str(work)]
    for one in sets:
        argv += ["--set", one]
    return subprocess.run(argv, capture_output=True, text=True,
                          timeout=patient(30),
                          stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize("sets,word", [
    ((), "listen"), (("to=a:1", "listen=b:2"), "listen"),
    (("to=nothing",), "to="), (("to=::1:25",), "to="),
    (("to=/a", "socks=b:1"), "socks"), (("to=[::1:25",), "to="),
    (("to=a:1", "role=both"), "role"), (("to=a:1",), "secret"),
    (("to=a:1", "secret=none", "x=1"), "x"),
    (("to=a:1", "socks-user=u", "socks-password-file=/dev/null"), "socks"),
    (("to=a:1", "socks=b:1", "socks-user=u"), "socks-password-file"),
    (("to=a:1", "socks=b:1", "socks-user=", "secret=none"), "socks-user"),
    (("to=a:1", "socks=b:1", "socks-user=u",
      "socks-password-file=/nonexistent"), "/nonexistent"),
    (("to=a:1", "socks=b:1", "secret=none",
      "socks-password-file=/nonexistent"), "socks-password-file"),
])
def test_misconfigured(work, sets, word):
    done = run(work, *sets)
    assert done.returncode == 78
    assert word in done.stderr


def test_nobody_there(work):
    done = run(work, f"to=127.0.0.1:{free_port()}", "secret=none")
    assert done.returncode == 75
    assert "refused" in done.stderr
