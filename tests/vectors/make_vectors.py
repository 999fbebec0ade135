#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Writes the vectors of postrider-parcel(5) beside itself, by the second
implementation in tests/second; the first has to come to the same octets.

    make_vectors.py [DIR]

Each file has the keys of two sites; `vectors`, objects with all that is in
them; `refused`, what must not open, as edits of those; `refused_inside`,
octets that no reader may take once they are open.  postrider-parcel(5) says
what the members mean.
"""

import hashlib
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "second"))

import ed25519ph  # noqa: E402
import inside  # noqa: E402
import seal  # noqa: E402

EPOCH, OTHER_EPOCH = "0123456789abcdef", "00000000000000ff"
ID = "000102030405060708090a0b0c0d0e0f"
DIGEST = "a0a1a2a3a4a5a6a7"
CARD = "postrider-card 1\nsite paris\n"
LARGE = 2 * 65518 + 100     # three chunks


def secret(name):
    return hashlib.sha256(f"postrider vector: {name}".encode()).digest()


PARIS, OSLO = secret("paris auth"), secret("oslo auth")
RECEIVE = secret("oslo receive")
IDENTITY = secret("paris identity")
PSK = secret("psk of paris and oslo")


def large(n):
    """Octets by a rule, for what is too long to be written down."""
    return bytes((i * 7 + i // 251) % 256 for i in range(n))


def by_rule(octets, limit=4096):
    """As hex, or by their length and hash."""
    if len(octets) <= limit:
        return {"hex": octets.hex()}
    return {"length": len(octets),
            "sha256": hashlib.sha256(octets).hexdigest()}


KEYS = {
    "paris": {
        "auth": {"secret": PARIS.hex(), "public": seal.public(PARIS).hex()},
        "identity": {"secret": IDENTITY.hex(),
                     "public": ed25519ph.public(IDENTITY).hex()}},
    "oslo": {
        "auth": {"secret": OSLO.hex(), "public": seal.public(OSLO).hex()},
        "receive": {"secret": RECEIVE.hex(),
                    "public": seal.public(RECEIVE).hex()}},
    "psk": PSK.hex(),
}


def sealed(name, kind, plain, psk=False, bit255=0, **more):
    """One vector; more: what is inside, as a list or dictionary."""
    ephemeral = secret(f"ephemeral {name}")
    remote = OSLO if kind == "request" else RECEIVE
    octets = seal.seal(seal.KINDS[kind], "oslo", plain, seal.public(remote),
                       PARIS, PSK if psk else None, ephemeral, bit255)
    vector = {"name": name, "kind": kind, "origin": "paris",
              "destination": "oslo", "psk": psk,
              "ephemeral": ephemeral.hex(), "bit255": bit255}
    return finish(vector, octets, plain, octets[:32], more)


def signed(name, kind, plain, **more):
    nonce = secret(f"nonce {name}")[:seal.NONCE]
    octets = seal.sign(seal.KINDS[kind], "paris", "oslo", plain, IDENTITY,
                       nonce)
    vector = {"name": name, "kind": kind, "origin": "paris",
              "destination": "oslo", "sign": True, "nonce": nonce.hex()}
    head = octets[:12 + 5 + 6 + seal.NONCE]
    return finish(vector, octets, plain, head, more)


def finish(vector, octets, plain, named, more):
    vector["tag"] = seal.tag(named).hex()
    vector["id"] = hashlib.sha256(octets).hexdigest()[:32]
    vector.update(more)
    vector["plain"] = by_rule(plain)
    vector["object"] = by_rule(octets)
    return vector


def framed(make, name, frames, padding=0, **how):
    plain = inside.write_frames(frames, padding)
    assert inside.read_frames(plain) == (frames, padding)
    return make(name, "parcel", plain, frames=frames, padding=padding, **how)


def bagged(make, name, kind, sort, bag, **how):
    plain = inside.write_bag(sort, bag)
    assert inside.read_bag(sort, plain) == bag
    return make(name, kind, plain, bag=bag, **how)


def flow(serial, floor, items, padding=0):
    return {"epoch": EPOCH, "serial": serial, "floor": floor, "items": items,
            "padding": padding}


#
# What is inside.
#
DIRECT = {"type": "whole", "priority": 0, "lifetime": 491520,
          "octets": inside.write_bag("flow", flow(
              7, 5, [{"type": "batch", "octets": "00" + b"a batch".hex()}]
          )).hex()}
WHOLE = {"type": "whole", "destination": "bergen", "priority": -3,
         "lifetime": 60, "hops": 31, "octets": "616263"}
FRAGMENT = {"type": "fragment", "id": ID, "destination": "bergen",
            "priority": 9, "lifetime": 37224448, "hops": 16, "total": 100000,
            "offset": 65536, "octets": bytes(range(256)).hex() * 4}
TAIL = {"type": "fragment", "id": ID, "priority": 0, "lifetime": 3840,
        "total": 1026, "offset": 1024, "octets": "eeff"}
ACK = {"type": "ack", "id": ID, "ranges": [[10, 128], [139, 2]]}
ACK_ALL = {"type": "ack", "id": ID, "ranges": []}
SITE = {"type": "site", "card": CARD}
RESULTS = [
    {"type": "result", "epoch": OTHER_EPOCH, "serial": 9, "digest": DIGEST,
     "runs": [{"count": 0, "verdict": "taken"}]},
    {"type": "result", "epoch": OTHER_EPOCH, "serial": 300,
     "digest": DIGEST, "runs": [
         {"count": 3, "verdict": "taken"},
         {"count": 1, "verdict": "refused", "status": "5.1.1",
          "text": "no such mailbox"},
         {"count": 1, "verdict": "refused", "status": "5.7.13",
          "text": "d\u00e9sactiv\u00e9"},
         {"count": 0, "verdict": "pending"}]}]


#
# What does not open.
#
def refused(of, fault, why, edit=(), **how):
    """edit: ["cut", octets kept], ["append", hex], ["flip", bit] (of octet
    bit / 8, its bit bit % 8 counted from the lowest), ["swap", i, j]
    (chunks).  how: what else is configured where it is opened."""
    row = {"of": of, "why": why, "edit": list(edit), "fault": fault}
    row.update(how)
    return row


def touched(of, size, head=96):
    """What holds for each sealed object of that size and one chunk."""
    return [
        refused(of, "foreign", "a bit of the ephemeral key", [["flip", 3]]),
        refused(of, "foreign", "bit 255 of the ephemeral key",
                [["flip", 255]]),
        refused(of, "damaged", "a bit of the first chunk",
                [["flip", (size - 17) * 8]]),
        refused(of, "damaged", "a bit of the last tag",
                [["flip", size * 8 - 1]]),
        refused(of, "damaged", "one octet is missing", [["cut", size - 1]]),
        refused(of, "short", "the head alone", [["cut", head]]),
        refused(of, "short", "nothing at all", [["cut", 0]]),
        refused(of, "damaged", "one octet too many", [["append", "00"]]),
        refused(of, "foreign", "opened by another site", site="bergen"),
    ]


def parcel_file():
    vectors = [
        framed(sealed, "empty", []),
        framed(sealed, "bit 255 is set", [DIRECT], bit255=1),
        framed(sealed, "a direct bundle", [DIRECT]),
        framed(sealed, "psk", [DIRECT], psk=True),
        framed(sealed, "frames",
               [WHOLE, ACK, FRAGMENT, SITE, TAIL, ACK_ALL], 77),
        sealed("three chunks", "parcel", large(LARGE), rule=LARGE),
        sealed("a full chunk", "parcel", large(65518), rule=65518),
    ]
    head, last = 96, 96 + 2 * 65535
    size = len(vectors[2]["object"]["hex"]) // 2
    rows = touched("a direct bundle", size) + [
        refused("empty", "short", "one octet is missing", [["cut", 112]]),
        refused("a direct bundle", "foreign", "it is no bundle",
                open=["bundle", "onion", "request"]),
        refused("a direct bundle", "psk", "it is sealed without the "
                "pre-shared key that is configured", psk=PSK.hex()),
        refused("psk", "psk", "with one where none is configured"),
        refused("psk", "psk", "with another than is configured",
                psk=secret("another psk").hex()),
        refused("a direct bundle", "mode", "sealed where the sender is "
                "configured to sign", sign=True),
        refused("a direct bundle", "unknown", "by nobody we know",
                known=False),
        refused("three chunks", "short", "it ends behind a whole chunk",
                [["cut", last]]),
        refused("three chunks", "short", "it ends behind the first chunk",
                [["cut", head + 65535]]),
        refused("three chunks", "short", "16 octets of the last chunk",
                [["cut", last + 16]]),
        refused("three chunks", "damaged", "17 octets of the last chunk",
                [["cut", last + 17]]),
        refused("three chunks", "damaged", "chunks changed places",
                [["swap", 0, 1]]),
        refused("a full chunk", "long", "octets behind the last chunk",
                [["append", "00"]]),
        refused("a full chunk", "long", "a chunk behind the last",
                [["append", "00" * 17]]),
    ]
    bad = {
        "07": "an unknown type that may not be skipped",
        "0001": "padding that is not zero",
        "01": "it ends inside a frame",
        "020a000141": "priority 10",
        "02004e0141": "lifetime step 78",
        "02000000": "an empty bundle",
        "02000082004141": "a number that could be shorter",
        "0200000241": "an octet is missing",
        "01012f0000000141": "no name of a site",
        "0101610000200141": "32 hops",
        "04" + ID + "0000820800ff07": "a short fragment that is not the last",
        "04" + ID + "000082080082" + "08": "a fragment of all its bundle",
        "04" + ID + "000082088108024141": "a fragment beyond its bundle",
        "05" + ID + "0200010001": "ranges that touch",
        "05" + ID + "010000": "an empty range",
        "0600": "an empty card",
        "8003aabb": "it ends inside what is skipped",
    }
    return vectors, rows, bad


def bundle_file():
    batch = {"type": "batch", "octets": "00" + b"a batch".hex()}
    vectors = [
        bagged(sealed, "a batch", "bundle", "flow", flow(7, 5, [batch])),
        bagged(sealed, "psk", "bundle", "flow", flow(7, 5, [batch], 100),
               psk=True, bit255=1),
        bagged(sealed, "results alone", "bundle", "flow",
               flow(0, 128, RESULTS)),
        bagged(sealed, "everything", "bundle", "flow", flow(
            300, 299, [{"type": "void", "serials": [5, 6, 134]}, *RESULTS,
                       {"type": "card", "card": CARD}, batch], 33)),
    ]
    size = len(vectors[0]["object"]["hex"]) // 2
    rows = touched("a batch", size)[:5] + [
        refused("a batch", "foreign", "it is no parcel",
                open=["parcel", "request"]),
        refused("a batch", "foreign", "it is no onion",
                open=["parcel", "onion", "request"]),
        refused("psk", "psk", "with one where none is configured"),
        refused("a batch", "psk", "without the one that is configured",
                psk=PSK.hex()),
        refused("a batch", "mode", "sealed where the sender is configured "
                "to sign", sign=True),
        refused("a batch", "unknown", "by nobody we know", known=False),
    ]
    head = EPOCH + "0000"
    result = head + "02" + OTHER_EPOCH + "09" + DIGEST
    bad = {
        EPOCH: "it ends inside the head",
        head + "0001": "padding that is not zero",
        head + "06": "an unknown item that may not be skipped",
        head + "040161000000" + "00": "an onion's item",
        head + "050000": "a batch without a serial",
        EPOCH + "0100": "a serial without a batch",
        EPOCH + "01000500014101" + "0101": "an item behind the batch",
        head + "0100": "no void serials",
        head + "01020100": "void serials that do not ascend",
        head + "02" + OTHER_EPOCH + "00" + DIGEST + "00":
            "a result for serial 0",
        result: "a result without runs",
        result + "04": "no last run",
        result + "03": "an unknown verdict",
        result + "0400": "two runs that could be one",
        result + "010301" + "0100": "a status of class 3",
        result + "01050101" + "02610a": "a line end in a text",
        head + "0300": "an empty card",
    }
    return vectors, rows, bad


def request_file():
    bag = {"items": [{"type": "card", "card": CARD}], "padding": 0}
    vectors = [
        bagged(sealed, "a request", "request", "request", bag),
        bagged(sealed, "psk", "request", "request",
               {**bag, "padding": 9}, psk=True),
    ]
    size = len(vectors[0]["object"]["hex"]) // 2
    rows = touched("a request", size)[:4] + [
        refused("a request", "foreign", "it is no bundle",
                open=["parcel", "bundle", "onion"]),
        refused("a request", "psk", "without the one that is configured",
                psk=PSK.hex()),
    ]
    bad = {
        "": "no card",
        "00": "padding alone",
        "03014103" + "0141": "two cards",
        "010101": "an item that does not belong there",
    }
    return vectors, rows, bad


def onion_file():
    def layer(octets, padding=0):
        return {"items": [{"type": "onward", "destination": "bergen",
                           "priority": -2, "lifetime": 3840,
                           "octets": octets}], "padding": padding}
    vectors = [
        bagged(sealed, "one layer", "onion", "onion", layer("abcd")),
        bagged(sealed, "padded", "onion", "onion", layer("ab" * 300, 40),
               bit255=1),
    ]
    size = len(vectors[0]["object"]["hex"]) // 2
    rows = touched("one layer", size, 48) + [
        refused("one layer", "foreign", "it is no bundle",
                open=["parcel", "bundle", "request"]),
    ]
    bad = {
        "": "nothing",
        "00": "padding alone",
        "04000000" + "0000": "no name of a site",
        "0401610a00" + "0000": "priority 10",
        "0401610000": "it ends inside the item",
        "0401610000000003": "octets behind it",
        "030141": "an item that does not belong there",
    }
    return vectors, rows, bad


def signed_file():
    vectors = [
        framed(signed, "empty", []),
        framed(signed, "frames", [WHOLE, ACK, SITE], 20),
        bagged(signed, "a bundle", "bundle", "flow", flow(
            7, 5, [{"type": "batch", "octets": "00" + b"clear".hex()}])),
        signed("large", "parcel", large(100000), rule=100000),
    ]
    sign = {"sign": True}
    of = "empty"
    rows = [
        refused(of, "mode", "signed where the sender is configured to seal"),
        refused(of, "unknown", "by nobody we know", known=False, **sign),
        refused(of, "foreign", "opened by another site", site="bergen",
                **sign),
        refused(of, "foreign", "a parcel where bundles are wanted",
                open=["bundle", "onion", "request"], **sign),
        refused(of, "damaged", "re-labelled as a bundle",
                [["flip", 11 * 8], ["flip", 11 * 8 + 1]],
                open=["parcel", "bundle"], **sign),
        refused(of, "foreign", "another version", [["flip", 9 * 8]], **sign),
        refused(of, "damaged", "a bit of the nonce", [["flip", 24 * 8]],
                **sign),
        refused(of, "damaged", "a bit of the signature", [["flip", 90 * 8]],
                **sign),
        refused(of, "short", "an octet is missing", [["cut", 94]], **sign),
        refused(of, "damaged", "an octet too many", [["append", "00"]],
                **sign),
        refused("frames", "damaged", "a bit of the body",
                [["flip", 40 * 8]], **sign),
        refused("frames", "damaged", "an octet is missing",
                [["cut", 31 + 64]], **sign),
    ]
    return vectors, rows, {}


FILES = {"parcel": parcel_file, "bundle": bundle_file,
         "request": request_file, "onion": onion_file,
         "signed": signed_file}


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else HERE
    for name, make in FILES.items():
        vectors, rows, bad = make()
        text = json.dumps({
            "format": "postrider-parcel 1", "keys": KEYS,
            "vectors": vectors, "refused": rows,
            "refused_inside": [{"hex": octets, "why": why}
                               for octets, why in bad.items()],
        }, indent=1)
        with open(os.path.join(where, f"{name}.json"), "w",
                  encoding="utf-8") as out:
            out.write(text + "\n")


if __name__ == "__main__":
    main()
