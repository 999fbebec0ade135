# SPDX-License-Identifier: ISC
"""What programs that the daemon runs leave behind: the daemon waits for none
of it, keeps no zombies, and takes it along at its end."""

import os
import time

import pytest

import road
from peers_common import patient, wait_for

CONTENT = b"Subject: x\r\n\r\nx\r\n"


def stat_of(pid):
    """Of a process: its words behind the name; None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def processes(state=None, parent=None):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = stat_of(pid)
        if words and (state is None or words[0] == state) and (
                parent is None or int(words[1]) == parent):
            yield int(pid)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def left(work):
    """The processes that wrote their number into a file of work."""
    found = []
    for name in os.listdir(work):
        if name.startswith("left-"):
            with open(os.path.join(work, name), encoding="ascii") as file:
                text = file.read().strip()
            if text and (stat_of(text) or ["Z"])[0] != "Z":
                found.append(int(text))
    return found


def leaving(work, what, seconds, rest):
    """A script that leaves a process in another session, which holds on to
    its output."""
    return write(os.path.join(work, what), (
        f"setsid sh -c 'echo $$ >{work}/left-{what}; exec sleep {seconds}' &\n"
        f"while [ ! -s {work}/left-{what} ]; do sleep 0.05; done\n" + rest))


@pytest.fixture
def paris(node, work):
    """A delivery command, a transport and a filter that leave processes."""
    command = leaving(work, "command", 300, "cat >/dev/null\nexit 0\n")
    carry = leaving(work, "carry", 300, (
        'while [ $# -gt 1 ]; do [ "$1" != --out ] || cd "$2"; shift; done\n'
        'for f in *; do [ ! -f "$f" ] || echo "sent $f"; done\n'))
    sift = leaving(work, "sift", 300, "cat\n")
    text = road.config(
        "paris", f"peer london {{\n\ttransport = {carry}\n"
        f"\tdialect = bsmtp\n\tfilter-out = {{ {sift} }}\n"
        "\tretry-min = 1s\n\tretry-max = 2s\n}\n",
        "routes { london.example = london }\n",
        delivery=f'\tto = "command:{command}"\n\tfinal = yes\n')
    return node("paris", config=text)


def counted(paris, word):
    return paris.json("status")[0]["counters"][word]


def test_left_behind(paris, work):
    paris.start()
    pid = paris.daemon.pid
    begin = time.monotonic()
    paris.submit("a@paris.example", ["bob@paris.example",
                                     "eve@london.example"], CONTENT)
    wait_for(lambda: counted(paris, "delivered") >= 1, 20, paris.log)
    wait_for(lambda: counted(paris, "objects_out") == 1, 20, paris.log)
    assert time.monotonic() - begin < patient(15)
    assert len(left(work)) == 3
    # They may live while it does, as its children.
    wait_for(lambda: set(left(work)) <= set(processes(parent=pid)), 10,
             paris.log)
    begin = time.monotonic()
    paris.stop()
    assert time.monotonic() - begin < patient(10)
    assert not left(work)


def test_no_zombies(paris, work):
    """Those that end by themselves are taken note of."""
    for what in ("command", "carry", "sift"):
        path = os.path.join(work, what)
        with open(path, encoding="ascii") as file:
            text = file.read()
        write(path, text.partition("\n")[2].replace("sleep 300", "sleep 0.3"))
    paris.start()
    paris.submit("a@paris.example", ["bob@paris.example",
                                     "eve@london.example"], CONTENT)
    wait_for(lambda: counted(paris, "objects_out") == 1, 20, paris.log)
    wait_for(lambda: not left(work), 10, paris.log)
    wait_for(lambda: not list(processes("Z", paris.daemon.pid)), 10,
             lambda: str(list(processes("Z", paris.daemon.pid))))


def test_does_not_heed(paris, work):
    """One that ignores SIGTERM is killed."""
    path = os.path.join(work, "command")
    with open(path, encoding="ascii") as file:
        text = file.read()
    write(path, text.partition("\n")[2].replace(
        "sh -c '", "sh -c 'trap \"\" TERM; "))
    paris.start()
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    wait_for(lambda: counted(paris, "delivered") == 1, 20, paris.log)
    assert len(left(work)) == 1
    paris.stop()
    assert not left(work)
