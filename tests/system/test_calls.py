# SPDX-License-Identifier: ISC
"""When a peer is called, with a transport that stays between calls."""

import os
import time

import pytest

import native
import road
from peers_common import wait_for

CONTENT = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def called(node, work):
    def make(rule, **more):
        one = node("paris", config=road.config(
            "paris", road.peer(work, "paris", "london", call=rule),
            "routes { london.example = london }\n"), **more)
        one.start()
        return one
    return make


def mail(one, user):
    one.submit("a@paris.example", [f"{user}@london.example"], CONTENT)


def dropped(work):
    return len(road.files(road.drop(work, "paris", "london")))


def test_waits_for_its_time(called, work):
    one = called('"every 1w"')
    for user in "bcd":
        mail(one, user)
    time.sleep(1)
    assert dropped(work) == 0
    assert one.cli("queue", "list").count("queued") == 3
    one.cli("flush", "london")
    wait_for(lambda: dropped(work) == 1, 10, one.log)
    # One that had nothing to send is no promise for the mail after it.
    one.cli("flush", "london")
    mail(one, "e")
    time.sleep(1)
    assert dropped(work) == 1


def test_comes_in_between_calls(called, work):
    """What others dropped is taken in whenever it comes."""
    one = called('"cron 0 0 1 1 *"')
    mail_file = os.path.join(work, "mail.eml")
    with open(mail_file, "wb") as file:
        file.write(CONTENT)
    batch = one.run("batch", "--from", "a@london.example",
                    "--to", "bob@paris.example", mail_file).stdout
    with open(os.path.join(road.drop(work, "london", "paris"), "one"),
              "wb") as file:
        file.write(batch)
    one.wait_mail("bob")


def test_every_time(called, work):
    skew = native.Skew(work)
    one = called('"every 1h"', env=skew.env)
    skew.use(one)
    for user in "bcd":
        mail(one, user)
    for count in (0, 1):
        road.quiet(lambda: dropped(work) > count, 1)
        skew.forward(3601)
        wait_for(lambda: dropped(work) == count + 1, 10, one.log)
        mail(one, "e")
