# SPDX-License-Identifier: ISC
"""postrider under the name of sendmail, called as programs call it."""

import os
import re
import subprocess

import pytest

from peers_common import patient, program

TEXT = (b"From: a@paris.example\nTo: b@paris.example\nSubject: s\n"
        b"Message-ID: <1@paris.example>\n"
        b"Date: Tue, 02 Jan 2024 10:00:00 +0000\n\nhello\n")


@pytest.fixture
def paris(node, work):
    one = node("paris")
    os.symlink(program("postrider"), os.path.join(work, "sendmail"))
    one.start()
    one.sendmail = os.path.join(work, "sendmail")
    return one


def sendmail(node, *args, data=TEXT):
    return subprocess.run([node.sendmail, *args], input=data,
                          timeout=patient(60),
                          capture_output=True, check=False,
                          env={**os.environ, "POSTRIDER_CONF": node.conf})


def envelope(node, user="b"):
    """Return-Path and content of the mail, which is then forgotten."""
    content = node.wait_mail(user)[0]
    for name in os.listdir(os.path.join(node.maildir_path(user), "new")):
        os.unlink(os.path.join(node.maildir_path(user), "new", name))
    found = re.match(rb"Return-Path: <(.*)>\n", content)
    return found[1], content[found.end():]


TO = "b@paris.example"
FORMS = [
    (["-f", "x@y.example", TO], b"x@y.example"),
    (["-fx@y.example", "-oi", "--", TO], b"x@y.example"),
    (["-r", "x@y.example", TO], b"x@y.example"),
    (["-f", "", TO], b""),
    (["-f", "<>", TO], b""),
    (["-f<>", TO], b""),
    (["-f", "<x@y.example>", "-bm", TO], b"x@y.example"),
    (["-f", "x@y.example", "-t"], b"x@y.example"),
    (["-f", "x@y.example", "-ti"], b"x@y.example"),
    (["-f", "x@y.example", "-i", "-odq", "-oem", "-oee", "-om", "-oQ/x",
      "-o7", "-oDLE", TO], b"x@y.example"),
    (["-G", "-f", "x@y.example", "-B8BITMIME", "-U", TO], b"x@y.example"),
    (["-f", "x@y.example", "-N", "success,failure", "-R", "hdrs", "-V",
      "id=1+2", TO], b"x@y.example"),
    (["-N", "never", "-f", "x@y.example", TO], b"x@y.example"),
    (["-FSome One", "-f", "x@y.example", "-O", "DeliveryMode=b", TO],
     b"x@y.example"),
]


@pytest.mark.parametrize("args, sender", FORMS,
                         ids=lambda x: " ".join(x)[:40]
                         if isinstance(x, list) else None)
def test_forms(paris, args, sender):
    done = sendmail(paris, *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert envelope(paris) == (sender, TEXT)


BAD = [["-bd"], ["-bp"], ["-N", "sometimes", TO], ["-R", "half", TO], [],
       ["-f", "x y@z", TO]]


@pytest.mark.parametrize("args", BAD, ids=" ".join)
def test_bad(paris, args):
    done = sendmail(paris, *args)
    assert 64 <= done.returncode <= 78 and done.returncode != 75
    assert done.stderr


def test_verbose(paris):
    done = sendmail(paris, "-v", "-f", "x@y.example", TO)
    assert done.returncode == 0
    assert f"{TO}: 250 2.1.5 Ok\n" in done.stdout.decode()
    assert b"250 2.0.0 Ok: queued as " in done.stdout


def test_null_sender_has_somebody_in_from(paris):
    assert sendmail(paris, "-f", "", TO, data=b"\nx\n").returncode == 0
    sender, content = envelope(paris)
    assert sender == b""
    assert re.search(rb"^From: <?MAILER-DAEMON@paris.example>?$", content,
                     re.M)


DIALOGUE = (b"EHLO client.example\r\nMAIL FROM:<x@y.example>\r\n"
            b"RCPT TO:<b@paris.example>\r\nRCPT TO:<b@far.example>\r\n"
            b"DATA\r\n" + TEXT.replace(b"\n", b"\r\n") + b".\r\n")


@pytest.mark.parametrize("end", [b"QUIT\r\n", b""])
def test_bs(paris, end):
    done = sendmail(paris, "-bs", data=DIALOGUE + end)
    assert done.returncode == 0, done.stderr
    codes = re.findall(rb"^(\d{3}) ", done.stdout, re.M)
    assert codes == [b"220", b"250", b"250", b"250", b"550", b"354",
                     b"250"] + [b"221"] * bool(end)
    assert envelope(paris) == (b"x@y.example", TEXT)


def test_bs_one_command_at_a_time(paris):
    """The client waits for every reply, as an interactive one does."""
    with subprocess.Popen(
            [paris.sendmail, "-bs"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "POSTRIDER_CONF": paris.conf}) as child:
        assert child.stdout.readline().startswith(b"220 ")
        for command, code in ((b"HELO x", b"250"), (b"NOOP", b"250"),
                              (b"MAIL FROM:<>", b"250"), (b"RSET", b"250"),
                              (b"QUIT", b"221")):
            child.stdin.write(command + b"\r\n")
            child.stdin.flush()
            assert child.stdout.readline().startswith(code + b" ")
        assert child.wait(patient(20)) == 0


def test_node_down(paris):
    paris.stop()
    assert sendmail(paris, TO).returncode == 75
    done = sendmail(paris, "-bs", data=DIALOGUE)
    assert done.returncode == 75
    assert done.stdout.startswith(b"421 4.3.2 ")
