# SPDX-License-Identifier: ISC
"""The SMTP dialogues of ../shared/corpus, played against a node."""

import json
import os
import subprocess
import sys

import pytest

from peers_common import PROJECT

CASES = os.path.join(PROJECT, "..", "shared", "corpus", "smtp")
RUNNER = os.path.join(CASES, "run_cases.py")

OFFERED = ("PIPELINING", "SIZE", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES",
           "CHUNKING", "BINARYMIME", "SMTPUTF8", "MT-PRIORITY",
           "DELIVERBY", "FUTURERELEASE")

# What holds only for servers that lack an extension we offer.
NOT_FOR_US = {"prio-not-offered": "skip"}


@pytest.mark.skipif(not os.path.exists(RUNNER),
                    reason="there is no ../shared/corpus/smtp")
def test_smtp_cases(node, work):
    site = node("test", domains=["test.example"], users=["user", "user2"])
    site.start()
    results = os.path.join(work, "results")
    done = subprocess.run(
        [sys.executable, RUNNER, "--json", results, "-v", "--require",
         ",".join(OFFERED), f"127.0.0.1:{site.port}"],
        capture_output=True, text=True, timeout=600, check=False)
    assert os.path.exists(results), done.stdout + done.stderr
    with open(results, encoding="ascii") as file:
        found = {one["name"]: one for one in map(json.loads, file)}
    with open(os.path.join(CASES, "cases.jsonl"), encoding="ascii") as file:
        names = {json.loads(line)["name"] for line in file if line.strip()}
    assert set(found) == names, done.stdout
    unmet = {name: one["result"] for name, one in found.items()
             if one["result"] != "pass"}
    assert unmet == NOT_FOR_US, done.stdout
    assert site.running()
