# SPDX-License-Identifier: ISC
"""Native sites: paris and oslo through london, by files, never in contact."""

import os
import re
import time

import pytest

import native
import road
from peers_common import wait_for
from peers_smtp import Refused
from road import Mail
from test_road import ours

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"


def message_id(one, sender):
    """The id that the log gives to the message of this sender."""
    return re.search(r"message-accepted id=(\S+) .* from=" +
                     re.escape(sender) + " ", one.log())[1]


def test_identical(node, work):
    """Every sample arrives octet for octet, and is settled at paris."""
    paris, london, oslo = native.three(work, node)
    mails = ours()
    road.hand_in(paris, "ann@paris.example", mails, "oslo.example")
    road.wait_delivered(oslo, len(mails))
    road.assert_identical(oslo, mails)
    native.wait_settled(paris, london, oslo)
    assert not os.path.exists(paris.mail), "nothing came back"
    for one in (paris, london, oslo):
        assert "refused" not in one.log(), one.log()
