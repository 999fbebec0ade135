# SPDX-License-Identifier: ISC
"""The older habits of batched SMTP, with Exim as the other end: what exim -bS
reads of ours, and what its use_bsmtp writes."""

import email
import os
import subprocess

import pytest

import road
from peers_common import (MAILS, program, samples, sha256, wait_for)

# Mails with a header that Exim leaves as it is.
NAMES = ("plain.eml", "dots.eml", "dot-runs.eml", "alternative.eml",
         "utf8-8bit.eml", "latin1-8bit.eml", "line-998.eml", "nested.eml",
         "single-dots.eml", "from-lines.eml", "smtp-talk.eml",
         "trailing-blanks.eml", "prose.eml", "many-fields.eml")


def contents():
    found = {}
    for sample in samples():
        if sample.name in NAMES:
            with open(sample.path, "rb") as file:
                found[sample.name] = file.read()
    assert len(found) == len(NAMES), MAILS
    return found


def assert_same(got, sent):
    """The body to the octet; the fields that were there, in order."""
    head, _, body = got.partition(b"\n\n")
    sent_head, _, sent_body = sent.replace(b"\r\n", b"\n").partition(b"\n\n")
    assert body == sent_body
    lines = iter(head.split(b"\n"))
    for line in sent_head.split(b"\n"):
        assert line in lines, line


def batch(*args):
    done = subprocess.run([program("postrider"), "batch", *args],
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.requires_root
def test_exim_reads_what_batch_writes(exim):
    there = exim("exim", domains=["far.example"])
    paths = [os.path.join(MAILS, name) for name in NAMES]
    data = batch("--plain", "--from", "a@near.example", "--to",
                 "bob@far.example", "--to", "carol@far.example", *paths)
    done = there.batch(data)
    assert (done.status, done.stdout, done.stderr) == (0, b"", b"")
    assert [(one.sender, one.recipients) for one in done.accepted] == [
        ("a@near.example", ["bob@far.example", "carol@far.example"])
    ] * len(NAMES)
    got = {len(one): one for one in there.maildir("bob")}
    assert len(there.maildir("carol")) == len(got) == len(NAMES)
    sent = sorted(contents().values(), key=len)
    for one, other in zip(sent, sorted(got.values(), key=len)):
        assert_same(other, one)


def test_exim_refuses_parameters(peers, work, exim):
    """The reason for parameters = no; should Exim learn them one day, this
    tells."""
    there = exim("exim", domains=["far.example"])
    path = os.path.join(MAILS, "plain.eml")
    done = there.batch(batch("--from", "a@near.example", "--to",
                             "bob@far.example", path))
    assert done.status == 2
    assert done.accepted == []


@pytest.mark.requires_root
def test_exim_reads_a_peers_objects(node, work, exim):
    """What the node cuts for a peer with parameters = no, whatever was said
    at submission."""
    there = exim("exim", domains=["far.example"])
    near = node("near", config=road.config(
        "near", road.peer(work, "near", "far", dialect="bsmtp",
                          parameters="no", batch_age="2s"),
        "routes { far.example = far }\n"))
    near.start()
    sent = contents()
    with near.smtp() as smtp:
        smtp.ehlo()
        for content in sent.values():
            smtp.transaction(
                "a@near.example", ["bob@far.example"], content,
                mail_params=f"BODY=8BITMIME SIZE={len(content)} RET=HDRS "
                "ENVID=x", rcpt_params="NOTIFY=FAILURE "
                "ORCPT=rfc822;bob@far.example")
        smtp.quit()
    link = road.drop(work, "near", "far")
    found = {}

    def all_there():
        found.update(road.files(link))
        return b"".join(found.values()).count(
            b"\r\nMAIL FROM:<a@near.") == len(sent)

    wait_for(all_there, 30, lambda: near.log()[-3000:])
    for data in found.values():
        for line in data.split(b"\r\n"):
            if line.startswith((b"MAIL FROM:<a@near.",
                                b"RCPT TO:<bob@far.")):
                assert line.endswith(b">"), line
        done = there.batch(data)
        assert (done.status, done.stdout, done.stderr) == (0, b"", b"")
        assert len(done.accepted) == data.count(b"\r\nMAIL FROM:<a@near")
    got = sorted(there.maildir("bob"), key=len)
    assert len(got) == len(sent)
    for one, other in zip(sorted(sent.values(), key=len), got):
        assert_same(other, one)


def test_without_parameters_some_mail_fails(node, work):
    """SMTPUTF8 cannot be said there, so it is not sent there (RFC 6531
    3.5)."""
    near = node("near", config=road.config(
        "near", road.peer(work, "near", "far", dialect="bsmtp",
                          parameters="no"),
        "routes { far.example = far }\n"))
    near.start()
    near.submit("a@near.example", ["gr\u00fc\u00df@far.example"],
                b"Subject: x\r\n\r\nx\r\n", mail_params="SMTPUTF8")
    assert b"\r\nStatus: 5.6.7\r\n" in near.wait_mail("a")[0]
    assert road.files(road.drop(work, "near", "far")) == {}


def test_parameters_in_the_configuration(node, work):
    for settings, text in (
            (dict(dialect="rfc2442", parameters="no"), "dialect = bsmtp"),
            (dict(dialect="bsmtp", parameters="no", extensions="SMTPUTF8"),
             "no extensions"),
            (dict(dialect="bsmtp", parameters="some"), "parameters = some")):
        one = node("near", config=road.config(
            "near", road.peer(work, "near", "far", **settings)))
        done = one.run("check", check=False)
        assert done.returncode == 78
        assert text in done.stdout.decode() + done.stderr.decode()


ROUTER = """\
batched:
  driver = accept
  domains = far.example
  transport = batch
"""
TRANSPORT = """\
batch:
  driver = appendfile
  file = {file}
  use_bsmtp
  batch_max = 100
  {more}
"""


@pytest.mark.requires_root
@pytest.mark.parametrize("more", ["", "use_crlf"])
def test_what_use_bsmtp_writes(node, work, exim, more):
    """Half-baked batches, one behind another in a file: no HELO, no QUIT, LF
    or CR LF."""
    name = os.path.join(work, "exim/mail/batch")
    there = exim("exim", domains=["near.example"], routers=ROUTER,
                 transports=TRANSPORT.format(file=name, more=more))
    sent = {}
    for number, content in enumerate(contents().values()):
        content = content.replace(b"\r\n", b"\n")
        sent[f"user{number}"] = content
        there.sendmail("a@near.example" if number % 2 else "<>",
                       [f"user{number}@far.example", "all@far.example"],
                       content)
    with open(name, "rb") as file:
        data = file.read()
    assert data.startswith(b"MAIL FROM:")
    assert data.endswith(b"\r\n.\r\n" if more else b"\n.\n")
    assert (b"DATA\r\n" in data) == bool(more)
    far = node("far", config=road.config(
        "far", road.peer(work, "far", "near")))
    far.start()
    done = far.run("receive", "--peer", "near", data=data)
    assert done.returncode == 0
    far.wait_mail("all", len(sent))
    for user, content in sent.items():
        got = far.maildir(user)
        assert len(got) == 1
        assert_same(got[0].replace(b"\r\n", b"\n"), content)
        assert email.message_from_bytes(got[0])["Received"]
    assert len({sha256(one) for one in far.maildir("all")}) == len(sent)
