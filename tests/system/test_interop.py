# SPDX-License-Identifier: ISC
"""Real Postfix at paris and real Exim at oslo: a mail sent with sendmail(1)
at one ends in a mailbox at the other, and a reply comes back."""

import email
import re

import pytest

import road
from peers_common import free_port, wait_for

pytestmark = pytest.mark.requires_root

DIALECTS = {
    "bsmtp": dict(dialect="bsmtp", compress="gzip"),
    "rfc2442": dict(dialect="rfc2442"),
}

MAIL = """\
From: Alice <alice@paris.example>
To: Bob <bob@oslo.example>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= over the road
Message-ID: <one@paris.example>
Date: Tue, 02 Jan 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

.
..a line that begins with dots
From the start of a line
Gr\u00fc\u00dfe
""".encode()

REPLY = """\
From: Bob <bob@oslo.example>
To: Alice <alice@paris.example>
Subject: Re: over the road
In-Reply-To: <one@paris.example>
Message-ID: <two@oslo.example>
Date: Tue, 02 Jan 2024 11:00:00 +0000

> a line that begins with dots
.
Yes.
""".encode()


@pytest.fixture
def sites(node, work, postfix, exim, request):
    """Postfix at paris, the three nodes, Exim at oslo."""
    ports = [free_port(), free_port()]
    to = [f"\tto = smtp:127.0.0.1:{port}\n" for port in ports]
    nodes = road.three(work, node, deliveries={"paris": to[0],
                                               "oslo": to[1]},
                       **DIALECTS[getattr(request, "param", "rfc2442")])
    for one in nodes:
        one.start()
    return (postfix("postfix", hostname="mx.paris.example",
                    domains=["paris.example"], port=ports[0],
                    routes={"*": f"127.0.0.1:{nodes[0].port}"}),
            nodes,
            exim("exim", hostname="mx.oslo.example",
                 domains=["oslo.example"], port=ports[1],
                 routes={"*": f"127.0.0.1:{nodes[2].port}"}))


def wait_mail(server, user, count=1):
    wait_for(lambda: len(server.maildir(user)) >= count, 30,
             lambda: server.log()[-3000:])
    return server.maildir(user)


def assert_same(got, sent):
    """The body to the octet; each field that was there, as it was."""
    head, _, body = got.partition(b"\n\n")
    sent_head, _, sent_body = sent.partition(b"\n\n")
    assert body == sent_body
    assert head.endswith(sent_head)


@pytest.mark.parametrize("sites", DIALECTS, indirect=True)
def test_there_and_back(sites):
    paris, nodes, oslo = sites
    paris.sendmail("alice@paris.example", ["bob@oslo.example"], MAIL)
    got = wait_mail(oslo, "bob")
    assert len(got) == 1
    assert_same(got[0], MAIL)
    assert b"return-path: <alice@paris.example>" in got[0].lower()
    oslo.sendmail("bob@oslo.example", ["alice@paris.example"], REPLY)
    got = wait_mail(paris, "alice")
    assert len(got) == 1
    assert_same(got[0], REPLY)
    # Our nodes leave no trace: only the two servers have added Received.
    assert set(re.findall(r"^Received: .*?\sby (\S+)", got[0].decode(),
                          re.MULTILINE | re.DOTALL)) == {
        "mx.oslo.example", "mx.paris.example"}
    paris.wait_idle()
    oslo.wait_idle()


def test_several_recipients_at_both_ends(sites):
    paris, nodes, oslo = sites
    paris.sendmail("alice@paris.example",
                   ["bob@oslo.example", "carol@oslo.example",
                    "carol@paris.example", "dora@london.example"], MAIL)
    for server, user in ((oslo, "bob"), (oslo, "carol"), (paris, "carol")):
        got = wait_mail(server, user)
        assert len(got) == 1
        assert_same(got[0], MAIL)
    got = nodes[1].wait_mail("dora")
    assert got[0].replace(b"\r\n", b"\n").endswith(MAIL)


def test_bounce(sites):
    """Exim refuses the recipient; oslo's node writes the notice."""
    paris, _, oslo = sites
    paris.sendmail("alice@paris.example",
                   ["nobody@oslo.example", "bob@oslo.example"], MAIL)
    assert_same(wait_mail(oslo, "bob")[0], MAIL)
    got = wait_mail(paris, "alice")
    assert len(got) == 1
    notice = road.Notice(got[0])
    assert notice.status.startswith("5.")
    assert notice.action == "failed"
    assert notice.recipient == "rfc822;nobody@oslo.example"
    assert notice.message["Reporting-MTA"].startswith("dns;")
    assert re.search(r"\b550\b", notice.text), notice.text
    assert [one["Final-Recipient"] for one in notice.recipients] == [
        "rfc822;nobody@oslo.example"]
    assert b"<one@paris.example>" in got[0]
    assert re.search(rb"^Return-Path: <>", got[0], re.M | re.I)
    assert email.message_from_bytes(got[0])["Auto-Submitted"] == \
        "auto-replied"


def test_bounce_at_paris(sites):
    """Postfix refuses with a status of its own, which is told."""
    paris, _, oslo = sites
    oslo.sendmail("bob@oslo.example", ["nobody@paris.example"], REPLY)
    notice = road.Notice(wait_mail(oslo, "bob")[0])
    assert notice.status == "5.1.1"
    assert notice.recipient == "rfc822;nobody@paris.example"


def test_server_away(sites):
    """Mail waits until oslo's server is back."""
    paris, nodes, oslo = sites
    oslo.stop()
    paris.sendmail("alice@paris.example", ["bob@oslo.example"], MAIL)
    nodes[2].wait_log("recipient-deferred")
    assert not oslo.maildir("bob")
    oslo.start()
    assert_same(wait_mail(oslo, "bob")[0], MAIL)
