# SPDX-License-Identifier: ISC
"""tests/vectors/card.json is what the program beside it makes, and it and
postrider make the same of the same keys."""

import base64
import json
import os
import re
import sys

import pytest

from peers_common import PROJECT

VECTORS = os.path.join(PROJECT, "tests/vectors")
pytest.importorskip("cryptography", reason="make test-deps installs "
                    "python3-cryptography")
sys.path.insert(0, VECTORS)
import make_card  # noqa: E402  pylint: disable=wrong-import-position


def test_made():
    with open(os.path.join(VECTORS, "card.json"), encoding="ascii") as file:
        cards = json.load(file)["cards"]
    made = list(make_card.vectors())
    assert [(v["name"], v["result"], v["text"]) for v in cards] == \
        [(name, result, text) for name, _, result, text in made]
    assert [base64.b64decode(v["card"]) for v in cards] == \
        [octets for _, octets, _, _ in made]


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_ours(node):
    """A card of a node, its ids, signature and fingerprint."""
    site = node("paris")
    text = site.cli("card", "--reach", "tcp port=1 host=a%20b").encode()
    body, signature = re.fullmatch(rb"(.*\n)signature (\S+)\n", text,
                                   re.S).groups()
    for role, suite, name, *_, key in re.findall(
            r"^(identity|auth|receive) (\S+) (\S+) (\d+ )?(\S+)$",
            body.decode(), re.M):
        assert make_card.key_id(suite, unpadded(key)) == name, role
        if role == "identity":
            identity = unpadded(key)
    public = make_card.Ed25519PublicKey.from_public_bytes(identity)
    public.verify(unpadded(signature.decode()), body)
    assert site.cli("key") == f"paris {make_card.fingerprint(identity)}\n"
