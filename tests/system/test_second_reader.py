# SPDX-License-Identifier: ISC
"""postrider-parcel(5), by a second reader and writer (tests/second): it makes
our vectors, opens what we seal, seals what we open, and refuses what we
refuse."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys

import pytest

from peers_common import PROJECT, patient, program
from test_batch_native import dictionary, streams

sys.path.insert(0, os.path.join(PROJECT, "tests/second"))
import ed25519ph  # noqa: E402
import inside  # noqa: E402
import seal  # noqa: E402

VECTORS = os.path.join(PROJECT, "tests/vectors")
FILES = ("parcel", "bundle", "request", "onion", "signed")
SORTS = {"parcel": "frames", "bundle": "flow", "onion": "onion",
         "request": "request"}
RNG = random.Random(1)
PARIS, OSLO, RECEIVE, IDENTITY, PSK = (RNG.randbytes(32) for _ in range(5))


def load(name):
    with open(os.path.join(VECTORS, f"{name}.json"),
              encoding="utf-8") as file:
        return json.load(file)


class Ours:
    """Our own, in one process that answers orders."""

    def __init__(self):
        self.process = subprocess.Popen(
            [program("tests/bin/demo_parcel")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def __call__(self, **order):
        order = {k: v.hex() if isinstance(v, bytes) else v
                 for k, v in order.items() if v is not None}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=patient(30)) == 0


@pytest.fixture(scope="module", name="ours")
def ours_fixture():
    ours = Ours()
    yield ours
    ours.close()


#
# The second one alone.
#
def test_signatures_are_those_of_the_rfc():
    """RFC 8032 7.3."""
    seed = bytes.fromhex("833fe62409237b9d62ec77587520911e"
                         "9a759cec1d19755b7da901b96dca3d42")
    key = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034"
                        "c35467ef2efd4d64ebf819683467e2bf")
    signature = bytes.fromhex("98a70222f0b8121aa9d30f813d683f80"
                              "9e462b469c7ff87639499bb94e6dae41"
                              "31f85042463c2a355a2003d062adf5aa"
                              "a10b8c61e636062aaad11c2a26083406")
    assert ed25519ph.public(seed) == key
    assert ed25519ph.sign(seed, b"abc") == signature
    assert ed25519ph.verify(key, b"abc", signature)
    assert not ed25519ph.verify(key, b"abd", signature)


def test_vectors_are_made_again(tmp_path):
    subprocess.run(["/usr/bin/python3", "-B",
                    os.path.join(VECTORS, "make_vectors.py"), tmp_path],
                   check=True)
    for name in FILES:
        with open(tmp_path / f"{name}.json", encoding="utf-8") as file:
            assert json.load(file) == load(name)


def octets_of(vector):
    """The plain octets and the object of a vector, made or written there."""
    if "rule" in vector:
        plain = bytes((i * 7 + i // 251) % 256
                      for i in range(vector["rule"]))
    else:
        plain = bytes.fromhex(vector["plain"]["hex"])
    if "hex" in vector["object"]:
        return plain, bytes.fromhex(vector["object"]["hex"])
    return plain, None


def second_open(octets, site, kinds, keys, peer):
    """The word for the fault, or "good", and what came out."""
    try:
        if octets.startswith(seal.MAGIC):
            found = seal.open_signed(octets, site, kinds, {
                "paris": {"key": keys["identity"], "sign": peer["sign"]}})
        else:
            found = seal.open_sealed(octets, site, [
                (kinds - {seal.REQUEST}, keys["receive"]),
                (kinds & {seal.REQUEST}, keys["auth"])],
                {keys["paris"]: peer})
    except seal.Refused as why:
        return str(why), None
    return "good", found


def vector_keys(said):
    return {"identity": bytes.fromhex(
                said["keys"]["paris"]["identity"]["public"]),
            "paris": bytes.fromhex(said["keys"]["paris"]["auth"]["public"]),
            "receive": bytes.fromhex(
                said["keys"]["oslo"]["receive"]["secret"]),
            "auth": bytes.fromhex(said["keys"]["oslo"]["auth"]["secret"])}


@pytest.mark.parametrize("name", FILES)
def test_second_opens_the_vectors(name):
    said, all_kinds = load(name), set(seal.KINDS.values())
    for vector in said["vectors"]:
        plain, octets = octets_of(vector)
        if octets is None:
            continue
        psk = bytes.fromhex(said["keys"]["psk"]) if vector.get("psk") else \
            None
        word, found = second_open(
            octets, "oslo", all_kinds, vector_keys(said),
            {"psk": psk, "sign": vector.get("sign", False)})
        assert word == "good", vector["name"]
        assert found[0] == seal.KINDS[vector["kind"]]
        assert found[1] == plain
        assert found[3].hex() == vector["tag"]
        assert hashlib.sha256(octets).hexdigest()[:32] == vector["id"]


@pytest.mark.parametrize("name", sorted(SORTS))
def test_second_refuses_inside(name):
    rows = load(name)["refused_inside"]
    assert rows
    for row in rows:
        octets = bytes.fromhex(row["hex"])
        with pytest.raises(ValueError):
            read_inside(SORTS[name], octets)


def read_inside(sort, octets):
    return inside.read_frames(octets) if sort == "frames" else \
        inside.read_bag(sort, octets)


#
# The two together.
#
KEYS = {"identity": ed25519ph.public(IDENTITY), "paris": seal.public(PARIS),
        "receive": RECEIVE, "auth": OSLO}
LENGTHS = [0, 1, 2, 15, 16, 17, 100, 1000, 65517, 65518, 65519, 131036,
           131037, 200000]


def ours_open(ours, octets, kinds, psk, sign, piece=0):
    return ours(do="open", site="oslo", kinds=kinds, receive=RECEIVE,
                auth=OSLO, object=octets, piece=piece,
                peer={"name": "paris", "auth": KEYS["paris"].hex(),
                      "psk": psk and psk.hex(), "sign": sign,
                      "identity": KEYS["identity"].hex()})


def ours_seal(ours, kind, plain, psk, sign, piece=0):
    remote = OSLO if kind == "request" else RECEIVE
    return bytes.fromhex(ours(
        do="seal", kind=kind, destination="oslo", origin="paris",
        remote=seal.public(remote), secret=PARIS, psk=psk, sign=sign,
        identity=IDENTITY, plain=plain, piece=piece)["object"])


def second_seal(kind, plain, psk, sign):
    number = seal.KINDS[kind]
    if sign:
        return seal.sign(number, "paris", "oslo", plain, IDENTITY)
    remote = OSLO if kind == "request" else RECEIVE
    return seal.seal(number, "oslo", plain, seal.public(remote), PARIS,
                     None if kind == "onion" else psk)


WAYS = [(kind, psk, False) for kind in seal.KINDS for psk in (None, PSK)] + \
    [("parcel", None, True), ("bundle", None, True)]
NAMES = [kind + "-psk" * bool(psk) + "-sign" * sign
         for kind, psk, sign in WAYS]


@pytest.mark.parametrize("kind,psk,sign", WAYS, ids=NAMES)
def test_each_opens_the_other_s(ours, kind, psk, sign):
    for length in LENGTHS:
        plain, piece = RNG.randbytes(length), RNG.choice([0, 1000, 65535])
        theirs = ours_open(ours, second_seal(kind, plain, psk, sign),
                           list(seal.KINDS), psk, sign, piece)
        assert theirs["fault"] == "good"
        assert (theirs["kind"], theirs["plain"]) == (kind, plain.hex())
        octets = ours_seal(ours, kind, plain, psk, sign, piece)
        word, found = second_open(octets, "oslo", set(seal.KINDS.values()),
                                  KEYS, {"psk": psk, "sign": sign})
        assert word == "good"
        assert found[:2] == (seal.KINDS[kind], plain)


def touch(octets):
    """Cut, lengthened, one bit flipped, pieces moved."""
    octets, at = bytearray(octets), RNG.randrange(len(octets))
    how = RNG.randrange(4)
    if how == 0:
        return bytes(octets[:at])
    if how == 1:
        return bytes(octets) + RNG.randbytes(RNG.randrange(1, 40))
    if how == 2:
        octets[at] ^= 1 << RNG.randrange(8)
        return bytes(octets)
    return bytes(octets[at:] + octets[:at])


def test_both_refuse_for_the_same_reason(ours):
    words = set()
    for i in range(400):
        kind, psk, sign = WAYS[i % len(WAYS)]
        plain = RNG.randbytes(RNG.choice([0, 5, 50, 66000]))
        octets = second_seal(kind, plain, psk, sign)
        kinds = [k for k in seal.KINDS if RNG.random() < 0.8]
        if RNG.random() < 0.7:
            octets = touch(octets)
        else:
            psk = RNG.choice([None, PSK, RNG.randbytes(32)])
            sign = sign or RNG.random() < 0.3
        theirs = ours_open(ours, octets, kinds, psk, sign, RNG.choice([0, 1]))
        word, found = second_open(octets, "oslo",
                                  {seal.KINDS[k] for k in kinds}, KEYS,
                                  {"psk": psk, "sign": sign})
        assert theirs["fault"] == word, (i, kind, kinds)
        words.add(word)
        if word == "good":
            assert theirs["plain"] == found[1].hex()
    assert words >= {"good", "foreign", "psk", "mode", "damaged", "short"}


def mutate(octets):
    octets = bytearray(octets)
    for _ in range(RNG.randrange(1, 4)):
        at = RNG.randrange(len(octets) + 1)
        how = RNG.randrange(4)
        if how == 0:
            octets[at:at + 1] = b""
        elif how == 1:
            octets[at:at] = RNG.choice([b"\0", b"\x80", RNG.randbytes(1)])
        elif how == 2 and at < len(octets):
            octets[at] = RNG.choice([0, 1, 0x7f, 0x80, RNG.randrange(256)])
        else:
            octets = octets[:at] + octets[:RNG.randrange(len(octets) + 1)]
    return bytes(octets)


@pytest.mark.parametrize("name", sorted(SORTS))
def test_both_read_the_same_inside(ours, name):
    sort, good = SORTS[name], 0
    seeds = [octets_of(v)[0] for v in load(name)["vectors"]
             if "hex" in v["plain"]]
    for i in range(1500):
        octets = mutate(seeds[i % len(seeds)])
        try:
            read_inside(sort, octets)
            read = True
        except ValueError:
            read = False
        theirs = ours(do=sort, plain=octets)
        assert theirs["good"] == read, (octets.hex(), theirs["why"])
        good += read
    assert 50 < good < 1450


#
# The page.
#
def displays():
    with open(os.path.join(PROJECT, "man/postrider-parcel.5"),
              encoding="utf-8") as file:
        return re.findall(r"^\.Bd -literal.*\n((?:[^.].*\n|\n)*)\.Ed",
                          file.read().split(".Sh EXAMPLES\n")[1], re.M)


def test_example_of_the_page(ours):
    """Both make it and open it; in it is the batch that the page ends on."""
    plain, octets = (bytes.fromhex(text) for text in displays()[:2])
    batch = displays()[-1].split("\n\n")[1].replace("\n", "")
    paris, oslo = b"\1" * 32, b"\2" * 32
    assert seal.seal(seal.PARCEL, "oslo", plain, seal.public(oslo), paris,
                     None, b"\3" * 32, 1) == octets
    frames, padding = inside.read_frames(plain)
    assert padding == 3
    assert frames[1] == {"type": "ack", "ranges": [],
                         "id": "00112233445566778899aabbccddeeff"}
    assert "destination" not in frames[0]
    assert inside.read_bag("flow", bytes.fromhex(frames[0]["octets"])) == {
        "epoch": "0123456789abcdef", "serial": 300, "floor": 299,
        "padding": 0, "items": [{"type": "batch", "octets": batch}]}
    assert streams(bytes.fromhex(batch), dictionary()) == (
        b"MAIL FROM:<a@b.example> XID=4k2\r\nRCPT TO:<c@d.example>\r\n"
        b"BDAT 9 LAST\r\nHi: x\r\n\r\n")
    answer = ours(do="open", site="oslo", kinds=["parcel"], receive=oslo,
                  auth=OSLO, object=octets,
                  peer={"auth": seal.public(paris).hex()})
    assert (answer["fault"], answer["plain"]) == ("good", plain.hex())
    assert ours(do="frames", plain=plain)["good"]


def test_the_words_for_faults_are_those_of_the_page():
    with open(os.path.join(PROJECT, "man/postrider-parcel.5"),
              encoding="utf-8") as file:
        listed = re.search(r"one of these words:\n(.*?)\.El", file.read(),
                           re.S)[1]
    with open(os.path.join(PROJECT, "bundle/opener.c"),
              encoding="utf-8") as file:
        ours = re.findall(r"\[OPEN_\w+\] = \"(\w+)\"", file.read())
    assert ["good"] + re.findall(r"^\.It Cm (\w+)", listed, re.M) == ours


def test_the_limits_are_those_of_the_page():
    with open(os.path.join(PROJECT, "man/postrider-parcel.5"),
              encoding="utf-8") as file:
        page = " ".join(file.read().split())
    with open(os.path.join(PROJECT, "bundle/frame.h"),
              encoding="utf-8") as file:
        header = file.read()
    assert "#define FRAME_BUNDLE_MAX (UINT64_C(1) << 40)" in header
    assert "1 to 2^40" in page
    for name, said in (("FRAGMENT_MIN", "at least {} octets"),
                       ("RANGES_MAX", "at most {}; 0 says")):
        value = re.search(rf"#define FRAME_{name} (\d+)", header)[1]
        assert said.format(value) in page
