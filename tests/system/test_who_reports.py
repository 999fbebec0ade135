# SPDX-License-Identifier: ISC
"""NOTIFY=SUCCESS (RFC 3461 5.2): who says "delivered", who "relayed", and who
leaves it to the next."""

import os
import re

import pytest

from peers_common import free_port

CONFIG = """
site front {
\tpostmaster = ann@front.example
\thostname = front.example
\tspool = @dir@/spool
\trun = @dir@/run
}
listen "127.0.0.1:@port@" { }
delivery home { domains = { front.example }
\tto = "maildir:@mail@" }
delivery tried { domains = { test.example }
%s
}
"""

# What the recipient is given to, and what its sender hears from whom.
CASES = {
    "maildir": ("\tto = maildir:@dir@/tried", "delivered", "front.example"),
    "command": ("\tto = command:@dir@/command", "relayed", "front.example"),
    "final command": ("\tto = command:@dir@/command\n\tfinal = yes",
                      "delivered", "front.example"),
    "lmtp": ("\tto = lmtp:127.0.0.1:%(plain)d", "relayed", "front.example"),
    "smtp": ("\tto = smtp:127.0.0.1:%(smtp)d", "relayed", "front.example"),
    "lmtp with DSN": ("\tto = lmtp:127.0.0.1:%(dsn)d", "delivered",
                      "test.example"),
}


@pytest.fixture
def far(node):
    """A node that speaks LMTP with and without DSN, and SMTP without, and
    whose notices go back to the front."""
    one = node("test", domains=["test.example"], users=["user"])
    one.ports = {name: free_port() for name in ("plain", "dsn", "smtp")}
    one.append_config("""
listen "127.0.0.1:%(plain)d" { protocol = lmtp
\thide = { DSN } }
listen "127.0.0.1:%(dsn)d" { protocol = lmtp }
listen "127.0.0.1:%(smtp)d" { hide = { DSN } }
""" % one.ports)
    return one


def front_of(node, far, how):
    one = node("front", config=CONFIG % (how % far.ports))
    for name in ("spool", "run"):
        os.makedirs(os.path.join(one.directory, name))
    command = os.path.join(one.directory, "command")
    with open(command, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\ncat >/dev/null\n")
    os.chmod(command, 0o755)
    return one


@pytest.mark.parametrize("name", CASES)
def test_success(node, far, name):
    how, action, reporter = CASES[name]
    front = front_of(node, far, how)
    far.append_config(f"""
delivery back {{ domains = {{ front.example }}
\tto = "smtp:127.0.0.1:{front.port}" }}
""")
    far.start()
    front.start()
    with front.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("ann@front.example", ["user@test.example"],
                         b"Subject: t\r\n\r\nx\r\n",
                         rcpt_params="NOTIFY=SUCCESS")
    [notice] = front.wait_mail("ann")
    assert re.findall(rb"^Action: (.*)$", notice, re.M) == [action.encode()]
    assert re.findall(rb"^Reporting-MTA: dns; (.*)$", notice, re.M) == \
        [reporter.encode()]
