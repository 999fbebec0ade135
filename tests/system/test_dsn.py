# SPDX-License-Identifier: ISC
"""Delivery reports: RFC 3461, 3464, 6522, 6533 by clause.

Each row of CASES is a vector in the form of ../shared/corpus/dsn: envelope,
what the next hop does, and what the report says of it.
"""

import glob
import json
import os
import re
import time
from email.utils import parsedate_to_datetime

import pytest

import dsn
import road
from peers_common import PROJECT, patient, wait_for

CORPUS = os.path.join(PROJECT, "..", "shared", "corpus", "dsn")
VECTORS = sorted(glob.glob(os.path.join(CORPUS, "*.json")))
MESSAGE = ("From: Alice <alice@one.example>\r\nTo: bob@two.example\r\n"
           "Subject: report test\r\nMessage-ID: <r1@one.example>\r\n\r\n"
           "Secret body line.\r\n")
BOB = "bob@two.example"
CAROL = "carol@two.example"
NO = "550 5.1.1 no such user"
LATER = "451 4.3.0 later"


@pytest.mark.skipif(not VECTORS, reason="there is no ../shared/corpus/dsn")
@pytest.mark.parametrize("path", VECTORS,
                         ids=[os.path.basename(one) for one in VECTORS])
def test_corpus(node, path):
    with open(path, encoding="utf-8") as file:
        case = json.load(file)
    _, reports, hop = dsn.run(node, case)
    dsn.check(case, reports, hop)


def to(address=BOB, notify=None, orcpt=None):
    return {"address": address, "notify": notify, "orcpt": orcpt}


def case(recipients, result, reply=None, sender="alice@one.example",
         ret=None, envid=None, message=MESSAGE, dsn_there=False, **more):
    """A vector in which the same happens to all recipients."""
    event = [{"recipient": one["address"], "result": result, "reply": reply,
              "next_hop_dsn": dsn_there} for one in recipients]
    return {"envelope": {"sender": sender, "ret": ret, "envid": envid,
                         "recipients": recipients},
            "message": message, "event": event, **more}


def says(action, status, *addresses, **more):
    fields = {key: more.pop(key) for key in
              ("original_recipient", "diagnostic_code") if key in more}
    return {"expect": {"report": True, "to": "alice@one.example",
                       "recipients": [
                           {"final_recipient": "rfc822;" + one,
                            "action": action, "status": status, **fields}
                           for one in addresses or (BOB,)], **more}}


def silent(**more):
    return {"expect": {"report": False, **more}}


CASES = {
    # RFC 3461 5.2.8: several things happened, one report tells them
    "3461-5.2.8-fails-and-relayed": {
        **case([to(), to(CAROL, notify="SUCCESS"),
                to("dan@two.example")], "relayed"),
        "event": [{"recipient": BOB, "result": "failed", "reply": NO},
                  {"recipient": CAROL, "result": "relayed"},
                  {"recipient": "dan@two.example", "result": "relayed"}],
        "expect": {"report": True, "recipients": [
            {"final_recipient": "rfc822;" + BOB, "action": "failed",
             "status": "5.1.1"},
            {"final_recipient": "rfc822;" + CAROL, "action": "relayed",
             "status": "2.*.*"}]}},
    # RFC 3461 4.1: NOTIFY
    "3461-4.1-failure-asked": case([to(notify="FAILURE")], "failed", NO) |
        says("failed", "5.1.1"),
    "3461-4.1-lower-case": case([to(notify="failure,delay")], "failed", NO) |
        says("failed", "5.1.1"),
    "3461-4.1-success-only-fails": case([to(notify="SUCCESS")], "failed",
                                        NO) | silent(),
    "3461-4.1-delay-only-fails": case([to(notify="DELAY")], "failed", NO) |
        silent(),
    "3461-4.1-success-failure-fails": case(
        [to(notify="SUCCESS,FAILURE")], "failed", NO) |
        says("failed", "5.1.1"),
    "3461-4.1-success-failure-delivered": case(
        [to(notify="SUCCESS,FAILURE")], "delivered") |
        says("delivered", "2.*.*"),
    "3461-4.1-failure-delivered": case([to(notify="FAILURE")],
                                       "delivered") | silent(),
    "3461-4.1-never-delivered": case([to(notify="NEVER")], "delivered") |
        silent(),
    "3461-4.1-never-expired": case([to(notify="NEVER")], "expired", LATER) |
        silent(),
    "3461-4.1-never-fails-elsewhere": case(
        [to(notify="NEVER"), to(CAROL)], "failed", NO) |
        says("failed", "5.1.1", CAROL),
    # 4.2: ORCPT
    "3461-4.2-other-type": case([to(orcpt="x400;/C+3Dno/S+3Dbob")], "failed",
                                NO) |
        says("failed", "5.1.1", original_recipient="x400;/C=no/S=bob"),
    "3461-4.2-escaped-end": case(
        [to(orcpt="rfc822;a+0D+0AX-Evil:+20yes@one.example")], "failed",
        NO) | says("failed", "5.1.1", must_not_contain=["\nX-Evil"]),
    # 4.3: RET
    "3461-4.3-full-of-a-success": case(
        [to(notify="SUCCESS")], "delivered", ret="FULL") |
        says("delivered", "2.*.*", third_part="text/rfc822-headers",
             must_not_contain=["Secret body line."]),
    "3461-4.3-full-of-a-delay": case(
        [to(notify="DELAY")], "delayed", LATER, ret="FULL") |
        says("delayed", "4.3.0", third_part="text/rfc822-headers",
             must_not_contain=["Secret body line."]),
    "3461-4.3-full-of-expiry": case([to()], "expired", LATER, ret="FULL") |
        says("failed", "4.4.7", third_part="message/rfc822",
             must_contain=["Secret body line."]),
    "3461-4.3-full-8bit": case(
        [to()], "failed", NO, ret="FULL",
        message=MESSAGE + "\xc3\xa9\r\n") |
        says("failed", "5.1.1", third_part="message/rfc822",
             must_contain=["\xc3\xa9\r\n",
                           "Content-Transfer-Encoding: 8bit"]),
    "3461-4.3-full-7bit": case([to()], "failed", NO, ret="FULL") |
        says("failed", "5.1.1",
             must_not_contain=["Content-Transfer-Encoding"]),
    "3461-4.3-full-with-nul": case(
        [to()], "failed", NO, ret="FULL", message=MESSAGE + "a\0b\r\n") |
        says("failed", "5.1.1", third_part="text/rfc822-headers",
             must_not_contain=["\0"]),
    "3461-4.3-full-long-line": case(
        [to()], "failed", NO, ret="FULL",
        message=MESSAGE + "x" * 1200 + "\r\n") |
        says("failed", "5.1.1", third_part="text/rfc822-headers"),
    "2046-5.2.1-header-mended": case(
        [to()], "expired", None, ret="FULL", bdat=True,
        message=MESSAGE.replace("\r\n", "\n")) |
        says("failed", "5.6.*|4.4.7", third_part="text/rfc822-headers",
             must_contain=["Subject: report test\r\n"],
             must_not_contain=["Secret body line."]),
    # 4.4: ENVID
    "3461-4.4-none": case([to()], "failed", NO) |
        says("failed", "5.1.1", original_envelope_id=None),
    "3461-4.4-escaped-end": case(
        [to()], "failed", NO, envid="a+0D+0AX-Evil:+20yes") |
        says("failed", "5.1.1", must_not_contain=["\nX-Evil"]),
    # 5.2.1: to servers that know DSN
    "3461-5.2.1-passed-on": case(
        [to(notify="SUCCESS,DELAY", orcpt="rfc822;bob+2Bx@other.example")],
        "relayed", ret="HDRS", envid="QQ+3D1", dsn_there=True) |
        silent(passed_on=[
            "MAIL FROM:<alice@one.example>", "RET=HDRS", "ENVID=QQ+3D1",
            "NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bob+2Bx@other.example"]),
    "3461-5.2.1-refused-there": case(
        [to(notify="FAILURE,SUCCESS")], "failed", NO, dsn_there=True) |
        says("failed", "5.1.1"),
    # 5.2.2: to servers that do not
    "3461-5.2.2-relayed": case(
        [to(notify="SUCCESS", orcpt="rfc822;b@c.example")], "relayed") |
        says("relayed", "2.*.*", original_recipient="rfc822;b@c.example"),
    "3461-5.2.2-relayed-not-asked": case([to()], "relayed") | silent(),
    "3461-5.2.2-relayed-two": case(
        [to(notify="SUCCESS"), to(CAROL, notify="SUCCESS"),
         to("dan@two.example")], "relayed", envid="two") |
        says("relayed", "2.*.*", BOB, CAROL, original_envelope_id="two"),
    # 5.2.5, 5.2.6: delays and failures
    "3461-5.2.5-delay-asked": case([to(notify="DELAY")], "delayed", LATER) |
        says("delayed", "4.3.0", diagnostic_code="smtp; 451 4.3.0 later"),
    "3461-5.2.5-delay-not-asked": case([to(notify="FAILURE")], "delayed",
                                       LATER) | silent(),
    "3461-5.2.5-delay-default-asked": case([to()], "delayed", LATER) |
        silent(),
    "3461-5.2.5-delay-default-all": case(
        [to()], "delayed", LATER, site={"delay-notice-for": "all"}) |
        says("delayed", "4.3.0"),
    "3461-5.2.5-delay-never": case(
        [to(notify="NEVER")], "delayed", LATER,
        site={"delay-notice-for": "all"}) | silent(),
    "3461-5.2.6-expired": case([to()], "expired", LATER) |
        says("failed", "4.4.7", diagnostic_code="smtp; 451 4.3.0 later"),
    # 6.1, RFC 5321 4.5.5: never about a null sender
    "3461-6.1-null-success": case([to(notify="SUCCESS")], "delivered",
                                  sender="") | silent(),
    "3461-6.1-null-delay": case([to(notify="DELAY")], "delayed", LATER,
                                sender="") | silent(),
    "3461-6.1-null-expired": case([to()], "expired", LATER, sender="") |
        silent(),
    # RFC 3464 2.1: several recipients, one report
    "3464-2.1-two-fail": case([to(), to(CAROL)], "failed", NO) |
        says("failed", "5.1.1", BOB, CAROL),
    # 2.2: fields of the message
    "3464-2.2-fields": case([to()], "failed", NO) |
        says("failed", "5.1.1", per_message={
            "Reporting-MTA": "dns; mx.here.example",
            "Arrival-Date": "* +0000"}),
    # 2.3.1: no ORCPT, no field
    "3464-2.3.1-none": case([to()], "failed", NO) |
        says("failed", "5.1.1", must_not_contain=["Original-Recipient"]),
    # 2.3.6: the reply as it was
    "3464-2.3.6-no-status": case([to()], "failed", "553 bad name") |
        says("failed", "5.1.3", diagnostic_code="smtp; 553 bad name"),
    "3464-2.3.6-wrong-class": case([to()], "failed", "550 4.2.2 odd") |
        says("failed", "5.*.*", diagnostic_code="smtp; 550 4.2.2 odd"),
    "3464-2.3.6-long": case([to()], "failed", "550 5.7.1 " +
                            "word " * 60 + "end") |
        says("failed", "5.7.1", diagnostic_code="smtp; 550 5.7.1 " +
             "word " * 60 + "end"),
    # RFC 3834 5, RFC 5322 3.3
    "3834-5-auto-submitted": case([to()], "failed", NO) |
        says("failed", "5.1.1", header={
            "Auto-Submitted": "auto-replied", "Date": "* +0000",
            "From": "*<MAILER-DAEMON@mx.here.example>",
            "Message-ID": "<*@mx.here.example>", "MIME-Version": "1.0"}),
    # What is said names site and step, and nothing of our machines.
    "words-name-site-and-step": case([to()], "failed", NO) |
        says("failed", "5.1.1", must_contain=["site here", "RCPT TO"],
             must_not_contain=["127.0.0.1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_clause(node, name):
    one = CASES[name]
    _, reports, hop = dsn.run(node, one)
    dsn.check(one, reports, hop)


def test_parameters_stay_where_they_are_not_known(node):
    """RFC 3461 5.2.2 a: none of them is sent."""
    one = CASES["3461-5.2.2-relayed"]
    _, _, hop = dsn.run(node, one)
    for line in hop.lines:
        assert not re.search("NOTIFY|ORCPT|RET=|ENVID", line)


def test_told_once(node):
    """RFC 3461 5.2.5: a delay is told once, though it goes on."""
    one = case([to(notify="DELAY")], "delayed", LATER)
    hop = dsn.Hop({BOB: LATER}, ["8BITMIME"])
    here = node("here", config=dsn.CONFIG.format(
        site="\tdelay-notice = 1s\n", senders="one.example",
        domains="two.example", target=f"smtp:127.0.0.1:{hop.port}"))
    here.start()
    dsn._submit(here, one)
    here.wait_mail("alice")
    report = dsn.Report(here.maildir("alice")[0])
    assert re.fullmatch(r".* \+0000",
                        report.recipients[0]["Will-Retry-Until"])
    attempt = report.recipients[0]["Last-Attempt-Date"]
    assert attempt.endswith(" +0000")
    age = time.time() - parsedate_to_datetime(attempt).timestamp()
    assert -1 <= age < patient(60), "RFC 3464 2.3.7"
    here.restart()
    here.wait_log(r"(?s)(recipient-deferred.*){6}")
    assert len(here.maildir("alice")) == 1
    hop.close()


def test_last_attempt_of_what_expired(node):
    """RFC 3464 2.3.7: where one was made."""
    one = case([to()], "expired", LATER)
    _, reports, _ = dsn.run(node, one)
    assert "Last-Attempt-Date" in reports[0].recipients[0]


BY = [
    # BY, NOTIFY, what the server offers -> is it told as relayed?
    ("BY=120;N", None, [], True),
    ("BY=120;N", "NEVER", [], False),
    ("BY=120;N", "FAILURE", ["DSN"], True),
    ("BY=120;N", None, ["DELIVERBY", "DSN"], False),
    ("BY=120;NT", None, ["DELIVERBY", "DSN"], True),
    ("BY=120;RT", None, ["DELIVERBY"], True),
    ("BY=120;R", None, ["DELIVERBY"], False),
]


def relayed(here, by, notify):
    """Hands a mail in; the report, or None."""
    with here.smtp() as smtp:
        smtp.ehlo()
        assert smtp.mail("alice@one.example", by).code == 250
        assert smtp.rcpt(BOB, f"NOTIFY={notify}" if notify else "").code == \
            250
        assert smtp.data(b"Subject: x\r\n\r\nx\r\n").code == 250
        smtp.quit()
    wait_for(lambda: here.json("queue", "list") == [], 20)
    found = here.maildir("alice")
    assert len(found) <= 1
    return dsn.Report(found[0]) if found else None


@pytest.mark.parametrize("by,notify,offers,told", BY)
def test_deliverby_relayed(node, by, notify, offers, told):
    """RFC 2852 4.1.4: N to a server without it, T to any."""
    hop = dsn.Hop({}, ["8BITMIME", *offers])
    here = node("here", config=dsn.CONFIG.format(
        site="", senders="one.example", domains="two.example",
        target=f"smtp:127.0.0.1:{hop.port}"))
    here.start()
    report = relayed(here, by, notify)
    assert (report is not None) == told
    if told:
        assert report.recipients[0]["Action"] == "relayed"
    assert any(" BY=" in line for line in hop.lines) == \
        ("DELIVERBY" in offers)
    hop.close()


@pytest.mark.parametrize("by,extensions,told", [
    ("BY=120;N", "MT-PRIORITY", True), ("BY=120;N", "DELIVERBY", False),
    ("BY=120;NT", "DELIVERBY", True)])
def test_deliverby_relayed_by_a_peer(node, work, by, extensions, told):
    here = node("here", config=road.config(
        "here", road.peer(work, "here", "next", dialect="bsmtp",
                          extensions=f"{{ {extensions} }}"),
        "routes { two.example = next }\n", domain="one.example"))
    here.start()
    report = relayed(here, by, None)
    assert (report is not None) == told
    if told:
        assert report.recipients[0]["Action"] == "relayed"


def test_template(node, work):
    """The words can be those of another language."""
    path = os.path.join(work, "notices.de")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[failed]\nSubject: Unzustellbar für %{sender}\n\n"
                   "Grüße von %{site} (%{hostname}):\n\n%{recipients}\n")
    one = case([to()], "failed", NO, site={"notice-template": f'"{path}"'})
    _, reports, _ = dsn.run(node, one)
    text = reports[0].text.decode("utf-8")
    assert "Grüße von here (mx.here.example):" in text
    assert f"<{BOB}>" in text
    from email.header import decode_header, make_header
    assert str(make_header(decode_header(reports[0].mail["Subject"]))) == \
        "Unzustellbar für alice@one.example"
    assert all(octet < 128 for octet in reports[0].content)


def test_bad_template(node, work):
    """A fault in the words is a fault of the configuration."""
    path = os.path.join(work, "notices.de")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[failed]\nSubject: x\n\n%{recipient}\n")
    here = node("here")
    here.edit_config(r'^site "here" \{',
                     f'site here {{\n\tnotice-template = "{path}"')
    done = here.run("check", check=False)
    assert done.returncode != 0
    assert b"line 4: %{recipient} is none of" in done.stderr + done.stdout


UTF8 = ("From: =?utf-8?q?j?= <alice@one.example>\r\n"
        "Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\nSecret body line.\r\n")
BARD = "b\u00e5rd@two.example"


def test_6533_global(node):
    """RFC 6533 3, 4: UTF-8 where the message was."""
    one = case([to(BARD, orcpt=r"utf-8;b\x{E5}rd@two.example")], "failed",
               NO, message=UTF8, smtputf8=True)
    _, reports, _ = dsn.run(node, one)
    report = reports[0]
    assert report.type == "message/global-delivery-status"
    rcpt = report.recipients[0]
    assert rcpt["Final-Recipient"] == "utf-8;" + BARD
    assert rcpt["Original-Recipient"] == "utf-8;" + BARD
    assert report.parts[2].get_content_type() == "message/global-headers"
    assert report.mail["Content-Transfer-Encoding"] == "8bit"
    assert "gr\u00fc\u00dfe".encode() in report.content


def test_6533_full(node):
    """RFC 6533 6: the whole message is message/global."""
    one = case([to(BARD)], "failed", NO, message=UTF8, smtputf8=True,
               ret="FULL")
    _, reports, _ = dsn.run(node, one)
    assert reports[0].parts[2].get_content_type() == "message/global"
    assert b"Secret body line." in reports[0].content


def test_6533_downgraded(node, work):
    """RFC 6533 3: in ASCII, where the way back carries no UTF-8."""
    hop = dsn.Hop({BARD: NO}, ["8BITMIME", "SMTPUTF8"])
    there = "\tto = smtp:127.0.0.1:%d\n" % hop.port
    link = {"dialect": "bsmtp"}
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "oslo", **link,
                           extensions="{ SMTPUTF8 }"),
        "routes { two.example = oslo }\n"))
    oslo = node("oslo", config=road.config(
        "oslo", road.peer(work, "oslo", "paris", **link),
        "routes { paris.example = paris }\n", domain="two.example",
        delivery=there))
    for one in (paris, oslo):
        one.start()
    with paris.smtp() as smtp:
        smtp.ehlo()
        assert smtp.mail("alice@paris.example", "SMTPUTF8").code == 250
        assert smtp.rcpt(BARD).code == 250
        assert smtp.data(UTF8.encode("latin-1")).code == 250
        smtp.quit()
    report = dsn.Report(paris.wait_mail("alice")[0])
    assert report.type == "message/delivery-status"
    assert report.recipients[0]["Final-Recipient"] == \
        r"utf-8;b\x{E5}rd@two.example"
    assert report.parts[2].get_content_type() == "message/global-headers"
    assert report.parts[2]["Content-Transfer-Encoding"] == "base64"
    assert all(octet < 128 for octet in report.content)
    hop.close()


WAYS = {
    "bsmtp": {"dialect": "bsmtp"},
    "bsmtp-gzip": {"dialect": "bsmtp", "compress": "gzip"},
    "rfc2442": {"dialect": "rfc2442"},
    "rfc2442-gzip": {"dialect": "rfc2442", "compress": "gzip"},
}


def far(work, node, hop=None, **settings):
    """paris, london and oslo; oslo's mail goes to hop."""
    there = {"oslo": f"\tto = smtp:127.0.0.1:{hop.port}\n"} if hop else {}
    sites = road.three(work, node, deliveries=there, **settings)
    for one in sites:
        one.start()
    return sites


def ask(site, notify="SUCCESS,FAILURE", rcpt="bob@oslo.example"):
    with site.smtp() as smtp:
        smtp.ehlo()
        assert smtp.mail("alice@paris.example",
                         "RET=FULL ENVID=QQ+3D314159").code == 250
        assert smtp.rcpt(rcpt, f"NOTIFY={notify} "
                         "ORCPT=rfc822;bob+2Bx@Other.example").code == 250
        assert smtp.data(MESSAGE.encode()).code == 250
        smtp.quit()


@pytest.mark.parametrize("way", WAYS)
def test_unchanged_through_bundles(node, work, way):
    """RFC 3461 5.2.1: all parameters reach the server behind two nodes."""
    hop = dsn.Hop(extensions=["8BITMIME", "DSN"])
    sites = far(work, node, hop, **WAYS[way])
    ask(sites[0], "success,Failure")
    wait_for(lambda: hop.contents, 30, lambda: sites[2].log()[-3000:])
    assert hop.contents == [MESSAGE.encode()]
    mail, rcpt = hop.lines
    assert "RET=FULL" in mail and "ENVID=QQ+3D314159" in mail
    assert "NOTIFY=success,Failure" in rcpt
    assert "ORCPT=rfc822;bob+2Bx@Other.example" in rcpt
    hop.close()
    road.quiet(lambda: os.path.exists(sites[0].mail), 1)


@pytest.mark.parametrize("way", ("bsmtp", "rfc2442-gzip"))
def test_delivered_far_away(node, work, way):
    """RFC 3461 5.2.3: the site where it ends reports."""
    sites = far(work, node, **WAYS[way])
    ask(sites[0])
    report = dsn.Report(sites[0].wait_mail("alice")[0])
    assert report.per_message["Original-Envelope-Id"] == "QQ=314159"
    rcpt = report.recipients[0]
    assert rcpt["Action"] == "delivered"
    assert rcpt["Original-Recipient"] == "rfc822;bob+x@Other.example"
    assert "oslo" in report.per_message["Reporting-MTA"]
    assert b"london" not in report.content
    assert len(sites[2].wait_mail("bob")) == 1


def test_refused_far_away(node, work):
    """The notice of a failure comes back through the bundles, whole."""
    hop = dsn.Hop({"bob@oslo.example": NO}, ["8BITMIME", "DSN"])
    sites = far(work, node, hop, dialect="rfc2442")
    ask(sites[0])
    report = dsn.Report(sites[0].wait_mail("alice")[0])
    rcpt = report.recipients[0]
    assert (rcpt["Action"], rcpt["Status"]) == ("failed", "5.1.1")
    assert report.parts[2].get_content_type() == "message/rfc822"
    assert report.parts[2].get_payload(0).as_bytes().replace(
        b"\n", b"\r\n") == MESSAGE.encode()
    assert b"london" not in report.content
    hop.close()


@pytest.mark.parametrize("way", ("bsmtp", "rfc2442"))
def test_parameters_left_out_are_relayed(node, work, way):
    """A peer that gets no parameters cannot report: we do."""
    sites = road.three(work, node, dsn="no", **WAYS[way])
    for one in sites:
        one.start()
    ask(sites[0])
    report = dsn.Report(sites[0].wait_mail("alice")[0])
    rcpt = report.recipients[0]
    assert rcpt["Action"] == "relayed"
    assert rcpt["Status"].startswith("2.")
    assert "paris" in report.per_message["Reporting-MTA"]
    sites[2].wait_mail("bob")
    road.quiet(lambda: len(sites[0].maildir("alice")) > 1, 1)


def test_what_a_carrier_says_stays_here(node, work):
    """The words of a transport name relays: they are for our log alone."""
    carrier = os.path.join(work, "carrier")
    with open(carrier, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nwhile [ $# -gt 1 ]; do\n"
                   "[ \"$1\" = --out ] && out=$2\nshift\ndone\n"
                   "for f in \"$out\"/*; do echo \"failed ${f##*/} "
                   "permanent relay.carrier.example said 550 go away\"\n"
                   "done\n")
    os.chmod(carrier, 0o755)
    paris = node("paris", config=road.config(
        "paris", f'peer london {{ dialect = bsmtp\ntransport = "{carrier}"\n}}\n'
        "routes { london.example = london }\n"))
    paris.start()
    paris.submit("alice@paris.example", ["bob@london.example"],
                 MESSAGE.encode())
    report = dsn.Report(paris.wait_mail("alice")[0])
    rcpt = report.recipients[0]
    assert (rcpt["Action"], rcpt["Status"]) == ("failed", "5.4.4")
    assert rcpt["Diagnostic-Code"].startswith("X-postrider; site paris: ")
    assert b"carrier" not in report.content
    assert "relay.carrier.example" in paris.log()


@pytest.mark.parametrize("ret, whole", (("FULL", True), ("HDRS", False)))
def test_refused_in_a_batch(node, work, ret, whole):
    """RFC 2442 3.2: refusals become notices, with what RET asks for."""
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", dialect="bsmtp"),
        "routes { london.example = london }\n"))
    paris.start()
    batch = ("EHLO london.example\r\n"
             f"MAIL FROM:<alice@london.example> RET={ret} ENVID=x+2By\r\n"
             "RCPT TO:<bob@elsewhere.example> "
             "ORCPT=rfc822;b@c.example NOTIFY=FAILURE\r\n"
             "RCPT TO:<dan@elsewhere.example> NOTIFY=NEVER\r\n"
             "RCPT TO:<eve@paris.example>\r\n"
             "DATA\r\n" + MESSAGE + ".\r\nQUIT\r\n").encode()
    road.put(road.drop(work, "london", "paris"), "batch", batch)
    assert paris.wait_mail("eve") == [MESSAGE.encode()]
    sent = wait_for(lambda: road.files(road.drop(work, "paris", "london")),
                    20, paris.log)
    notice = list(sent.values())[0]
    content = notice[notice.index(b"DATA\r\n") + 6:
                     notice.index(b"\r\n.\r\nQUIT") + 2]
    report = dsn.Report(content)
    assert b"MAIL FROM:<>" in notice
    assert b"RCPT TO:<alice@london.example>" in notice
    assert len(report.recipients) == 1
    rcpt = report.recipients[0]
    assert rcpt["Original-Recipient"] == "rfc822;b@c.example"
    assert (rcpt["Action"], rcpt["Status"]) == ("failed", "5.7.1")
    assert rcpt["Diagnostic-Code"].startswith("smtp; 550 5.7.1 ")
    assert report.per_message["Original-Envelope-Id"] == "x+y"
    assert (b"Secret body line." in content) == whole
    assert report.parts[2].get_content_type() == (
        "message/rfc822" if whole else "text/rfc822-headers")


def test_null_sender_goes_to_the_postmaster(node):
    """What cannot be told to anyone is told to him, and whole."""
    one = case([to()], "failed", NO, sender="")
    here, reports, _ = dsn.run(node, one)
    assert not reports
    told = dsn.Report(here.maildir("postmaster")[0])
    assert told.recipients[0]["Action"] == "failed"
    assert b"Secret body line." in told.content
