# SPDX-License-Identifier: ISC
"""A gate: oslo takes mail of far sites for a peer that is no native site."""

import native
import road
from peers_common import wait_for

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"


def leaf_of_oslo(work, node, **settings):
    """paris, london and oslo, started, and leaf, which oslo alone reaches."""
    paris, london, oslo = native.three(work, node, start=False)
    leaf = node("leaf", config=road.config(
        "leaf", road.peer(work, "leaf", "oslo"),
        "routes { paris.example = oslo }\n"))
    for one in (paris, london):
        one.edit_config(r"(routes \{)", r"\1 leaf.example = oslo\n\t")
    oslo.edit_config(r"(link london)", road.peer(
        work, "oslo", "leaf", may_relay="yes", **settings) + r"\1")
    oslo.edit_config(r"(routes \{)", r"\1 leaf.example = leaf\n\t")
    for one in (paris, london, oslo, leaf):
        one.start()
    return paris, leaf


def test_gate(work, node):
    """paris, which oslo does not know as a peer, reaches leaf and back."""
    paris, leaf = leaf_of_oslo(work, node, gate="yes")
    paris.submit("ann@paris.example", ["eve@leaf.example"], HELLO)
    assert leaf.wait_mail("eve") == [HELLO]
    leaf.submit("eve@leaf.example", ["ann@paris.example"], HELLO)
    assert paris.wait_mail("ann") == [HELLO]


def test_no_gate(work, node):
    """Without leave the sender is told so."""
    paris, leaf = leaf_of_oslo(work, node)
    paris.submit("ann@paris.example", ["eve@leaf.example"], HELLO)
    wait_for(lambda: road.notices(paris, "ann"), 30,
             lambda: paris.log()[-3000:])
    assert road.notices(paris, "ann")[0].status == "5.7.1"
    assert not leaf.maildir("eve")
