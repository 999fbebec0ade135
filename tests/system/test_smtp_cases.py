# SPDX-License-Identifier: ISC
"""The SMTP dialogues of ../shared/corpus, played against a node."""

import json
import os
import subprocess
import sys

import pytest

from peers_common import PROJECT, free_port, patient

CASES = os.path.join(PROJECT, "..", "shared", "corpus", "smtp")
RUNNER = os.path.join(CASES, "run_cases.py")

OFFERED = ("PIPELINING", "SIZE", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES",
           "CHUNKING", "BINARYMIME", "SMTPUTF8", "MT-PRIORITY",
           "DELIVERBY", "FUTURERELEASE")

# The case for servers that lack MT-PRIORITY is for a listener that hides it.
NOT_FOR_US = {"prio-not-offered": "skip"}


def play(work, port, *options):
    """The result of each case by its name, and the runner's words."""
    results = os.path.join(work, "results")
    done = subprocess.run(
        [sys.executable, RUNNER, "--json", results, "-v", "--strict",
         *options, f"127.0.0.1:{port}"],
        capture_output=True, text=True, timeout=patient(600), check=False)
    assert os.path.exists(results), done.stdout + done.stderr
    with open(results, encoding="ascii") as file:
        return ({one["name"]: one["result"] for one
                 in map(json.loads, file)}, done.stdout)


@pytest.mark.skipif(not os.path.exists(RUNNER),
                    reason="there is no ../shared/corpus/smtp")
def test_smtp_cases(node, work):
    site = node("test", domains=["test.example"], users=["user", "user2"])
    hiding = free_port()
    site.append_config(
        f'listen "127.0.0.1:{hiding}" {{ hide = {{ MT-PRIORITY }} }}\n')
    site.start()
    with open(os.path.join(CASES, "cases.jsonl"), encoding="ascii") as file:
        names = {json.loads(line)["name"] for line in file if line.strip()}
    found, said = play(work, site.port, "--require", ",".join(OFFERED))
    assert set(found) == names, said
    assert {name: result for name, result in found.items()
            if result != "pass"} == NOT_FOR_US, said
    found, said = play(work, hiding, "--only", "prio-not-offered")
    assert found == {"prio-not-offered": "pass"}, said
    assert site.running()


@pytest.mark.skipif(not os.path.exists(RUNNER),
                    reason="there is no ../shared/corpus/smtp")
def test_smuggling_where_newlines_are_normalized(node, work):
    site = node("test", domains=["test.example"], users=["user", "user2"])
    site.edit_config(r'^listen (\S+) \{',
                     r'listen \1 {\n\tbare-newlines = normalize')
    site.start()
    found, said = play(work, site.port)
    assert {name for name, result in found.items() if result != "pass"} == \
        set(NOT_FOR_US), said
    site.submit("a@client.example", ["user@test.example"], b"x: y\r\n")
    with site.smtp() as smtp:
        smtp.ehlo()
        smtp.mail("a@client.example")
        smtp.rcpt("user@test.example")
        assert smtp.data_raw(b"S: t\n\na\n.\nb\rc\r\n.\r\n").code == 250
    site.wait_log("message-accepted.*size=19")


def test_probes_are_logged_and_told_nothing(node):
    site = node("test", domains=["test.example"], users=["user"])
    site.start()
    with site.smtp() as smtp:
        smtp.ehlo()
        assert smtp.cmd("VRFY user").lines == smtp.cmd("VRFY nobody").lines
        assert smtp.cmd("VRFY user").code == 252
        for word in ("EXPN", "SEND", "SOML", "SAML"):
            assert smtp.cmd(word + " FROM:<a@client.example>").code == 502
    site.wait_log("session-probe .*command=VRFY text=nobody")
    for word in ("EXPN", "SEND", "SOML", "SAML"):
        site.wait_log("session-error .*command=" + word)


def test_what_a_browser_sends_is_no_mail(node):
    """A web page can have a browser post anything to 127.0.0.1, which is
    trusted."""
    site = node("test", domains=["test.example"], users=["user"])
    site.start()
    with site.smtp() as smtp:
        smtp.send_raw(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                      b"EHLO x\r\nMAIL FROM:<a@client.example>\r\n"
                      b"RCPT TO:<user@test.example>\r\nDATA\r\n"
                      b"x: y\r\n\r\nz\r\n.\r\nQUIT\r\n")
        assert smtp.reply().code == 500
        with pytest.raises(ConnectionError):
            smtp.reply()
    site.wait_log("session-error .*command=POST")
    assert "message-accepted" not in site.log()
