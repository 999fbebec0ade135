# SPDX-License-Identifier: ISC
"""Postfix's pipe(8), with the flags of its bsmtp sample, writes batches.

The script does what a bsmtp transmitter does: it puts the envelope that
pipe(8) expands before the content, whose dots are doubled already, and hands
the batch to the node as a neighbour's.
"""

import os
import pwd

import pytest

import road
from peers_common import program
from peers_compare import differences
from test_interop_lmtp import POSTFIX_CHANGES
from test_interop_servers import (MAIL, USERS, all_samples, assert_changes,
                                  hand_in, wait_all)

pytestmark = pytest.mark.requires_root

# The flag F puts a From_ line first, which is no part of the mail.
SCRIPT = """\
#!/bin/sh
host=$1 sender=$2
shift 2
{{
	echo "HELO $host"
	echo "MAIL FROM:<$sender>"
	for one; do
		echo "RCPT TO:<$one>"
	done
	echo DATA
	sed 1d
	echo .
	echo QUIT
}} | {program} -c {conf} receive --peer london
case $? in 0) exit 0 ;; *) exit 75 ;; esac
"""


@pytest.fixture
def site(node, work):
    one = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", dialect="bsmtp",
                           receive_users="{ irc }"),
        delivery=road.MAILDIR + "\tusers = { " + ", ".join(USERS) + " }\n"))
    one.start()
    # Who shall hand in objects must be in the group of the daemon.
    for name in ("run", "run/control"):
        os.chown(os.path.join(one.directory, name), 0,
                 pwd.getpwnam("irc").pw_gid)
    return one


@pytest.fixture
def far(postfix, site, work):
    """A Postfix whose mail for paris.example goes through the pipe."""
    script = os.path.join(work, "bsmtp")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(program=program("postrider"),
                                 conf=site.conf))
    os.chmod(script, 0o755)
    return postfix("postfix", hostname="mx.london.example",
                   domains=["london.example"],
                   routes={"paris.example": "bsmtp:[paris]:"},
                   settings={"bsmtp_destination_recipient_limit": "100"},
                   services="bsmtp unix - n n - 4 pipe flags=Fq. "
                   f"user=irc argv={script} mx.london.example "
                   "$sender $recipient\n")


def test_all_samples(site, far):
    assert hand_in(far.port, "paris.example", all_samples()) == {}
    wait_all(site, all_samples())
    assert_changes(site, all_samples(), POSTFIX_CHANGES)
    far.wait_idle()


def test_several_recipients(site, far):
    """One batch, and quoted local parts survive."""
    far.sendmail("bob@london.example", ["s1@paris.example",
                                        "s2@paris.example"],
                 MAIL.replace(b"\r\n", b"\n"))
    for user in ("s1", "s2"):
        [got] = site.wait_mail(user)
        assert differences(got, MAIL) == []
    far.wait_idle()
    accepted = [line for line in site.log().splitlines()
                if " message-accepted " in line]
    assert len(accepted) == 1
    assert "recipients=2" in accepted[0]
