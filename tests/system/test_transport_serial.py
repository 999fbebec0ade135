# SPDX-License-Identifier: ISC
"""The transport "serial" as the daemon sees it, two of the real program on
the two ends of a simulated line (tests/bench/main_line.c), or one of them
with a modem that the test plays."""

import hashlib
import os
import pty
import select
import signal
import subprocess
import time
import tty

import pytest

import peers_common

DEADLINE = 60
SECRET = bytes(range(32))


class End:
    """One end: its directories and a way to run the program."""

    def __init__(self, top, name):
        self.top = os.path.join(top, name)
        for sub in ("out", "in", "lock"):
            os.makedirs(os.path.join(self.top, sub))
        self.proc = None

    def dir(self, name):
        return os.path.join(self.top, name)

    def start(self, device, secret=SECRET, **settings):
        argv = [peers_common.program("serial"), "--peer", "other", "--out",
                self.dir("out"), "--in", self.dir("in")]
        settings = dict({"device": device, "lock-dir": self.dir("lock")},
                        **settings)
        for key, value in settings.items():
            argv += ["--set", f"{key.replace('_', '-')}={value}"]
        give, take = os.pipe()
        os.write(take, secret)
        os.close(take)

        def on_three():
            os.dup2(give, 3)

        self.proc = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, pass_fds=(3, give),
            preexec_fn=on_three)
        os.close(give)
        return self

    def end(self):
        """Waits: (status, lines, standard error)."""
        out, err = self.proc.communicate(timeout=DEADLINE)
        return self.proc.returncode, out.splitlines(), err

    def kill(self):
        if self.proc is not None and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.communicate()

    def put(self, name, size):
        data = os.urandom(size)
        with open(os.path.join(self.dir("out"), name), "wb") as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    def got(self):
        found = {}
        for name in os.listdir(self.dir("in")):
            if name.startswith("."):
                continue
            with open(os.path.join(self.dir("in"), name), "rb") as file:
                found[hashlib.sha256(file.read()).hexdigest()] = name
        return found


@pytest.fixture
def ends(tmp_path):
    pair = End(tmp_path, "a"), End(tmp_path, "b")
    yield pair
    for end in pair:
        end.kill()


@pytest.fixture
def line():
    running = []

    def make(*options):
        proc = subprocess.Popen(
            [os.path.join(os.environ["BUILD"], "tests/bin/line"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(proc)
        return [proc.stdout.readline().strip() for _ in range(2)]

    yield make
    for proc in running:
        proc.stdin.close()
        proc.wait(10)
        proc.stdout.close()


def both(ends, ttys, a=None, b=None):
    ends[1].start(ttys[1], role="answer", **(b or {}))
    ends[0].start(ttys[0], **(a or {}))
    return ends[0].end(), ends[1].end()


@pytest.mark.parametrize("options,settings", [
    ((), {}),
    (("--errors", "1e-3", "--delay", "50"), {}),
    (("--strip", "--xonxoff"), {}),
    (("--drops", "1e-3"), {"plain": "yes"}),
    ((), {"half_duplex": "yes"}),
], ids=["clean", "noisy", "7bit", "drops", "half"])
def test_both_ways(ends, line, options, settings):
    there = [ends[0].put(f"f{n}", n * 9000) for n in range(4)]
    back = [ends[1].put(f"g{n}", 20000) for n in range(2)]
    (status, said, err), (other, heard, _) = both(
        ends, line(*options), settings)
    assert (status, other, err) == (0, 0, ""), said + heard
    assert set(ends[1].got()) == set(there)
    assert set(ends[0].got()) == set(back)
    assert sorted(x for x in said if x.startswith("sent ")) == \
        [f"sent f{n}" for n in range(4)]
    names = sorted(ends[1].got().values())
    assert sorted(x for x in heard if x.startswith("received ")) == \
        [f"received {n}" for n in names]
    assert all("~" in n for n in names)


def test_killed_again_and_again(ends, line):
    """A file goes on from where it was; nothing is received twice."""
    ttys = line("--delay", "5")
    want = ends[0].put("big", 250000)
    for n in range(6):
        ends[1].start(ttys[1], role="answer")
        ends[0].start(ttys[0])
        time.sleep(3)
        ends[n % 2].kill()
        ends[(n + 1) % 2].kill()
    (status, said, _), (_, heard, _) = both(ends, ttys)
    assert status == 0, said
    assert "sent big" in said
    assert list(ends[1].got()) == [want]
    assert len([x for x in heard if x.startswith("received ")]) <= 1
    # What the daemon has not taken away yet is not received again.
    (status, said, _), (_, heard, _) = both(ends, ttys)
    assert "sent big" in said
    assert not [x for x in heard if x.startswith("received ")]


def test_other_secret(ends, line):
    ends[0].put("f", 100)
    ttys = line()
    ends[1].start(ttys[1], role="answer", patience="6", secret=bytes(32))
    ends[0].start(ttys[0], patience="5")
    for end in ends:
        status, said, _ = end.end()
        assert status == 75
        assert any("secret" in x for x in said)
    assert ends[1].got() == {}


def test_several_secrets(ends, line):
    want = ends[0].put("f", 100)
    ttys = line()
    ends[1].start(ttys[1], role="answer", secret=bytes(32) + SECRET)
    ends[0].start(ttys[0])
    assert ends[0].end()[0] == 0
    assert ends[1].end()[0] == 0
    assert list(ends[1].got()) == [want]


def test_stays_and_stops(ends, line):
    ttys = line()
    ends[1].start(ttys[1], role="answer", stay="yes")
    ends[0].start(ttys[0], stay="yes")
    time.sleep(2)
    want = ends[1].put("late", 3000)
    ends[1].proc.stdin.write("more\n")
    ends[1].proc.stdin.flush()
    until = time.monotonic() + 20
    while want not in ends[0].got() and time.monotonic() < until:
        time.sleep(0.1)
    assert want in ends[0].got()
    for end in ends:
        end.proc.stdin.write("stop\n")
        end.proc.stdin.flush()
    for end in ends:
        assert end.end()[0] == 0


def test_in_use(ends, line):
    """A lock file of a living process counts, one of a dead one does not."""
    ttys = line()
    name = os.path.join(ends[0].dir("lock"),
                        "LCK.." + os.path.basename(ttys[0]))
    with open(name, "w", encoding="ascii") as file:
        file.write(f"{os.getpid():10d}\n")
    status, said, _ = ends[0].start(ttys[0]).end()
    assert status == 75
    assert any(str(os.getpid()) in x for x in said)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with open(name, "w", encoding="ascii") as file:
        file.write(f"{gone.pid:10d}\n")
    both(ends, ttys)
    assert ends[0].proc.returncode == 0
    assert not os.path.exists(name)


def converse(master, talk):
    """Plays the modem: waits for a text, then says one."""
    heard = b""
    for expect, say in talk:
        until = time.monotonic() + 20
        while expect not in heard:
            left = until - time.monotonic()
            ready = select.select([master], [], [], max(left, 0))[0]
            assert ready, f"no {expect!r} in {heard!r}"
            heard += os.read(master, 1000)
        heard = heard.split(expect, 1)[1]
        os.write(master, say)
    return heard


def test_chat(ends, tmp_path):
    master, slave = pty.openpty()
    tty.setraw(slave)
    secret = tmp_path / "password"
    secret.write_text("sesame\n")
    ends[0].start(os.ttyname(slave), chat='"" ATZ OK ATDT\\T CONNECT '
                  '"" ogin:--ogin: \\L word: \\P', phone="555-1234",
                  user="uucp", password_file=str(secret), chat_fail="BUSY",
                  chat_timeout="3", patience="2")
    converse(master, [(b"ATZ\r", b"OK\r\n"),
                      (b"ATDT555-1234\r", b"CONNECT 9600\r\n"),
                      (b"\r", b"Login: "), (b"uucp\r", b"Password: "),
                      (b"sesame\r", b"welcome\r\n"), (b"PR1", b"")])
    with open(f"/proc/{ends[0].proc.pid}/cmdline", "rb") as file:
        assert b"sesame" not in file.read()
    status, said, err = ends[0].end()
    assert status == 75
    assert "sesame" not in "".join(said) + err
    os.close(master)
    os.close(slave)


def test_chat_fails(ends):
    master, slave = pty.openpty()
    tty.setraw(slave)
    ends[0].start(os.ttyname(slave), chat='"" ATDT\\T CONNECT', phone="1",
                  chat_fail="BUSY NO\\sCARRIER")
    converse(master, [(b"ATDT1\r", b"\r\nNO CARRIER\r\n")])
    status, said, _ = ends[0].end()
    assert status == 75
    assert any("NO CARRIER" in x for x in said)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("settings,word", [
    ({"speed": "12345"}, "speed"), ({"flow": "some"}, "flow"),
    ({"bits": "9"}, "bits"), ({"role": "both"}, "role"),
    ({"chat": "\\q"}, "escape"), ({"chat": '"" \\P'}, "password-file"),
    ({"path": "dirty"}, "path"), ({"nonsense": "1"}, "nonsense"),
    ({"device": "ttyS0"}, "device"), ({"device": "/dev/null"}, "tty"),
])
def test_misconfigured(ends, settings, word):
    settings = dict({"device": "/dev/null"}, **settings)
    status, _, err = ends[0].start(**settings).end()
    assert status == 78
    assert word in err


def test_no_secret(ends):
    status, _, err = ends[0].start("/dev/null", secret=b"short").end()
    assert status == 78
    assert "secret" in err
