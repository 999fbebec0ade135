# SPDX-License-Identifier: ISC
"""Parcels on a stick that is lost, found again, or damaged.

paris and london call each other only when told to; what one drops lies in
link/ until the other calls.  A clock that runs ahead (faults/clock.c) makes
them repeat what was not answered without days of waiting.
"""

import os
import random
import re
import time

import pytest

import native
import road

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"
DAY = 86400


@pytest.fixture
def pair(node, work):
    """paris and london, and their clock."""
    skew = native.Skew(work)
    sites = [node(name, config=road.config(
        name, road.peer(work, name, other, dialect="native",
                        call='{ "Never" }'),
        f"routes {{ {other}.example = {other} }}\n", log_level="debug",
        lifetime="30d"))
        for name, other in (("paris", "london"), ("london", "paris"))]
    for one in sites:
        one.edit_config("stays = yes", "stays = no")
        one.edit_config(r"(delivery local \{)",
                        r"\1 users = { ann, bob, postmaster }")
    native.introduce(*sites)
    skew.use(*sites)
    for one in sites:
        one.start()
    yield sites[0], sites[1], skew


def link(work, one, other):
    return os.path.join(work, "link", f"{one.site}-{other.site}")


def call(one, other):
    """The stick is in one's machine: it takes and leaves what there is, and
    what answers that."""
    one.cli("flush", "--wait", other.site)


def take_away(directory):
    """name -> octets of the files on the stick, which is empty then."""
    found = road.files(directory)
    for name in found:
        os.unlink(os.path.join(directory, name))
    return found


def put_back(directory, found, suffix=""):
    for name, data in found.items():
        road.put(directory, name + suffix, data)


def acquainted(paris, london):
    """The first calls have brought each the other's present card."""
    for _ in range(2):
        call(paris, london)
        call(london, paris)
    call(paris, london)


def exchange_until(sites, skew, predicate, rounds=12):
    """Calls both ways, days apart, until it is so."""
    for _ in range(rounds):
        call(sites[0], sites[1])
        call(sites[1], sites[0])
        call(sites[0], sites[1])
        if predicate():
            return
        skew.forward(DAY // 2)
    raise AssertionError("\n".join(one.log()[-4000:] for one in sites))


@pytest.mark.parametrize("impatient", (0, 1, 3))
def test_one_round_trip(pair, work, impatient):
    """A bad address is told of by the first stick that comes back, however
    often somebody orders a call meanwhile."""
    paris, london, _ = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["nobody@london.example",
                                       "bob@london.example"], HELLO)
    call(paris, london)
    for _ in range(impatient):
        london.cli("flush", "paris")
        time.sleep(random.random() / 4)
    call(london, paris)
    assert london.wait_mail("bob") == [HELLO]
    assert not paris.maildir("ann")
    call(paris, london)
    paris.wait_mail("ann")
    notice, = road.notices(paris, "ann")
    assert notice.status == "5.1.1"
    assert "nobody@london.example" in notice.recipient
    native.wait_settled(paris, london)


def test_lost(pair, work):
    """What was on the stick goes again, and once more is not delivered."""
    paris, london, skew = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    call(paris, london)
    lost = take_away(link(work, paris, london))
    assert lost
    exchange_until((paris, london), skew, lambda: london.maildir("bob"))
    exchange_until((paris, london), skew, lambda: native.settled(paris))
    # It turns up again, twice.
    for suffix in ("", "-copy"):
        put_back(link(work, paris, london), lost, suffix)
        call(london, paris)
        call(paris, london)
    assert london.wait_mail("bob") == [HELLO]
    native.wait_settled(paris, london)
    assert not paris.maildir("ann")


def test_found_before_it_was_repeated(pair, work):
    """The same files three times over: taken once."""
    paris, london, _ = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    call(paris, london)
    files = take_away(link(work, paris, london))
    for suffix in ("", "-a", "-b"):
        put_back(link(work, paris, london), files, suffix)
    call(london, paris)
    assert london.wait_mail("bob") == [HELLO]
    put_back(link(work, paris, london), files)
    call(london, paris)
    call(london, paris)
    call(paris, london)
    native.wait_settled(paris, london)
    assert london.maildir("bob") == [HELLO]


def test_answers_lost(pair, work):
    """london has the mail and paris never hears: it sends again in vain."""
    paris, london, skew = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    call(paris, london)
    call(london, paris)
    assert london.wait_mail("bob") == [HELLO]
    call(london, paris)
    assert take_away(link(work, london, paris))
    assert not native.settled(paris)
    exchange_until((paris, london), skew, lambda: native.settled(paris))
    assert london.maildir("bob") == [HELLO]
    assert not paris.maildir("ann")


@pytest.mark.parametrize("damage", ("flipped", "cut", "grown", "foreign"))
def test_corrupted(pair, work, damage):
    """Nothing of such a file is believed; the mail goes again."""
    paris, london, skew = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    call(paris, london)
    for name, data in take_away(link(work, paris, london)).items():
        middle = len(data) // 2
        bad = {"flipped": data[:middle] + bytes([data[middle] ^ 1])
               + data[middle + 1:],
               "cut": data[:-1], "grown": data + b"x",
               "foreign": os.urandom(len(data))}[damage]
        road.put(link(work, paris, london), name, bad)
    call(london, paris)
    assert not london.maildir("bob")
    assert re.search(r"parcel-|object-", london.log())
    call(paris, london)
    assert not native.settled(paris)
    exchange_until((paris, london), skew, lambda: london.maildir("bob"))
    exchange_until((paris, london), skew, lambda: native.settled(paris))
    assert london.maildir("bob") == [HELLO]


def test_never_answered(pair, work):
    """The stick is lost for good: the sender learns that it is not known."""
    paris, london, skew = pair
    acquainted(paris, london)
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    call(paris, london)
    take_away(link(work, paris, london))
    for _ in range(60):
        skew.forward(DAY)
        call(paris, london)
        take_away(link(work, paris, london))
        if paris.maildir("ann"):
            break
    notice, = road.notices(paris, "ann")
    assert notice.status == "4.4.7"
    native.wait_settled(paris)
    ident = re.search(r"message-accepted id=(\S+) ", paris.log())[1]
    said = native.stories(paris, ident)
    print(said)
