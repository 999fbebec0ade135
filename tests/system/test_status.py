# SPDX-License-Identifier: ISC
"""What status says of transports: in words, and as --json."""

import json
import os
import re
import shutil

import pytest

import native
import road
from peers_common import patient, wait_for

CONTENT = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def paris(node, work):
    """paris, whose stick for oslo is not in."""
    one = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "oslo"),
        "routes { oslo.example = oslo }\n"))
    shutil.rmtree(os.path.join(work, "link"))
    return one.start()


def oslo(one):
    return [line for line in one.json("status")
            if line.get("name") == "oslo"][0]


def row(one, first):
    """The rows of status that begin with a word, in the order shown."""
    return [line.split(None, 1)[1] for line in one.cli("status").splitlines()
            if re.match(rf"{first}\s", line)]


def test_waits_for_a_stick(paris, work):
    """It runs, and says what it waits for; then that it is there."""
    wait_for(lambda: oslo(paris)["transports"][0]["waits"], 10, paris.log)
    lane = oslo(paris)["transports"][0]
    assert lane["running"] and "waiting for directory" in lane["note"]
    peer, says = row(paris, "oslo")
    assert peer.split()[0] == "waits"
    assert says.startswith("waiting for directory: ")
    assert "link/oslo-paris" in says
    for end in (("paris", "oslo"), ("oslo", "paris")):
        road.drop(work, *end)
    wait_for(lambda: not oslo(paris)["transports"][0]["waits"], 10, paris.log)
    lane = oslo(paris)["transports"][0]
    assert lane["running"] and lane["note"].endswith(" is there")
    assert row(paris, "oslo")[0].split()[0] == "running"
    paris.submit("a@paris.example", ["eve@oslo.example"], CONTENT)
    wait_for(lambda: road.files(road.drop(work, "paris", "oslo")), 10,
             paris.log)


def test_peer_test_without_the_stick(node, work):
    """It says what its transport waits for, and then how far it came."""
    paris, london, _ = native.three(work, node, start=False)
    shutil.rmtree(os.path.join(work, "link"))
    paris.start()
    late = paris.run("peer", "test", "--wait", "5", "london", check=False)
    assert late.returncode == 75
    said = late.stdout.decode().splitlines()
    assert said[-2] == "sealed, and queued for the road to london"
    assert said[-1].startswith("it waits: waiting for directory: ")
    for end in (("paris", "london"), ("london", "paris")):
        road.drop(work, *end)
    london.start()
    said = [json.loads(line) for line in paris.cli(
        "peer", "test", "--json", "--wait",
        str(int(patient(30))), "london").splitlines()]
    assert said[-1]["stage"] == "answered"
    order = ["sealing", "queued", "sent", "underway", "answered"]
    ranks = [order.index(one["stage"]) for one in said]
    assert ranks == sorted(ranks), said
    assert all("waits" in one and one["site"] == "london" for one in said)
