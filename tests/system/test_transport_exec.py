# SPDX-License-Identifier: ISC
"""The transport "exec": a command for each file, or as the line."""

import os
import subprocess

import pytest

import native
import wires
from peers_common import program
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
    assert done.returncode == 78


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

    def run(self, body, *sets, args="%n"):
        with open(self.script, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + body + "\n")
        os.chmod(self.script, 0o755)
        argv = [program("exec"), "--peer", "x", "--out", self.out, "--in",
                self.inn, "--set", f'each="{self.script}" {args}']
        for one in sets:
            argv += ["--set", one]
        done = subprocess.run(argv, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30,
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


def test_deadline(bench):
    bench.put("a")
    status, said, _ = bench.run("exec sleep 20", "timeout=0.3")
    assert (status, said) == (75, ["failed a temporary was ended by "
                                   "signal 15"])


@pytest.mark.parametrize("sets,word", [
    ((), "each"), (("each=a", "command=b"), "each"), (("each=",), "each="),
    (('each=a "b',), "each="), (("each=a", "others=some"), "others"),
    (("each=a", "path=clean"), "path"), (("command=cat",), "secret"),
    (("command=/nonexistent", "secret=none"), "nonexistent"),
])
def test_misconfigured(bench, sets, word):
    argv = [program("exec"), "--peer", "x", "--out", bench.out, "--in",
            bench.inn]
    for one in sets:
        argv += ["--set", one]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 78
    assert word in done.stderr
