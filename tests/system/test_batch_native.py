# SPDX-License-Identifier: ISC
"""postrider-parcel(5) on batches, read by another reader: Python's zlib."""

import hashlib
import os
import re
import subprocess
import zlib

from peers_common import PROJECT

with open(os.path.join(PROJECT, "man/postrider-parcel.5"),
          encoding="utf-8") as file:
    PAGE = file.read()


def dictionary():
    return subprocess.run(
        ["/usr/bin/python3", "-B", "bundle/make_dictionary.py", "--show"],
        cwd=PROJECT, check=True, capture_output=True).stdout


def displays():
    return re.findall(r"^\.Bd -literal.*\n((?:[^.].*\n|\n)*)\.Ed", PAGE, re.M)


def streams(octets, words):
    """The batch in an object, as the page tells it."""
    mode, number = octets[0] >> 6, octets[0] & 63
    if mode == 0:
        assert number == 0
        return octets[1:]
    out, rest = b"", octets[1:]
    while rest:
        assert number in (0, 1) and (mode == 2 or out == b"")
        reader = zlib.decompressobj(-15, words if number == 1 else b"")
        out += reader.decompress(rest)
        assert reader.eof
        rest = reader.unused_data
    return out


def test_dictionary_has_the_digest_of_the_page():
    words = dictionary()
    assert len(words) == 16384
    digest = hashlib.sha256(words).hexdigest()
    assert f"{digest[:32]}\n{digest[32:]}\n" in PAGE


def test_example():
    message, objects = displays()[-2:]
    wanted = message.replace("\n", "\r\n") + "\r\n"
    stored, each = objects.strip().split("\n\n")
    for text, mark in ((stored, 0x00), (each, 0x81)):
        octets = bytes.fromhex(text)
        assert octets[0] == mark
        assert streams(octets, dictionary()) == wanted.encode()
