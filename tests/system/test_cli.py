# SPDX-License-Identifier: ISC
"""The command line as a newcomer meets it: what is wrong is said on standard
error by a command that names itself, with the exit status of postrider(1);
and what --json prints can be parsed, and is in the page."""

import json
import os
import re
import subprocess

import pytest

import road
from peers_common import PROJECT, program

CONTENT = b"Subject: x\r\n\r\nx\r\n"
COMMANDS = ("init", "check", "status", "key", "card", "peer", "trace", "queue",
            "bundles", "flush", "link", "route", "send", "receive", "reload",
            "stop", "spool", "inspect", "batch")


@pytest.fixture
def paris(node, work):
    return node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", call='{ "Never" }'),
        "routes { london.example = london }\n")).start()


def run(*args, config="/nonexistent"):
    return subprocess.run([program("postrider"), "-c", config, *args],
                          capture_output=True, text=True, check=False,
                          timeout=30, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("word", COMMANDS)
def test_unknown_option(word):
    done = run(word, "--bogus")
    assert done.returncode == 64 and done.stdout == ""
    assert f"usage: postrider {word}" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 100
    first = done.stderr.splitlines()[0]
    assert first.startswith(("usage: postrider ", f"postrider {word}: "))


@pytest.mark.parametrize("group", ("key list", "peer add", "peer test",
                                   "queue list", "spool verify"))
def test_unknown_option_of_a_verb(group):
    word, verb = group.split()
    done = run(word, verb, "--bogus")
    assert done.returncode == 64
    assert done.stderr.startswith(
        f"postrider {word}: unrecognized option '--bogus'\nusage: ")


def test_every_command_is_tried():
    assert set(re.findall(r"^  (\w+) ", run("--help").stdout, re.M)) == set(
        COMMANDS)


ARGUMENTS = [
    (64, "usage: ", "status", "extra"), (64, "usage: ", "check", "extra"),
    (64, "usage: ", "bundles", "extra"), (64, "usage: ", "stop", "extra"),
    (64, "usage: ", "reload", "extra"), (64, "usage: ", "trace"),
    (64, "usage: ", "flush"), (64, "usage: ", "route"),
    (64, "usage: ", "link"), (64, "usage: ", "queue"),
    (64, "usage: ", "queue", "bogus"), (64, "usage: ", "peer", "bogus"),
    (64, "usage: ", "spool", "bogus"), (64, "usage: ", "key", "bogus"),
    (64, "takes no ids", "queue", "list", "1"),
    (64, "Give an id", "queue", "show"),
    (64, "give ids", "queue", "delete"),
    (64, "no id of a message", "queue", "show", "!"),
    (66, "no such message in the queue", "queue", "show", "99"),
    (66, "nothing is remembered of it", "trace", "99"),
    (69, "there is no message", "queue", "hold", "99"),
    (66, "no such broken object", "queue", "show", "--broken", "9"),
    (66, "there is no peer", "flush", "rome"),
    (66, "there is no peer", "link", "rome"),
    (66, "there is no peer", "receive", "--peer", "rome"),
    (66, "there is no card of rome", "peer", "test", "rome"),
    (66, "No such file", "peer", "add", "/nonexistent"),
    (66, "No such file", "inspect", "/nonexistent"),
    (78, "no transport that listens", "link", "london"),
    (77, "denied", "send", "bob@rome.example"),
    (75, "stop the daemon first", "spool", "export", "/nonexistent/x"),
]


def test_arguments(paris):
    wrong = []
    for status, words, *args in ARGUMENTS:
        done = run(*args, config=paris.conf)
        if done.returncode != status or words not in done.stderr:
            wrong.append((args, done.returncode, done.stderr))
    assert not wrong


def test_without_daemon_and_configuration(paris):
    paris.stop()
    for args in (("status",), ("queue", "list"), ("flush", "london"),
                 ("reload",), ("bundles",), ("trace", "1"), ("stop",)):
        done = run(*args, config=paris.conf)
        assert done.returncode == 75, args
        assert "the daemon does not run" in done.stderr
        done = run(*args)
        assert done.returncode == 78, args
        assert "cannot open /nonexistent" in done.stderr
    done = run("check")
    assert done.returncode == 78 and "/nonexistent" in done.stdout


def members():
    """The words that postrider(1) has for members."""
    with open(os.path.join(PROJECT, "man/postrider.1"),
              encoding="utf-8") as file:
        text = file.read()
    return {word for line in re.findall(r"\bLi (.*)", text)
            for word in re.findall("[a-z_0-9]+", line)}


def keys(value):
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(keys, value.values()))


def test_json_is_documented(paris):
    paris.submit("a@paris.example",
                 ["bob@paris.example", "eve@london.example"], CONTENT)
    paris.wait_mail("bob")
    ident = paris.json("queue", "list")["id"]
    known, said = members(), {}
    for args in (("status",), ("queue", "list"), ("queue", "show", ident),
                 ("queue", "hold", ident), ("queue", "release", ident),
                 ("trace", ident), ("route", "eve@london.example"),
                 ("route", "bob@paris.example"), ("route", "x@rome.example"),
                 ("bundles",), ("spool", "verify"),
                 ("queue", "delete", ident)):
        done = run(*args, "--json", config=paris.conf)
        assert done.returncode in (0, 67), (args, done.stderr)
        for line in done.stdout.splitlines():
            said.setdefault(args[0], set()).update(keys(json.loads(line)))
    assert said["status"] and said["queue"] and said["route"]
    missing = {word: sorted(found - known) for word, found in said.items()
               if found - known}
    assert not missing
