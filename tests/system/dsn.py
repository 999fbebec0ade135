# SPDX-License-Identifier: ISC
"""Delivery reports as vectors: what was submitted, what happened to it, and
what the report must say.  run() drives a node with a next hop of our own."""

import email
import fnmatch
import re
import socket
import threading

from peers_common import free_port, wait_for

CONFIG = """\
site here {{
	hostname = mx.here.example
	postmaster = postmaster@here.example
	spool = @dir@/spool
	run = @dir@/run
	min-free = none
	retry-min = 1s
	retry-max = 1s
{site}}}
listen "@address@:@port@" {{ }}
delivery senders {{
	domains = {{ {senders}, here.example }}
	to = "maildir:@mail@"
	eol = crlf
	envelope-headers = yes
}}
delivery next {{
	domains = {{ {domains} }}
	to = "{target}"
}}
"""


class Hop:
    """A mail server that answers as it is told and remembers what it got.

    replies: recipient -> reply line to its RCPT; extensions: of EHLO.
    """

    def __init__(self, replies=None, extensions=(), end=b"250 2.6.0 taken"):
        self.replies = replies or {}
        self.extensions = extensions
        self.end = end
        self.lines = []
        self.contents = []
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        with sock, sock.makefile("rwb") as file:
            try:
                self._talk(file)
            except OSError:
                pass

    def _talk(self, file):
        def say(line):
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 hop.example ESMTP")
        for line in iter(file.readline, b""):
            line = line.rstrip(b"\r\n")
            verb = line[:4].upper()
            if verb in (b"MAIL", b"RCPT"):
                self.lines.append(line.decode())
            if verb == b"EHLO":
                words = [b"hop.example", *(e.encode()
                                           for e in self.extensions)]
                for word in words[:-1]:
                    say(b"250-" + word)
                say(b"250 " + words[-1])
            elif verb == b"RCPT":
                address = line[line.index(b"<") + 1:line.index(b">")]
                say(self.replies.get(address.decode(),
                                     "250 2.1.5 ok").encode())
            elif verb == b"DATA":
                say(b"354 go on")
                self._content(file)
                say(self.end)
            elif verb == b"QUIT":
                say(b"221 2.0.0 bye")
                return
            else:
                say(b"250 2.0.0 ok")

    def _content(self, file):
        content = b""
        for line in iter(file.readline, b".\r\n"):
            content += line[1:] if line.startswith(b".") else line
        self.contents.append(content)


class Report:
    """One parsed report."""

    def __init__(self, content):
        self.content = content
        self.mail = email.message_from_bytes(content)
        self.parts = self.mail.get_payload()
        assert self.mail.get_content_type() == "multipart/report"
        assert self.mail.get_param("report-type") == "delivery-status"
        assert len(self.parts) == 3, [p.get_content_type()
                                      for p in self.parts]
        self.text = self.parts[0].get_payload(decode=True)
        self.type = self.parts[1].get_content_type()
        blocks = self._blocks()
        self.per_message, self.recipients = blocks[0], blocks[1:]

    def _blocks(self):
        """The fields of the second part, whatever its type; 8-bit ones are
        in UTF-8."""
        raw = self.content.split(
            b"--" + self.mail.get_boundary().encode())[2]
        body = raw.partition(b"\r\n\r\n")[2].decode("utf-8")
        blocks = []
        for text in body.strip().split("\r\n\r\n"):
            text = re.sub(r"\r\n[ \t]", " ", text)
            blocks.append(dict(line.split(": ", 1)
                               for line in text.split("\r\n")))
        return blocks


def squeeze(value):
    """A typed field without the blanks that may stand behind its type."""
    return re.sub(r"^([\w-]+); *", r"\1;", value or "")


def domain(address):
    return address.rpartition("@")[2]


def _target(case, hop):
    results = {one["result"] for one in case["event"]}
    if results == {"delivered"}:
        return "maildir:@mail@"
    return f"smtp:127.0.0.1:{hop.port}"


def _hop(case):
    replies = {one["recipient"]: one["reply"] for one in case["event"]
               if one.get("reply") and one["result"] in
               ("failed", "delayed", "expired")}
    extensions = ["8BITMIME", "SIZE", "ENHANCEDSTATUSCODES"]
    if any(one.get("next_hop_dsn") for one in case["event"]):
        extensions.append("DSN")
    if case.get("smtputf8"):
        extensions.append("SMTPUTF8")
    return Hop(replies, extensions)


def _settings(case):
    results = {one["result"] for one in case["event"]}
    settings = dict(case.get("site", {}))
    if "expired" in results:
        settings["lifetime"] = "2s"
    if "delayed" in results:
        settings.setdefault("delay-notice", "1s")
    return "".join(f"\t{key} = {value}\n" for key, value in settings.items())


def _submit(node, case):
    env = case["envelope"]
    words = [f"{name}={env[key]}" for key, name in
             (("ret", "RET"), ("envid", "ENVID")) if env.get(key)]
    if case.get("smtputf8"):
        words.append("SMTPUTF8")
    content = case["message"].encode("latin-1")
    with node.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.mail(env["sender"], " ".join(words))
        assert reply.code == 250, reply
        for one in env["recipients"]:
            words = [f"{key.upper()}={one[key]}" for key in
                     ("notify", "orcpt") if one.get(key)]
            reply = smtp.rcpt(one["address"], " ".join(words))
            assert reply.code == 250, reply
        reply = smtp.bdat(content) if case.get("bdat") else \
            smtp.data(content)
        assert reply.code == 250, reply
        smtp.quit()


def _is_over(node, case):
    """All there is to do for now is done, and what was told has arrived."""
    log = node.log()
    if any(one["result"] == "delayed" for one in case["event"]):
        told = log.count(" notice-written ")
        return (told or log.count(" recipient-deferred ") >= 4) and \
            told == len(re.findall(" recipient-delivered .* to=senders ",
                                   log))
    return node.json("queue", "list") == []


def run(make, case):
    """Play a vector; returns (node, reports to the sender, hop)."""
    env = case["envelope"]
    hop = _hop(case)
    senders = domain(env["sender"]) or "one.example"
    domains = ", ".join(sorted({domain(one["address"])
                                for one in env["recipients"]}))
    node = make("here", config=CONFIG.format(
        site=_settings(case), senders=senders, domains=domains,
        target=_target(case, hop)))
    node.start()
    try:
        _submit(node, case)
        wait_for(lambda: _is_over(node, case), 30,
                 lambda: node.log()[-4000:], every=0.1)
        user = env["sender"].rpartition("@")[0]
        reports = [one for one in (node.maildir(user) if user else [])
                   if b"multipart/report" in one]
    finally:
        node.stop()
        hop.close()
    return node, [Report(one) for one in reports], hop


def _matches(pattern, value):
    return any(fnmatch.fnmatchcase(value or "", one)
               for one in pattern.split("|"))


def _check_recipient(want, have):
    assert _matches(want["action"], have["Action"]), have
    assert _matches(want["status"], have["Status"]), have
    if "original_recipient" in want:
        assert squeeze(have.get("Original-Recipient")) == \
            squeeze(want["original_recipient"])
    if "diagnostic_code" in want:
        assert _matches(squeeze(want["diagnostic_code"]),
                        squeeze(have.get("Diagnostic-Code"))), have


def _check_report(expect, reports):
    merged = {}
    for one in reports:
        for rcpt in one.recipients:
            merged[squeeze(rcpt["Final-Recipient"])] = rcpt
    wanted = {squeeze(one["final_recipient"]): one
              for one in expect["recipients"]}
    assert set(merged) == set(wanted)
    for name, want in wanted.items():
        _check_recipient(want, merged[name])
    report = reports[0]
    if "to" in expect:
        assert expect["to"] in report.mail["To"]
    assert report.mail["Return-Path"] == "<>"
    if "original_envelope_id" in expect:
        assert report.per_message.get("Original-Envelope-Id") == \
            expect["original_envelope_id"]
    if "third_part" in expect:
        assert report.parts[2].get_content_type() == expect["third_part"]
    for octets in expect.get("must_contain", ()):
        assert octets.encode("latin-1") in report.content
    for octets in expect.get("must_not_contain", ()):
        assert octets.encode("latin-1") not in report.content
    for field, pattern in expect.get("header", {}).items():
        assert _matches(pattern, report.mail[field]), report.mail[field]
    for field, pattern in expect.get("per_message", {}).items():
        assert _matches(pattern, report.per_message.get(field)), field


def check(case, reports, hop):
    """The report is as the vector expects."""
    expect = case["expect"]
    for words in expect.get("passed_on", ()):
        assert any(words in line for line in hop.lines), hop.lines
    if expect["report"] is False:
        assert not reports, reports[0].content.decode("latin-1")
        return
    if expect["report"] == "either":
        if reports:
            _check_report(expect["if_report"], reports)
        return
    assert reports, "no report"
    assert len(reports) <= expect.get("reports_allowed", 1)
    _check_report(expect, reports)
