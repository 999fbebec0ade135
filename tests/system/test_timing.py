# SPDX-License-Identifier: ISC
"""MT-PRIORITY, DELIVERBY and FUTURERELEASE from the client to the end."""

import glob
import os
import time

from native import Skew
from peers_common import wait_for
from road import quiet

CONTENT = b"From: <a@client.example>\r\nSubject: t\r\n\r\nhello\r\n"


def at(node, **more):
    site = node("test", domains=["test.example"], users=["user"], **more)
    site.start()
    return site


def pair(node, extensions="", age="\tbatch-age = 1h\n"):
    """A site whose mail for far.example waits for a bundle."""
    site = node("test", domains=["test.example"], users=["user"])
    site.append_config(f"""
peer far {{
\tdialect = bsmtp
\ttransport = file
{extensions}{age}\tset = {{ "drop={site.directory}/far" }}
}}
routes {{ far.example = far }}
""")
    os.mkdir(site.directory + "/far")
    site.start()
    return site


def test_offered(node):
    with at(node).smtp() as smtp:
        smtp.ehlo()
        assert smtp.extensions["MT-PRIORITY"] == ""
        assert smtp.extensions["DELIVERBY"] == ""
        assert "BINARYMIME" in smtp.extensions
        interval, date = smtp.extensions["FUTURERELEASE"].split()
        assert interval == str(30 * 86400)
        assert abs(time.mktime(time.strptime(date, "%Y-%m-%dT%H:%M:%SZ"))
                   - time.timezone - time.time() - 30 * 86400) < 60


def test_hold_can_be_turned_off(node):
    site = node("test", domains=["test.example"])
    site.edit_config(r"^site (\S+) \{", r"site \1 {\n\thold-max = none")
    site.start()
    with site.smtp() as smtp:
        smtp.ehlo()
        assert "FUTURERELEASE" not in smtp.extensions
        assert smtp.mail("a@client.example", "HOLDFOR=1").code == 555


def test_hold_for(node, work):
    skew = Skew(work)
    site = at(node, env=skew.env)
    skew.use(site)
    site.submit("a@client.example", ["user@test.example"], CONTENT,
                mail_params="HOLDFOR=3600")
    site.submit("a@client.example", ["user@test.example"],
                CONTENT.replace(b"hello", b"other"))
    assert b"other" in list(site.wait_mail("user", 1))[0]
    site.cli("queue", "retry", "--all")
    site.restart()
    skew.forward(1800)
    quiet(lambda: len(site.maildir("user")) > 1, 1)
    skew.forward(1801)
    site.wait_mail("user", 2)


def test_hold_until_the_past(node):
    site = at(node)
    site.submit("a@client.example", ["user@test.example"], CONTENT,
                mail_params="HOLDUNTIL=2001-01-01T00:00:00Z")
    site.wait_mail("user", 1)


def test_too_late_is_returned(node):
    site = pair(node, "\textensions = { DELIVERBY }\n")
    site.submit("user@test.example", ["b@far.example"], CONTENT,
                mail_params="BY=2;R")
    notice = list(site.wait_mail("user", 1))[0]
    assert b"Action: failed" in notice
    assert b"Status: 5.4.7" in notice
    wait_for(lambda: site.json("queue", "list") in ([], ""), 20, site.log)


def test_return_needs_the_road(node):
    site = pair(node)
    site.submit("user@test.example", ["b@far.example"], CONTENT,
                mail_params="BY=20;R")
    site.cli("flush", "far")
    assert b"Status: 5.3.3" in list(site.wait_mail("user", 1))[0]


def test_priority_orders_and_cuts(node):
    """Above 0 a bundle is cut at once; the mail with it goes in order."""
    site = pair(node, "\textensions = { MT-PRIORITY }\n")
    for priority, word in ((0, b"one"), (-2, b"two"), (0, b"three")):
        site.submit("a@client.example", ["b@far.example"],
                    CONTENT.replace(b"hello", word),
                    mail_params=f"MT-PRIORITY={priority}")
    time.sleep(1)
    assert "object-cut" not in site.log()
    site.submit("a@client.example", ["b@far.example"],
                CONTENT.replace(b"hello", b"four"),
                mail_params="MT-PRIORITY=4")
    site.wait_log(r"object-sent.*peer=far")
    [batch] = dropped(site)
    assert [batch.index(word) for word in
            (b"four", b"one", b"three", b"two")] == sorted(
        batch.index(word) for word in (b"one", b"two", b"three", b"four"))
    assert b"MT-PRIORITY=4\r\n" in batch and b"MT-PRIORITY=-2\r\n" in batch


def dropped(site):
    found = []
    for path in glob.glob(site.directory + "/far/*"):
        with open(path, "rb") as file:
            found.append(file.read())
    return found
