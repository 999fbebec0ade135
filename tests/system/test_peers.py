# SPDX-License-Identifier: ISC
"""The helpers themselves: the peers run, and the samples are intact."""

import os
import subprocess
import sys

import pytest

import peers_common
from peers_common import MAILS, sha256, wait_for
from peers_smtp import Refused, Smtp, stuff, submit

MAIL = (b"From: <ann@paris.example>\r\nTo: <alice@oslo.example>\r\n"
        b"Subject: a test\r\n\r\nHello,\r\n.a dot line\r\nbye\r\n")
BODY = b"\n\nHello,\n.a dot line\nbye\n"


@pytest.mark.requires_root
def test_postfix_takes_smtp_and_sendmail(postfix):
    one = postfix("first", hostname="paris.example")
    assert submit(one.port, "ann@x.example", ["alice@paris.example"],
                  MAIL).code == 250
    one.sendmail("bob@paris.example", ["alice@paris.example"],
                 MAIL.replace(b"\r\n", b"\n"))
    wait_for(lambda: len(one.maildir("alice")) == 2, 20, one.log)
    one.wait_idle()
    mails = one.maildir("alice")
    assert all(mail.endswith(BODY) for mail in mails)
    assert {b"Return-Path: <ann@x.example>",
            b"Return-Path: <bob@paris.example>"} == {
                mail.split(b"\n", 1)[0] for mail in mails}
    with pytest.raises(Refused) as refused:
        submit(one.port, "ann@x.example", ["nobody@paris.example"], MAIL)
    assert refused.value.reply.code == 550


@pytest.mark.requires_root
def test_two_postfix_side_by_side(postfix):
    far = postfix("far", hostname="oslo.example")
    near = postfix("near", hostname="paris.example",
                   routes={"oslo.example": f"127.0.0.1:{far.port}"})
    near.sendmail("bob@paris.example", ["alice@oslo.example"],
                  MAIL.replace(b"\r\n", b"\n"))
    wait_for(lambda: far.maildir("alice"), 20, near.log)
    assert far.maildir("alice")[0].endswith(BODY)
    near.wait_idle()
    far.stop()
    near.sendmail("bob@paris.example", ["alice@oslo.example"], b"\nlater\n")
    wait_for(lambda: "status=deferred" in near.log(), 20, near.log)
    wait_for(lambda: near.queued() == 1, 20, near.log)
    far.start()
    near.flush()
    wait_for(lambda: len(far.maildir("alice")) == 2, 20, near.log)


@pytest.mark.requires_root
def test_postfix_listens_on_another_address(postfix):
    port = peers_common.free_port("127.0.0.2")
    one = postfix("loop", hostname="paris.example",
                  listen=[f"127.0.0.2:{port}"])
    submit(port, "a@x.example", ["bob@paris.example"], MAIL,
           address="127.0.0.2")
    wait_for(lambda: one.maildir("bob"), 20, one.log)


@pytest.mark.requires_root
def test_exim_takes_smtp_and_sendmail(exim):
    one = exim("oslo", hostname="oslo.example")
    assert submit(one.port, "ann@x.example", ["alice@oslo.example"],
                  MAIL).code == 250
    one.sendmail("bob@oslo.example", ["alice@oslo.example"],
                 MAIL.replace(b"\r\n", b"\n"))
    wait_for(lambda: len(one.maildir("alice")) == 2, 20, one.log)
    one.wait_idle()
    assert all(mail.endswith(BODY) for mail in one.maildir("alice"))
    with pytest.raises(Refused) as refused:
        submit(one.port, "ann@x.example", ["nobody@oslo.example"], MAIL)
    assert refused.value.reply.code == 550


@pytest.mark.requires_root
def test_exim_and_postfix_exchange(exim, postfix):
    far = exim("oslo", hostname="oslo.example")
    near = postfix("paris", hostname="paris.example",
                   routes={"oslo.example": f"127.0.0.1:{far.port}"})
    far.route("paris.example", f"127.0.0.1:{near.port}")
    near.sendmail("bob@paris.example", ["alice@oslo.example"], b"\nthere\n")
    wait_for(lambda: far.maildir("alice"), 20, near.log)
    far.sendmail("alice@oslo.example", ["bob@paris.example"], b"\nback\n")
    wait_for(lambda: near.maildir("bob"), 20, far.log)
    assert near.maildir("bob")[0].endswith(b"\n\nback\n")


@pytest.mark.requires_root
def test_exim_takes_a_batch(exim):
    one = exim("oslo", hostname="oslo.example")
    batch = (b"HELO paris.example\r\n"
             b"MAIL FROM:<ann@paris.example>\r\n"
             b"RCPT TO:<alice@oslo.example>\r\n"
             b"RCPT TO:<bob@oslo.example>\r\n"
             b"DATA\r\n" + stuff(MAIL)
             + b"MAIL FROM:<>\r\nRCPT TO:<carol@oslo.example>\r\n"
             b"DATA\r\n" + stuff(MAIL) + b"QUIT\r\n")
    result = one.batch(batch)
    assert result.status == 0, (result, one.log())
    assert [(got.sender, got.recipients) for got in result.accepted] == [
        ("ann@paris.example", ["alice@oslo.example", "bob@oslo.example"]),
        ("", ["carol@oslo.example"])]
    one.wait_idle()
    for user in ("alice", "bob", "carol"):
        assert one.maildir(user)[0].endswith(BODY)
    result = one.batch(b"MAIL FROM:<a@x.example>\r\nBDAT 3 LAST\r\n", "-odq")
    assert result.status != 0 and not result.accepted


def test_samples_are_what_the_generator_makes():
    subprocess.run([sys.executable, os.path.join(MAILS, "make_mails.py"),
                    "--check"], check=True)


def test_samples_are_intact(work):
    listed = peers_common.samples(large=os.path.join(work, "large"))
    assert len(listed) >= 36
    for sample in listed:
        with open(sample.path, "rb") as file:
            content = file.read()
        assert len(content) == sample.octets, sample.name
        assert sha256(content) == sample.sha256, sample.name
        bare = content.replace(b"\r\n", b"")
        whole = ((content == b"" or content.endswith(b"\r\n"))
                 and b"\r" not in bare and b"\n" not in bare)
        assert sample.how == ("data" if whole else "bdat"), sample.name
    stored = [one for one in listed if one.path.startswith(MAILS)]
    assert sum(one.octets for one in stored) < 3 << 20


def test_stuffing():
    assert stuff(b"") == b".\r\n"
    assert stuff(b".\r\n") == b"..\r\n.\r\n"
    assert stuff(b"a\r\n..b\r\n") == b"a\r\n...b\r\n.\r\n"
    with pytest.raises(ValueError):
        stuff(b"a")


def test_a_process_is_ended(processes, work):
    process = processes.start(["/bin/sleep", "60"],
                              os.path.join(work, "out"))
    assert process.running()
    assert process.stop() == -15
    assert not process.running()


def test_ehlo_is_parsed(processes, work):
    """A server that says the same to everyone."""
    port = peers_common.free_port()
    script = ("import socket\n"
              f"s = socket.create_server(('127.0.0.1', {port}))\n"
              "c, _ = s.accept()\n"
              "c.sendall(b'220 hi\\r\\n'); c.recv(99)\n"
              "c.sendall(b'250-me\\r\\n250-SIZE 10\\r\\n250 DSN\\r\\n')\n"
              "c.recv(99)\n")
    processes.start([sys.executable, "-c", script],
                    os.path.join(work, "out"))

    def connect():
        try:
            return Smtp(port)
        except OSError:
            return None

    with wait_for(connect, 10, "the server") as smtp:
        assert smtp.greeting.code == 220
        assert smtp.ehlo().code == 250
        assert smtp.extensions == {"SIZE": "10", "DSN": ""}
