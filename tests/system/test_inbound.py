# SPDX-License-Identifier: ISC
"""Objects from a peer: broken ones, repeated ones, hostile ones, and what a
peer may do."""

import base64
import email
import gzip
import os
import re
import time
import zlib

import pytest

import road
from peers_common import program, wait_for

LIMIT = 64 * 1024		# KiB of resident memory


def transaction(sender, recipients, content=b"Subject: x\r\n\r\nx\r\n",
                params=""):
    """One message as bare batch SMTP."""
    text = f"MAIL FROM:<{sender}>{params}\r\n"
    text += "".join(f"RCPT TO:<{one}>\r\n" for one in recipients)
    content = re.sub(rb"(?m)^\.", b"..", content)
    return text.encode() + b"DATA\r\n" + content + b".\r\n"


def batch(*transactions):
    return (b"EHLO london.example\r\n" + b"".join(transactions)
            + b"QUIT\r\n")


def good(n=1):
    return transaction(f"a{n}@london.example", ["bob@paris.example"],
                       body(n))


def body(n):
    return f"Subject: good {n}\r\n\r\n{n}\r\n".encode()


def mime(data, required=None):
    head = ("MIME-Version: 1.0\r\nFrom: <b@london.example>\r\n"
            "To: <bundle@paris.example>\r\n"
            "Content-Type: application/batch-SMTP")
    if required:
        head += f';\r\n\trequired-extensions="{required}"'
    head += "\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(data).replace(b"\n", b"\r\n")


class Site:
    """paris and what its peer london puts into its pick-up directory."""

    def __init__(self, node, work, peer="", **settings):
        text = road.peer(work, "paris", "london", dialect="bsmtp", **settings)
        self.node = node("paris", config=road.config(
            "paris", text, road.peer(work, "paris", "oslo"),
            "routes { london.example = london\n\toslo.example = oslo }\n",
            broken_notices="1000"))
        self.drop = road.drop(work, "london", "paris")
        self.node.start()
        self.back = road.drop(work, "paris", "london")

    def put(self, name, data):
        road.put(self.drop, name, data)

    def send(self, name, data, what="(received|broken|duplicate)"):
        """Drop it and wait until it has been dealt with."""
        before = self.node.log().count(f" name={name}")
        self.put(name, data)
        wait_for(lambda: re.search(
            rf"object-{what} .*name=\S*{re.escape(name)}",
            self.node.log()[0 if not before else -2000:]), 30,
            lambda: self.node.log()[-3000:])

    def peak(self):
        with open(f"/proc/{self.node.daemon.pid}/status",
                  encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1))

    def still_works(self, n=99):
        self.put(f"after{n}", batch(good(n)))
        wait_for(lambda: body(n) in self.node.maildir("bob"), 30,
                 lambda: self.node.log()[-3000:])


@pytest.fixture
def site(node, work):
    return Site(node, work)


def attached(content):
    """The object in a notice to the postmaster."""
    parts = list(email.message_from_bytes(content).walk())
    return [one.get_payload(decode=True) for one in parts
            if not one.is_multipart()][1:]


NOISE = bytes((i * 7919 + i // 251) % 256 for i in range(4000))
BROKEN = {
    "garbage": (NOISE, []),
    "text": (b"Dear Sir,\r\nthis is a letter.\r\n", []),
    "empty-gzip": (gzip.compress(b""), []),
    "truncated-gzip": (gzip.compress(
        batch(good(1), transaction("z@london.example", ["bob@paris.example"],
                                   base64.encodebytes(os.urandom(90000))
                                   .replace(b"\n", b"\r\n"))))[:-40000], [1]),
    "damaged-gzip": (gzip.compress(batch(good(1)))[:-8] + b"\0" * 8, None),
    "cut-short": (batch(good(1), good(2))[:-40], [1]),
    "unknown-extension": (mime(batch(good(1)), "XWONDER"), []),
    "unknown-command": (batch(good(1), b"WIZARD\r\n", good(2)), [1]),
    "bad-sender": (batch(good(1), b"MAIL FROM:<@@>\r\n"
                         b"RCPT TO:<bob@paris.example>\r\nDATA\r\n"
                         b"\r\nlost\r\n.\r\n", good(2)), [1]),
    "bad-base64": (mime(batch(good(1), good(2)))[:-30] + b"!!!!\r\n", None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(site, name):
    """The good messages before the fault are delivered; the object is kept
    and goes to the postmaster as it was."""
    data, delivered = BROKEN[name]
    site.put("object1", data)
    got = site.node.wait_mail("postmaster")
    assert len(got) == 1
    assert data in attached(got[0])
    assert b"london" in got[0]
    listed = site.node.cli("queue", "list", "--broken")
    assert "london" in listed
    assert "object-quarantined" in site.node.log()
    site.still_works()
    if delivered is not None:
        for n in delivered:
            wait_for(lambda n=n: body(n) in site.node.maildir("bob"), 20,
                     site.node.log)
    assert len(site.node.maildir("postmaster")) == 1


def test_big_broken_object_is_excerpted(site):
    site.put("big", b"no batch " * 400000)
    got = site.node.wait_mail("postmaster")
    assert len(got[0]) < 1 << 20
    site.still_works()


def test_same_file_twice(site):
    """Two drops are two deliveries where nothing tells them apart, and two
    identical mails are two mails."""
    site.send("one", batch(good(1)))
    site.node.wait_mail("bob", 1)
    site.put("two", batch(good(1)))
    assert site.node.wait_mail("bob", 2) == [body(1)] * 2


def test_own_object_twice(node, work):
    """What another node cut is known by its id."""
    for dialect in (dict(dialect="rfc2442"), dict(dialect="bsmtp",
                                                  ids="yes")):
        top = os.path.join(work, dialect["dialect"])
        os.mkdir(top)
        london, paris = (node(os.path.join(top, one), config=road.config(
            one, road.peer(top, one, other, **dialect),
            f"routes {{ {other}.example = {other} }}\n"))
            for one, other in (("london", "paris"), ("paris", "london")))
        london.start()
        london.submit("a@london.example", ["bob@paris.example"], body(1))
        path = road.drop(top, "london", "paris")
        wait_for(lambda: road.files(path), 10, london.log)
        (name, data), = road.files(path).items()
        paris.start()
        paris.wait_mail("bob")
        for other in (name, "another-name"):
            before = paris.log().count("object-duplicate")
            road.put(path, other, data)
            wait_for(lambda: paris.log().count("object-duplicate") > before,
                     20, paris.log)
        assert len(paris.maildir("bob")) == 1


class Bomb:
    """Hostile objects, made without much memory here either."""

    @staticmethod
    def deflate(*pieces):
        z = zlib.compressobj(9, zlib.DEFLATED, 31)
        out = b"".join(z.compress(piece) * 1 for piece in Bomb.many(pieces))
        return out + z.flush()

    @staticmethod
    def many(pieces):
        for piece in pieces:
            if isinstance(piece, tuple):
                for _ in range(piece[1]):
                    yield piece[0]
            else:
                yield piece

    @staticmethod
    def gzip_bomb():
        return Bomb.deflate(
            batch(good(1))[:-6], transaction("z@london.example",
                                             ["bob@paris.example"])[:-3],
            (b"0" * 998 + b"\r\n" + b"1" * 64 * 1024 + b"\r\n", 6000))

    @staticmethod
    def endless_line():
        return Bomb.deflate(batch(good(1))[:-6], b"MAIL FROM:<",
                            (b"a" * 65536, 2000))

    @staticmethod
    def endless_content_line():
        return Bomb.deflate(batch(good(1))[:-6], transaction(
            "z@london.example", ["bob@paris.example"])[:-3],
            (b"a" * 65536, 2000), b"\r\n.\r\nQUIT\r\n")

    @staticmethod
    def million_recipients():
        lines = [b"".join(b"RCPT TO:<r%d@paris.example>\r\n" % (k * 1000 + i)
                          for i in range(1000)) for k in range(1000)]
        return Bomb.deflate(batch(good(1))[:-6],
                            b"MAIL FROM:<z@london.example>\r\n", *lines,
                            b"DATA\r\n\r\nx\r\n.\r\nQUIT\r\n")

    @staticmethod
    def million_commands():
        return Bomb.deflate(batch(good(1))[:-6], (b"WIZARD\r\n" * 1000, 1000),
                            b"QUIT\r\n")

    @staticmethod
    def many_headers():
        return (b"MIME-Version: 1.0\r\n" + b"X-A: b\r\n" * 500000
                + b"Content-Type: application/batch-SMTP\r\n\r\n"
                + batch(good(1)))


def sanitized():
    """A build with sanitizers needs memory of its own."""
    with open(program("postriderd"), "rb") as file:
        return b"__asan_init" in file.read()


@pytest.mark.parametrize("name", (
    "gzip_bomb", "endless_line", "endless_content_line",
    "million_recipients", "million_commands", "many_headers"))
def test_bounded(site, name):
    """Memory is bounded, and the next object is processed."""
    data = getattr(Bomb, name)()
    site.put("bomb", data)
    wait_for(lambda: re.search("object-(broken|received)", site.node.log()),
             60, lambda: site.node.log()[-2000:])
    site.still_works()
    if not sanitized():
        assert site.peak() < LIMIT
    if name != "many_headers":
        wait_for(lambda: body(1) in site.node.maildir("bob"), 20,
                 site.node.log)
    assert len(site.node.log()) < 4 << 20


def test_others_are_served_while_it_expands(site):
    """A little file of very many commands does not hold up the node."""
    worst, began = 0, time.monotonic()
    site.put("commands", gzip.compress(
        b"EHLO london.example\r\n" + (8 << 20) * b"RSET\r\n"
        + b"QUIT\r\n", 9))
    while "object-received" not in site.node.log():
        before = time.monotonic()
        with site.node.smtp() as smtp:
            smtp.cmd("NOOP")
        worst = max(worst, time.monotonic() - before)
        assert before < began + 60, site.node.log()[-2000:]
    assert worst < max(1, (time.monotonic() - began) / 3)


def back(site, count=1):
    """Notices that went to senders at london."""
    wait_for(lambda: site.node.log().count("object-sent peer=london") >= 1,
             20, lambda: site.node.log()[-3000:])
    text = b"".join(road.files(site.back).values())
    assert text.count(b"MAIL FROM:<>") == count, text
    return text


def test_may_reach(node, work):
    """By default a peer reaches the local domains only."""
    site = Site(node, work)
    site.put("one", batch(transaction(
        "a@london.example", ["bob@paris.example", "eve@oslo.example",
                             "x@elsewhere.example"], body(1))))
    assert site.node.wait_mail("bob") == [body(1)]
    text = back(site)
    for one in (b"eve@oslo.example", b"x@elsewhere.example"):
        assert re.search(b"Final-Recipient: rfc822; ?" + one
                         + rb"\r\n(?:.+\r\n)*?Status: 5\.7\.1\r\n", text), text
    assert b"Final-Recipient: rfc822;bob" not in text


def test_may_reach_configured(node, work):
    site = Site(node, work, may_reach='{ bob@paris.example, .oslo.example }')
    site.put("one", batch(transaction(
        "a@london.example", ["bob@paris.example", "carol@paris.example"],
        body(1))))
    assert site.node.wait_mail("bob") == [body(1)]
    assert b"rfc822;carol@paris.example" in back(site)
    assert not site.node.maildir("carol")


def test_may_relay(node, work):
    site = Site(node, work, may_relay="yes")
    site.put("one", batch(transaction("a@london.example",
                                      ["eve@oslo.example"], body(1))))
    site.node.wait_log("object-sent peer=oslo")
    # Not even then where there is no route.
    site.put("two", batch(transaction("a@london.example",
                                      ["x@elsewhere.example"], body(2))))
    assert b"x@elsewhere.example" in back(site)


def test_may_send_as(node, work):
    """A sender that the peer may not use is not told: the postmaster is."""
    site = Site(node, work, may_send_as="{ london.example }")
    site.put("one", batch(
        transaction("a@london.example", ["bob@paris.example"], body(1)),
        transaction("victim@oslo.example", ["bob@paris.example"], body(2)),
        transaction("", ["bob@paris.example"], body(3))))
    assert sorted(site.node.wait_mail("bob", 2)) == [body(1), body(3)]
    notice = road.Notice(site.node.wait_mail("postmaster")[0])
    assert notice.status == "5.7.1"
    assert "victim" not in " ".join(road.files(road.drop(work, "paris",
                                                         "oslo")))
    assert len(site.node.maildir("bob")) == 2


def test_unknown_user(node, work):
    """Refused with 5.1.1, told to the sender; the others get theirs."""
    site = Site(node, work)
    site.node.edit_config(r"(delivery local \{)", r"\1\n\tusers = { bob }")
    site.node.restart()
    site.put("one", batch(transaction(
        "a@london.example", ["bob@paris.example", "nobody@paris.example"],
        body(1))))
    site.node.wait_mail("bob")
    assert re.search(rb"nobody@paris.example\r\n(?:.+\r\n)*?Status: 5\.1\.1",
                     back(site))


def test_expired_notices_are_bounded(node, work):
    """At most so many notices an hour; the objects are all kept."""
    site = Site(node, work)
    site.node.edit_config("broken-notices = 1000", "broken-notices = 2")
    site.node.restart()
    for n in range(5):
        site.put(f"broken{n}", b"no batch\r\n")
    wait_for(lambda: site.node.log().count("object-quarantined") >= 5, 20,
             site.node.log)
    site.still_works()
    assert len(site.node.wait_mail("postmaster", 2)) == 2
    assert site.node.cli("queue", "list", "--broken").count("london") == 5
