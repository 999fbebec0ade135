# SPDX-License-Identifier: ISC
"""Disks that fail, fill up or lie, below a real daemon.

faults/disk.c is preloaded: it makes a write or flush of the spool's files
fail and, when the daemon ends, takes back whatever was not flushed.
"""

import os
import re
import shutil
import signal
import subprocess

import pytest

import road
from conftest import small_disk_at
from peers_common import free_port, program, wait_for
from peers_smtp import Refused

MAILS = 24
SHIM = os.path.join(os.path.dirname(__file__), "faults/disk.c")
FAULTS = {
    "ENOSPC": dict(FAULT_ERROR="ENOSPC"),
    "ENOSPC-for-good": dict(FAULT_ERROR="ENOSPC", FAULT_ON="1"),
    "EIO": dict(FAULT_ERROR="EIO"),
    "EIO-for-good": dict(FAULT_ERROR="EIO", FAULT_ON="1"),
}
POINTS = 25
SAYS = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("shim") / "disk.so")
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O1", "-Wall",
                    "-shared", "-fPIC", "-o", path, SHIM, "-ldl"], check=True)
    return path


def content(n):
    size = 150000 if n % 5 == 4 else 1000
    return (f"Subject: {n}\r\n\r\n".encode()
            + b"".join(b"%d line %d\r\n" % (n, i) for i in range(size // 16)))


class Disk:
    """paris with a failing disk; its mail waits for london."""

    def __init__(self, node, work, shim):
        self.node = node("paris", config=road.config(
            "paris", road.peer(work, "paris", "london", call='{ "Never" }'),
            "routes { london.example = london }\n"))
        self.spool = os.path.join(self.node.directory, "spool")
        self.report = os.path.join(work, "report")
        self.env = dict(self.node.env)
        self.shim = shim
        self.node.start()
        self.node.stop()
        self.fresh = os.path.join(work, "fresh")
        shutil.copytree(self.spool, self.fresh)

    def renew(self):
        shutil.rmtree(self.spool)
        shutil.copytree(self.fresh, self.spool)
        shutil.rmtree(self.node.mail, ignore_errors=True)
        if os.path.exists(self.node.stderr):
            os.unlink(self.node.stderr)

    def run(self, at, fault):
        """Submit with a fault; the numbers of those answered with 250."""
        # AddressSanitizer wants to come first, but need not; Berkeley DB
        # leaks when it has given up.
        self.node.env = dict(self.env, LD_PRELOAD=self.shim,
                             ASAN_OPTIONS="verify_asan_link_order=0:"
                             "detect_leaks=0",
                             FAULT_DIR=self.spool, FAULT_AT=str(at),
                             FAULT_REPORT=self.report, **fault)
        taken = []
        try:
            self.node.start()
            self._submit(taken)
        except AssertionError:
            assert not self.node.running()
        daemon = self.node.daemon
        if daemon is not None:
            daemon.signal(signal.SIGUSR1)
            code = daemon.wait()
            # 137 is the power cut; an end of its own has a reason.
            assert code in (137, 75, 69), self.node.log()
            self.node.daemon = None
        self.node.check_sanitizers()
        self.node.env = dict(self.env)
        return taken

    def _submit(self, taken):
        for n in range(MAILS):
            to = ["bob@london.example"]
            if n % 3 == 0:
                to.append("carol@paris.example")
            try:
                self.node.submit(f"m{n}@paris.example", to, content(n))
                taken.append(n)
            except (OSError, Refused):
                if not self.node.running():
                    return

    def found(self):
        """After a start without faults: what is there."""
        self.node.start()
        listed = self.node.cli("queue", "list", "--json")
        waiting = re.findall(r'"sender": ?"m(\d+)@', listed)
        return [int(n) for n in waiting]


@pytest.mark.parametrize("name", FAULTS)
def test_nth_write_fails(node, work, shim, name):
    disk = Disk(node, work, shim)
    fault = FAULTS[name]
    taken = disk.run(0, {})
    assert len(taken) == MAILS
    with open(disk.report, encoding="ascii") as file:
        total = int(file.read())
    assert sorted(disk.found()) == taken
    disk.node.stop()
    told = 0
    for point in range(POINTS):
        at = 1 + point * total // POINTS
        disk.renew()
        taken = disk.run(at, fault)
        log = disk.node.log()
        if len(taken) < MAILS:
            assert re.search("(spool-failed|commit-refused|draft-failed|"
                             f"ended) .*{SAYS[fault['FAULT_ERROR']]}",
                             log), (at, log)
            told += 1
        found = disk.found()
        lost = set(taken) - set(found)
        assert not lost, (at, log, disk.node.log())
        assert len(set(found)) == len(found), (at, found)
        disk.node.wait_mail("carol", sum(n % 3 == 0 for n in taken))
        contents = set(disk.node.maildir("carol"))
        assert {content(n) for n in taken if n % 3 == 0} <= contents
        disk.node.stop()
        verify(disk.node)
    assert told >= POINTS // 3, "most faults must show"


def verify(node):
    done = node.run("spool", "verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_full_disk(node, work):
    """Below min-free new mail is put off; what is here goes on."""
    port = free_port()
    paris = node("paris", config=road.config(
        "paris", delivery=f"\tto = smtp:127.0.0.1:{port}\n"))
    paris.start()
    paris.submit("alice@paris.example", ["bob@paris.example"], content(1))
    paris.stop()
    paris.edit_config("min-free = none", "min-free = 8000T")
    paris.start()
    with paris.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.mail("alice@paris.example")
        assert (reply.code, reply.status) == (452, "4.3.1")
    server = node("server", domains=["paris.example"], port=port)
    server.start()
    server.wait_mail("bob")
    wait_for(lambda: not paris.cli("queue", "list", "--json"), 10)
    # Room again.
    paris.edit_config("min-free = 8000T", "min-free = none")
    paris.restart()
    paris.submit("alice@paris.example", ["bob@paris.example"], content(2))
    server.wait_mail("bob", 2)


def test_full_disk_and_arriving_files(node, work):
    """Pick-up pauses, and loses nothing."""
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", dialect="bsmtp"),
        "routes { london.example = london }\n"))
    paris.edit_config("min-free = none", "min-free = 8000T")
    paris.start()
    road.put(road.drop(work, "london", "paris"), "one",
             b"EHLO london.example\r\nMAIL FROM:<a@london.example>\r\n"
             b"RCPT TO:<bob@paris.example>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n")
    road.quiet(lambda: paris.maildir("bob"), 1.5)

    paris.edit_config("min-free = 8000T", "min-free = none")
    paris.restart()
    assert paris.wait_mail("bob", timeout=60) == [b"\r\nx\r\n"]


@pytest.fixture
def small_disk(work):
    """A file system of 160 MiB."""
    path = os.path.join(work, "disk")
    os.mkdir(path)
    with small_disk_at(path, "160m"):
        yield path


def test_disk_filled_by_mail(node, work, small_disk):
    """It fills until 452, empties, and takes mail again."""
    paris, london = (node(site, config=road.config(
        site, road.peer(work, site, other),
        f"routes {{ {other}.example = {other} }}\n", message_max="64M"))
        for site, other in (("paris", "london"), ("london", "paris")))
    paris.edit_config("spool = .*", f"spool = {small_disk}/spool")
    paris.edit_config("min-free = none", "min-free = 40M")
    whole = paris.read_config()
    paris.edit_config("stays = yes", 'stays = yes\n\tcall = { "Never" }')
    paris.start()
    mail = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 30000
    taken = 0
    with pytest.raises(Refused) as refused:
        while taken < 100:
            paris.submit("a@paris.example", ["bob@london.example"], mail)
            taken += 1
    assert refused.value.reply.code == 452, refused.value
    assert refused.value.reply.status == "4.3.1"
    assert 5 < taken < 100
    # Not even a restart needs what is not there.
    paris.stop()
    paris.write_config(whole)
    paris.start()
    london.start()
    london.wait_mail("bob", taken)
    assert set(london.maildir("bob")) == {mail}

    def room():
        try:
            paris.submit("a@paris.example", ["bob@london.example"], mail)
            return True
        except Refused as error:
            assert error.reply.code == 452
            return False

    wait_for(room, 30, lambda: str(os.listdir(small_disk + "/spool"))
             + paris.log()[-2000:], every=0.5)
    london.wait_mail("bob", taken + 1)
    paris.stop()
    verify(paris)


TABLES = ("meta", "message", "body", "state", "object", "ledger", "broken")


@pytest.fixture
def full_spool(node, work):
    """paris, stopped, with something in every table."""
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", call='{ "Never" }'),
        road.peer(work, "paris", "oslo", dialect="bsmtp"),
        "routes { london.example = london\n\toslo.example = oslo }\n"))
    paris.edit_config('oslo-paris", "poll=0.2',
                      'oslo-paris", "poll=0.2", "marker=.there')
    paris.start()
    for n in range(MAILS):
        paris.submit(f"m{n}@paris.example", ["bob@london.example",
                                             "carol@paris.example"],
                     content(n))
    paris.submit("o@paris.example", ["bob@oslo.example"], content(0))
    paris.wait_mail("carol", MAILS)
    marker = os.path.join(work, "link/oslo-paris/.there")
    with open(marker, "wb"):
        pass
    for n in range(3):
        road.put(road.drop(work, "oslo", "paris"), f"broken{n}",
                 b"no batch at all\r\n" * 300)
    paris.wait_mail("postmaster", 3)
    os.unlink(marker)
    paris.stop()
    return paris


@pytest.mark.parametrize("table", TABLES)
def test_salvage(full_spool, node, work, table):
    """A damaged page of each file: what is lost is named, the rest goes."""
    paris = full_spool
    path = os.path.join(paris.directory, "spool", table + ".db")
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        pages = len(data) // 4096
        page = max(1, pages // 2)
        for i in range(page * 4096 + 100, page * 4096 + 4000):
            data[i] ^= 0xa5
        file.seek(0)
        file.write(data)
    done = paris.run("spool", "salvage", check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 65), said
    paris.edit_config(r'call = \{ "Never" \}', "cost = 1")
    london = node("london", config=road.config(
        "london", road.peer(work, "london", "paris"),
        "routes { paris.example = paris }\n"))
    paris.start()
    london.start()
    everything = {content(n) for n in range(MAILS)}
    wait_for(lambda: "bob@london.example" not in paris.cli(
        "queue", "list", "--json"), 30, lambda: paris.log()[-3000:])
    # An object with a damaged message is taken back and cut without it.
    cut = dict(re.findall(r"object-cut peer=london name=(\S+) messages=(\d+)",
                          paris.log()))
    sent = re.findall(r"object-sent peer=london name=(\S+)", paris.log())
    london.wait_mail("bob", sum(int(cut[name]) for name in set(sent)))
    got = london.maildir("bob")
    assert set(got) <= everything, "nothing is delivered damaged"
    lost = len(everything - set(got))
    if table in ("message", "body"):
        assert lost < MAILS
    else:
        assert lost == 0, said
    if lost:
        assert done.returncode == 65 and f"lost from {table}.db" in said, said
    verify_running(paris)


def verify_running(node):
    done = node.run("spool", "verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("table", ("body", "ledger"))
def test_damage_while_running(full_spool, table):
    """The daemon says what is wrong and does not lose its head."""
    paris = full_spool
    path = os.path.join(paris.directory, "spool", table + ".db")
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        for page in range(1, size // 4096):
            file.seek(page * 4096 + 200)
            old = file.read(3000)
            file.seek(page * 4096 + 200)
            file.write(bytes(octet ^ 0x5a for octet in old))
    daemon = paris._processes.start(
        [program("postriderd"), "-f", "-c", paris.conf], paris.stderr,
        {**paris.env, "ASAN_OPTIONS": "detect_leaks=0"})
    try:
        wait_for(lambda: not daemon.running()
                 or paris.log().count(" started ") > 1, 20)
    finally:
        daemon.signal(signal.SIGTERM)
        code = daemon.wait()
    if table == "body":
        # One message suffers at a time, and only when it is read.
        assert code == 0, paris.log()
        return
    # 69: systemd does not start it again.
    assert code == 69, paris.log()
    assert re.search("spool-failed .*damaged.*spool salvage", paris.log())
    paris.run("spool", "salvage", check=False)
    paris.start()
    assert "bob@london.example" in paris.cli("queue", "list")
