# SPDX-License-Identifier: ISC
"""Our LMTP listener, as Postfix and OpenSMTPD deliver to it."""

import pytest

import peers_common
from peers_compare import differences
from test_interop_servers import (MAIL, OPENSMTPD_CHANGES, OPENSMTPD_REFUSES,
                                  USERS, all_samples, assert_changes,
                                  hand_in, wait_all, wait_report)

pytestmark = pytest.mark.requires_root

LMTP = "lmtp unix - - n - - lmtp\n"
# How Postfix changes what it is given.
POSTFIX_CHANGES = {
    "leading-space.eml": "adds a header before what is none",
    "not-a-header.eml": "adds a header before what is none",
    "odd-fields.eml": "removes blanks before the colon",
    "one-line.eml": "adds a header before what is none",
    "return-path.eml": "removes Return-Path and Bcc",
}


@pytest.fixture
def site(node):
    """A node that speaks LMTP at lmtp_port and at a UNIX socket."""
    one = node("paris", domains=["paris.example"], users=USERS)
    one.lmtp_port = peers_common.free_port()
    one.lmtp_path = one.directory + "/lmtp"
    one.append_config(f"""
listen "127.0.0.1:{one.lmtp_port}" {{ protocol = lmtp }}
listen "unix:{one.lmtp_path}" {{
	protocol = lmtp
	mode = 0666
}}
""")
    one.start()
    return one


def start_postfix(postfix, site, how):
    target = f"lmtp:[127.0.0.1]:{site.lmtp_port}" if how == "tcp" else \
        f"lmtp:unix:{site.lmtp_path}"
    return postfix("postfix", hostname="mx.oslo.example",
                   domains=["oslo.example"], services=LMTP,
                   routes={"paris.example": target},
                   settings={"lmtp_line_length_limit": "0"})


@pytest.mark.parametrize("how", ["tcp", "unix"])
def test_postfix_delivers(site, postfix, how):
    far = start_postfix(postfix, site, how)
    taken = all_samples()
    assert hand_in(far.port, "paris.example", taken) == {}
    wait_all(site, taken)
    assert_changes(site, taken, POSTFIX_CHANGES)
    far.wait_idle()


def test_postfix_hears_of_each(site, postfix):
    """Several recipients in one transaction; one is unknown."""
    far = start_postfix(postfix, site, "tcp")
    far.sendmail("bob@oslo.example", [
        f"{user}@paris.example" for user in ("s1", "nobody", "s2")],
        MAIL.replace(b"\r\n", b"\n"))
    for user in ("s1", "s2"):
        [got] = site.wait_mail(user)
        assert differences(got, MAIL) == []
    _, [told] = wait_report(far, "bob")
    assert told["action"] == "failed"
    assert told["status"] == "5.1.1"
    assert told["final-recipient"] == "rfc822;nobody@paris.example"
    assert told["diagnostic-code"].startswith("smtp;550 5.1.1 ")
    far.wait_idle()


def test_opensmtpd_delivers(site, opensmtpd):
    far = opensmtpd("oslo", hostname="mx.oslo.example",
                    domains=["oslo.example"], users=USERS, protocol="lmtp",
                    relayhost=f"127.0.0.1:{site.lmtp_port}")
    taken = all_samples(OPENSMTPD_REFUSES)
    assert hand_in(far.port, "paris.example", taken) == {}
    wait_all(site, taken)
    assert_changes(site, taken, OPENSMTPD_CHANGES)
