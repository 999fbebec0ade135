# SPDX-License-Identifier: ISC
"""Conversion (RFC 6152 3, RFC 3030 3), read by Python's email package.

What the parts hold is written here and looked for in what comes out, however
it is encoded there.
"""

import email
import email.policy

import pytest

import dsn
import road
from peers_common import wait_for

TEXT = "Grüße aus Köln -- \n-- \nund weiter \n.\n".encode("latin-1").replace(
    b"\n", b"\r\n")
JAPANESE = "これは本文です。\r\n".encode() * 3
LONG = b"x" * 2500 + b"\r\n--out\r\n--in-and-more\r\n"
BINARY = bytes(range(256)) * 5 + b"\r\n\n\r"
INNER = "Ein Anhang: äöü und noch viel mehr Text\r\n".encode()

# (type, octets) of the leaves, in order
LEAVES = [("text/plain", TEXT), ("text/html", JAPANESE),
          ("text/plain", LONG), ("application/x-any", BINARY),
          ("text/plain", INNER), ("text/plain", b"plain\r\n")]


def message(binary=True):
    """All of them, in multiparts and a message in each other."""
    leaves = dict(enumerate(LEAVES))
    parts = [
        b"From: <alice@one.example>\r\nSubject: all\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed;\r\n boundary=\"out\"\r\n"
        b"Content-Transfer-Encoding: " + (b"binary" if binary else b"8bit") +
        b"\r\n\r\n--out\r\nContent-Type: multipart/alternative; boundary=in"
        b"\r\n\r\n--in\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n", leaves[0][1],
        b"\r\n--in\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n", leaves[1][1],
        b"\r\n--in--\r\n--out\r\n\r\n", LONG.replace(b"--out", b"-- out"),
        b"\r\n--out\r\nContent-Type: application/x-any\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n",
        BINARY if binary else b"",
        b"\r\n--out\r\nContent-Type: message/rfc822\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n", INNER,
        b"\r\n--out\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
        b"\r\n--out--\r\n"]
    return b"".join(parts)


def expected(binary=True):
    found = [(kind, octets.replace(b"--out", b"-- out"))
             for kind, octets in LEAVES]
    if not binary:
        found[3] = (found[3][0], b"")
    return found


def leaves(content):
    """(type, octets) of a message, decoded."""
    mail = email.message_from_bytes(content, policy=email.policy.compat32)
    return [(part.get_content_type(), part.get_payload(decode=True))
            for part in mail.walk() if not part.is_multipart()]


def check_7bit(content):
    assert all(octet < 128 for octet in content)
    assert b"\0" not in content
    assert content.count(b"\r\n") == content.count(b"\r") == \
        content.count(b"\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    mail = email.message_from_bytes(content)
    for part in mail.walk():
        assert not part.defects, part.defects
        assert part.get("Content-Transfer-Encoding", "7bit") in (
            "7bit", "quoted-printable", "base64")


def site(node, hop, convert="yes"):
    here = node("here", config=dsn.CONFIG.format(
        site="", senders="one.example", domains="two.example",
        target=f"smtp:127.0.0.1:{hop.port}"))
    here.edit_config(r'(\tto = "smtp:.*)', rf"\1\n\tconvert = {convert}")
    here.start()
    return here


def submit(here, content, params="BODY=BINARYMIME"):
    with here.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("alice@one.example", ["bob@two.example"], content,
                         "bdat", params)
        smtp.quit()


def passed(hop, count=1):
    wait_for(lambda: len(hop.contents) >= count, 20)
    return hop.contents


@pytest.mark.parametrize("binary", [True, False])
def test_to_7bit(node, binary):
    """RFC 6152 3: a server without any extension."""
    hop = dsn.Hop(extensions=["ENHANCEDSTATUSCODES"])
    here = site(node, hop)
    content = message(binary)
    submit(here, content, "BODY=BINARYMIME" if binary else "BODY=8BITMIME")
    got = passed(hop)[0]
    check_7bit(got)
    assert leaves(got) == expected(binary)
    assert not any("BODY=" in line for line in hop.lines)
    here.stop()
    hop.close()


def test_binary_to_8bit(node):
    """RFC 3030 3: what 8bit carries stays as it is."""
    hop = dsn.Hop(extensions=["8BITMIME", "SIZE 0"])
    here = site(node, hop)
    submit(here, message())
    got = passed(hop)[0]
    assert leaves(got) == expected()
    assert TEXT in got and JAPANESE in got and INNER in got
    assert any("BODY=8BITMIME" in line and f"SIZE={len(got)}" in line
               for line in hop.lines), hop.lines
    here.stop()
    hop.close()


def test_signed_is_not_touched(node):
    """RFC 1847 2.1: it fails as without."""
    hop = dsn.Hop(extensions=[])
    here = site(node, hop)
    signed = b"\r\n".join([
        b"MIME-Version: 1.0", b"Content-Type: multipart/signed; boundary=b;",
        b" protocol=\"application/x\"", b"", b"--b", b"", TEXT, b"--b",
        b"Content-Type: application/x", b"", b"sig", b"--b--", b""])
    submit(here, signed, "BODY=8BITMIME")
    report = dsn.Report(here.wait_mail("alice")[0])
    assert report.recipients[0]["Status"] == "5.6.3"
    assert b"signed" in report.text
    assert not hop.contents
    here.stop()
    hop.close()


def test_smtputf8_in_ascii(node):
    """RFC 6531 3.2: the parameter goes where nothing needs it."""
    hop = dsn.Hop(extensions=[])
    here = site(node, hop)
    submit(here, b"Subject: x\r\n\r\nplain\r\n", "SMTPUTF8 BODY=8BITMIME")
    assert passed(hop) == [b"Subject: x\r\n\r\nplain\r\n"]
    submit(here, "Subject: ä\r\n\r\nplain\r\n".encode(),
           "SMTPUTF8 BODY=8BITMIME")
    report = dsn.Report(here.wait_mail("alice")[0])
    assert report.recipients[0]["Status"] == "5.6.7"
    here.stop()
    hop.close()


def objects(work):
    return b"".join(road.files(road.drop(work, "here", "next")).values())


def contents(batch):
    """The contents of DATA in a batch."""
    found = []
    for piece in batch.split(b"DATA\r\n")[1:]:
        text = piece.partition(b"\r\n.\r\n")[0] + b"\r\n"
        found.append(text.replace(b"\r\n..", b"\r\n."))
    return found


def test_peer(node, work):
    """What a peer's road does not carry; the mail beside it goes too."""
    here = node("here", config=road.config(
        "here", road.peer(work, "here", "next", dialect="bsmtp",
                          convert="7bit", batch_age="1s"),
        "routes { two.example = next }\n"))
    here.start()
    submit(here, message())
    submit(here, b"Subject: \xe4\r\n\r\nx\r\n", "BODY=8BITMIME")
    submit(here, b"Subject: y\r\n\r\nplain\r\n", "")
    wait_for(lambda: len(contents(objects(work))) == 2, 30)
    got = sorted(contents(objects(work)), key=len)
    assert got[0] == b"Subject: y\r\n\r\nplain\r\n"
    check_7bit(got[1])
    assert leaves(got[1]) == expected()
    assert b"BODY=" not in objects(work)
    here.wait_log(r"5\.6\.3")
    here.stop()
