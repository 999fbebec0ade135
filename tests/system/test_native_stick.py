# SPDX-License-Identifier: ISC
"""Parcels on a stick that is lost, found again, or damaged.

paris and london call each other only when told to; what one drops lies in
link/ until the other calls.  A clock that runs ahead (faults/clock.c) makes
them repeat what was not answered without days of waiting.
"""

import os
import re

import pytest

import native
import road
from peers_common import wait_for

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"


@pytest.fixture
def pair(node, work):
    """paris and london, and their clock."""
    skew = native.Skew(work)
    sites = [node(name, config=road.config(
        name, road.peer(work, name, other, dialect="native",
                        call='{ "Never" }'),
        f"routes {{ {other}.example = {other} }}\n"))
        for name, other in (("paris", "london"), ("london", "paris"))]
    for one in sites:
        one.edit_config("\tstays = yes\n", "")
    native.introduce(*sites)
    skew.use(*sites)
    for one in sites:
        one.start()
    return sites[0], sites[1], skew


def link(work, one, other):
    return os.path.join(work, "link", f"{one.site}-{other.site}")


def calls(one):
    return one.log().count("transport-exited ")


def call(one, other):
    """The stick is in one's machine: it takes and leaves what there is."""
    before = calls(one)
    one.edit_config("^", "") if False else None
    one.cli("flush", other.site)
    wait_for(lambda: one.json("status")[1]["running"] is False and
             called(one, before), 20, lambda: one.log()[-3000:])


def called(one, before):
    """A run of the transport is over."""
    status = one.json("status")[1]
    return status["last_sent"] is not None or calls(one) > before


def take_away(directory):
    """name -> octets of the files on the stick, which is empty then."""
    found = road.files(directory)
    for name in found:
        os.unlink(os.path.join(directory, name))
    return found


def put_back(directory, found):
    for name, data in found.items():
        road.put(directory, name, data)
