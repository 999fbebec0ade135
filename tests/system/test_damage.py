# SPDX-License-Identifier: ISC
"""A spool of which no page of the messages can be read."""

import glob
import os

import pytest

import road
from peers_common import wait_for

CONTENT = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def paris(node, work):
    one = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", call='{ "Never" }'),
        "routes { london.example = london }\n"))
    # Berkeley DB leaks what it holds when it gives up.
    one.env = {**(one.env or {}), "ASAN_OPTIONS": "detect_leaks=0"}
    one.start()
    for i in range(60):
        one.submit("a@paris.example", [f"u{i}@london.example"], CONTENT)
    one.stop()
    return one


def ruin(one, places):
    path, = glob.glob(os.path.join(os.path.dirname(one.conf), "spool",
                                   "message.db"))
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        for page in range(4096, len(data), 4096):
            for place in places:
                data[page + place] ^= 0xff
        file.seek(0)
        file.write(data)


@pytest.mark.parametrize("places", [(4000, 4090), range(4096)],
                         ids=["links", "all"])
def test_ends_with_advice_and_not_in_a_circle(paris, places):
    ruin(paris, places)
    verify = paris.run("spool", "verify", check=False, timeout=30)
    assert verify.returncode != 0 and b"spool salvage" in verify.stderr
    with pytest.raises(Exception):
        paris.start()
    wait_for(lambda: not paris.running(), 10, paris.log)
    assert "salvage" in paris.log()
    assert len(paris.log()) < 20000
    paris.run("spool", "salvage", check=False)
    assert b"damaged    0" in paris.run("spool", "verify").stdout
    paris.start()
