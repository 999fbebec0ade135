# SPDX-License-Identifier: ISC
"""Sites that hand each other files, for the tests of the whole road.

Neighbours share a directory for each direction, as two ends of a medium
would: link/paris-london holds what paris dropped for london.
"""

import collections
import email
import glob
import os
import time

from peers_common import sha256, wait_for

Mail = collections.namedtuple("Mail", "user content how params")

SITES = ("paris", "london", "oslo")

PEER = """\
peer {name} {{
	transport = file
	stays = yes
	set = {{ "drop={work}/link/{site}-{name}",
	    "pickup={work}/link/{name}-{site}", "poll=0.2" }}
	retry-min = 1s
	retry-max = 2s
{settings}}}
"""

CONFIG = """\
site {site} {{
	postmaster = postmaster@{domain}
	spool = @dir@/spool
	run = @dir@/run
	min-free = none
	retry-min = 1s
	retry-max = 2s
{settings}}}
listen "@address@:@port@" {{ }}
delivery local {{
	domains = {{ {domain} }}
{delivery}}}
"""

MAILDIR = """\
	to = "maildir:@mail@"
	eol = crlf
	envelope-headers = no
"""


def lines(settings):
    return "".join(f"\t{key} = {value}\n" for key, value in settings.items())


def drop(work, site, to):
    """The directory into which site drops what is for to."""
    path = os.path.join(work, "link", f"{site}-{to}")
    os.makedirs(path, exist_ok=True)
    return path


def peer(work, site, name, **settings):
    """A peer section; batch_size=... stands for batch-size = ..."""
    drop(work, site, name)
    drop(work, name, site)
    named = {"dialect": "rfc2442"}
    named |= {key.replace("_", "-"): value for key, value in settings.items()}
    return PEER.format(site=site, name=name, work=work,
                       settings=lines(named))


def config(site, *sections, domain=None, delivery=MAILDIR, **settings):
    """The configuration of a site with these further sections."""
    named = {key.replace("_", "-"): value for key, value in settings.items()}
    domain = domain or f"{site}.example"
    return CONFIG.format(site=site, domain=domain, delivery=delivery,
                         settings=lines(named)) + "".join(sections)


def three(work, node, deliveries=None, london=None, site=None, **settings):
    """paris, london and oslo, not started; oslo lies behind london.

    settings are those of every peer; london's own further ones are added
    there.  site: further settings of each site.
    """
    deliveries = deliveries or {}
    site = site or {}
    relay = {"may_relay": "yes", **settings, **(london or {})}

    def end(name, other):
        return config(
            name, peer(work, name, "london", **settings),
            f"link london {other} {{ }}\n"
            f"routes {{ london.example = london\n"
            f"\t{other}.example = {other} }}\n",
            delivery=deliveries.get(name, MAILDIR), **site)

    texts = {
        "paris": end("paris", "oslo"),
        "oslo": end("oslo", "paris"),
        "london": config(
            "london", peer(work, "london", "paris", **relay),
            peer(work, "london", "oslo", **relay),
            "routes { paris.example = paris\n\toslo.example = oslo }\n",
            **site)}
    return [node(name, config=texts[name]) for name in SITES]


def hand_in(node, sender, mails, domain):
    """Submit Mails over one connection."""
    with node.smtp(timeout=120) as smtp:
        smtp.ehlo()
        for mail in mails:
            smtp.transaction(sender, [f"{mail.user}@{domain}"], mail.content,
                             mail.how, mail.params)
        smtp.quit()


def delivered(node):
    """user -> contents of his mails."""
    users = {}
    for name in os.listdir(node.mail) if os.path.isdir(node.mail) else ():
        users[name] = node.maildir(name)
    return users


def count_delivered(node):
    return len(glob.glob(os.path.join(node.mail, "*", "new", "*")))


def wait_delivered(node, count, timeout=60):
    wait_for(lambda: count_delivered(node) >= count, timeout,
             lambda: f"{count} mails at {node.site}, which has "
             f"{count_delivered(node)}: {node.log()[-3000:]}", every=0.1)


def assert_identical(node, mails):
    """Each Mail is there once, and what is there is what went in."""
    there = delivered(node)
    wrong = []
    for mail in mails:
        got = there.get(mail.user, [])
        if [sha256(one) for one in got] != [sha256(mail.content)]:
            wrong.append((mail.user, len(mail.content),
                          [len(one) for one in got]))
    assert not wrong


def files(path):
    """name -> content of what lies in a directory, dot files left out, and
    what somebody takes away meanwhile."""
    found = {}
    for name in os.listdir(path):
        if not name.startswith("."):
            try:
                with open(os.path.join(path, name), "rb") as file:
                    found[name] = file.read()
            except FileNotFoundError:
                pass
    return found


def put(directory, name, data):
    """Drop a file as a transport would."""
    temporary = os.path.join(directory, "." + name)
    with open(temporary, "wb") as file:
        file.write(data)
    os.rename(temporary, os.path.join(directory, name))


class Notice:
    """A parsed multipart/report; fields of its first recipient."""

    def __init__(self, content):
        self.mail = email.message_from_bytes(content)
        assert self.mail.get_content_type() == "multipart/report", content
        assert self.mail.get_param("report-type") == "delivery-status"
        parts = self.mail.get_payload()
        assert parts[1].get_content_type() == "message/delivery-status"
        blocks = parts[1].get_payload()
        self.message, self.recipients = blocks[0], blocks[1:]
        self.status = self.recipients[0]["Status"]
        self.action = self.recipients[0]["Action"]
        self.recipient = self.recipients[0]["Final-Recipient"]
        self.text = self.recipients[0]["Diagnostic-Code"] or ""
        self.about = parts[2] if len(parts) > 2 else None


def notices(node, user):
    """The notices in a Maildir."""
    return [Notice(one) for one in node.maildir(user)
            if b"multipart/report" in one]


def quiet(predicate, seconds):
    """Assert that predicate() stays false for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not predicate()
        time.sleep(0.05)
