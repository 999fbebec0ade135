# SPDX-License-Identifier: ISC
"""Objects by mail: the transport mail against servers that do what a test
says, the listener that takes objects, and the whole road through real mail
servers that know nothing of it."""

import base64
import email
import os
import re
import subprocess

import pytest

import road
from peers_common import Acceptor, free_port, patient, program, wait_for
from peers_smtp import Smtp

OBJECT = (b"From: <bundle@paris.example>\r\nTo: <bundle@london.example>\r\n"
          b"Subject: batch\r\nMessage-ID: <pr-1@paris.example>\r\n"
          b"MIME-Version: 1.0\r\nContent-Type: application/batch-SMTP\r\n"
          b"Content-Transfer-Encoding: 8bit\r\n\r\n"
          b"EHLO paris.example\r\nMAIL FROM:<a@paris.example>\r\n"
          b"RCPT TO:<b@london.example>\r\nDATA\r\n%s\r\n.\r\nQUIT\r\n")


class Server(Acceptor):
    """One that answers as replies say: verb -> reply; what it was told is
    in commands and contents."""

    def __init__(self, replies=None, keywords=(), drop_after=None):
        self.replies = replies or {}
        self.keywords = keywords
        self.drop_after = drop_after
        self.commands, self.contents = [], []
        self.connections = 0
        super().__init__()

    def serve(self, conn):
        self.connections += 1
        with conn.makefile("rb") as lines:
            self.talk(conn, lines)

    def talk(self, conn, lines):
        conn.sendall(self.replies.get("", b"220 test\r\n"))
        for line in lines:
            line = line.rstrip(b"\r\n")
            verb = line.split(b" ")[0].split(b":")[0].decode().upper()
            self.commands.append(line)
            if verb == self.drop_after:
                return
            if verb == "EHLO":
                words = [b"test", *self.keywords]
                reply = b"".join(b"250%s%s\r\n" % (
                    b"-" if i + 1 < len(words) else b" ", word)
                    for i, word in enumerate(words))
            else:
                reply = b"354 go\r\n" if verb == "DATA" else b"250 Ok\r\n"
            reply = self.replies.get(verb, reply)
            conn.sendall(reply)
            if verb == "DATA" and reply.startswith(b"354"):
                content = b""
                while not content.endswith(b"\r\n.\r\n"):
                    content += next(lines)
                self.contents.append(
                    content[:-3].replace(b"\r\n..", b"\r\n."))
                if self.drop_after == ".":
                    return
                conn.sendall(self.replies.get(".", b"250 Ok\r\n"))
            if verb == "QUIT":
                return


@pytest.fixture
def server():
    made = []

    def make(*args, **more):
        made.append(Server(*args, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run(work, *settings, objects=(OBJECT % b"hello",)):
    """The transport over these objects: exit status and reports but for
    progress."""
    for name in ("out", "in"):
        os.makedirs(os.path.join(work, name), exist_ok=True)
    for number, data in enumerate(objects):
        with open(os.path.join(work, "out", f"o{number}"), "wb") as file:
            file.write(data)
    argv = [program("mail"), "--peer", "london", "--out",
            os.path.join(work, "out"), "--in", os.path.join(work, "in")]
    for one in settings:
        argv += ["--set", one]
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=patient(60))
    reports = [line for line in done.stdout.splitlines()
               if not line.startswith("sending ")]
    return done.returncode, reports, done.stderr


def test_two_objects_over_one_connection(work, server):
    one = server(keywords=(b"8BITMIME", b"SIZE 0", b"DSN"))
    objects = (OBJECT % b"hello", OBJECT % b"..dots")
    assert run(work, f"server=127.0.0.1:{one.port}", "helo=paris.example",
               objects=objects) == (0, ["sent o0", "sent o1"], "")
    assert one.connections == 1
    assert one.commands[0] == b"EHLO paris.example"
    assert set(one.commands[1].split()[1:]) == {
        b"FROM:<bundle@paris.example>", b"SIZE=%d" % len(objects[0]),
        b"BODY=7BIT", b"RET=HDRS", b"ENVID=pr-1@paris.example"}
    assert one.commands[2] == b"RCPT TO:<bundle@london.example>"
    assert one.contents == list(objects)


def test_addresses_from_settings(work, server):
    one = server()
    status, reports, _ = run(work, f"server=127.0.0.1:{one.port}",
                             "from=a@b.example", "to=c@d.example")
    assert (status, reports) == (0, ["sent o0"])
    assert one.commands[1].startswith(b"MAIL FROM:<a@b.example>")
    assert one.commands[2].startswith(b"RCPT TO:<c@d.example>")


def test_unix_socket(work, node):
    """Against our own listener, too, which is a server like others."""
    path = os.path.join(work, "s")
    paris = node("paris")
    paris.append_config(f'listen "unix:{path}" {{ }}\n')
    paris.start()
    status, reports, _ = run(work, f"server=unix:{path}",
                             "to=someone@paris.example",
                             "from=a@b.example")
    assert (status, reports) == (0, ["sent o0"])
    assert paris.wait_mail("someone")


BATCH = b"Content-Type: application/batch-SMTP\r\n"
EIGHT = OBJECT % "Gr\u00fc\u00dfe".encode()


def test_8bit_where_offered(work, server):
    one = server(keywords=(b"8BITMIME",))
    assert run(work, f"server=127.0.0.1:{one.port}",
               objects=(EIGHT,))[:2] == (0, ["sent o0"])
    assert b"BODY=8BITMIME" in one.commands[1]
    assert one.contents == [EIGHT]


@pytest.mark.parametrize("data", [EIGHT, OBJECT % (b"x" * 1200)])
def test_base64_where_the_server_cannot(work, server, data):
    """RFC 6152 3: no 8-bit to a server that does not offer it; RFC 5321
    4.5.3.1.6: no longer lines than it must take."""
    one = server(keywords=(b"SIZE 0",))
    assert run(work, f"server=127.0.0.1:{one.port}",
               objects=(data,))[:2] == (0, ["sent o0"])
    head, _, body = one.contents[0].partition(b"\r\n\r\n")
    want_head, _, want_body = data.partition(b"\r\n\r\n")
    assert head == want_head.replace(b": 8bit", b": base64")
    assert base64.b64decode(body) == want_body
    assert b"SIZE=%d" % len(one.contents[0]) in one.commands[1]
    assert max(map(len, body.split(b"\r\n"))) <= 76


REPLIES = [
    ({"": b"554 no\r\n"}, "temporary", "554"),
    ({"": b"421 later\r\n"}, "temporary", "421"),
    ({"MAIL": b"550 5.7.1 who?\r\n"}, "permanent", "550 5.7.1 who?"),
    ({"MAIL": b"530 5.7.0 authentication required\r\n"}, "temporary",
     "530 5.7.0"),
    ({"MAIL": b"451 4.3.0 busy\r\n"}, "temporary", "451 4.3.0 busy"),
    ({"RCPT": b"550 5.1.1 nobody\r\n"}, "permanent", "550 5.1.1 nobody"),
    ({"RCPT": b"450 4.2.1 later\r\n"}, "temporary", "450 4.2.1 later"),
    ({"DATA": b"554 5.5.1 no\r\n"}, "permanent", "554 5.5.1 no"),
    ({".": b"552 5.3.4 large\r\n"}, "permanent", "552 5.3.4 large"),
    ({".": b"452 4.3.1 full\r\n"}, "temporary", "452 4.3.1 full"),
]


@pytest.mark.parametrize("replies, kind, text", REPLIES,
                         ids=lambda x: str(x)[:30])
def test_refusals(work, server, replies, kind, text):
    one = server(replies)
    status, reports, _ = run(work, f"server=127.0.0.1:{one.port}")
    assert status == (75 if kind == "temporary" else 0)
    assert len(reports) == 1
    assert reports[0].startswith(f"failed o0 {kind} 127.0.0.1:{one.port}: ")
    assert text in reports[0]


def test_second_object_after_a_refused_one(work, server):
    one = server({"RCPT": b"550 5.1.1 nobody\r\n"})
    status, reports, _ = run(work, f"server=127.0.0.1:{one.port}",
                             objects=(OBJECT % b"1", OBJECT % b"2"))
    assert status == 0
    assert [line.split()[:3] for line in reports] == [
        ["failed", "o0", "permanent"], ["failed", "o1", "permanent"]]
    assert one.connections == 1


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA", "."])
def test_dropped_line(work, server, verb):
    one = server(drop_after=verb)
    status, reports, _ = run(work, f"server=127.0.0.1:{one.port}",
                             objects=(OBJECT % b"1", OBJECT % b"2"))
    assert status == 75
    assert len(reports) == 1
    assert reports[0].startswith("failed o0 temporary ")


def test_nobody_there(work):
    status, reports, _ = run(work, f"server=127.0.0.1:{free_port()}")
    assert status == 75
    assert "temporary" in reports[0] and "refused" in reports[0]


@pytest.mark.parametrize("settings, text", [
    (["server=nowhere"], "want HOST:PORT"),
    (["server=unix:relative"], "absolute"),
    (["server=127.0.0.1:0"], "want HOST:PORT"),
    (["from=x"], "from=x"),
    (["helo=a b"], "helo=a b"),
    (["timeout=-1"], "timeout"),
    (["sever=1.2.3.4:25"], "sever"),
])
def test_settings(work, settings, text):
    status, _, stderr = run(work, *settings)
    assert status == 78
    assert text in stderr


@pytest.mark.parametrize("data, text", [
    (b"", "no object"),
    (b"EHLO x\r\nMAIL FROM:<a@b>\r\n", "no object"),
    (BATCH + b"\r\nbody\r\n", "no From"),
    (BATCH + b"From: <a@b.example>\r\n\r\nbody\r\n", "no To"),
    (BATCH + b"From: <a@>\r\nTo: <c@d>\r\n\r\nbody\r\n", "From"),
])
def test_what_is_no_mail(work, server, data, text):
    one = server()
    status, reports, _ = run(work, f"server=127.0.0.1:{one.port}",
                             objects=(data,))
    assert status == 75
    assert reports[0].startswith("failed o0 temporary ")
    assert text in reports[0]
    assert one.connections == 0


#
# The listener.
#
def peer(name, server, **more):
    named = "".join(f"\t{key.replace('_', '-')} = {value}\n"
                    for key, value in more.items())
    return (f"peer {name} {{\n\tdialect = rfc2442\n\ttransport = mail\n"
            f'\tset = {{ "server={server}" }}\n'
            f"\tretry-min = 1s\n\tretry-max = 1s\n{named}}}\n")


@pytest.fixture
def london(node):
    one = node("london", config=road.config(
        "london", peer("paris", "127.0.0.1:1"),
        peer("oslo", "127.0.0.1:1", receive_hosts="192.0.2.1"),
        "routes { paris.example = paris\n\toslo.example = oslo }\n"))
    one.start()
    return one


def offer(site, sender, recipients, data=OBJECT % b"hello"):
    """Replies to RCPT, and to DATA if one was accepted."""
    with Smtp(site.port) as smtp:
        smtp.ehlo()
        assert smtp.mail(sender).code == 250
        rcpt = [smtp.rcpt(one) for one in recipients]
        codes = [(one.code, one.status) for one in rcpt]
        if any(one.code == 250 for one in rcpt):
            codes.append(smtp.data(data).code)
        return codes


def test_object_taken(london):
    assert offer(london, "bundle@paris.example",
                 ["bundle@london.example"]) == [(250, "2.1.5"), 250]
    assert london.wait_mail("b") == [b"hello\r\n"]
    assert "object-mailed peer=paris" in london.log()
    # The same object again is known by its Message-ID.
    assert offer(london, "bundle@paris.example",
                 ["bundle@LONDON.example"]) == [(250, "2.1.5"), 250]
    london.wait_log("object-duplicate")
    assert len(london.maildir("b")) == 1


def test_object_survives_sigkill(london):
    """250 means that it is durable: killed at once, it is taken up again."""
    large = b"".join(b"line %d\r\n" % i for i in range(200000))
    for number in range(5):
        data = (OBJECT % large).replace(b"pr-1@", b"pr-k%d@" % number)
        assert offer(london, "bundle@paris.example",
                     ["bundle@london.example"], data)[-1] == 250
        london.kill()
        london.start()
        assert len(london.wait_mail("b", number + 1)) == number + 1
    assert london.maildir("b") == [large + b"\r\n"] * 5


def test_object_from_an_alias(london):
    """As local(8) gives it to a command: a From_ line, trace fields, LF."""
    data = (b"From bundle@paris.example Tue Jan  2 10:00:00 2024\n"
            b"Return-Path: <bundle@paris.example>\n"
            b"X-Original-To: bundle@london.example\n"
            b"Received: from relay.example by mx.london.example\n"
            b"\tid 12345; Tue, 2 Jan 2024 10:00:00 +0000\n"
            + (OBJECT % b"hello").replace(b"\r\n", b"\n"))
    london.run("receive", "--peer", "paris", data=data)
    assert london.wait_mail("b") == [b"hello\r\n"]
    # The listener knows it again.
    assert offer(london, "bundle@paris.example",
                 ["bundle@london.example"])[-1] == 250
    london.wait_log("object-duplicate")
    assert len(london.maildir("b")) == 1


def test_object_is_alone(london):
    assert offer(london, "bundle@paris.example",
                 ["bundle@london.example", "b@london.example"]) == [
        (250, "2.1.5"), (452, "4.5.3"), 250]
    assert london.wait_mail("b") == [b"hello\r\n"]
    assert offer(london, "bundle@paris.example",
                 ["c@london.example", "bundle@london.example"]) == [
        (250, "2.1.5"), (452, "4.5.3"), 250]
    assert london.wait_mail("c") == [OBJECT % b"hello"]


def test_strangers(london):
    refused = [(550, "5.7.1")]
    for sender in ("bundle@rome.example", "paris@paris.example",
                   "bundle@oslo.example"):    # not from 192.0.2.1
        assert offer(london, sender, ["bundle@london.example"]) == refused


def test_own_object_back(london):
    assert offer(london, "bundle@london.example",
                 ["bundle@paris.example"]) == [(554, "5.4.6")]


def test_mail_from_nobody_goes_to_the_postmaster(london):
    """With words, and nothing a user could wonder about."""
    strange = b"Subject: I am away\r\n\r\nuntil Monday\r\n"
    assert offer(london, "", ["bundle@london.example"], strange) == [
        (250, "2.1.5"), 250]
    [mail] = london.wait_mail("postmaster")
    words, attached = email.message_from_bytes(mail).get_payload()
    assert "not" in words.get_payload()
    assert "bundle address" in words.get_payload()
    assert attached.get_payload(decode=True) == strange
    assert "mail-strange" in london.log()


def test_broken_object_goes_to_the_postmaster(london):
    assert offer(london, "bundle@paris.example", ["bundle@london.example"],
                 b"Subject: no batch\r\n\r\nhello\r\n")[-1] == 250
    assert len(london.wait_mail("postmaster")) == 1
    assert "object-broken" in london.log()


def test_inner_recipients_are_checked(london):
    """What a peer may not reach, it may not reach by mail either."""
    offer(london, "bundle@paris.example", ["bundle@london.example"],
          (OBJECT % b"x").replace(b"b@london", b"b@oslo"))
    london.wait_log("5.7.1")


def test_sizes(node):
    one = node("london", config=road.config(
        "london", peer("paris", "127.0.0.1:1",
                       address="bundle@paris.example"), message_max="64K",
        object_max="100K"))
    one.start()
    with Smtp(one.port) as smtp:
        smtp.ehlo()
        assert smtp.extensions["SIZE"] == "102400"
        smtp.mail("a@b.example", "SIZE=70000")
        assert smtp.rcpt("b@london.example").status == "5.3.4"
        smtp.mail("bundle@paris.example", "SIZE=70000")
    line = b"x" * 70 + b"\r\n"
    assert offer(one, "a@b.example", ["b@london.example"],
                 line * 1000)[-1] == 552
    assert offer(one, "bundle@paris.example", ["bundle@london.example"],
                 OBJECT % (line * 1000))[-1] == 250
    assert offer(one, "bundle@paris.example", ["bundle@london.example"],
                 OBJECT % (line * 1500))[-1] == 552


#
# The whole road.
#
MAIL = b"""\
From: Alice <alice@paris.example>
To: Bob <bob@london.example>
Subject: a very secret subject
Message-ID: <secret-id@paris.example>
Date: Tue, 02 Jan 2024 10:00:00 +0000

.
The words of the mail.
"""


@pytest.mark.requires_root
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_through_a_third_party(work, node, postfix, exim, compress):
    """paris's Postfix -> a relay -> london's Exim, which know nothing but
    mail.  The relay holds what it gets, so that its queue can be read."""
    ports = {name: free_port() for name in ("paris", "relay", "london")}
    nodes = {}
    for name, other in (("paris", "london"), ("london", "paris")):
        nodes[name] = node(name, config=road.config(
            name, peer(other, f"127.0.0.1:{ports[name]}",
                       address=f"bundles@node.{other}.example",
                       compress=compress),
            f"routes {{ {other}.example = {other} }}\n",
            address=f"bundles@node.{name}.example"))
        nodes[name].start()
    relay = postfix("relay", hostname="relay.example", domains=[],
                    port=ports["relay"], routes={
                        "node.london.example": f"127.0.0.1:{ports['london']}",
                        "node.paris.example": f"127.0.0.1:{ports['paris']}"})
    postfix("mx1", hostname="mx.paris.example", domains=[],
            port=ports["paris"], routes={
                "node.paris.example": f"127.0.0.1:{nodes['paris'].port}",
                "*": f"127.0.0.1:{ports['relay']}"})
    exim("mx2", hostname="mx.london.example", domains=[],
         port=ports["london"], routes={
             "node.london.example": f"127.0.0.1:{nodes['london'].port}",
             "*": f"127.0.0.1:{ports['relay']}"})
    content = MAIL.replace(b"\n", b"\r\n")
    with relay_holds(relay) as queue_file:
        nodes["paris"].submit("alice@paris.example", ["bob@london.example"],
                              content)
        seen = queue_file()
    for word in (b"alice", b"bob@", b"secret", b"words of", b"RCPT TO"):
        assert word not in seen
    assert b"bundles@node.london.example" in seen
    assert nodes["london"].wait_mail("bob", timeout=60) == [content]
    assert not re.search("alice@|bob@|secret", relay.log())
    nodes["london"].submit("bob@london.example", ["alice@paris.example"],
                           content)
    assert nodes["paris"].wait_mail("alice", timeout=60) == [content]


class relay_holds:
    """While it lasts, the relay keeps what it gets; the function waits for
    the first mail and gives its queue file."""

    def __init__(self, relay):
        self.relay = relay

    def __enter__(self):
        self.relay.run("postconf", "-c", self.relay.config, "-e",
                       "defer_transports=smtp")
        self.relay.reload()

        def look():
            for kind in ("deferred", "active", "incoming"):
                for top, _, files in os.walk(
                        os.path.join(self.relay.queue, kind)):
                    for name in files:
                        with open(os.path.join(top, name), "rb") as file:
                            data = file.read()
                        if b"batch-SMTP" in data:
                            return data
            return None

        return lambda: wait_for(look, 30, "a mail in the relay's queue")

    def __exit__(self, *_):
        self.relay.run("postconf", "-c", self.relay.config, "-e",
                       "defer_transports=")
        self.relay.reload()

        # A mail that is just being deferred is passed over by one flush.
        def gone():
            self.relay.flush()
            return self.relay.queued() == 0

        wait_for(gone, 40, lambda: self.relay.log()[-3000:], every=0.5)


def test_outer_messages_differ_in_nothing_but_what_must(work, node, server):
    """The same header fields, in the same order, with the same values but
    for date and id."""
    one = server(keywords=(b"8BITMIME",))
    paris = node("paris", config=road.config(
        "paris", peer("london", f"127.0.0.1:{one.port}"),
        "routes { london.example = london }\n"))
    paris.start()
    for text in (b"Subject: one\r\n\r\nx\r\n",
                 "Subject: two\r\n\r\nGr\u00fc\u00dfe\r\n".encode() * 50):
        count = len(one.contents)
        paris.submit("alice@paris.example", ["bob@london.example"], text,
                     mail_params="BODY=8BITMIME")
        wait_for(lambda: len(one.contents) > count, 20)
    heads = [re.sub(rb"(?m)^(Date|Message-ID): .*", rb"\1",
                    content.partition(b"\r\n\r\n")[0])
             for content in one.contents]
    assert heads[0] == heads[1]
    assert heads[0].split(b"\r\n")[:2] == [
        b"From: <bundle@paris.example>", b"To: <bundle@london.example>"]
