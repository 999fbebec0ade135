# SPDX-License-Identifier: ISC
"""Connections that end in the middle of a mail, either way: nothing is lost,
nothing half is taken for whole, and the next run does what is left."""

import base64
import os
import re
import subprocess

import pytest

from conftest import cannot
from peers_common import Acceptor, patient
from test_transport_mail import OBJECT, Server, run

DATA = bytes(range(256)) * 300
MAIL = (b"From: <london@provider.example>\r\nTo: <paris@provider.example>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: application/vnd.postrider.parcel\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" +
        base64.encodebytes(DATA).replace(b"\n", b"\r\n"))
BOUNCE = b"From: <MAILER-DAEMON@provider.example>\r\n\r\nNot found.\r\n"


class Box(Acceptor):
    """A mailbox; while cut is not None only so many octets of a mail are
    given, and then the connection ends."""

    def __init__(self, mails, cut=None):
        self.mails = dict(enumerate(mails, 1))
        self.cut = cut
        self.refused = set()    # numbers that it does not give
        self.fetched, self.lists = [], 0
        super().__init__()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def serve(self, conn):
        with conn.makefile("rb") as lines:
            self.talk(conn, lines)

    def give(self, conn, number):
        """Whether all of it went."""
        self.fetched.append(number)
        conn.sendall(self.mails[number][:self.cut])
        return self.cut is None


class Imap(Box):
    scheme = "imap"

    def listing(self, first):
        self.lists += 1
        out = []
        for number, mail in self.mails.items():
            if number < first:
                continue
            head = mail.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            out.append(b"* %d FETCH (UID %d RFC822.SIZE %d FLAGS () "
                       b"BODY[HEADER.FIELDS (FROM)] {%d}\r\n%s)\r\n" % (
                           number, number, len(mail), len(head), head))
        return b"".join(out)

    def talk(self, conn, lines):
        conn.sendall(b"* OK hello\r\n")
        for line in lines:
            tag, command = line.rstrip().split(b" ", 1)
            word = command.upper()
            found = re.match(rb"UID FETCH (\d+)(:\*)?", word)
            if word == b"CAPABILITY":
                conn.sendall(b"* CAPABILITY IMAP4rev1 UIDPLUS\r\n")
            elif word.startswith(b"SELECT"):
                conn.sendall(b"* OK [UIDVALIDITY 7] lasting\r\n")
            elif found and found[2]:
                conn.sendall(self.listing(int(found[1])))
            elif found and int(found[1]) in self.refused:
                self.fetched.append(int(found[1]))
                conn.sendall(tag + b" NO not now\r\n")
                continue
            elif found:
                number = int(found[1])
                conn.sendall(b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (
                    number, number, len(self.mails[number])))
                if not self.give(conn, number):
                    return
                conn.sendall(b")\r\n")
            elif word.startswith(b"UID EXPUNGE"):
                for number in word.split()[-1].split(b","):
                    del self.mails[int(number)]
            conn.sendall(tag + b" OK done\r\n")


class Pop3(Box):
    scheme = "pop3"

    def talk(self, conn, lines):
        deleted = []
        conn.sendall(b"+OK hello\r\n")
        for line in lines:
            words = line.split()
            word = words[0].upper()
            if word == b"CAPA":
                conn.sendall(b"-ERR what\r\n")
                continue
            if word == b"QUIT":
                for number in deleted:
                    del self.mails[number]
            conn.sendall(b"+OK\r\n")
            if word == b"UIDL":
                conn.sendall(b"".join(b"%d u%d\r\n" % (number, number)
                                      for number in self.mails) + b".\r\n")
            elif word == b"TOP":
                head = self.mails[int(words[1])].partition(b"\r\n\r\n")[0]
                conn.sendall(head + b"\r\n\r\n.\r\n")
            elif word == b"RETR":
                if not self.give(conn, int(words[1])):
                    return
                conn.sendall(b".\r\n")
            elif word == b"DELE":
                deleted.append(int(words[1]))


@pytest.fixture
def box():
    made = []

    def make(kind, *args):
        made.append(kind(*args))
        return made[-1]

    yield make
    for one in made:
        one.close()


def fetch(work, one):
    """Status and reports of a look into that mailbox."""
    status, reports, _ = run(
        work, f"fetch={one.url}", "tls=no", f"timeout={int(patient(10))}",
        "from=paris@provider.example", "to=london@provider.example",
        objects=())
    return status, reports


def received(work):
    return {name: open(os.path.join(work, "in", name), "rb").read()
            for name in os.listdir(os.path.join(work, "in"))
            if name != ".mail-seen"}


@pytest.mark.parametrize("name", ["from", "to"])
def test_whose_mail(work, box, name):
    """Without an address nothing is taken: it may be for another peer."""
    one = box(Imap, [MAIL])
    settings = {"from": "paris@provider.example",
                "to": "london@provider.example"}
    del settings[name]
    status, _, text = run(work, f"fetch={one.url}", "tls=no", *(
        f"{key}={value}" for key, value in settings.items()), objects=())
    assert status == 78 and f"the setting {name} is missing" in text
    assert one.mails == {1: MAIL}


@pytest.mark.parametrize("kind", [Imap, Pop3])
@pytest.mark.parametrize("cut", [0, 100, 300, 50000, len(MAIL) - 3,
                                 len(MAIL)])
def test_cut_while_fetching(work, box, kind, cut):
    """The mail stays in the mailbox, nothing of it in in/, and it is fetched
    by the next look."""
    one = box(kind, [MAIL], cut)
    for _ in range(2):
        status, reports = fetch(work, one)
        assert status == 75
        assert [line.split()[0] for line in reports] == ["note"]
        assert one.url in reports[0]
        assert received(work) == {}
        assert one.mails == {1: MAIL}
    one.cut = None
    status, [report] = fetch(work, one)
    assert status == 0
    assert received(work) == {report.split()[1]: DATA}
    assert one.mails == {} and one.fetched == [1, 1, 1]


def test_pop3_gets_on(work, box):
    """Of many mails those of the sessions before the cut one are gone."""
    one = box(Pop3, [MAIL] * 250)
    give = one.give

    def give_some(conn, number):
        one.cut = None if len(one.fetched) < 230 else 1000
        return give(conn, number)

    one.give = give_some
    status, reports = fetch(work, one)
    assert status == 75
    assert [line.split()[0] for line in reports] == ["received"] * 230 + [
        "note"]
    assert sorted(one.mails) == list(range(201, 251))
    one.give, one.cut = give, None
    assert fetch(work, one)[0] == 0
    assert one.mails == {}
    assert len(received(work)) == 250


@pytest.fixture
def small(work):
    """in/ has room for a few mails beside what is kept free."""
    path = os.path.join(work, "in")
    os.makedirs(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16900k", "tmpfs",
                       path], capture_output=True,
                      check=False).returncode != 0:
        cannot("a tmpfs cannot be mounted here")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.requires_root
@pytest.mark.parametrize("kind", [Imap, Pop3])
def test_no_room(work, box, small, kind):
    """What is safe goes from the mailbox, and the rest is left there until
    there is room."""
    one = box(kind, [MAIL] * 20)
    status, reports = fetch(work, one)
    there = received(work)
    assert status == 75
    assert "no room" in reports[-1]
    assert 1 < len(there) < 10
    assert len(one.mails) == 20 - len(there)
    for name in there:
        os.unlink(os.path.join(small, name))
    assert fetch(work, one)[0] == 75
    assert set(received(work)).isdisjoint(there)


@pytest.mark.parametrize("kind", [Imap, Pop3])
def test_cut_behind_a_whole_one(work, box, kind):
    """What came whole before it is in in/ under a name that stays, should it
    be fetched once more."""
    one = box(kind, [MAIL, MAIL + b"AAAA\r\n" * 30000])
    give = one.give

    def give_one(conn, number):
        one.cut = None if number == 1 else 60000
        return give(conn, number)

    one.give = give_one
    status, reports = fetch(work, one)
    assert status == 75
    assert [line.split()[0] for line in reports] == ["received", "note"]
    before = received(work)
    assert list(before.values()) == [DATA]
    assert 2 in one.mails
    one.give = give
    one.cut = None
    assert fetch(work, one)[0] == 0
    assert len(received(work)) == 2
    assert before.items() <= received(work).items()
    assert one.mails == {}


def test_refused_among_many(work, box):
    """One mail that the server does not give holds up neither those behind
    it nor the end of the look."""
    one = box(Imap, [BOUNCE] * 1100 + [MAIL])
    one.refused = {1}
    status, reports = fetch(work, one)
    assert status == 0 and one.lists == 2
    assert sorted(line.split()[0] for line in reports) == ["note", "received"]
    assert list(received(work).values()) == [DATA]
    assert len(one.fetched) == 1101
    one.refused = set()
    one.fetched.clear()
    assert fetch(work, one) == (0, [])
    assert 1 in one.fetched


class CutServer(Server):
    """It hangs up when so many octets of the content have come."""

    cut = 0

    def talk(self, conn, lines):
        conn.sendall(b"220 test\r\n")
        for line in lines:
            word = line.split()[0].upper()
            self.commands.append(line.rstrip())
            conn.sendall({b"EHLO": b"250-test\r\n250 8BITMIME\r\n",
                          b"DATA": b"354 go\r\n"}.get(word, b"250 Ok\r\n"))
            if word != b"DATA":
                continue
            content = b""
            while not content.endswith(b"\r\n.\r\n"):
                if self.cut is not None and len(content) >= self.cut:
                    return
                content += next(lines)
            self.contents.append(content)
            conn.sendall(b"250 Ok\r\n")


@pytest.mark.parametrize("cut", [0, 1, 300, 300000])
def test_cut_while_sending(work, cut):
    """It is said to have failed for now, stays, and goes again as the same
    mail."""
    server = CutServer()
    server.cut = cut
    text = OBJECT % ((b"x" * 70 + b"\r\n") * 20000)
    try:
        settings = (f"server=127.0.0.1:{server.port}", f"timeout={int(patient(10))}")
        status, reports, _ = run(work, *settings, objects=(text,))
        assert status == 75
        assert len(reports) == 1
        assert reports[0].startswith("failed o0 temporary 127.0.0.1:")
        assert server.contents == []
        server.cut = None
        assert run(work, *settings, objects=(text,))[:2] == (0, ["sent o0"])
    finally:
        server.close()
    assert len(server.contents) == 1
    mails = [line for line in server.commands if line.startswith(b"MAIL")]
    assert len(mails) == 2 and mails[0] == mails[1]
