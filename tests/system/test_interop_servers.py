# SPDX-License-Identifier: ISC
"""Servers of strangers around a node: Dovecot, OpenSMTPD and sendmail.

Each takes what the node delivers, and those that also send hand their mail
to the node.  Where a server changes a mail of ours on its own, the table
says which, and what it does.
"""

import email
import os
import time

import pytest

import peers_common
import road
from peers_common import wait_for
from peers_compare import differences
from peers_smtp import Refused

pytestmark = pytest.mark.requires_root

SAMPLES = [one for one in peers_common.samples() if one.how == "data"]


def content(sample):
    with open(sample.path, "rb") as file:
        return file.read()


def users():
    return [f"s{number}" for number in range(len(SAMPLES))] + [
        "alice", "bob", "postmaster"]


def paris(node, to, *sections):
    """A node that gives what is for oslo.example to a server."""
    one = node("paris", config=road.config(
        "paris", f'delivery far {{\n\tdomains = {{ oslo.example }}\n'
        f'\tto = "{to}"\n\tconnections = 4\n}}\n', *sections))
    one.start()
    return one


def hand_in(node, domain):
    """Every sample, each to a user of its own."""
    with node.smtp(timeout=120) as smtp:
        smtp.ehlo()
        for number, sample in enumerate(SAMPLES):
            smtp.transaction("alice@paris.example",
                             [f"s{number}@{domain}"], content(sample),
                             mail_params="BODY=8BITMIME SMTPUTF8"
                             if sample.name == "smtputf8.eml"
                             else "BODY=8BITMIME")
        smtp.quit()
