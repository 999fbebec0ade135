# SPDX-License-Identifier: ISC
"""The transport "serial" as the daemon sees it, two of the real program on
the two ends of a simulated line (tests/bench/main_line.c), or one of them
with a modem that the test plays."""

import glob
import hashlib
import os
import pty
import select
import signal
import subprocess
import termios
import time
import tty

import pytest

import peers_common

DEADLINE = peers_common.patient(60)
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
def pair():
    """A pty whose other side the test plays: its descriptor, our name."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def line():
    running = []

    def hang_up(number):
        running[number].stdin.close()
        running[number].wait(peers_common.patient(10))

    def make(*options):
        proc = subprocess.Popen(
            [os.path.join(os.environ["BUILD"], "tests/bin/line"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(proc)
        return [proc.stdout.readline().strip() for _ in range(2)]

    make.hang_up = hang_up
    yield make
    for proc in running:
        proc.stdin.close()
        proc.wait(peers_common.patient(10))
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
    (("--strip",), {"bits": "7"}),
    ((), {"flow": "xonxoff"}),
], ids=["clean", "noisy", "7bit", "drops", "half", "bits", "flow"])
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
    ends[1].start(ttys[1], role="answer", patience="12", secret=bytes(32))
    ends[0].start(ttys[0], patience="10")
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
    await_files(ends[0], [want])
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


def has_flock(pid):
    """Whether a process holds a lock of flock(2) on a file."""
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            with open(path, encoding="ascii") as file:
                if "FLOCK" in file.read():
                    return True
        except OSError:
            pass    # closed meanwhile
    return False


def test_excluded(ends, line):
    """Where there are no lock files, flock(2) keeps the second one out."""
    ttys = line()
    ends[0].start(ttys[0], role="answer", lock_dir="/nonexistent", stay="yes")
    peers_common.wait_for(lambda: has_flock(ends[0].proc.pid))
    status, said, _ = ends[1].start(ttys[0], lock_dir="/nonexistent").end()
    assert status == 75
    assert any("in use" in x for x in said), said


def settings_of(master):
    """(input, control) flags and speed of the other side of a pty."""
    now = termios.tcgetattr(master)
    return now[0], now[2], now[5]


def await_settings(master, wanted):
    until = time.monotonic() + peers_common.patient(10)
    while not wanted(*settings_of(master)):
        assert time.monotonic() < until, settings_of(master)
        time.sleep(0.01)


def test_settings_of_the_tty(ends, pair):
    """Speed, flow, bits and modem lines; as before once it is over.  A pty
    keeps to eight bits without parity, whatever it is told."""
    master, name = pair
    before = termios.tcgetattr(master)
    ends[0].start(name, speed="9600", flow="rtscts", bits="7", modem="yes",
                  chat='"" AT OK', stay="yes")
    control = termios.CRTSCTS | termios.HUPCL | termios.CLOCAL
    await_settings(master, lambda i, c, s: s == termios.B9600 and
                   c & control == control and i & termios.ISTRIP)
    # Carrier counts once the modem has said that there is one.
    os.write(master, b"OK")
    await_settings(master, lambda i, c, s: not c & termios.CLOCAL)
    ends[0].proc.stdin.write("stop\n")
    ends[0].proc.stdin.flush()
    await_settings(master, lambda i, c, s: s == termios.B0)	# hung up
    assert ends[0].end()[0] == 0
    assert settings_of(master) == (before[0], before[2], before[5])


def test_xonxoff_of_the_tty(ends, pair):
    ends[0].start(pair[1], flow="xonxoff", stay="yes")
    await_settings(pair[0], lambda i, c, s: i & termios.IXON and
                   i & termios.IXOFF and not c & termios.CRTSCTS)


def test_comes_back(ends, line, tmp_path):
    """A line that always stands is opened again after the device was gone
    (the cable, the adapter), and goes on; a peer that starts anew is heard
    at once."""
    name = str(tmp_path / "tty")
    first, second = line(), line()
    os.symlink(first[0], name)
    ends[0].start(name, stay="yes")
    ends[1].start(first[1], role="answer", stay="yes")
    time.sleep(1)
    ends[1].kill()
    want = [ends[1].put("anew", 3000)]
    ends[1].start(first[1], role="answer", stay="yes")
    await_files(ends[0], want)
    os.remove(name)
    os.symlink(second[0], name)
    line.hang_up(0)
    ends[1].end()
    want.append(ends[1].put("back", 3000))
    ends[1].start(second[1], role="answer", stay="yes")
    await_files(ends[0], want)
    ends[0].proc.stdin.write("stop\n")
    ends[0].proc.stdin.flush()
    status, said, _ = ends[0].end()
    assert status == 0
    assert [x for x in said if "was lost" in x], said


def await_files(end, wanted):
    until = time.monotonic() + peers_common.patient(20)
    while set(end.got()) != set(wanted):
        assert time.monotonic() < until, end.got()
        time.sleep(0.1)


def converse(master, talk):
    """Plays the modem: waits for a text, then says one."""
    heard = b""
    for expect, say in talk:
        until = time.monotonic() + peers_common.patient(20)
        while expect not in heard:
            left = until - time.monotonic()
            ready = select.select([master], [], [], max(left, 0))[0]
            assert ready, f"no {expect!r} in {heard!r}"
            heard += os.read(master, 1000)
        heard = heard.split(expect, 1)[1]
        os.write(master, say)
    return heard


def test_chat(ends, tmp_path, pair):
    master, name = pair
    secret = tmp_path / "password"
    secret.touch(0o600)
    secret.write_text("sesame\n")
    ends[0].start(name, chat='"" ATZ OK ATDT\\T CONNECT '
                  '"" ogin:-BREAK-ogin:--ogin: \\L word: \\P',
                  phone="555-1234", user="uucp", password_file=str(secret),
                  chat_fail="BUSY", chat_timeout="5", patience="2")
    converse(master, [(b"ATZ\r", b"OK\r\n"),
                      (b"ATDT555-1234\r", b"CONNECT 9600\r\n"),
                      (b"\r", b""), (b"\r", b"Login: "),
                      (b"uucp\r", b"Password: "),
                      (b"sesame\r", b"welcome\r\n"), (b"PR1", b"")])
    with open(f"/proc/{ends[0].proc.pid}/cmdline", "rb") as file:
        assert b"sesame" not in file.read()
    status, said, err = ends[0].end()
    assert status == 75
    assert "sesame" not in "".join(said) + err


@pytest.mark.parametrize("talk,timeout,word", [
    ([(b"ATDT1\r", b"\r\nNO CARRIER\r\n")], 60, "NO CARRIER"),
    ([(b"ATDT1\r", b"CONNECT")], 4, "word:"),	# in time, but no more
    # What the script waits for behind the password is not the password.
    ([(b"ATDT1\r", b"CONNECT\r\nPassword: "), (b"sesame\r", b"sesame\r\n")],
     4, "welcome"),
], ids=["fail", "silence", "password"])
def test_chat_fails(ends, pair, tmp_path, talk, timeout, word):
    secret = tmp_path / "password"
    secret.touch(0o600)
    secret.write_text("sesame\n")
    ends[0].start(pair[1], chat='"" ATDT\\T CONNECT "" word: \\P welcome',
                  phone="1", chat_fail="BUSY NO\\sCARRIER",
                  chat_timeout=str(timeout), password_file=str(secret))
    converse(pair[0], talk)
    status, said, err = ends[0].end()
    assert status == 75
    assert any(word in x for x in said)
    assert "sesame" not in "".join(said) + err


def test_answers_a_modem(ends, pair):
    """The answering end: it waits for the bell, and then for a call."""
    ends[0].start(pair[1], role="answer", chat="RING\\W0 ATA CONNECT\\W60",
                  chat_timeout="1", patience="1")
    time.sleep(1.5)
    os.write(pair[0], b"RING\r\n")
    converse(pair[0], [(b"ATA\r", b"CONNECT 9600\r\n"), (b"PR0", b"")])
    status, said, _ = ends[0].end()
    assert status == 75
    assert any("nobody called" in x for x in said)


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
