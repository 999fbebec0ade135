# SPDX-License-Identifier: ISC
"""SIGKILL at random moments while mail flows.

Four sessions submit to paris, each message with a sender of its own and
never twice.  london keeps what arrives in its spool (its road to oslo is
never called), so its queue says what has arrived, and how often.
"""

import os
import random
import threading
import time

import pytest

import native
import road
from peers_common import patient, wait_for
from peers_smtp import Refused, Smtp

KILLS = 50
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)


class Sender(threading.Thread):
    """Submits until told to stop; knows what was answered with 250."""

    def __init__(self, number, port, seed):
        super().__init__(daemon=True)
        self.number = number
        self.port = port
        self.random = random.Random(seed)
        self.accepted = []
        self.tried = 0
        self.over = False
        self.failure = None

    def run(self):
        try:
            while not self.over:
                try:
                    self._session()
                except (OSError, Refused):
                    time.sleep(0.005)
        except Exception as error:  # told by the test
            self.failure = error

    def _session(self):
        with Smtp(self.port, timeout=20) as smtp:
            smtp.ehlo()
            while not self.over:
                self.tried += 1
                name = f"s{self.number}-{self.tried}"
                size = self.random.choice((100, 3000, 3000, 90000))
                body = (b"Subject: " + name.encode() + b"\r\n\r\n"
                        + b"0123456789abcdef0123456789abcd\r\n" * (size // 32))
                smtp.transaction(f"{name}@paris.example",
                                 [f"{name}@oslo.example"], body,
                                 self.random.choice(("data", "bdat")))
                self.accepted.append(name)
                time.sleep(self.random.random() * 0.02)


def transports(node):
    """The process ids of a node's transports."""
    path = f"/proc/{node.daemon.pid}/task/{node.daemon.pid}/children"
    with open(path, encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


def test_killed_transports(node, work):
    """They are started again, and nothing is lost or sent twice."""
    paris, london, oslo = road.three(work, node, dialect="rfc2442")
    for one in (paris, london, oslo):
        one.start()
    rng = random.Random(SEED)
    mails = []
    for turn in range(8):
        mails += [road.Mail(f"u{turn}-{n}", b"Subject: %d\r\n\r\nx\r\n" % n,
                            "data", "") for n in range(5)]
        road.hand_in(paris, "a@paris.example", mails[-5:], "oslo.example")
        time.sleep(rng.random() * 0.1)
        for one in (paris, london):
            for pid in transports(one):
                native.kill(pid)
    road.wait_delivered(oslo, len(mails))
    road.assert_identical(oslo, mails)


def arrived(london):
    """How often each message lies in london's spool."""
    counts = {}
    listed = london.json("queue", "list") or []
    for one in listed if isinstance(listed, list) else [listed]:
        if one.get("kind") == "message":
            name = one["sender"].split("@")[0]
            counts[name] = counts.get(name, 0) + 1
    return counts


@pytest.mark.parametrize("settings", (
    dict(dialect="rfc2442", compress="gzip"), dict(dialect="bsmtp",
                                                  ids="yes")),
    ids=("rfc2442", "bsmtp"))
def test_kill(node, work, settings):
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    paris, london, _ = road.three(work, node, **settings)
    london.edit_config(r"(peer oslo \{[^}]*)stays = yes",
                       r'\1call = { "Never" }')
    paris.start()
    london.start()
    senders = [Sender(n, paris.port, rng.random()) for n in range(4)]
    for one in senders:
        one.start()
    for turn in range(KILLS):
        time.sleep(rng.random() ** 2 * 0.3)
        victim = london if turn % 4 == 3 else paris
        victim.kill()
        victim.start()
    wait_for(lambda: sum(len(one.accepted) for one in senders) > KILLS, 60)
    for one in senders:
        one.over = True
    for one in senders:
        one.join(patient(30))
        assert not one.is_alive() and one.failure is None, one.failure
    accepted = {name for one in senders for name in one.accepted}
    tried = {f"s{one.number}-{n + 1}" for one in senders
             for n in range(one.tried)}
    wait_for(lambda: not paris.cli("queue", "list", "--json"), 30,
             lambda: paris.log()[-3000:], every=0.2)
    wait_for(lambda: accepted <= set(arrived(london)), 30,
             lambda: f"{sorted(accepted - set(arrived(london)))}: "
             + london.log()[-3000:], every=0.5)
    counts = arrived(london)
    assert {name: n for name, n in counts.items() if n != 1} == {}
    assert set(counts) <= tried
