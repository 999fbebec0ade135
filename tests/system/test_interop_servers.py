# SPDX-License-Identifier: ISC
"""Servers of strangers around a node: Dovecot, OpenSMTPD and sendmail.

Each takes what the node delivers, and those that also send hand their mail
to the node.  What a server does to some mails on its own is in a table; any
other difference is a fault of ours, and an entry that is no longer true is
one of the table's.
"""

import email
import re

import pytest

import peers_common
import road
from peers_common import wait_for
from peers_compare import differences
from peers_smtp import Refused, Smtp

pytestmark = pytest.mark.requires_root

SAMPLES = [one for one in peers_common.samples() if one.how == "data"]
USERS = [f"s{number}" for number in range(len(SAMPLES))] + [
    "alice", "bob", "postmaster"]

# How a server changes what it is given.
OPENSMTPD_CHANGES = {
    "all-octets-lines.eml": "cuts a line at NUL",
    "control.eml": "cuts a line at NUL",
    "nul.eml": "cuts a line at NUL",
    "return-path.eml": "removes Bcc",
}
SENDMAIL_CHANGES = {
    "leading-space.eml": "adds a header before what is none",
    "long-header-line.eml": "breaks a line of the header",
    "many-recipients.eml": "folds lists of addresses anew",
    "not-a-header.eml": "adds a header before what is none",
    "odd-fields.eml": "removes blanks before the colon",
    "one-line.eml": "adds a header before what is none",
    "return-path.eml": "replaces Return-Path",
}
# And what else it changes when it relays.
SENDMAIL_BREAKS = {
    "line-998.eml": "breaks lines over 990",
    "line-999.eml": "breaks lines over 990",
    "line-5000.eml": "breaks lines over 990",
}
# What it refuses, and the status that the sender is told.
DOVECOT_REFUSES = {"smtputf8.eml": "5.6.7"}
OPENSMTPD_REFUSES = {"leading-space.eml": "5.7.1",
                     "not-a-header.eml": "5.7.1", "one-line.eml": "5.7.1",
                     "smtputf8.eml": "5.6.7"}
SENDMAIL_REFUSES = {"smtputf8.eml": "5.6.7"}

MAIL = (b"From: Alice <alice@paris.example>\r\n"
        b"To: Bob <bob@oslo.example>\r\nSubject: a test\r\n"
        b"Message-ID: <one@paris.example>\r\n"
        b"Date: Tue, 02 Jan 2024 10:00:00 +0000\r\n\r\n"
        b".\r\n..dots\r\nFrom here\r\n")


def content(sample):
    with open(sample.path, "rb") as file:
        return file.read()


def paris(node, to):
    """A node that gives what is for oslo.example to a server."""
    one = node("paris", config=road.config(
        "paris", 'delivery far {\n\tdomains = { oslo.example }\n'
        f'\tto = "{to}"\n}}\n'))
    one.start()
    return one


def hand_in(port, domain, samples):
    """Each sample to a user of its own; what was refused, by name."""
    refused = {}
    with Smtp(port, timeout=60) as smtp:
        smtp.ehlo()
        for number, sample in samples:
            params = "BODY=8BITMIME"
            if sample.name == "smtputf8.eml":
                params += " SMTPUTF8"
            try:
                smtp.transaction("alice@paris.example",
                                 [f"s{number}@{domain}"], content(sample),
                                 mail_params=params)
            except Refused as error:
                refused[sample.name] = error.reply.status
                smtp.cmd("RSET")
        smtp.quit()
    return refused


def all_samples(refuses=()):
    return [(number, sample) for number, sample in enumerate(SAMPLES)
            if sample.name not in refuses]


def wait_all(server, samples, timeout=60):
    wait_for(lambda: all(server.maildir(f"s{number}")
                         for number, _ in samples), timeout,
             lambda: server.log()[-3000:], every=0.1)


def assert_changes(server, samples, changes):
    """Each is there once, and only those of the table are changed."""
    found = {}
    for number, sample in samples:
        [got] = server.maildir(f"s{number}")
        words = differences(got, content(sample))
        if words:
            found[sample.name] = words
    assert set(found) == set(changes), found


def assert_refused(node, refuses):
    """The sender has a notice about each that was refused."""
    node.wait_mail("alice", len(refuses))
    found = {one.recipient.replace("; ", ";"): one.status
             for one in road.notices(node, "alice")}
    numbers = {sample.name: number
               for number, sample in enumerate(SAMPLES)}
    assert found == {f"rfc822;s{numbers[name]}@oslo.example": status
                     for name, status in refuses.items()}


def _fields(block):
    return {name.lower(): " ".join(value.split()).replace("; ", ";")
            for name, value in block.items()}


def wait_report(server, user):
    """The blocks of the one report that a user gets, as dicts: about the
    message, and about its recipients."""
    wait_for(lambda: server.maildir(user), 30,
             lambda: server.log()[-3000:])
    [got] = server.maildir(user)
    [status] = [part for part in email.message_from_bytes(got).walk()
                if part.get_content_type() == "message/delivery-status"]
    blocks = [_fields(one) for one in status.get_payload()]
    return blocks[0], [one for one in blocks[1:] if one]


# Dovecot

@pytest.mark.parametrize("how", ["tcp", "unix"])
def test_dovecot_takes_all(node, dovecot, how):
    """Below its trace each mail is the same to the octet."""
    far = dovecot("oslo", hostname="mx.oslo.example", users=USERS)
    near = paris(node, f"lmtp:127.0.0.1:{far.port}" if how == "tcp"
                 else f"lmtp:unix:{far.path}")
    hand_in(near.port, "oslo.example", all_samples())
    taken = all_samples(DOVECOT_REFUSES)
    wait_all(far, taken)
    for number, sample in taken:
        [got] = far.maildir(f"s{number}")
        assert got.endswith(content(sample)), sample.name
        assert got.startswith(b"Return-Path: <alice@paris.example>\r\n")
    assert_refused(near, DOVECOT_REFUSES)


def test_dovecot_answers_for_each(node, dovecot):
    """One transaction; delivered, over quota behind the content, unknown."""
    far = dovecot("oslo", hostname="mx.oslo.example", users=["bob", "carol"],
                  full=["fred"])
    near = paris(node, f"lmtp:127.0.0.1:{far.port}")
    near.submit("alice@paris.example", [
        f"{user}@oslo.example"
        for user in ("bob", "fred", "nobody", "carol")], MAIL)
    near.wait_mail("alice", 1)
    told = {}
    for notice in road.notices(near, "alice"):
        assert notice.action == "failed"
        for one in notice.recipients:
            told[one["Final-Recipient"].replace(" ", "")] = (
                one["Status"], one["Diagnostic-Code"])
    assert {who: status for who, (status, _) in told.items()} == {
        "rfc822;fred@oslo.example": "5.2.2",
        "rfc822;nobody@oslo.example": "5.1.1"}
    assert "Quota exceeded" in told["rfc822;fred@oslo.example"][1]
    for user in ("bob", "carol"):
        [got] = far.maildir(user)
        assert got.endswith(MAIL)
    assert not far.maildir("fred")
    # One session took it for both.
    took = re.compile(r"lmtp\((?:bob|carol)\)<\d+><([^>:]+).*saved mail to")
    wait_for(lambda: len(took.findall(far.log())) == 2, 20, far.log)
    assert len(set(took.findall(far.log()))) == 1, far.log()


def test_dovecot_success_is_relayed(node, dovecot):
    """It knows no DSN, so the report that was asked for is ours."""
    far = dovecot("oslo", users=["bob"])
    near = paris(node, f"lmtp:127.0.0.1:{far.port}")
    near.submit("alice@paris.example", ["bob@oslo.example"], MAIL,
                mail_params="RET=HDRS ENVID=QQ314159",
                rcpt_params="NOTIFY=SUCCESS ORCPT=rfc822;old@x.example")
    message, [told] = wait_report(near, "alice")
    assert message["original-envelope-id"] == "QQ314159"
    assert told["action"] == "relayed"
    assert told["status"][0] == "2"
    assert told["final-recipient"] == "rfc822;bob@oslo.example"
    assert told["original-recipient"] == "rfc822;old@x.example"
    assert far.maildir("bob")[0].endswith(MAIL)


def test_dovecot_away(node, dovecot):
    """Mail waits until it is back."""
    far = dovecot("oslo", users=["bob"])
    near = paris(node, f"lmtp:unix:{far.path}")
    far.stop()
    near.submit("alice@paris.example", ["bob@oslo.example"], MAIL)
    near.wait_log("recipient-deferred")
    far.start()
    wait_for(lambda: far.maildir("bob"), 30, near.log)
    assert far.maildir("bob")[0].endswith(MAIL)


# OpenSMTPD and sendmail

SERVERS = {
    "opensmtpd": (OPENSMTPD_CHANGES, {}, OPENSMTPD_REFUSES),
    "sendmail": (SENDMAIL_CHANGES, SENDMAIL_BREAKS, SENDMAIL_REFUSES),
}


@pytest.fixture(params=SERVERS)
def pair(request, node):
    """The node at paris, and a server at oslo that relays to it."""
    port = peers_common.free_port()
    far = request.getfixturevalue(request.param)(
        "oslo", hostname="mx.oslo.example", domains=["oslo.example"],
        users=USERS, relayhost=f"127.0.0.1:{port}")
    near = node("paris", port=port, config=road.config(
        "paris", 'delivery far {\n\tdomains = { oslo.example }\n'
        f'\tto = "smtp:127.0.0.1:{far.port}"\n}}\n'))
    # Only a real user, so that something can be refused.
    near.edit_config(r"domains = \{ paris\.example \}",
                     "domains = { paris.example }\n\tusers = { "
                     + ", ".join(USERS) + " }")
    near.start()
    far.changes, far.breaks, far.refuses = SERVERS[request.param]
    far.name = request.param
    return near, far


def test_delivered_to_it(pair):
    near, far = pair
    hand_in(near.port, "oslo.example", all_samples())
    taken = all_samples(far.refuses)
    wait_all(far, taken)
    assert_changes(far, taken, far.changes)
    assert_refused(near, far.refuses)


def test_relayed_by_it(pair):
    """What it takes it hands to us, and we keep it as it comes."""
    near, far = pair
    taken = all_samples(far.refuses)
    assert hand_in(far.port, "paris.example", taken) == {}
    wait_all(near, taken)
    assert_changes(near, taken, {**far.changes, **far.breaks})


def test_it_refuses(pair):
    """An unknown user there: our notice, with its words."""
    near, far = pair
    near.submit("alice@paris.example",
                ["nobody@oslo.example", "bob@oslo.example"], MAIL)
    wait_for(lambda: far.maildir("bob"), 30, near.log)
    _, [told] = wait_report(near, "alice")
    assert told["action"] == "failed"
    assert told["status"][0] == "5"
    assert told["final-recipient"] == "rfc822;nobody@oslo.example"
    assert told["diagnostic-code"].startswith("smtp;550 ")
    assert differences(far.maildir("bob")[0], MAIL) == []


def test_we_refuse(pair):
    """An unknown user here: its notice, with our code and words."""
    near, far = pair
    far.sendmail("bob@oslo.example",
                 ["nobody@paris.example", "alice@paris.example"],
                 MAIL.replace(b"\r\n", b"\n"))
    [got] = near.wait_mail("alice")
    assert differences(got, MAIL) == []
    _, [told] = wait_report(far, "bob")
    assert told["action"] == "failed"
    assert told["status"][0] == "5"
    assert told["final-recipient"].lower() == "rfc822;nobody@paris.example"
    if far.name == "sendmail":
        assert told["status"] == "5.1.1"
        assert told["diagnostic-code"].startswith("SMTP;550 5.1.1 ")
        assert told["remote-mta"].startswith("DNS;")


def test_success_is_told(pair):
    """NOTIFY, ORCPT and ENVID reach it; its own report comes back."""
    near, far = pair
    near.submit("alice@paris.example", ["bob@oslo.example"], MAIL,
                mail_params="RET=HDRS ENVID=QQ+2B314159",
                rcpt_params="NOTIFY=SUCCESS "
                "ORCPT=rfc822;first+2Blast@x.example")
    wait_for(lambda: far.maildir("bob"), 30, near.log)
    message, [told] = wait_report(near, "alice")
    assert message["reporting-mta"] == "dns;mx.oslo.example"
    # sendmail adds a comment.
    assert told["action"].split()[0] == "delivered"
    assert told["status"][0] == "2"
    assert told["final-recipient"].lower() == "rfc822;bob@oslo.example"
    # OpenSMTPD keeps these to itself.
    if far.name == "sendmail":
        assert message["original-envelope-id"] == "QQ+314159"
        assert told["original-recipient"] == "rfc822;first+last@x.example"
