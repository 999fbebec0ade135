# SPDX-License-Identifier: ISC
"""The transport "exec": a command for each file, or as the line."""

import os
import subprocess

import pytest

import native
import road
import wires
from peers_common import patient, program
from test_transport_tcp import HELLO, exchange


def test_link_over_a_command(node, work):
    """`postrider link` at the far end, as over ssh."""
    path = os.path.join(work, "link of paris")
    conf = os.path.join(work, "oslo", "postrider.conf")
    paris, oslo = wires.pair(
        node, ("exec", [f"command={program('postrider')} -c {conf} "
                        "link paris"]),
        ("tcp", [f"listen={path}"]), dialect="native", stays="yes")
    exchange(paris, oslo, [paris, oslo])
    native.wait_settled(paris, oslo)


def test_link_without_a_socket(node):
    paris, _ = wires.pair(node, ("file", ["drop=/a", "pickup=/b"]),
                          ("file", ["drop=/a", "pickup=/b"]), keys=False,
                          dialect="bsmtp")
    done = paris.run("link", "oslo", check=False)
    assert done.returncode == 78
    done = paris.run("link", "nobody", check=False)
    assert done.returncode == 66


def test_each(node, work):
    """What the command takes is the other's to take in."""
    inbox = os.path.join(work, "inbox")
    os.mkdir(inbox)
    paris, _ = wires.pair(
        node, ("exec", [f"each=cp -- %f {inbox}/%p-%n"]),
        ("file", ["drop=/a", "pickup=/b"]), keys=False, dialect="bsmtp")
    paris.start()
    paris.submit("ann@paris.example", ["bob@oslo.example"], HELLO)
    native.wait_settled(paris)
    name, = os.listdir(inbox)
    assert name.startswith("oslo-")
    with open(os.path.join(inbox, name), "rb") as file:
        assert b"RCPT TO:<bob@oslo.example>" in file.read()


class Bench:
    def __init__(self, work):
        self.out = os.path.join(work, "out")
        self.inn = os.path.join(work, "in")
        self.script = os.path.join(work, "my script")
        os.mkdir(self.out)
        os.mkdir(self.inn)

    def put(self, *names):
        for name in names:
            with open(os.path.join(self.out, name), "wb") as file:
                file.write(name.encode())

    def run(self, body, *sets, args="%n", how="each"):
        with open(self.script, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + body + "\n")
        os.chmod(self.script, 0o755)
        argv = [program("exec"), "--peer", "x", "--out", self.out, "--in",
                self.inn, "--set", f'{how}="{self.script}" {args}']
        for one in sets:
            argv += ["--set", one]
        done = subprocess.run(argv, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=patient(30),
                              check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.fixture
def bench(work):
    return Bench(work)


@pytest.mark.parametrize("status,sets,end,said", [
    (0, (), 0, "sent a"),
    (75, (), 75, "failed a temporary exited with 75"),
    (1, (), 75, "failed a temporary exited with 1"),
    (255, (), 75, "failed a temporary exited with 255"),
    (65, (), 0, "failed a permanent exited with 65"),
    (1, ("others=permanent",), 0, "failed a permanent exited with 1"),
    (75, ("others=permanent",), 75, "failed a temporary exited with 75"),
    (78, (), 78, "failed a temporary exited with 78"),
    (127, (), 78, "failed a temporary exited with 127"),
])
def test_status(bench, status, sets, end, said):
    bench.put("a")
    assert bench.run(f"exit {status}", *sets)[:2] == (end, [said])


def test_each_file_by_itself(bench):
    """One that fails does not keep others; what is said is for the log."""
    bench.put("a", "b", "c")
    status, said, err = bench.run('echo "it is $1, $2"; [ "$1" != b ]',
                                  args='%n "two words %%"')
    assert status == 75
    assert said == ["sent a", "failed b temporary exited with 1", "sent c"]
    assert err.splitlines() == [f"it is {x}, two words %" for x in "abc"]


def test_stays(node, work):
    """One run goes on with what comes later."""
    inbox = os.path.join(work, "inbox")
    os.mkdir(inbox)
    paris, _ = wires.pair(
        node, ("exec", [f"each=cp -- %f {inbox}/%n"]),
        ("file", ["drop=/a", "pickup=/b"]), keys=False, dialect="bsmtp",
        stays="yes")
    paris.start()
    for n in range(3):
        paris.submit("ann@paris.example", ["bob@oslo.example"], HELLO)
        native.wait_settled(paris)
        assert len(os.listdir(inbox)) == n + 1
    assert "transport-exited" not in paris.log()


def test_input_is_the_file(bench):
    bench.put("a", "b")
    status, said, err = bench.run('echo "$1: $(cat)"', "input=file")
    assert (status, said, err) == (0, ["sent a", "sent b"], "a: a\nb: b\n")
    assert bench.run('echo "[$(cat)]"')[2] == "[]\n[]\n"


def inside(bench):
    """What is in in/, without what the name got behind it; and what was
    fetched and not taken."""
    found = road.files(bench.inn)
    stage = os.path.join(bench.inn, ".fetched")
    return ({name.split("~")[0]: data for name, data in found.items()},
            sorted(os.listdir(stage)) if os.path.isdir(stage) else None)


def test_fetch(bench):
    """Files come in by names that tell them apart from all others."""
    status, said, err = bench.run(
        'cd "$2" && echo one >a && echo two >b && echo x >.c && '
        'echo x >d.part && mkdir e && ln -s a f; echo "for $1 %"',
        args='%p %d "%%"', how="fetch")
    assert (status, err) == (0, "for x %\n")
    assert inside(bench) == ({"a": b"one\n", "b": b"two\n"},
                             [".c", "d.part", "e", "f"])
    assert sorted(said) == sorted("received " + name
                                  for name in road.files(bench.inn))


def test_fetch_comes_behind_what_goes(bench):
    bench.put("a")
    status, said, err = bench.run(
        'if [ -n "$2" ]; then echo each; else echo fetch; >"$1/b"; fi',
        f'fetch="{bench.script}" %d', args="%f %n")
    assert (status, err) == (0, "each\nfetch\n")
    assert [one.split("~")[0] for one in said] == ["sent a", "received b"]


@pytest.mark.parametrize("end,status", [("exit 75", 75), ("exit 1", 75),
                                        ("exit 65", 75), ("exit 78", 78),
                                        ("exit 127", 78),
                                        ("kill -9 $$", 75)])
def test_fetch_that_fails(bench, end, status):
    """What it brought stays where it is until one succeeds."""
    assert bench.run(f'echo half >"$1/a"; {end}', args="%d",
                     how="fetch")[0] == status
    assert inside(bench) == ({}, ["a"])
    assert bench.run('echo whole >"$1/a"', args="%d", how="fetch")[0] == 0
    assert inside(bench) == ({"a": b"whole\n"}, [])


def test_fetch_goes_on_where_it_stays(node, work):
    """Every so often, and what is to be sent does not wait for it."""
    paris, _ = wires.pair(
        node, ("exec", [f"fetch={work}/fetch %d", "poll=0.3",
                        f"each=cp -- %f {work}/outbox/%n"]),
        ("file", ["drop=/a", "pickup=/b"]), keys=False, dialect="bsmtp",
        stays="yes")
    for name in ("outbox", "inbox"):
        os.mkdir(os.path.join(work, name))
    script = os.path.join(work, "fetch")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nmv {work}/inbox/* $1 2>/dev/null; exit 0\n")
    os.chmod(script, 0o755)
    paris.start()
    for n in range(3):
        with open(os.path.join(work, "inbox", f"f{n}"), "wb") as file:
            file.write(b"HELO oslo.example\r\nMAIL FROM:<a@oslo.example>"
                       b"\r\nRCPT TO:<b%d@paris.example>\r\nDATA\r\nx\r\n"
                       b".\r\nQUIT\r\n" % n)
        assert paris.wait_mail(f"b{n}") == [b"x\r\n"]
    paris.submit("ann@paris.example", ["bob@oslo.example"], HELLO)
    native.wait_settled(paris)
    assert len(os.listdir(os.path.join(work, "outbox"))) == 1
    assert "transport-exited" not in paris.log()


@pytest.mark.parametrize("script", [
    "exec sleep 20", 'trap "exit 0" TERM; sleep 20 >/dev/null 2>&1 & wait'])
def test_deadline(bench, script):
    """What a command that was ended says itself does not count."""
    bench.put("a")
    status, said, _ = bench.run(script, "timeout=0.3")
    assert (status, said) == (75, ["failed a temporary was ended by "
                                   "signal 15"])


@pytest.mark.parametrize("sets,word", [
    ((), "each"), (("each=a", "command=b"), "each"), (("each=",), "each="),
    (("fetch=a", "command=b"), "fetch"), (("fetch=",), "fetch="),
    (("each=a", "input=yes"), "input"),
    (("command=a", "input=file", "secret=none"), "input"),
    (("each=a", "poll=never"), "poll"),
    (('each=a "b',), "each="), (("each=a", "others=some"), "others"),
    (("each=a", "path=clean"), "path"), (("command=cat",), "secret"),
    (("command=/nonexistent", "secret=none"), "nonexistent"),
])
def test_misconfigured(bench, sets, word):
    argv = [program("exec"), "--peer", "x", "--out", bench.out, "--in",
            bench.inn]
    for one in sets:
        argv += ["--set", one]
    done = subprocess.run(argv, capture_output=True, text=True,
                          timeout=patient(30),
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 78
    assert word in done.stderr
