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
from peers_common import PROJECT, patient, wait_for

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
    wait_for(lambda: sorted(os.listdir(inbox(london, "paris"))) == before,
             20, london.log)
    assert london.maildir("linked") == london.maildir("odd") == []
    london.restart()
    drop_batch(work, "paris", "later")
    london.wait_mail("later")
    wait_for(lambda: len(re.findall("file-refused ", london.log())) == 2, 20,
             london.log)


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
    "huge-totals": "cd $out; for f in *; do echo sending $f 7 "
                   "18446744073709551615; echo sending $f 1 9"
                   "9999999999999999999; echo sending $f -1 0x9; done",
    "forks": "n=0; while [ $n -lt 50 ]; do sleep 300 & n=$((n+1)); done",
    "odd-entries": "cd $in; mkdir -p d .d; ln -sf /etc/passwd l; "
                   "mkfifo p p2 2>&-; : >'a b'; : >\"$(printf 'x\\033y')\"; "
                   "ln -s l2 l2; : >.hidden; echo received l; echo received d;"
                   "echo received 'a b'; echo received .hidden",
    "clears-out": "rm -f $out/*; exit 75",
    "spoils-out": "for f in $out/*; do echo spoilt >$f; done; exit 75",
}


class Bad:
    """A node london with peers whose transports behave badly, by their names,
    and a good one, oslo."""

    def __init__(self, work, node, manners, **settings):
        self.work = work
        self.names = [f"bad-{name}" for name in manners]
        peers = []
        for name, text in zip(self.names, manners.values()):
            script = os.path.join(work, f"{name}.sh")
            with open(script, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\nout=$4 in=$6\n{text}\n")
            os.chmod(script, 0o755)
            peers.append(peer(work, "london", name, script,
                              **{"dialect": "bsmtp", "call": '"every 1s"',
                                 **settings}))
        self.node = node("london", config=road.config(
            "london", *peers, road.peer(work, "london", "oslo",
                                        dialect="bsmtp"),
            "routes { oslo.example = oslo\n" + "".join(
                f"\t{name}.example = {name}\n" for name in self.names)
            + "}\n"))
        if settings.get("dialect") == "native":
            native.make_keys(self.node)
            for name in self.names:
                native.add_card(self.node, node(name))
        self.node.start()

    def folder(self, name, sub):
        return os.path.join(self.node.directory, "spool/peers", name, sub)

    def submit(self, content=b"waits\r\n"):
        """A mail for each of them."""
        self.node.submit("a@london.example", [
            f"b@{name}.example" for name in self.names], content)

    def waiting(self):
        """To whom there is mail that waits."""
        return set(re.findall(r"@(bad-[a-z-]*)\.example", self.node.cli(
            "queue", "list", "--json")))

    def assert_others_live(self):
        """Mail for and from another peer goes on, the log stays small, and
        the daemon ends in time."""
        one = self.node
        one.submit("a@london.example", ["b@oslo.example"], b"goes\r\n")
        link = road.drop(self.work, "london", "oslo")
        wait_for(lambda: road.files(link), 20, one.log)
        drop_batch(self.work, "oslo", "comes")
        one.wait_mail("comes")
        assert os.path.exists(one.conf)
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < patient(20)
        assert len(one.log()) < 400000 * len(self.names)


def test_harm_their_own_peer_alone(work, node):
    """All of them at once; the mail for each waits."""
    bad = Bad(work, node, MANNERS)
    bad.submit()
    time.sleep(3)
    assert bad.waiting() == set(bad.names)
    for name in ("l", "d", "p", "a b", "x.{1,4}1by", "l2"):
        bad.node.wait_log("file-refused peer=bad-odd-entries path=.*/in/"
                          + name)
    bad.assert_others_live()


FILLS = {
    "one": "while :; do head -c 200000 /dev/zero >>$in/.begun; done",
    "many": "n=0; while :; do n=$((n+1)); head -c 9999 /dev/zero >$in/.$n; "
            "done",
    "a-folder": "mkdir -p $in/.d; while :; do head -c 200000 /dev/zero "
                ">>$in/.d/.begun; done",
    "slowly": "trap '' TERM; while :; do head -c 400000 /dev/zero >>$in/.begun;"
              " sleep 0.2; done",
}


def test_fill_the_disk(work, node):
    """Each is killed, its leftovers go, and it is let in again later."""
    bad = Bad(work, node, FILLS, in_max="2M")
    for name in bad.names:
        said = bad.node.wait_log(f"transport-ended peer={name} reason=.*"
                                 r"in-max.* octets=(\d+)$")
        assert 2 << 20 < int(said[1]) < 1 << 30
        bad.node.wait_log(f"transport-exited peer={name} status=killed")
        bad.node.wait_log(f"(transport-ended peer={name}(.|\n)*){{2}}")
    bad.assert_others_live()
    assert "peer=oslo reason" not in bad.node.log()
    for name in bad.names:
        assert not any(files for _, _, files
                       in os.walk(bad.folder(name, "in")))


def test_fills_the_disk_with_whole_files(work, node):
    """What is whole is looked at like any other; it is no mail, and is kept
    for a while and to an amount."""
    bad = Bad(work, node, {
        "whole": "n=0; while :; do n=$((n+1)); head -c 300000 /dev/zero "
        ">$in/.x; mv $in/.x $in/$n; echo received $n; done"}, in_max="2M")
    bad.node.wait_log("transport-ended peer=bad-whole reason=.*in-max")
    bad.assert_others_live()
    held = sum(os.path.getsize(os.path.join(top, name))
               for top, _, files in os.walk(bad.folder("bad-whole", ""))
               for name in files)
    assert held < 1 << 30


def test_says_sent_for_what_is_not_there(work, node):
    """What was not given was not sent; what was sent twice was sent once."""
    bad = Bad(work, node, {
        "twice": "cd $out; for f in *; do echo sent nothing; [ -f $f ] || "
        f"exit 0; cp $f {work}/$f; echo sent $f; echo sent $f; done"})
    bad.submit()
    native.wait_settled(bad.node)
    bad.node.wait_log("transport-confused .*name=nothing")
    log = bad.node.log()
    name, = re.findall("object-sent peer=bad-twice name=(\\S+)", log)
    assert len(re.findall(f"transport-confused .*name={name}", log)) == 1
    assert os.path.exists(os.path.join(work, name))
    bad.assert_others_live()


@pytest.mark.parametrize("manners", ("clears-out", "spoils-out"))
@pytest.mark.parametrize("dialect", ("bsmtp", "native"))
def test_what_it_took_from_out_is_made_again(work, node, manners, dialect):
    """A transport that deletes or changes what it was given: when it behaves
    again, the mail goes, and to the octet as it was."""
    once = os.path.join(work, "once")
    os.mkdir(os.path.join(work, "sent"))
    bad = Bad(work, node, {
        "once": "[ -n \"$(ls $out)\" ] || exit 0\n"
        f"if [ ! -e {once} ]; then cp $out/* {once}; >$out/stray; "
        f"{MANNERS[manners]}; fi\n[ ! -e $out/stray ] || exit 75\n"
        f"for f in $out/*; do cp $f {work}/sent/ && echo sent ${{f##*/}}; "
        "done"}, dialect=dialect)
    bad.submit(b"the mail itself\r\n")
    bad.node.wait_log("transport-confused .*reason=\"it removed or changed")
    if dialect == "native":     # another parcel, with the same in it
        bad.node.wait_log("parcel-taken-back")
        wait_for(lambda: set(re.findall(
            r"parcel-cut .*name=(\S+) pieces=1", bad.node.log())) & set(
            re.findall(r"object-sent .*name=(\S+)", bad.node.log())),
            30, bad.node.log)
    else:
        with open(once, "rb") as file:
            first = file.read()
        assert b"the mail itself\r\n" in first
        wait_for(lambda: first in road.files(os.path.join(
            work, "sent")).values(), 20, bad.node.log)
    bad.assert_others_live()
