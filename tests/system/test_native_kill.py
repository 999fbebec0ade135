# SPDX-License-Identifier: ISC
"""SIGKILL at random moments while native mail flows.

As test_kill.py, over paris, london and oslo, any of which may be the victim.
What has arrived stays in oslo's queue, since its mail server never answers,
so that what is told of is custody alone.
"""

import random
import time

import pytest

import native
import road
from peers_common import free_port, patient, wait_for
from test_kill import SEED, Sender, arrived, transports

KILLS = 50


@pytest.mark.parametrize("settings", (
    {}, dict(parcel_size="8K"), dict(seal="sign", forward_signed="yes")),
    ids=("sealed", "small", "signed"))
def test_kill(node, work, settings):
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    closed = free_port()
    sites = road.three(
        work, node, dialect="native",
        deliveries={"oslo": f'\tto = "smtp:127.0.0.1:{closed}"\n'},
        **settings)
    native.introduce(*sites)
    paris, london, oslo = sites
    for one in sites:
        one.start()
    senders = [Sender(n, paris.port, rng.random()) for n in range(4)]
    for one in senders:
        one.start()
    for _ in range(KILLS):
        time.sleep(rng.random() ** 2 * 0.3)
        victim = rng.choice(sites)
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
    wait_for(lambda: accepted <= set(arrived(oslo)), 120,
             lambda: f"{sorted(accepted - set(arrived(oslo)))}: "
             + paris.log()[-3000:] + london.log()[-3000:]
             + oslo.log()[-3000:], every=0.5)
    native.wait_settled(paris, london, timeout=120)
    counts = arrived(oslo)
    assert {name: n for name, n in counts.items() if n != 1} == {}
    assert set(counts) <= tried


def test_killed_transports(node, work):
    """They are started again, and nothing is lost or sent twice."""
    sites = native.three(work, node)
    rng = random.Random(SEED)
    mails = []
    for turn in range(8):
        mails += [road.Mail(f"u{turn}-{n}", b"Subject: %d\r\n\r\nx\r\n" % n,
                            "data", "") for n in range(5)]
        road.hand_in(sites[0], "a@paris.example", mails[-5:], "oslo.example")
        time.sleep(rng.random() * 0.1)
        for one in sites:
            for pid in transports(one):
                native.kill(pid)
    road.wait_delivered(sites[2], len(mails))
    road.assert_identical(sites[2], mails)
    native.wait_settled(*sites)
