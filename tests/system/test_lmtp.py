# SPDX-License-Identifier: ISC
"""LMTP (RFC 2033): a listener of ours and a delivery of ours."""

import os
import subprocess
import sys

import pytest

from peers_common import free_port, patient
from peers_smtp import Smtp
from test_smtp_cases import CASES, OFFERED, RUNNER

CONTENT = b"From: <a@client.example>\r\nSubject: t\r\n\r\n.hello\r\n"


@pytest.fixture
def site(node):
    """A node that speaks LMTP at lmtp_port and at a UNIX socket."""
    one = node("test", domains=["test.example"], users=["user", "user2"])
    one.lmtp_port = free_port()
    one.lmtp_path = one.directory + "/lmtp"
    one.append_config(f"""
listen "127.0.0.1:{one.lmtp_port}" {{ protocol = lmtp }}
listen "unix:{one.lmtp_path}" {{ protocol = lmtp }}
""")
    one.start()
    return one


def front(node, target):
    """A node that delivers what it takes for test.example by LMTP."""
    one = node("front", config=f"""
site front {{
\tpostmaster = user@test.example
\tspool = @dir@/spool
\trun = @dir@/run
\tretry-min = 1s
}}
listen "127.0.0.1:@port@" {{ }}
delivery lmtp {{
\tdomains = {{ test.example }}
\tto = "lmtp:{target}"
}}
""")
    os.makedirs(one.directory + "/spool")
    os.makedirs(one.directory + "/run")
    one.start()
    return one


def test_a_reply_for_each(site):
    with Smtp(site.lmtp_port) as lmtp:
        assert "LMTP" in lmtp.greeting.lines[0]
        assert lmtp.cmd("EHLO x").code == 500
        assert lmtp.cmd("LHLO x").code == 250
        assert lmtp.mail("a@client.example").code == 250
        assert lmtp.rcpt("user@test.example").code == 250
        assert lmtp.rcpt("nobody@test.example").code == 550
        assert lmtp.rcpt("user2@test.example").code == 250
        assert lmtp.data(CONTENT).code == 250
        assert lmtp.reply().code == 250
        assert lmtp.quit().code == 221
    site.wait_mail("user", 1)
    site.wait_mail("user2", 1)


def test_a_verdict_of_its_own(site):
    """Only behind the content is it known who cannot have it."""
    os.makedirs(site.directory + "/drop")
    site.append_config("""
peer far {
\tdialect = bsmtp
\tmessage-max = 1K
\tset = { "drop=@dir@/drop", "pickup=@dir@/none" }
}
routes { far.example = far }
""")
    site.restart()
    large = b"Subject: t\r\n\r\n" + 40 * (b"x" * 60 + b"\r\n")
    with Smtp(site.lmtp_port) as lmtp:
        lmtp.cmd("LHLO x")
        lmtp.mail("user2@test.example")
        lmtp.rcpt("bob@far.example")
        lmtp.rcpt("user@test.example")
        assert [lmtp.data(large).code, lmtp.reply().code] == [552, 250]
        lmtp.mail("user2@test.example")
        lmtp.rcpt("bob@far.example")
        lmtp.rcpt("ann@far.example")
        assert [lmtp.data(large).code, lmtp.reply().code] == [552, 552]
        lmtp.mail("user2@test.example")
        lmtp.rcpt("bob@far.example")
        assert lmtp.data(CONTENT).code == 250
    [mail] = site.wait_mail("user", 1)
    assert mail.endswith(b"x\n")
    site.wait_log("object-sent peer=far")
    assert site.maildir("user2") == []      # no notice: it was told at once


def test_content_refused(site):
    with Smtp(path=site.lmtp_path) as lmtp:
        lmtp.cmd("LHLO x")
        lmtp.mail("a@client.example")
        lmtp.rcpt("user@test.example")
        lmtp.rcpt("user2@test.example")
        assert lmtp.data_raw(b"a\nb\r\n.\r\n").code == 554
        assert lmtp.reply().code == 554
        assert lmtp.cmd("NOOP").code == 250


def test_smtp_is_no_lmtp(site):
    with site.smtp() as smtp:
        assert smtp.cmd("LHLO x").code == 500
        assert smtp.ehlo().code == 250


@pytest.mark.skipif(not os.path.exists(RUNNER),
                    reason="there is no ../shared/corpus/smtp")
def test_the_cases_of_smtp(site):
    done = subprocess.run(
        [sys.executable, RUNNER, "--lhlo", "--require", ",".join(OFFERED),
         f"127.0.0.1:{site.lmtp_port}", os.path.join(CASES, "cases.jsonl")],
        capture_output=True, text=True, timeout=patient(600), check=False)
    # The runner does not know that two recipients have two replies.
    failed = {line.split()[1] for line in done.stdout.splitlines()
              if line.startswith("FAIL ")}
    assert failed == {"dsn-all-parameters", "pipe-envelope",
                      "data-two-recipients"}, done.stdout


@pytest.mark.parametrize("how", ["tcp", "unix"])
def test_delivery(node, site, how):
    one = front(node, f"127.0.0.1:{site.lmtp_port}" if how == "tcp"
                else "unix:" + site.lmtp_path)
    one.submit("user2@test.example", ["user@test.example",
                                      "nobody@test.example"], CONTENT)
    [mail] = site.wait_mail("user", 1)
    assert mail.endswith(b"Subject: t\n\n.hello\n")
    [notice] = site.wait_mail("user2", 1)
    assert b"Final-Recipient: rfc822;nobody@test.example" in \
        notice.replace(b"; ", b";")
    one.wait_log("recipient-delivered")


def test_delivery_keeps_octets(node, site):
    one = front(node, f"127.0.0.1:{site.lmtp_port}")
    with one.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("", ["user@test.example"], b"bare\nlf\rcr", "bdat")
    [mail] = site.wait_mail("user", 1)
    assert mail.endswith(b"bare\nlf\rcr")
