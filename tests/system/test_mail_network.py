# SPDX-License-Identifier: ISC
"""Two sites with nothing but a mailbox each at a provider: a private network
over it, and mailboxes that are watched."""

import base64
import os
import re
import signal
import subprocess
import time

import pytest

import native
import road
from conftest import cannot
from peers_common import patient, wait_for
from provider import DOMAIN, PASSWORDS, Provider
from test_mail_provider import FOREIGN, End, octets
from wires import Rewriter

PEER = """\
peer {peer} {{
	dialect = native
	transport = mail
	address = {peer}@{domain}
	set = {{ {settings} }}
	retry-min = 1s
	retry-max = 2s
}}
routes {{ {peer}.example = {peer} }}
"""


@pytest.fixture(autouse=True)
def clean(provider):
    provider.empty()


def site(provider, work, node, name, peer, *settings):
    quoted = ", ".join(f'"{one}"' for one in (
        *provider.login(name, work), *settings))
    return node(name, config=road.config(
        name, PEER.format(peer=peer, domain=DOMAIN, settings=quoted),
        address=f"{name}@{DOMAIN}"))


@pytest.fixture
def two(provider, work, node):
    """paris, who is told by IDLE, and london, who looks by POP3."""
    paris = site(provider, work, node, "paris", "london",
                 f"submit={provider.url('smtp')}",
                 f"fetch={provider.url('imaps')}", "poll=5m")
    london = site(provider, work, node, "london", "paris",
                  f"submit={provider.url('smtps')}",
                  f"fetch={provider.url('pop3')}", "poll=1")
    native.introduce(paris, london)
    paris.start()
    london.start()
    return paris, london


SECRET = b"Subject: the plans\r\n\r\nNobody at the provider reads this.\r\n"


def test_private_network(provider, two):
    """Mails both ways, acknowledged; and the provider has seen nothing but
    two users who write to each other."""
    paris, london = two
    mails = [road.Mail(f"bob{n}", SECRET + octets(2000 * n, n).hex().encode()
                       + b"\r\n", "data", "") for n in range(5)]
    back = [road.Mail("ann", b"Subject: re\r\n\r\nThe answer is 42.\r\n",
                      "data", "")]
    road.hand_in(paris, "ann@paris.example", mails, "london.example")
    road.hand_in(london, "bob@london.example", back, "paris.example")
    road.wait_delivered(london, len(mails))
    road.wait_delivered(paris, 1)
    road.assert_identical(london, mails)
    road.assert_identical(paris, back)
    native.wait_settled(paris, london)
    provider.postfix.wait_idle()
    kept = provider.mailbox("archive")
    assert len(kept) >= 4
    parcels = [base64.b64decode(mail.split(b"\n\n", 1)[1]) for mail in kept]
    seen = b"".join([provider.everything(), *parcels])
    for word in (b"ann@p", b"bob0@", b"paris.example", b"london.example",
                 b"the plans", b"Nobody at", b"answer is"):
        assert word not in seen, word
    host = re.escape(os.uname().nodename.encode())
    for mail in kept:
        header = mail.split(b"\n\n", 1)[0]
        assert not re.search(rb"\b" + host + rb"\b", header), header
    for word in PASSWORDS.values():
        for one in two:
            assert word not in one.log() + one.cli("status")
            assert base64.b64encode(word.encode()).decode() not in one.log()


def test_nothing_stays_behind(provider, two):
    paris, london = two
    road.hand_in(paris, "ann@paris.example",
                 [road.Mail("bob", SECRET, "data", "")], "london.example")
    road.wait_delivered(london, 1)
    native.wait_settled(paris, london)
    provider.postfix.wait_idle()
    wait_for(lambda: provider.mailbox("paris") == [] ==
             provider.mailbox("london"), 20, provider.log)


def delivered_ids(node, user):
    """What the node's own ids are of the mails that went to him."""
    return set(re.findall(
        rf"recipient-delivered id=(\S+) .*/mail/{user}/new/", node.log()))


def assert_by_different_processes(node, user):
    makers = [re.search(r"P(\d+)I", name)[1] for name in
              os.listdir(os.path.join(node.mail, user, "new"))]
    assert len(makers) == len(set(makers)), node.log()


def test_killed_and_started(provider, two):
    """Nothing is lost, whenever the nodes and their transports end, and
    london takes each mail over once.  (To a Maildir what a killed node had
    delivered before its commit is delivered again by the next, as by RFC
    1047: the same message, by another process.)"""
    paris, london = two
    mails = [road.Mail(f"bob{n}", SECRET + octets(30000, n).hex().encode()
                       + b"\r\n", "data", "") for n in range(8)]
    for number, mail in enumerate(mails):
        road.hand_in(paris, "ann@paris.example", [mail], "london.example")
        if number % 3 == 1:
            london.kill()
            london.start()
        if number % 3 == 2:
            paris.kill()
            paris.start()
    native.wait_settled(paris, london)
    there = road.delivered(london)
    assert sorted(there) == sorted(mail.user for mail in mails)
    for mail in mails:
        assert set(there[mail.user]) == {mail.content}
        assert len(delivered_ids(london, mail.user)) == 1, london.log()
        assert_by_different_processes(london, mail.user)
    accepted = re.findall(r"message-accepted id=(\S+) .*from=ann@paris",
                          london.log())
    assert len(accepted) == len(set(accepted)) <= len(mails), london.log()


class Staying:
    """A transport that stays: lines is what it has reported."""

    def __init__(self, end, *settings):
        self.lines = []
        self.path = end.path("reports")
        with open(self.path, "wb") as out:
            self.child = subprocess.Popen(end.argv(*settings), text=True,
                                          stdin=subprocess.PIPE, stdout=out,
                                          stderr=subprocess.STDOUT)

    def said(self):
        with open(self.path, encoding="utf-8") as file:
            return [line for line in file.read().splitlines()
                    if not line.startswith("sending ")]

    def tell(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()

    def end(self):
        """Its exit status, and how long it took."""
        began = time.monotonic()
        self.tell("stop")
        self.child.stdin.close()
        status = self.child.wait(patient(20))
        return status, time.monotonic() - began


@pytest.fixture
def staying():
    made = []

    def make(*args):
        made.append(Staying(*args))
        return made[-1]

    yield make
    for one in made:
        if one.child.poll() is None:
            one.child.send_signal(signal.SIGKILL)
            one.child.wait()


@pytest.mark.parametrize("how, more", [
    ("imaps", ["poll=10m"]), ("imap", ["poll=1", "idle=no"]),
    ("pop3s", ["poll=1"])])
def test_watched(provider, work, staying, how, more):
    """Mail that comes later is fetched, by IDLE at once; what is to be sent
    meanwhile goes, and `stop` ends it."""
    paris, london = (End(provider, work, *names) for names in
                     (("paris", "london"), ("london", "paris")))
    one = staying(london, f"fetch={provider.url(how)}",
                  f"submit={provider.url('smtps')}", *more)
    wait_for(lambda: re.search(r"ogin: user=<london>", provider.log()))
    time.sleep(0.3)
    provider.deliver("london", FOREIGN)
    for number in range(2):
        paris.put(f"p-{number}", octets(5000, number))
        assert paris.run(f"submit={provider.url('smtps')}")[0] == 0
        began = time.monotonic()
        wait_for(lambda: len(london.received()) == number + 1, 20, one.said)
        assert time.monotonic() - began < patient(8)
    london.put("l-1", b"hello")
    one.tell("more")
    wait_for(lambda: "sent l-1" in one.said(), 20, one.said)
    london.put("l-2", b"hello")
    one.tell("more")
    wait_for(lambda: "sent l-2" in one.said(), 20, one.said)
    status, seconds = one.end()
    assert status == 0 and seconds < patient(3), one.said()
    assert len(one.said()) == 4


def test_server_goes_while_it_watches(provider, work, staying):
    """Its processes end: the connection is made anew."""
    london = End(provider, work, "london", "paris", "tls=no")
    paris = End(provider, work, "paris", "london")
    proxy = Rewriter(provider.ports["imap"], bytes)
    one = staying(london, f"fetch=imap://127.0.0.1:{proxy.port}", "poll=10m")

    def watched():
        return b"".join(proxy.heard).count(b" IDLE\r\n")

    def kicked():
        """doveadm does not know of it at once, and says so."""
        return provider.jail.run("/usr/bin/doveadm", "kick", "london",
                                 check=False).returncode == 0

    wait_for(watched, 20, one.said)
    wait_for(kicked, 20, provider.log, every=0.5)
    wait_for(lambda: watched() == 2, 20, one.said)
    paris.put("p-1", b"x")
    assert paris.run(f"submit={provider.url('smtps')}")[0] == 0
    wait_for(lambda: len(london.received()) == 1, 20, one.said)
    assert one.end()[0] == 0
    proxy.close()


def test_without_uidplus(work):
    """What a person marked for deletion is not deleted with ours; nor is ours
    fetched for ever."""
    if os.geteuid() != 0:
        cannot("the provider needs root")
    one = Provider(os.path.join(work, "plain"),
                   capability="IMAP4rev1 SASL-IR")
    try:
        one.start()
        paris, london = (End(one, work, *names) for names in
                         (("paris", "london"), ("london", "paris")))
        one.deliver("london", FOREIGN)
        paris.put("p-1", b"x")
        assert paris.run(f"submit={one.url('smtp')}")[0] == 0
        one.postfix.wait_idle()
        fetch = f"fetch={one.url('imap')}"
        status, reports, _ = london.run(fetch)
        assert status == 0 and len(london.received()) == 1
        assert [line.split()[0] for line in reports] == ["received", "note"]
        assert "UIDPLUS" in reports[1]
        marked = os.listdir(one.jail.path("mail/london/cur"))
        assert len(one.mailbox("london")) == 2
        assert sorted(name.split(",")[-1] for name in marked) == ["", "T"]
        assert london.run(fetch) == (0, [], "")
        os.unlink(os.path.join(london.into, ".mail-seen"))
        assert london.run(fetch) == (0, [], "")
    finally:
        one.stop()
