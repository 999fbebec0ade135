# SPDX-License-Identifier: ISC
"""The transport "file" as the daemon sees it: the real program, its lines on
standard output, its exit status, and what lies in the directories."""

import glob
import os
import queue
import random
import signal
import subprocess
import threading
import time

import pytest

import peers_common
from conftest import small_disk_at

DEADLINE = peers_common.patient(20)


class Line:
    """One end of the road: directories, and a way to run the program."""

    def __init__(self, work):
        self.work = work
        for name in ("out", "in", "medium/drop", "medium/pickup"):
            os.makedirs(os.path.join(work, name))
        self.out = os.path.join(work, "out")
        self.into = os.path.join(work, "in")
        self.medium = os.path.join(work, "medium")
        self.drop = os.path.join(work, "medium/drop")
        self.pickup = os.path.join(work, "medium/pickup")
        self.running = []

    def argv(self, **settings):
        settings = dict(dict(drop=self.drop, pickup=self.pickup), **settings)
        argv = [peers_common.program("file"), "--peer", "oslo",
                "--out", self.out, "--in", self.into]
        for key, value in settings.items():
            if value is not None:
                argv += ["--set", f"{key}={value}"]
        return argv

    def once(self, **settings):
        """One run to its end: (status, lines, standard error)."""
        done = subprocess.run(self.argv(**settings), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=DEADLINE)
        return (done.returncode, done.stdout.decode().splitlines(),
                done.stderr.decode())

    def stay(self, **settings):
        run = Running(self.argv(stay="yes", poll="0.2", **settings))
        self.running.append(run)
        return run

    def put(self, directory, name, data):
        path = os.path.join(directory, name)
        temporary = os.path.join(directory, "." + name)
        with open(temporary, "wb") as file:
            file.write(data)
        os.rename(temporary, path)
        return path


class Running:
    """A program that stays; its lines come through a queue."""

    def __init__(self, argv):
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def line(self):
        return self.lines.get(timeout=DEADLINE)

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def quiet(self, seconds):
        with pytest.raises(queue.Empty):
            print(self.lines.get(timeout=seconds))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            pipe.close()


@pytest.fixture
def line(work):
    one = Line(work)
    yield one
    for run in one.running:
        run.end()


@pytest.fixture
def small_medium(line):
    """A file system of 1 MiB mounted as the medium."""
    with small_disk_at(line.medium, "1m"):
        os.makedirs(line.drop)
        os.makedirs(line.pickup)
        yield line.medium


def content(path):
    with open(path, "rb") as file:
        return file.read()


def listing(directory):
    return sorted(os.listdir(directory))


def in_name(path):
    st = os.stat(path)
    return f"{os.path.basename(path)}~{st.st_ino}-{st.st_mtime_ns}"


def test_nothing_to_do(line):
    assert line.once() == (0, [], "")


def test_sends_in_order(line):
    line.put(line.out, "b", b"two")
    line.put(line.out, "a", b"one")
    line.put(line.out, "Con", b"three")
    with open(os.path.join(line.out, ".half"), "wb") as file:
        file.write(b"half")
    status, lines, _ = line.once(suffix=".bsm")
    assert (status, lines) == (0, ["sent Con", "sent a", "sent b"])
    assert content(os.path.join(line.drop, "a.bsm")) == b"one"
    assert content(os.path.join(line.drop, "b.bsm")) == b"two"
    names = listing(line.drop)
    assert len(names) == 3 and names[2].startswith("x-con-")
    # The daemon deletes, on sent; never the transport.
    assert listing(line.out) == [".half", "Con", "a", "b"]


def test_sends_again_after_a_crash(line):
    """The same frozen object replaces itself, a stale half goes away."""
    line.put(line.out, "a", b"x" * 100000)
    assert line.once()[1] == ["sent a"]
    with open(os.path.join(line.drop, ".a.tmp"), "wb") as file:
        file.write(b"half")
    assert line.once()[:2] == (0, ["sent a"])
    assert listing(line.drop) == ["a"]
    assert content(os.path.join(line.drop, "a")) == b"x" * 100000


def test_tells_progress(line):
    size = 5 * 1024 * 1024 + 17
    data = random.Random(7).randbytes(size)
    line.put(line.out, "big", data)
    status, lines, _ = line.once()
    assert status == 0 and lines[-1] == "sent big"
    done = [0]
    for each in lines[:-1]:
        word, name, count, total = each.split(" ")
        assert (word, name, int(total)) == ("sending", "big", size)
        assert done[-1] < int(count) <= size
        done.append(int(count))
    assert len(done) >= 5
    assert content(os.path.join(line.drop, "big")) == data


def test_picks_up(line):
    first = line.put(line.pickup, "Mail 1.bsmtp", b"one")
    second = line.put(line.pickup, "empty", b"")
    want = {in_name(first).replace(" ", "%20"): b"one",
            in_name(second): b""}
    status, lines, _ = line.once()
    assert status == 0
    assert sorted(lines) == sorted("received " + name for name in want)
    assert {name: content(os.path.join(line.into, name))
            for name in listing(line.into)} == want
    assert listing(line.pickup) == []


def test_passes_over(line):
    """Hidden, unfinished, and whatever is no plain file stays."""
    names = [".hidden", "a.tmp", "B.PART"]
    for name in names:
        line.put(line.pickup, name, b"x")
    os.mkdir(os.path.join(line.pickup, "dir"))
    os.symlink("/etc/passwd", os.path.join(line.pickup, "link"))
    os.mkfifo(os.path.join(line.pickup, "pipe"))
    before = listing(line.pickup)
    assert line.once() == (0, [], "")
    assert listing(line.pickup) == before
    assert listing(line.into) == []


@pytest.mark.requires_root
def test_unreadable_file_stops_nothing(line):
    """Run as nobody, since root may read everything."""
    locked = line.put(line.pickup, "locked", b"x")
    line.put(line.pickup, "m", b"1")
    os.chmod(locked, 0)
    for directory in (line.pickup, line.into):
        os.chmod(directory, 0o777)
    done = subprocess.run(line.argv(), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=DEADLINE, user=65534)
    lines = sorted(done.stdout.decode().splitlines())
    assert done.returncode == 0, lines
    assert len(lines) == 2 and lines[0].startswith("note cannot open ")
    assert lines[1].startswith("received m~")
    assert listing(line.pickup) == ["locked"]


def test_repeated_pickup_has_the_same_name(line):
    """As after a crash between copy and removal."""
    path = line.put(line.pickup, "m", b"mail")
    aside = os.path.join(line.work, "aside")
    os.link(path, aside)
    _, first, _ = line.once()
    os.link(aside, path)
    status, second, _ = line.once()
    assert status == 0 and first == second and len(first) == 1
    assert len(listing(line.into)) == 1
    assert listing(line.pickup) == []
    # The same content in a file of its own is another mail.
    line.put(line.pickup, "m", b"mail")
    assert line.once()[1] != first
    assert len(listing(line.into)) == 2


def test_settles(line):
    path = line.put(line.pickup, "slow", b"1")
    name = in_name(path)
    began = time.monotonic()
    status, lines, _ = line.once(settle="0.3")
    assert (status, lines) == (0, ["received " + name])
    assert time.monotonic() - began >= 0.3


def test_does_not_take_what_grows(line):
    path = line.put(line.pickup, "slow", b"1")
    run = line.stay(settle="3")
    with open(path, "ab") as file:
        for _ in range(8):
            time.sleep(0.2)
            file.write(b"1")
            file.flush()
            assert listing(line.into) == []
    received = run.line()
    assert received == "received " + listing(line.into)[0]
    assert content(os.path.join(line.into, listing(line.into)[0])) == b"1" * 9


def test_stays(line):
    line.put(line.out, "a", b"1")
    run = line.stay()
    assert run.line() == "sent a"
    # What is still in out/ is not sent twice in a run.
    run.say("more")
    run.quiet(0.6)
    line.put(line.out, "b", b"2")
    run.say("more")
    assert run.line() == "sent b"
    path = os.path.join(line.pickup, ".x")
    with open(path, "wb") as file:
        file.write(b"in")
    name = in_name(path)[1:]
    os.rename(path, path.replace("/.x", "/x"))
    assert run.line() == "received " + name
    run.say("stop")
    assert run.process.wait(DEADLINE) == 0


def test_inotify_is_quicker_than_the_clock(line):
    run = Running(line.argv(stay="yes", poll="300"))
    line.running.append(run)
    time.sleep(0.5)
    line.put(line.pickup, "x", b"in")
    assert run.line().startswith("received x~")
    line.put(line.out, "a", b"1")
    run.say("more")
    assert run.line() == "sent a"


def test_ends_with_the_daemon(line):
    run = line.stay()
    run.process.stdin.close()
    assert run.process.wait(DEADLINE) == 0
    run.process.stdin = open(os.devnull, "wb")


def test_marker_missing(line):
    line.put(line.out, "a", b"1")
    line.put(line.pickup, "p", b"2")
    status, lines, _ = line.once(marker="POSTBAG")
    assert status == 75
    assert [each.split(":")[0] for each in lines] == [
        "note waiting for marker POSTBAG"] * 2
    assert listing(line.drop) == [] and listing(line.pickup) == ["p"]
    assert listing(line.into) == []


def test_marker_comes(line):
    line.put(line.out, "a", b"1")
    run = line.stay(marker="POSTBAG", pickup=None)
    assert run.line().startswith("note waiting for marker POSTBAG")
    run.quiet(0.8)
    assert listing(line.drop) == []
    line.put(line.drop, "POSTBAG", b"")
    assert run.line() == f"note {line.drop} is there"
    assert run.line() == "sent a"
    assert listing(line.drop) == ["POSTBAG", "a"]


def test_marker_stays(line):
    line.put(line.pickup, "POSTBAG", b"")
    line.put(line.pickup, "m", b"1")
    status, lines, _ = line.once(marker="POSTBAG", drop=None)
    assert status == 0 and len(lines) == 1
    assert listing(line.pickup) == ["POSTBAG"]


@pytest.mark.requires_root
def test_marker_in_the_root_of_the_medium(line, small_medium):
    line.put(line.out, "a", b"1")
    assert line.once(marker="POSTBAG")[0] == 75
    line.put(small_medium, "POSTBAG", b"")
    assert line.once(marker="POSTBAG")[:2] == (0, ["sent a"])
    # Unmounted, the same path leads to an empty directory.
    subprocess.run(["umount", small_medium], check=True)
    status, lines, _ = line.once(marker="POSTBAG")
    assert status == 75 and lines[0].startswith("note waiting for marker")
    assert listing(line.drop) == []


@pytest.mark.requires_root
def test_medium_comes_and_goes(line):
    """Nothing that we hold keeps it from being unmounted."""
    line.put(line.out, "a", b"1")
    run = line.stay(marker="POSTBAG")
    for _ in range(2):
        assert run.line().startswith("note waiting for marker POSTBAG")
    with small_disk_at(line.medium, "1m"):
        os.makedirs(line.drop)
        os.makedirs(line.pickup)
        line.put(line.medium, "POSTBAG", b"")
        assert run.line() == f"note {line.drop} is there"
        assert run.line() == "sent a"
        line.put(line.pickup, "m", b"1")
        assert run.line().startswith("received m~")
        peers_common.wait_for(lambda: subprocess.run(
            ["umount", line.medium], capture_output=True).returncode == 0,
            what="the medium can be unmounted")
    assert run.line().startswith("note waiting for marker POSTBAG")
    assert run.process.poll() is None


@pytest.mark.requires_root
def test_full_disk(line, small_medium):
    line.put(line.out, "a", b"x" * (2 << 20))
    line.put(line.pickup, "m", b"1")
    status, lines, _ = line.once()
    lines = [each for each in lines if not each.startswith("sending ")]
    assert status == 75
    assert lines[0].startswith("failed a temporary ")
    assert "No space left" in lines[0]
    # What comes in does not wait for what cannot go out.
    assert lines[1].startswith("received m~")
    assert listing(line.drop) == []


@pytest.mark.requires_root
def test_full_disk_at_home(line, work):
    """in/ has no room: the file stays where it is."""
    with small_disk_at(line.into, "1m"):
        line.put(line.pickup, "m", b"x" * (2 << 20))
        status, lines, _ = line.once()
        assert status == 75 and len(lines) == 1
        assert "No space left" in lines[0]
        assert listing(line.into) == [] and listing(line.pickup) == ["m"]


@pytest.mark.requires_root
def test_read_only_medium(line, small_medium):
    line.put(line.out, "a", b"1")
    line.put(line.pickup, "m", b"1")
    subprocess.run(["mount", "-o", "remount,ro", small_medium], check=True)
    status, lines, _ = line.once()
    assert status == 75
    assert lines[0].startswith("failed a temporary ")
    assert "Read-only" in lines[0]
    assert lines[1].startswith("note ") and "Read-only" in lines[1]
    # Taking it in without removing it would bring it in again each time.
    assert listing(line.into) == []


def test_directory_missing(line):
    line.put(line.out, "a", b"1")
    os.rmdir(line.drop)
    status, lines, _ = line.once(pickup=None)
    assert status == 75 and lines[0].startswith("note waiting for directory")
    assert not os.path.exists(line.drop)


@pytest.mark.parametrize("settings", [
    {"drop": None, "pickup": None}, {"drop": "relative"}, {"poll": "soon"},
    {"stay": "perhaps"}, {"marker": "a/b"}, {"dorp": "/tmp"},
    {"suffix": "._"}])
def test_misconfigured(line, settings):
    status, lines, text = line.once(**settings)
    assert status == 78 and lines == [] and text.count("\n") == 1


def test_same_directory(line):
    assert line.once(pickup=line.drop)[0] == 78


def test_bad_arguments():
    for argv in ([], ["--peer", "x"], ["--what"], ["x"]):
        done = subprocess.run([peers_common.program("file")] + argv,
                              stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 78 and done.stderr


@pytest.mark.parametrize("seed", range(12))
def test_killed_in_the_middle(line, seed):
    """SIGKILL leaves nothing half under a name that anybody looks at, and the
    next run makes it whole."""
    rng = random.Random(seed)
    data = rng.randbytes(3 << 20)
    line.put(line.out, "big", data)
    line.put(line.pickup, "back", data)
    process = subprocess.Popen(line.argv(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    time.sleep(rng.random() * 0.03)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for directory in (line.drop, line.into):
        for path in glob.glob(os.path.join(directory, "*")):
            assert content(path) == data
    if listing(line.pickup) == []:
        assert len(glob.glob(os.path.join(line.into, "*"))) == 1
    assert line.once()[0] == 0
    assert listing(line.drop) == ["big"]
    assert content(os.path.join(line.drop, "big")) == data
    names = listing(line.into)
    assert len(names) == 1 and names[0].startswith("back~")
    assert content(os.path.join(line.into, names[0])) == data
    assert listing(line.pickup) == []


def test_stop_in_the_middle(line):
    line.put(line.out, "big", b"\0" * (64 << 20))
    run = line.stay()
    assert run.line().startswith("sending big ")
    run.say("stop")
    assert run.process.wait(DEADLINE) == 0
    assert listing(line.drop) in ([], ["big"])


def test_example_of_the_manual(line):
    """The transport in postrider-transport(7) does what the page says."""
    page = os.path.join(peers_common.PROJECT, "man/postrider-transport.7")
    with open(page, encoding="ascii") as file:
        text = file.read()
    script = text[text.index("#!/bin/sh"):].split("\n.Ed\n")[0]
    path = os.path.join(line.work, "transport")
    with open(path, "w", encoding="ascii") as file:
        file.write(script.replace("\\e", "\\") + "\n")
    os.chmod(path, 0o755)
    line.put(line.out, "a", b"1")
    line.put(line.pickup, "b", b"2")
    argv = [path, "--peer", "oslo", "--out", line.out, "--in", line.into,
            "--set", f"to={line.drop}", "--set", f"from={line.pickup}"]
    done = subprocess.run(argv, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"sent a\nreceived b\n"
    assert content(os.path.join(line.drop, "a")) == b"1"
    assert content(os.path.join(line.into, "b")) == b"2"
    assert listing(line.pickup) == [] and listing(line.out) == ["a"]
    argv[-1] = f"from={line.work}/nowhere"
    assert subprocess.run(argv, check=False).returncode == 75
