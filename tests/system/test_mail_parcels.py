# SPDX-License-Identifier: ISC
"""Parcels by mail: from listener to listener, through servers that code them
anew, from an alias; and what comes back."""

import email
import glob
import os
import re

import pytest

import native
import road
from peers_common import free_port, peers_program, wait_for
from test_transport_mail import Server, offer

CONTENT = b"Subject: x\r\n\r\n" + bytes(range(256)) * 40 + b"\r\n"
PLAIN = b"Subject: x\r\n\r\nhello\r\n"


def peer(name, port, *settings, dialect="native", **more):
    named = "".join(f"\t{key.replace('_', '-')} = {value}\n"
                    for key, value in more.items())
    sets = ", ".join(f'"{one}"' for one in (f"server=127.0.0.1:{port}",
                                            *settings))
    return (f"peer {name} {{\n\tdialect = {dialect}\n\ttransport = mail\n"
            f"\taddress = bundles@node.{name}.example\n"
            f"\tset = {{ {sets} }}\n"
            f"\tretry-min = 1s\n\tretry-max = 20s\n{named}}}\n")


def site(node, name, other, port, *settings, **more):
    return node(name, config=road.config(
        name, peer(other, port, *settings, **more),
        f"routes {{ {other}.example = {other} }}\n",
        address=f"bundles@node.{name}.example"))


def pair(node, *settings, ports=None, **more):
    """paris and london, who mail to each other's listener or to ports."""
    paris = site(node, "paris", "london", 1, *settings, **more)
    london = site(node, "london", "paris", 1, *settings, **more)
    for one, other in ((paris, london), (london, paris)):
        port = ports[one.site] if ports else other.port
        one.edit_config(r"server=127.0.0.1:1", f"server=127.0.0.1:{port}")
    native.introduce(paris, london)
    paris.start()
    london.start()
    return paris, london


@pytest.fixture
def server():
    one = Server(keywords=(b"8BITMIME", b"DSN"))
    yield one
    one.close()


@pytest.mark.parametrize("encoding", ["base64", "8bit", "binary"])
def test_listener_to_listener(node, encoding):
    """All octets come through, and the word that they did comes back."""
    paris, london = pair(node, f"encoding={encoding}")
    paris.submit("alice@paris.example", ["bob@london.example"], CONTENT,
                 how="bdat", mail_params="BODY=BINARYMIME")
    assert london.wait_mail("bob") == [CONTENT]
    native.wait_settled(paris)
    assert "object-mailed peer=paris" in london.log()
    assert "file-refused" not in paris.log() + london.log()


def begun(one, peer):
    """Files that the listener has begun to write, and where."""
    top = os.path.join(one.directory, "spool", "peers", peer)
    return [os.path.relpath(path, top) for path in
            glob.glob(os.path.join(top, "*", ".mail*"))]


def test_begun_mail_is_no_transports(node, server):
    """What is being mailed lies where no transport writes, and what a crash
    leaves of it goes at the next start."""
    london = site(node, "london", "paris", server.port)
    native.make_keys(london)
    london.start()
    smtp = london.smtp()
    smtp.ehlo()
    smtp.mail("bundles@node.paris.example")
    smtp.rcpt("bundles@node.london.example")
    assert smtp.cmd("DATA").code == 354
    smtp.send_raw(b"MIME-Version: 1.0\r\n")
    wait_for(lambda: begun(london, "paris"), 10, london.log)
    assert os.path.dirname(begun(london, "paris")[0]) == "mailed"
    london.kill()
    smtp.close()
    assert begun(london, "paris")
    london.start()
    assert not begun(london, "paris")


def headers(data):
    return email.message_from_bytes(data)


def test_what_a_parcel_looks_like(node, server):
    """The same header but for date and id, and nothing that tells of us."""
    paris = site(node, "paris", "london", server.port, "date=1d",
                 parcel_size="2K", shape="2K")
    london = site(node, "london", "paris", 1)
    native.introduce(paris, london)
    paris.start()
    for number in range(2):
        paris.submit("alice@paris.example", ["bob@london.example"], PLAIN)
        wait_for(lambda: len(server.contents) > number, 20)
    heads = [data.partition(b"\r\n\r\n")[0] for data in server.contents]
    blank = [re.sub(rb"(?m)^(Date|Message-ID): [^\r]*", rb"\1", one)
             for one in heads]
    assert blank[0] == blank[1] == b"\r\n".join([
        b"From: <bundles@node.paris.example>",
        b"To: <bundles@node.london.example>", b"Date", b"Message-ID",
        b"MIME-Version: 1.0",
        b"Content-Type: application/vnd.postrider.parcel",
        b"Content-Transfer-Encoding: base64"])
    for one in heads:
        mail = headers(one + b"\r\n\r\n")
        assert re.fullmatch(r"<[a-z2-7]{26}@node\.paris\.example>",
                            mail["Message-ID"])
        assert " 00:00:00 +0000" in mail["Date"]
    sizes = {len(headers(data).get_payload(decode=True))
             for data in server.contents}
    assert sizes == {2048}
    assert b"ENVID=" in next(line for line in server.commands
                             if line.startswith(b"MAIL"))


def parcel(node, server):
    """paris and london; and the mail of a parcel for london, behind the one
    with the card."""
    paris = site(node, "paris", "london", server.port)
    london = site(node, "london", "paris", 1)
    native.introduce(paris, london)
    paris.start()
    london.start()
    wait_for(lambda: server.contents, 20)
    paris.submit("alice@paris.example", ["bob@london.example"], PLAIN)
    wait_for(lambda: len(server.contents) > 1, 20)
    return paris, london, server.contents[1]


def test_from_an_alias(node, server):
    """As local(8) gives it to a command, a list's footer behind it."""
    _, london, data = parcel(node, server)
    head, _, body = data.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n")
            if not line.startswith(b"Content-")]
    own = [line for line in head.split(b"\r\n")
           if line.startswith(b"Content-")]
    wrapped = b"\r\n".join([
        b"From bundles@node.paris.example Tue Jan  2 10:00:00 2024",
        b"Received: from relay.example by mx.london.example", *kept,
        b'Content-Type: multipart/mixed; boundary="b"', b"", b"--b", *own,
        b"", body, b"--b", b"Content-Type: text/plain", b"",
        b"To leave this list write to nobody.", b"--b--", b""])
    london.run("receive", "--peer", "paris",
               data=wrapped.replace(b"\r\n", b"\n"))
    assert london.wait_mail("bob") == [PLAIN]


def test_no_sound_parcel(node, server):
    _, london, data = parcel(node, server)
    sender, to = "bundles@node.paris.example", ["bundles@node.london.example"]
    assert offer(london, sender, to, b"Subject: x\r\n\r\nhi\r\n")[-1] == 554
    cut = data.rstrip(b"=\r\n")[:-1]
    cut = cut[:len(cut) - (len(cut.partition(b"\r\n\r\n")[2]
                               .replace(b"\r\n", b"")) % 4 == 0)]
    assert offer(london, sender, to, cut + b"\r\n")[-1] == 554
    assert london.run("receive", "--peer", "paris", data=cut + b"\r\n",
                      check=False).returncode == 65
    assert offer(london, sender, to, data)[-1] == 250
    assert london.wait_mail("bob") == [PLAIN]


def bounce(data, action, status, said=b"550 5.1.1 no such user"):
    """As Postfix writes one about this mail."""
    head = data.partition(b"\r\n\r\n")[0]
    return (b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail"
            b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
            b'report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\n'
            b"I'm sorry.\r\n--b\r\nContent-Type: message/delivery-status"
            b"\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
            b"Final-Recipient: rfc822; bundles@node.london.example\r\n"
            b"Action: " + action + b"\r\nStatus: " + status +
            b"\r\nDiagnostic-Code: smtp; " + said + b"\r\n\r\n--b\r\n"
            b"Content-Type: text/rfc822-headers\r\n\r\n" + head
            + b"\r\n--b--\r\n")


def give_back(one, data, *how):
    assert offer(one, "", [f"bundles@node.{one.site}.example"],
                 bounce(data, *how)) == [(250, "2.1.5"), 250]


def test_returned_parcel_is_sent_again(node, server):
    paris, london, data = parcel(node, server)
    give_back(paris, data, b"delayed", b"4.4.1")
    assert "kind=delayed" in paris.log()
    count = len(server.contents)
    give_back(paris, data, b"failed", b"5.1.1")
    assert "mail-returned peer=london" in paris.log()
    assert "kind=permanent status=5.1.1" in paris.log()
    status = paris.cli("status", "--json")
    assert "550 5.1.1 no such user" in status
    # Again long before an answer would be missed (a minute), by back-off.
    wait_for(lambda: len(server.contents) > count, 20)
    again = server.contents[-1]
    assert headers(again)["Message-ID"] != headers(data)["Message-ID"]
    # It was the first that is known no more; three in a row are enough.
    for number in range(2):
        give_back(paris, server.contents[-1], b"failed", b"5.1.1")
        wait_for(lambda: len(server.contents) > count + 1 + number, 20)
    assert "peer-down peer=london" in paris.log()
    assert offer(london, "bundles@node.paris.example",
                 ["bundles@node.london.example"],
                 server.contents[-1])[-1] == 250
    assert london.wait_mail("bob") == [PLAIN]


def test_returned_to_an_alias(node, server):
    paris, _, data = parcel(node, server)
    count = len(server.contents)
    paris.run("receive", "--peer", "london",
              data=bounce(data, b"failed", b"5.2.2").replace(b"\r\n", b"\n"))
    assert "kind=permanent status=5.2.2" in paris.log()
    wait_for(lambda: len(server.contents) > count, 20)


def test_unknown_return_goes_to_the_postmaster(node, server):
    """One that nobody who saw the mail can have made changes nothing."""
    paris, _, data = parcel(node, server)
    forged = re.sub(rb"<[a-z2-7]{26}@", b"<" + b"a" * 26 + b"@", data)
    give_back(paris, forged, b"failed", b"5.1.1")
    assert "mail-returned" not in paris.log()
    [mail] = paris.wait_mail("postmaster")
    words, attached = email.message_from_bytes(mail).get_payload()
    assert "return-expire" in words.get_payload()
    assert attached.get_payload(decode=True) == bounce(forged, b"failed",
                                                       b"5.1.1")
    status = paris.cli("status", "--json")
    assert "returned" not in status


def test_returned_object_is_told_to_the_senders(node, server):
    """Custody had ended, but what was in it is remembered, also by the next
    daemon."""
    paris = site(node, "paris", "london", server.port, dialect="rfc2442",
                 encoding="8bit")
    paris.start()
    with paris.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("alice@paris.example", ["bob@london.example"],
                         PLAIN, mail_params="ENVID=QQ RET=HDRS")
        smtp.transaction("carol@paris.example", ["dave@london.example"],
                         PLAIN, rcpt_params="NOTIFY=NEVER")
    wait_for(lambda: sum(data.count(b"RCPT TO") for data in server.contents)
             == 2, 20)
    wait_for(lambda: not paris.cli("queue", "list", "--json"), 20)
    paris.restart()
    for data in server.contents:
        give_back(paris, data, b"delayed", b"4.4.1")
        give_back(paris, data, b"failed", b"5.7.1", b"554 5.7.1 not you")
    [notice] = paris.wait_mail("alice")
    report = email.message_from_bytes(notice)
    assert report.get_content_type() == "multipart/report"
    fields = report.get_payload()[1].as_string()
    assert "Original-Envelope-Id: QQ" in fields
    assert re.search(r"(?i)final-recipient: rfc822; ?bob@london", fields)
    assert "Action: failed" in fields and "Status: 5.7.1" in fields
    assert b"not you" not in notice     # names who carries our mail
    # Once is enough.
    give_back(paris, server.contents[0], b"failed", b"5.7.1")
    paris.wait_mail("postmaster")
    assert len(paris.maildir("alice")) == 1
    assert paris.maildir("carol") == []


def test_transport_tells_of_a_return(work, node, server):
    """As one that fetches a mailbox does."""
    script = os.path.join(work, "carry")
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\ncd \"$4\"; for f in *; do\n"
                   "\t[ -f $f ] && echo sent $f && "
                   "echo returned $f permanent 550 gone\n"
                   "done; echo returned nosuchfile temporary x; exit 0\n")
    os.chmod(script, 0o755)
    paris = site(node, "paris", "london", server.port, dialect="rfc2442")
    paris.edit_config(r"transport = mail", f'transport = "{script}"')
    paris.start()
    paris.submit("alice@paris.example", ["bob@london.example"], PLAIN)
    assert len(paris.wait_mail("alice")) == 1
    assert "kind=permanent" in paris.log()
    paris.wait_log("return-unknown peer=london name=nosuchfile")


BACK = """#!/bin/sh
cd "$4"; for f in *; do
	[ -f $f ] && echo sent $f && echo $f >>{work}/names
done
[ -f {work}/full ] && for f in $(cat {work}/names); do
	echo returned $f permanent 550 gone
	read answer; echo "$answer" >>{work}/answers
done; exit 0
"""


@pytest.mark.parametrize("dialect, word", [("rfc2442", "unknown"),
                                           ("native", "known")])
def test_returned_on_a_full_disk(work, node, server, dialect, word):
    """Notices have no room, so the transport is to tell again; that a bundle
    is to go again needs none.  Neither is lost."""
    def lines(name):
        path = os.path.join(work, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as file:
            return [line.split()[0] for line in file]

    script = os.path.join(work, "carry")
    with open(script, "w", encoding="ascii") as file:
        file.write(BACK.format(work=work))
    os.chmod(script, 0o755)
    paris = site(node, "paris", "london", server.port, dialect=dialect)
    native.introduce(paris, site(node, "london", "paris", 1,
                                 dialect=dialect))
    paris.edit_config(r"transport = mail", f'transport = "{script}"')
    paris.start()
    paris.submit("alice@paris.example", ["bob@london.example"], PLAIN)
    paris.wait_log("object-sent" if dialect == "rfc2442" else
                   "parcel-cut .* pieces=1")
    wait_for(lambda: len(re.findall("(?:object|parcel)-cut", paris.log())) ==
             paris.log().count("object-sent"), 20, paris.log)
    paris.edit_config("min-free = none", "min-free = 8000T")
    paris.restart()
    with open(os.path.join(work, "full"), "w", encoding="ascii"):
        pass
    sent = len(lines("names"))
    paris.run("flush", "london")
    wait_for(lambda: word in lines("answers"), 20, paris.log)
    assert lines("answers")[0] == word and paris.maildir("alice") == []
    paris.edit_config("min-free = 8000T", "min-free = none")
    paris.restart()
    paris.run("flush", "london")
    if dialect == "rfc2442":
        assert len(paris.wait_mail("alice")) == 1
        assert "known" in lines("answers")
    else:
        wait_for(lambda: len(lines("names")) > sent, 60, paris.log)


def test_too_large_for_the_path(node):
    """Nothing is lost, and it is said what to do."""
    small = Server(keywords=(b"SIZE 10000",))
    paris = site(node, "paris", "london", small.port, parcel_size="64K")
    london = site(node, "london", "paris", 1)
    native.introduce(paris, london)
    paris.start()
    paris.submit("alice@paris.example", ["bob@london.example"],
                 b"Subject: x\r\n\r\n" + os.urandom(30000).hex().encode()
                 .replace(b"a", b"a\r\n") + b"\r\n")
    paris.wait_log("set a smaller parcel-size")
    status = paris.cli("status", "--json")
    assert "parcel-size" in status
    paris.edit_config(r"parcel-size = 64K", "parcel-size = 6K")
    paris.reload()
    wait_for(lambda: len(small.contents) >= 5, 20)
    assert max(len(data) for data in small.contents) <= 10000
    small.close()


def ports_of(*names):
    return {name: free_port() for name in names}


@pytest.mark.requires_root
def test_armour_through_a_relay_that_codes_anew(node, postfix):
    """8-bit as far as the relay, quoted-printable behind it."""
    ports = ports_of("paris", "london")
    paris, london = pair(node, "encoding=8bit", ports=ports)
    for name, other, one in (("paris", "london", london),
                             ("london", "paris", paris)):
        postfix(f"mx-{name}", hostname=f"mx.{name}.example", domains=[],
                port=ports[name], settings={
                    "smtp_discard_ehlo_keywords": "8bitmime, chunking"},
                routes={f"node.{other}.example": f"127.0.0.1:{one.port}"})
    paris.submit("alice@paris.example", ["bob@london.example"], CONTENT,
                 how="bdat", mail_params="BODY=BINARYMIME")
    assert london.wait_mail("bob", timeout=60) == [CONTENT]
    native.wait_settled(paris)


@pytest.mark.requires_root
def test_postfix_and_exim_return_mail(node, postfix, exim):
    """paris's Postfix cannot reach london's node, later it can; what comes
    back is a bounce as they really write it."""
    ports = ports_of("paris", "london")
    paris, london = pair(node, ports=ports)
    back = {"node.paris.example": f"127.0.0.1:{paris.port}",
            "*": f"127.0.0.1:{ports['london']}"}
    postfix("mx1", hostname="mx.paris.example", domains=[],
            port=ports["paris"], routes=back)
    other = exim("mx2", hostname="mx.london.example", domains=[],
                 port=ports["london"],
                 settings={"exim_path": peers_program("exim4")}, routes={
                     "node.paris.example": f"127.0.0.1:{ports['paris']}",
                     "node.london.example": f"127.0.0.1:{paris.port}"})
    paris.submit("alice@paris.example", ["bob@london.example"], PLAIN)
    paris.wait_log("mail-returned peer=london", timeout=60)
    assert "kind=permanent" in paris.log()
    assert paris.maildir("postmaster") == []
    other.route("node.london.example", f"127.0.0.1:{london.port}")
    assert london.wait_mail("bob", timeout=60) == [PLAIN]
    assert paris.maildir("alice") == []
