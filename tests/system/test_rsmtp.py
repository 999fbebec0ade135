# SPDX-License-Identifier: ISC
"""rsmtp and its kin: batches from uuxqt, of whatever compression, and two
systems of Taylor UUCP that carry them."""

import bz2
import glob
import gzip
import json
import lzma
import os
import pwd
import random
import shutil
import stat
import subprocess

import pytest

import native
import road
from peers_common import (PEERS_ROOT, has_account, patient, peers_env,
                          peers_program, program, sha256, wait_for)
from test_snippets import snippet

GUISES = ("rsmtp", "rcsmtp", "rgsmtp", "rbsmtp", "cbsmtp", "gbsmtp")
ZSTD = shutil.which("zstd")


def batch(content, recipient="b@london.example"):
    return (b"HELO paris.example\r\nMAIL FROM:<a@paris.example>\r\n"
            b"RCPT TO:<%s>\r\nDATA\r\n%s.\r\nQUIT\r\n"
            % (recipient.encode(), content))


def filter_by(*argv, env=None):
    def run(data):
        done = subprocess.run(argv, input=data, stdout=subprocess.PIPE,
                              check=False, env=env)
        assert done.returncode in (0, 2)    # 2: compress made it no smaller
        return done.stdout
    return run


def compress_at(bits):
    return lambda data: filter_by(peers_program("compress"), "-c", "-f",
                                  "-b", str(bits), env=peers_env())(data)


KINDS = {
    "none": lambda data: data,
    "compress": compress_at(16),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
if ZSTD:
    KINDS["zstd"] = filter_by(ZSTD, "-q", "-c")


def large(seed=2442):
    """3 MB that fill LZW's table more than once and then change, so that
    compress clears it."""
    rng = random.Random(seed)
    lines = [b"a line that comes %d times over\r\n" % i
             for i in range(40000)]
    lines += [rng.randbytes(30).hex().encode() + b"\r\n"
              for _ in range(20000)]
    lines += [b"x" * 60 + b"\r\n"] * 10000
    return b"".join(lines)


def inspect(data):
    done = subprocess.run([program("postrider"), "inspect", "--json"],
                          input=data, stdout=subprocess.PIPE, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_inspect_names_it(peers, kind):
    content = large()
    lines = inspect(KINDS[kind](batch(content)))
    assert lines[0]["compression"] == kind
    assert lines[0]["outcome"] == "process"
    assert lines[1]["sha256"] == sha256(content)


@pytest.mark.parametrize("bits", range(10, 17))
def test_compress_of_every_width(peers, bits):
    content = large(bits)
    assert inspect(compress_at(bits)(batch(content)))[1]["sha256"] == \
        sha256(content)


@pytest.mark.parametrize("kind", [one for one in KINDS
                                  if one not in ("none", "compress")])
def test_cut_off(kind):
    """What came before the cut is good, and the rest for the postmaster."""
    data = KINDS[kind](batch(b"hello\r\n") * 5)
    assert inspect(data)[0]["outcome"] == "process"
    assert inspect(data[:-1])[0]["outcome"] == "postmaster"


def test_body_of_a_mime_object_says_what_it_is():
    """RFC 2442 2: an extension that is not named is not used."""
    head = (b"MIME-Version: 1.0\r\nContent-Type: application/batch-SMTP\r\n"
            b"Content-Transfer-Encoding: binary\r\n\r\n")
    for kind in ("bzip2", "xz"):
        lines = inspect(head + KINDS[kind](batch(b"hello\r\n")))
        assert lines[0]["outcome"] == "postmaster"
        assert kind in lines[0]["reason"]


#
# Handing in.
#
class Guise:
    """The programs under their names, in a directory of their own."""

    def __init__(self, work, node):
        self.bin = os.path.join(work, "bin")
        self.node = node
        os.makedirs(self.bin)
        for name in GUISES + ("sendmail",):
            os.symlink(program("postrider"), os.path.join(self.bin, name))

    def run(self, name, data, machine="paris", user=None, **env):
        """Exit status and standard error."""
        env = {"PATH": self.bin, "POSTRIDER_CONF": self.node.conf, **env}
        if machine is not None:
            env["UU_MACHINE"] = machine
        done = subprocess.run([os.path.join(self.bin, name)], input=data,
                              env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, user=user,
                              timeout=patient(60))
        assert done.stdout == b""
        return done.returncode, done.stderr.decode()


def let_in(node):
    """Everybody can talk to the control socket; whom it believes is the
    daemon's matter."""
    path = node.directory
    while path != "/tmp":
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o055)
        path = os.path.dirname(path)
    os.chmod(os.path.join(node.directory, "run"), 0o755)
    os.chmod(os.path.join(node.directory, "run/control"), 0o666)
    os.chmod(node.conf, 0o644)


@pytest.fixture
def london(node, work):
    """A node with peers paris and oslo, and the names of the program."""
    one = node("london", config=road.config(
        "london", road.peer(work, "london", "paris"),
        road.peer(work, "london", "oslo"),
        uucp_users="nobody"))
    one.start()
    return Guise(work, one)


@pytest.mark.parametrize("guise", GUISES)
def test_every_name_takes_every_kind(peers, london, guise):
    for count, kind in enumerate(KINDS, 1):
        content = b"Subject: %s\r\n\r\nhello\r\n" % kind.encode()
        assert london.run(guise, KINDS[kind](batch(content))) == (0, "")
        assert content in london.node.wait_mail("b", count)
    assert "peer=paris" in london.node.log()


@pytest.mark.requires_root
def test_whom_it_believes(london):
    let_in(london.node)
    data = batch(b"hello\r\n")
    assert london.run("rgsmtp", data, user="nobody") == (0, "")
    assert len(london.node.wait_mail("b")) == 1
    status, text = london.run("rgsmtp", data, user="daemon")
    assert status == 75 and "uucp-users" in text
    status, text = london.run("rgsmtp", data, machine="rome", user="nobody")
    assert status == 75 and "rome" in text
    status, text = london.run("rgsmtp", data, machine=None, user="nobody")
    assert status == 75 and "receive-users" in text
    # What uucp-users says is said of this road alone.
    done = subprocess.run(
        [program("postrider"), "receive", "--peer", "paris"], input=data,
        env={"POSTRIDER_CONF": london.node.conf}, user="nobody",
        stderr=subprocess.PIPE, check=False)
    assert done.returncode == 77
    assert b"receive-users" in done.stderr
    assert len(london.node.maildir("b")) == 1


def test_never_loses_a_batch(london):
    data = batch(b"hello\r\n")
    for env in ({"POSTRIDER_CONF": "/nowhere"}, {"POSTRIDER_CONF": ""}):
        assert london.run("rsmtp", data, **env)[0] == 75
    london.node.stop()
    status, text = london.run("rsmtp", data)
    assert status == 75 and text
    london.node.start()
    assert london.run("rsmtp", data) == (0, "")
    assert london.node.wait_mail("b") == [b"hello\r\n"]


def test_what_is_broken_is_kept(london):
    status, text = london.run("rsmtp", b"no batch\r\n")
    assert status == 0 and "postmaster" in text
    bomb = lzma.compress(batch(b"\0" * 80 + b"\r\n") +
                         b"HELO x\r\n" * 30000000, preset=0)
    status, text = london.run("rsmtp", bomb)
    assert status == 0 and "a bomb" in text
    # The good message before the fault is delivered.
    assert len(london.node.wait_mail("b")) == 1


#
# Taylor UUCP.
#
UUCP_CONFIG = """\
nodename {name}
spool {at}/spool
pubdir {at}/pub
logfile {at}/log
statfile {at}/stat
debugfile {at}/debug
lockdir {at}
sysfile {at}/sys
portfile {at}/port
"""
UUCP_SYS = """\
system {other}
time any
port wire
chat ""
chat-timeout 60
protocol i
"""
UUCP_PORT = "port wire\ntype pipe\ncommand {uucico} -I {there}/config\n"


class Uucp:
    """One system; its neighbour is called over a pipe.  As root all of
    UUCP's programs become the user uucp."""

    def __init__(self, directory, name, other):
        self.at = os.path.join(directory, "uucp", name)
        for sub in ("spool", "pub", "bin"):
            os.makedirs(os.path.join(self.at, sub))
        there = os.path.join(directory, "uucp", other)
        for file, text in (("config", UUCP_CONFIG), ("sys", UUCP_SYS),
                           ("port", UUCP_PORT)):
            if file == "sys":  # as etc/ has it, in places of our own
                text += snippet("uucp/sys").replace("/usr/local/bin",
                                                    "{at}/bin")
            self.write(file, text.format(
                name=name, other=other, at=self.at, there=there,
                uucico=peers_program("uucico")))
        owner = pwd.getpwnam("uucp")
        for top, _, _ in os.walk(self.at):
            os.chown(top, owner.pw_uid, owner.pw_gid)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.at, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def run(self, name, *args, data=b""):
        done = subprocess.run(
            [peers_program(name), "-I", os.path.join(self.at, "config"),
             *args], input=data, stdout=subprocess.PIPE, timeout=patient(60),
            stderr=subprocess.STDOUT, check=False, env=peers_env())
        assert done.returncode == 0, (name, done.stdout, self.log())

    def log(self):
        with open(os.path.join(self.at, "log"), encoding="utf-8") as file:
            return file.read()

    def waiting(self):
        """Executions that have come and were not done."""
        return glob.glob(os.path.join(self.at, "spool/*/X./*"))


@pytest.fixture
def uucp(peers, work):
    """UUCP between paris and london."""
    if not has_account("uucp"):
        pytest.skip("Taylor UUCP's programs become the user uucp, which "
                    "Debian has and this system has not")
    assert os.path.exists(os.path.join(PEERS_ROOT, "usr/sbin/uuxqt"))
    return Uucp(work, "paris", "london"), Uucp(work, "london", "paris")


@pytest.mark.requires_root
def test_uux_carries_batches(work, node, uucp):
    """paris's node drops batches, uux queues them, uucico carries them, and
    uuxqt at london runs our rgsmtp as the user uucp."""
    here, there = uucp
    bsmtp = dict(dialect="bsmtp", compress="gzip")
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", **bsmtp),
        "routes { london.example = london }\n"))
    london = node("london", config=road.config(
        "london", road.peer(os.path.join(work, "none"), "london", "paris",
                            **bsmtp),
        uucp_users="uucp"))
    paris.start()
    london.start()
    let_in(london)
    os.symlink(program("postrider"), os.path.join(work, "rgsmtp"))
    there.write("bin/rgsmtp", f"#!/bin/sh\nPOSTRIDER_CONF={london.conf} "
                f"exec {work}/rgsmtp\n", 0o755)
    link = road.drop(work, "paris", "london")
    content = b"Subject: by UUCP\r\n\r\n" + large()

    def carry():
        names = wait_for(lambda: road.files(link), 20, "a batch")
        for name, data in names.items():
            assert data.startswith(b"\x1f\x8b")
            here.run("uux", "-r", "-", "london!rgsmtp", data=data)
            os.unlink(os.path.join(link, name))
        here.run("uucico", "-r1", "-s", "london")
        assert "Call complete" in here.log()

    paris.submit("alice@paris.example", ["bob@london.example"], content)
    carry()
    assert len(there.waiting()) == 1
    # The node is down: uuxqt hears "try later", and keeps the batch.
    london.stop()
    there.run("uuxqt")
    assert len(there.waiting()) == 1, there.log()
    london.start()
    let_in(london)
    there.run("uuxqt")
    assert london.wait_mail("bob") == [content]
    assert there.waiting() == []
    assert "peer=paris" in london.log()


def uucp_peer(here, name, **settings):
    """A peer section whose transport is uux at this system."""
    options = f"options=-I {here.at}/config"
    given = ", ".join(f'"{one}"' for one in (
        f"uux={peers_program('uux')}", options, "command=rgsmtp", "grade=B"))
    named = {key.replace("_", "-"): value for key, value in settings.items()}
    return (f"peer {name} {{\n\ttransport = uucp\n\tset = {{ {given} }}\n"
            "\tretry-min = 1s\n\tretry-max = 2s\n"
            f"{road.lines(named)}}}\n")


def take_in(work, here, node):
    """uuxqt at this system runs our rgsmtp, which knows its node."""
    link = os.path.join(work, "rgsmtp")
    if not os.path.lexists(link):
        os.symlink(program("postrider"), link)
    here.write("bin/rgsmtp", f"#!/bin/sh\nPOSTRIDER_CONF={node.conf} "
               f"exec {link}\n", 0o755)
    let_in(node)


def two_by_uucp(work, node, uucp, **settings):
    """paris and london, whose only road is UUCP; the environment is that in
    which uux finds its libraries."""
    pairs = (("paris", "london"), ("london", "paris"))
    sites = [node(name, env=peers_env(), config=road.config(
        name, uucp_peer(at, other, **settings),
        f"routes {{ {other}.example = {other} }}\n", uucp_users="uucp"))
        for (name, other), at in zip(pairs, uucp)]
    if settings["dialect"] == "native":
        native.introduce(*sites)
    for at, site in zip(uucp, sites):
        site.start()
        take_in(work, at, site)
    return sites


def exchange_by_uucp(uucp, done):
    """Calls, and executes what came, until done() is true."""
    def turn():
        uucp[0].run("uucico", "-r1", "-s", "london")
        for at in uucp:
            at.run("uuxqt")
        return done()
    wait_for(turn, 60, lambda: uucp[0].log() + uucp[1].log(), every=0.5)


@pytest.mark.requires_root
@pytest.mark.parametrize("settings", (
    {"dialect": "bsmtp", "compress": "gzip"}, {"dialect": "native"}),
    ids=("bsmtp", "native"))
def test_uucp_both_ways(work, node, uucp, settings):
    """The transport hands to uux, and what comes back is ours again."""
    paris, london = two_by_uucp(work, node, uucp, **settings)
    there = b"Subject: there\r\n\r\n" + large()
    back = b"Subject: back\r\n\r\n" + large(7)
    paris.submit("alice@paris.example", ["bob@london.example"], there)
    london.submit("bob@london.example", ["alice@paris.example"], back)
    # The job has the grade of the settings, and no call is begun.
    wait_for(lambda: glob.glob(os.path.join(
        uucp[0].at, "spool/london/C./C.B*")), 20, paris.log)
    exchange_by_uucp(uucp, lambda: london.maildir("bob") and
                     paris.maildir("alice"))
    assert london.maildir("bob") == [there]
    assert paris.maildir("alice") == [back]
    # Native: the acknowledgements go by UUCP as well, and nothing stays.
    exchange_by_uucp(uucp, lambda: native.settled(paris, london))
    assert len(london.maildir("bob")) == len(paris.maildir("alice")) == 1
    for at in uucp:
        assert at.waiting() == []
    assert "transport-exited" not in paris.log()


@pytest.mark.requires_root
def test_uux_says_no(work, node, uucp):
    """A system that UUCP does not know: the mail stays here, and goes when
    it is known."""
    here = uucp[0]
    known = os.path.join(here.at, "sys")
    os.rename(known, known + ".away")
    here.write("sys", "system rome\ntime any\n")
    paris, london = two_by_uucp(work, node, uucp, dialect="bsmtp",
                                compress="gzip")
    paris.submit("alice@paris.example", ["bob@london.example"], b"hello\r\n")
    paris.wait_log("uux exited with [1-9]")
    assert len(paris.json("queue", "list")) >= 1
    os.rename(known + ".away", known)
    exchange_by_uucp(uucp, lambda: london.maildir("bob"))
    assert london.maildir("bob") == [b"hello\r\n"]


@pytest.mark.requires_root
def test_no_parcel_is_not_brought_again(work, node, uucp):
    """uuxqt would bring for ever what rsmtp sends back with 75."""
    paris, london = two_by_uucp(work, node, uucp, dialect="native")
    uucp[0].run("uux", "-r", "-", "london!rgsmtp", data=b"x" * 5000)
    exchange_by_uucp(uucp, lambda: "parcel-refused" in london.log())
    assert uucp[1].waiting() == []
    assert paris.running() and london.running()
