# SPDX-License-Identifier: ISC
"""Transports of one's own, under real daemons: the one in etc/, and such as
behave badly, which must harm their own peer alone."""

import os
import re
import shutil
import socket
import stat
import time

import pytest

import native
import road
from peers_common import PROJECT, wait_for

SCRIPT = os.path.join(PROJECT, "etc/transport.sh")


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def test_its_length_and_its_page():
    """At most 20 lines, and the manual shows these very ones."""
    text = read(SCRIPT)
    code = [line for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) <= 20
    assert os.stat(SCRIPT).st_mode & stat.S_IXUSR
    assert text.replace("\\", "\\e") in \
        read(os.path.join(PROJECT, "man/postrider-transport.7"))


def peer(work, site, name, program=SCRIPT, **settings):
    """A peer section with a program of one's own, run as the example is."""
    to, back = road.drop(work, site, name), road.drop(work, name, site)
    given = {"retry-min": "1s", "retry-max": "2s", "call-min-interval": "1s",
             **{key.replace("_", "-"): value
                for key, value in settings.items()}}
    return (f"peer {name} {{\n\ttransport = {program}\n"
            f"\tset = {{ \"to={to}\", \"from={back}\" }}\n"
            f"{road.lines(given)}}}\n")


@pytest.mark.parametrize("settings", (
    {"dialect": "rfc2442"}, {"dialect": "bsmtp", "compress": "gzip"},
    {"dialect": "native"}), ids=lambda one: one["dialect"])
def test_carries_both_ways(work, node, settings):
    sites = [node(name, config=road.config(
        name, peer(work, name, other, call='"every 1s"', **settings),
        f"routes {{ {other}.example = {other} }}\n"))
        for name, other in (("paris", "london"), ("london", "paris"))]
    paris, london = sites
    if settings["dialect"] == "native":
        native.introduce(paris, london)
    for one in sites:
        one.start()
    there = [b"Subject: %d\r\n\r\n" % n + b"x\r\n" * n * 1000
             for n in range(5)]
    for content in there:
        paris.submit("a@paris.example", ["b@london.example"], content)
    london.submit("b@london.example", ["a@paris.example"], b"back\r\n")
    wait_for(lambda: len(london.maildir("b")) >= 5 and paris.maildir("a"),
             60, lambda: paris.log() + london.log(), every=0.2)
    native.wait_settled(paris, london)
    assert sorted(london.maildir("b")) == sorted(there)
    assert paris.maildir("a") == [b"back\r\n"]


#
# What must not be in in/.
#
@pytest.fixture
def london(work, node):
    """London with a neighbour paris, nobody at its other end, and oslo, which
    brings what is put into link/oslo-london."""
    one = node("london", config=road.config(
        "london", road.peer(work, "london", "paris", dialect="bsmtp"),
        road.peer(work, "london", "oslo", dialect="bsmtp")))
    one.start()
    return one


BATCH = (b"HELO x.example\r\nMAIL FROM:<a@x.example>\r\n"
         b"RCPT TO:<%s@london.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n")


def inbox(one, name):
    return os.path.join(one.directory, "spool/peers", name, "in")


def drop_batch(work, name, user):
    path = os.path.join(road.drop(work, name, "london"), f"for-{user}")
    with open(path, "wb") as file:
        file.write(BATCH % user.encode())


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


def make_device(path):
    os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 5))


def make_link(path):
    """To a good batch, which must not be taken by it."""
    target = os.path.join(os.path.dirname(path), ".target")
    with open(target, "wb") as file:
        file.write(BATCH % b"linked")
    os.symlink(target, path)


def make_odd_name(path):
    with open(f"{path} \x1b[2J", "wb") as file:
        file.write(BATCH % b"odd")


BAD = {"link": make_link, "dangling": lambda path: os.symlink("/none", path),
       "directory": os.mkdir, "pipe": make_pipe, "socket": make_socket,
       "name": make_odd_name,
       "device": pytest.param(make_device, marks=pytest.mark.requires_root)}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_no_plain_file(work, london, make):
    """It is told once, it is not opened, and the files behind it come in."""
    make(os.path.join(inbox(london, "paris"), "a-bad"))
    before = sorted(os.listdir(inbox(london, "paris")))
    for count in range(3):
        drop_batch(work, "paris", f"u{count}")
        london.wait_mail(f"u{count}")
    said = re.findall(r"file-refused .*", london.log())
    assert len(said) == 1, said
    assert "peer=paris" in said[0] and "a-bad" in said[0]
    assert "\x1b" not in said[0]
    assert sorted(os.listdir(inbox(london, "paris"))) == before
    assert london.maildir("linked") == london.maildir("odd") == []
    london.restart()
    drop_batch(work, "paris", "later")
    london.wait_mail("later")
    assert len(re.findall("file-refused ", london.log())) == 2


@pytest.mark.requires_root
def test_unreadable(work, node):
    """What the daemon's user may not read is told once, with what to do, and
    taken when he may."""
    london = node("london", config=road.config(
        "london", road.peer(work, "london", "paris", dialect="bsmtp"),
        user="nobody", group="nogroup"))
    os.chmod(work, 0o755)
    for path, _, _ in os.walk(work):
        shutil.chown(path, "nobody")
    london.start()
    bad = os.path.join(inbox(london, "paris"), "bad")
    with open(bad, "wb") as file:
        file.write(BATCH % b"later")
    os.chmod(bad, 0o600)
    for count in range(3):
        drop_batch(work, "paris", f"u{count}")
        london.wait_mail(f"u{count}")
    said = re.findall(r"file-refused .*", london.log())
    assert len(said) == 1 and "chown" in said[0], said
    shutil.chown(bad, "nobody")
    drop_batch(work, "paris", "u3")
    london.wait_mail("later")


#
# Bad manners.
#
MANNERS = {
    "floods": "yes sent .nothing",
    "floods-stderr": "yes | tr -d '\\n' >&2",
    "long-line": "head -c 50000000 /dev/zero",
    "nonsense": "head -c 300000 /dev/urandom; echo sent ../../postrider.conf;"
                " echo sent nothing; echo received /etc/passwd;"
                " echo sending x 9 1; exit 3",
    "dies": "kill -SEGV $$",
    "hangs": "trap '' TERM INT HUP; while :; do sleep 1; done",
    "closes": "exec <&- >&- 2>&-; sleep 60",
    "lies": "while :; do echo received none; sleep 0.05; done",
}


@pytest.mark.parametrize("manners", MANNERS.values(), ids=MANNERS.keys())
def test_harms_its_own_peer_alone(work, node, manners):
    """Mail for and from another peer goes on, the bad one's waits, the log
    stays small, and the daemon ends in time."""
    script = os.path.join(work, "bad")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n{manners}\n")
    os.chmod(script, 0o755)
    one = node("london", config=road.config(
        "london", peer(work, "london", "paris", script, dialect="bsmtp",
                       call='"every 1s"'),
        road.peer(work, "london", "oslo", dialect="bsmtp"),
        "routes { paris.example = paris\n\toslo.example = oslo }\n"))
    one.start()
    one.submit("a@london.example", ["b@paris.example"], b"waits\r\n")
    time.sleep(2)
    one.submit("a@london.example", ["b@oslo.example"], b"goes\r\n")
    link = road.drop(work, "london", "oslo")
    wait_for(lambda: road.files(link), 20, one.log)
    drop_batch(work, "oslo", "comes")
    one.wait_mail("comes")
    assert not native.settled(one)
    assert os.path.exists(one.conf)
    began = time.monotonic()
    one.stop()
    assert time.monotonic() - began < 20
    assert len(one.log()) < 400000
