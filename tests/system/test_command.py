# SPDX-License-Identifier: ISC
"""Delivery to a command, from the configuration to the notice."""

import os

CONTENT = b"From: <a@client.example>\r\nSubject: t\r\n\r\nhello\r\n"


def with_command(node, script, arguments, more=""):
    """A node whose mail for run.example goes to a script."""
    site = node("test", domains=["test.example"], users=["user"])
    path = site.directory + "/command"
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\ncd {site.directory}\n{script}\n")
    os.chmod(path, 0o755)
    site.append_config(f"""
delivery run {{
\tdomains = {{ run.example }}
\tto = "command:{path} {arguments}"
{more}}}
""")
    site.start()
    return site


def read(site, name):
    with open(f"{site.directory}/{name}", "rb") as file:
        return file.read()


def test_delivered(node):
    site = with_command(
        node, 'cat >in.tmp; echo "$@" >args; mv in.tmp in', "-f %s -- %r")
    site.submit("a@client.example", ["b@run.example", "c@run.example"],
                CONTENT)
    site.wait_log(r"recipient-delivered.*recipient=1")
    assert read(site, "args") == \
        b"-f a@client.example -- b@run.example c@run.example\n"
    assert read(site, "in") == (b"Return-Path: <a@client.example>\n"
                                + CONTENT.replace(b"\r\n", b"\n"))


def test_null_sender(node):
    site = with_command(node, 'echo "$@" >args', "%s %u",
                        '\tnull-sender = "<>"\n')
    site.submit("", ["b@run.example"], CONTENT)
    site.wait_log("recipient-delivered")
    assert read(site, "args") == b"<> b\n"


def test_no_such_user(node):
    site = with_command(node, "echo nobody of this name; exit 67", "%r")
    site.submit("user@test.example", ["b@run.example"], CONTENT)
    [notice] = site.wait_mail("user", 1)
    assert b"Status: 5.1.1" in notice
    assert b"nobody of this name" in notice


def test_try_again(node):
    site = with_command(node, "test -e ready || exit 75; touch done", "%r")
    site.submit("a@client.example", ["b@run.example"], CONTENT)
    site.wait_log("recipient-deferred.*status=4.3.0")
    with open(site.directory + "/ready", "w", encoding="ascii"):
        pass
    site.cli("queue", "retry", "--all")
    site.wait_log("recipient-delivered")
    assert os.path.exists(site.directory + "/done")
