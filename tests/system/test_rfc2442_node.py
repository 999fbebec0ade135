# SPDX-License-Identifier: ISC
"""The objects of ../shared/corpus/rfc2442 through a running node.

`postrider receive` hands each in, as an alias of a mail server would.
two.example is local, three.example and four.example lie behind another peer,
one.example is where the objects come from, unroutable.invalid nowhere: so it
shows what is delivered, what goes on with its parameters, and what bounces.
"""

import json
import pathlib
import re
import subprocess

import pytest

import road
from peers_common import PROJECT, program, read_maildir, sha256, wait_for

CORPUS = pathlib.Path(PROJECT).parent / "shared" / "corpus" / "rfc2442"
CASES = sorted(CORPUS.glob("*.eml"))

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="../shared/corpus/rfc2442 is absent")


def inspect(octets):
    """The transactions of an object that the node wrote."""
    done = subprocess.run([program("postrider"), "inspect", "--json"],
                          input=octets, capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [one for one in lines if one["kind"] == "transaction"]


class Site:
    """two, and what stands around it."""

    def __init__(self, node, work):
        self.one = road.drop(work, "two", "one")
        self.next = road.drop(work, "two", "next")
        self.node = node("two", config=road.config(
            "two", road.peer(work, "two", "one", dialect="bsmtp",
                             may_relay="yes"),
            road.peer(work, "two", "next", dialect="bsmtp"),
            "routes { one.example = one\n\tthree.example = next\n"
            "\tfour.example = next }\n"))
        self.node.start()

    def receive(self, octets):
        self.node.cli("receive", "--peer", "one", data=octets)

    def passed_on(self):
        """Transactions that went on, in the order of their content."""
        found = [one for octets in road.files(self.next).values()
                 for one in inspect(octets)]
        return sorted(found, key=lambda one: one["sha256"])

    def delivered(self):
        """(user, hash) of all that lies in Maildirs but the postmaster's."""
        users = pathlib.Path(self.node.mail)
        names = [path.name for path in users.iterdir()] \
            if users.is_dir() else []
        return sorted((name, sha256(mail)) for name in names
                      if name != "postmaster"
                      for mail in read_maildir(str(users / name)))

    def bounced(self):
        """Recipients that failed, as the notices for one.example say."""
        text = b"".join(road.files(self.one).values()).decode("latin-1")
        reports = re.findall(r"(?mi)^Final-Recipient: rfc822; ?(\S+)\r\n"
                             r"(?:(?!\r\n).*\r\n)*?Action: failed\r$", text)
        assert text.count("MAIL FROM:") == text.count("MAIL FROM:<>")
        return sorted(reports)

    def told_postmaster(self):
        return self.node.maildir("postmaster")

    def idle(self):
        return not self.node.json("queue", "list")


def wanted_messages(wanted, count):
    """What is local, and what must go on, of the first so many."""
    local, onward = [], []
    bounce = set(wanted.get("bounce_recipients", ()))
    gone = bounce | set(wanted.get("dropped_recipients", ()))
    for message in wanted["messages"][:count]:
        there = []
        for rcpt in message["recipients"]:
            user, _, domain = rcpt["address"].partition("@")
            if rcpt["address"] in gone:
                continue
            if domain == "two.example":
                local.append((user, message["data_sha256"]))
            else:
                there.append(rcpt)
        if there:
            onward.append(dict(message, recipients=there))
    return (sorted(local), sorted(onward, key=lambda m: m["data_sha256"]),
            sorted(bounce))


def check_passed_on(found, wanted):
    assert len(found) == len(wanted)
    for one, want in zip(found, wanted):
        assert one["sha256"] == want["data_sha256"]
        assert one["sender"] == want["sender"]
        assert [(r["address"], r["notify"], r["orcpt"])
                for r in one["recipients"]] == \
            [(r["address"], r.get("notify"), r.get("orcpt"))
             for r in want["recipients"]]
        assert (one["ret"], one["envid"]) == \
            (want.get("ret"), want.get("envid"))


def check_outcome(site, local, onward, bounced):
    wait_for(lambda: len(site.delivered()) >= len(local)
             and len(site.passed_on()) >= len(onward)
             and len(site.bounced()) >= len(bounced) and site.idle(), 30,
             lambda: f"{site.delivered()} {site.passed_on()} "
             f"{site.bounced()} {site.node.log()[-3000:]}")
    assert site.delivered() == local
    check_passed_on(site.passed_on(), onward)
    assert site.bounced() == bounced


@pytest.mark.parametrize("path", CASES,
                         ids=[path.stem for path in CASES])
def test_object(node, work, path):
    wanted = json.loads(path.with_suffix(".expect.json").read_text())
    outcome, count = wanted["outcome"], len(wanted["messages"])
    site = Site(node, work)
    site.receive(path.read_bytes())
    broken = "object-broken" in site.node.log()
    also = wanted.get("also_allowed")
    if also and broken == (outcome == "process"):
        # the other outcome: as many messages as it allows, unseen before
        wait_for(lambda: len(site.delivered()) == also["messages"], 30,
                 site.node.log)
        return
    assert broken == (outcome != "process")
    check_outcome(site, *wanted_messages(wanted, count))
    if broken:
        told = site.node.wait_mail("postmaster")
        assert len(told) == 1
        assert re.search(rb"line \d+|requires|not|no ", told[0])
    else:
        assert site.told_postmaster() == []


def test_same_object_again(node, work):
    """Picked up again, as after a crash before it could be removed, each
    message is processed once.  (A stranger's Message-ID proves nothing: what
    tells is that it is the same file.)"""
    path = next(p for p in CASES if "two-messages" in p.stem)
    wanted = json.loads(path.with_suffix(".expect.json").read_text())
    site = Site(node, work)
    outcome = wanted_messages(wanted, 2)
    kept = pathlib.Path(work) / "kept"
    kept.write_bytes(path.read_bytes())
    pickup = pathlib.Path(road.drop(work, "one", "two")) / "object"
    pickup.hardlink_to(kept)
    check_outcome(site, *outcome)
    wait_for(lambda: not pickup.exists(), 20, site.node.log)
    site.node.restart()
    pickup.hardlink_to(kept)
    site.node.wait_log("object-duplicate")
    check_outcome(site, *outcome)
