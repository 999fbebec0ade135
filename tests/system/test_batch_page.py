# SPDX-License-Identifier: ISC
"""postrider-batch(5): the tests that its table names are there, and what it
says in numbers is what the sources have."""

import os
import re

import pytest

from peers_common import PROJECT


def read(*path):
    with open(os.path.join(PROJECT, *path), encoding="utf-8") as file:
        return file.read()


PAGE = read("man", "postrider-batch.5")
TABLE = re.search(r"^\.Sh CLAUSES\n(.*?)^\.Sh ", PAGE, re.M | re.S)[1]
ROWS = [tuple(part.strip() for part in row.split(" Ta "))
        for row in re.findall(r"^\.It (.*)$", TABLE, re.M)
        if row.count(" Ta ") == 2 and not row.startswith("Em ")]


def source(name):
    folder = "unit" if name.endswith(".c") else "system"
    return read("tests", folder, name)


def has_test(name, test):
    """Is it (the beginning of) a function's name, or of a case's clause?"""
    text = source(name)
    if test.startswith("test_"):
        pattern = rf"^(?:def )?{re.escape(test)}\w*\("
        return re.search(pattern, text, re.M) is not None
    return re.search(rf'^\t{{ "{re.escape(test)}', text, re.M) is not None


def test_table_is_read():
    assert len(ROWS) >= 45
    assert len({clause for clause, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_named_test_exists(row):
    _, name, test = row
    assert has_test(name, test), f"{name} has no {test}"


@pytest.mark.parametrize("name", ["test_rfc2442.c", "test_smtp_clauses.c"])
def test_every_group_of_clauses_is_in_the_table(name):
    """What a case is named after stands in the table too."""
    groups = {re.match(r"(\w+:|\d+)", clause)[1] for clause in
              re.findall(r'^\t\{ "([^"]+)", ?$|^\t\{ "([^"]+)"',
                         source(name), re.M) for clause in clause if clause}
    listed = " ".join(test for _, file, test in ROWS if file == name)
    missing = {group for group in groups if group not in listed}
    # Not about batches: pipelining, statuses of replies, AUTH.
    assert missing <= {"2920", "2034", "4954"}


@pytest.mark.parametrize("path, define, said", [
    ("bundle/mime.h", r"MIME_HEADER_MAX (\d+)", "MIME header Ta {}"),
    ("bundle/writer.h", r"BUNDLE_RECIPIENTS_MAX (\d+)",
     "A transaction has at most {};"),
    ("smtp/server.c", r"command_max = (\d+);", "command line Ta {}"),
    ("bundle/reader.c", r"batch_max = UINT64_C\((\d+)\) << 30",
     "uncompressed Ta {}G"),
])
def test_numbers(path, define, said):
    number = re.search(define, read(path))[1]
    assert said.format(number) in PAGE
