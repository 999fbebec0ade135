#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Writes card.json, the vectors of postrider-card(5), with another
implementation than ours: Python's, with the keys and signatures of
python3-cryptography.

A vector is a card in base64 and what is to come of it: "good", or the word of
a fault ("syntax", "limit", "unsupported", "signature") and a text that the
message has in it.  Every bad card but those of "signature" is signed well, so
that it is its fault alone that is found.  "fingerprints" are pairs of an
identity key in hex and its fingerprint.
"""

import base64
import hashlib
import json
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey, Ed25519PublicKey)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat)

__all__ = ["Ed25519PublicKey", "fingerprint", "key_id", "vectors"]

HERE = os.path.dirname(os.path.abspath(__file__))
DIGITS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def seed(text):
    return hashlib.sha256(b"postrider test vector " + text.encode()).digest()


def raw(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def url64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def key_id(suite, key):
    return url64(hashlib.sha256(suite.encode() + b"\0" + key).digest()[:8])


def key_line(role, suite, key, end=None, name=None, text=None):
    words = [role, suite, name or key_id(suite, key)]
    if end is not None:
        words.append(str(end))
    return " ".join(words + [text or url64(key)])


def fingerprint(key):
    number = int.from_bytes(hashlib.sha256(
        b"postrider identity\0ed25519\0" + key).digest(), "big")
    groups = []
    for g in range(6):
        digits = []
        for _ in range(4):
            number, digit = divmod(number, 31)
            digits.append(digit)
        total = 7 * g + sum((i + 2) * d for i, d in enumerate(digits))
        digits.append(-total % 31)
        groups.append("".join(DIGITS[d] for d in digits))
    return "-".join(groups)


IDENTITY = Ed25519PrivateKey.from_private_bytes(seed("identity"))
OTHER = Ed25519PrivateKey.from_private_bytes(seed("other identity"))
AUTH = raw(X25519PrivateKey.from_private_bytes(seed("auth")))
RECEIVE = [raw(X25519PrivateKey.from_private_bytes(seed(f"receive {i}")))
           for i in range(4)]
ENDS = [1741168800, 1748944800, 1756720800, 1764496800]
HYBRID = bytes(i % 256 for i in range(1216))
LARGEST = bytes(4096)
FIRST = "postrider-card 1"
SITE = "site paris"
COUNTER = "counter 1741168800"
ID_LINE = key_line("identity", "ed25519", raw(IDENTITY))
AUTH_LINE = key_line("auth", "x25519", AUTH)
RECEIVE_LINES = [key_line("receive", "x25519", k, e)
                 for k, e in zip(RECEIVE, ENDS)]
HEAD = [FIRST, SITE, COUNTER, ID_LINE, AUTH_LINE]
SMALL = HEAD + RECEIVE_LINES[:1]
DOMAINS = ["domain lists.paris.example", "domain paris.example",
           "domain xn--caf-dma.paris.example", "domain été.example"]
REACHES = ["reach tcp host=paris.example port=2443",
           "reach mail address=bundle@paris.example",
           "reach uucp",
           "reach serial dial=ATDT%2055%25%C3%A9 speed=9600"]
FULL = HEAD + RECEIVE_LINES[:3] + DOMAINS + REACHES


def sign(body, private=IDENTITY):
    return body + b"signature " + url64(private.sign(body)).encode() + b"\n"


def card(lines, private=IDENTITY):
    return sign("".join(line + "\n" for line in lines).encode(), private)


def put(lines, old, *new):
    """The lines with others in the place of one."""
    at = lines.index(old)
    return lines[:at] + list(new) + lines[at + 1:]


GOOD = {
    "small": SMALL,
    "full": FULL,
    # the example of the manual
    "manual": HEAD + RECEIVE_LINES[:2] + ["domain paris.example"] + REACHES[:1],
    "counter-1": put(SMALL, COUNTER, "counter 1"),
    "counter-most": put(SMALL, COUNTER, f"counter {2**63 - 1}"),
    "site-63": put(SMALL, SITE, "site " + "Ab3-_." * 10 + "xyz"),
    "hybrid": put(SMALL, RECEIVE_LINES[0], RECEIVE_LINES[0],
                  key_line("receive", "x25519-mlkem768", HYBRID, ENDS[1])),
    "largest-key": HEAD + [key_line("receive", "unknown", LARGEST, 1)],
    "same-end": HEAD + sorted(
        (key_line("receive", "x25519", k, 99) for k in RECEIVE[:2]),
        key=lambda line: base64.urlsafe_b64decode(line.split()[2] + "=")),
    "end-9999": HEAD + [key_line("receive", "x25519", RECEIVE[0],
                                 253402300799)],
    "domains-256": SMALL + [f"domain d{i:03}.example" for i in range(256)],
    "reaches-8": SMALL + ["reach tcp"] * 8,
    "settings-16": SMALL + ["reach tcp " + " ".join(
        f"k{i:02}=v" for i in range(16))],
    "value-255": SMALL + ["reach tcp k=" + "v" * 255],
    "value-empty": SMALL + ["reach tcp k="],
    "value-equals": SMALL + ["reach tcp k=a=b"],
    "reach-order": SMALL + ["reach b", "reach a"],
    "setting-prefix": SMALL + ["reach tcp a=1 ab=2 b=3"],
}

LOW = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46a"
                    "da098deb9c32b1fd866205165f49b800")
HIGH_BIT = bytes(AUTH[:31]) + bytes([AUTH[31] | 0x80])
OVER_P = bytes.fromhex("f0" + "ff" * 30 + "7f")

BAD = {
    "empty-list": ([], "syntax", "line 1"),
    "version-2": (put(SMALL, FIRST, "postrider-card 2"), "unsupported",
                  "version 2"),
    "version-01": (put(SMALL, FIRST, "postrider-card 01"), "unsupported",
                   "version 1"),
    "other-first": (put(SMALL, FIRST, "postrider-care 1"), "syntax", "line 1"),
    "first-missing": (SMALL[1:], "syntax", "line 1"),
    "site-missing": (put(SMALL, SITE), "syntax", "line 2"),
    "site-twice": (put(SMALL, SITE, SITE, SITE), "syntax", "line 3"),
    "site-empty": (put(SMALL, SITE, "site "), "limit", "line 2"),
    "site-64": (put(SMALL, SITE, "site " + "a" * 64), "limit", "line 2"),
    "site-blank": (put(SMALL, SITE, "site pa ris"), "syntax", "line 2"),
    "site-dot": (put(SMALL, SITE, "site .paris"), "syntax", "line 2"),
    "site-slash": (put(SMALL, SITE, "site a/b"), "syntax", "line 2"),
    "site-blank-behind": (put(SMALL, SITE, "site paris "), "syntax",
                          "line 2"),
    "counter-0": (put(SMALL, COUNTER, "counter 0"), "syntax", "line 3"),
    "counter-zero-first": (put(SMALL, COUNTER, "counter 07"), "syntax",
                           "line 3"),
    "counter-over": (put(SMALL, COUNTER, f"counter {2**63}"), "syntax",
                     "line 3"),
    "counter-sign": (put(SMALL, COUNTER, "counter +7"), "syntax", "line 3"),
    "counter-missing": (put(SMALL, COUNTER), "syntax", "line 3"),
    "identity-x25519": (put(SMALL, ID_LINE, key_line(
        "identity", "x25519", AUTH)), "unsupported", "line 4"),
    "identity-unknown": (put(SMALL, ID_LINE, key_line(
        "identity", "ed448", bytes(57))), "unsupported", "line 4"),
    "identity-short": (put(SMALL, ID_LINE, key_line(
        "identity", "ed25519", raw(IDENTITY)[:31])), "syntax", "32 octets"),
    "identity-missing": (put(SMALL, ID_LINE), "syntax", "line 4"),
    "identity-end": (put(SMALL, ID_LINE, key_line(
        "identity", "ed25519", raw(IDENTITY), 7)), "syntax", "line 4"),
    "auth-missing": (put(SMALL, AUTH_LINE), "syntax", "line 5"),
    "auth-before": (put(put(SMALL, ID_LINE), AUTH_LINE, AUTH_LINE, ID_LINE),
                    "syntax", "line 4"),
    "auth-other-id": (put(SMALL, AUTH_LINE, key_line(
        "auth", "x25519", AUTH, name=key_id("x25519", RECEIVE[0]))),
        "syntax", "line 5: the id"),
    "auth-id-short": (put(SMALL, AUTH_LINE, key_line(
        "auth", "x25519", AUTH, name=key_id("x25519", AUTH)[:10])),
        "syntax", "line 5"),
    "auth-low-order": (put(SMALL, AUTH_LINE, key_line("auth", "x25519", LOW)),
                       "syntax", "low order"),
    "auth-high-bit": (put(SMALL, AUTH_LINE, key_line(
        "auth", "x25519", HIGH_BIT)), "syntax", "one way"),
    "auth-over-p": (put(SMALL, AUTH_LINE, key_line(
        "auth", "x25519", OVER_P)), "syntax", "one way"),
    "auth-padded": (put(SMALL, AUTH_LINE, AUTH_LINE + "="), "syntax",
                    "base64url"),
    "auth-loose-bits": (put(SMALL, AUTH_LINE, AUTH_LINE[:-1] + chr(
        ord(AUTH_LINE[-1]) + 1)), "syntax", "base64url"),
    "auth-two-blanks": (put(SMALL, AUTH_LINE, AUTH_LINE.replace(
        "x25519 ", "x25519  ")), "syntax", "line 5"),
    "auth-tab": (put(SMALL, AUTH_LINE, AUTH_LINE.replace(
        "x25519 ", "x25519\t")), "syntax", "line 5: an octet 09"),
    "receive-missing": (HEAD, "syntax", "line 6"),
    "receive-4": (HEAD + RECEIVE_LINES, "syntax", "line 9"),
    "receive-order": (HEAD + RECEIVE_LINES[1::-1], "syntax", "line 6"),
    "receive-twice": (HEAD + RECEIVE_LINES[:1] * 2, "syntax", "twice"),
    "receive-twice-other-end": (HEAD + [RECEIVE_LINES[0], key_line(
        "receive", "x25519", RECEIVE[0], ENDS[1])], "syntax", "twice"),
    "receive-no-end": (HEAD + [key_line("receive", "x25519", RECEIVE[0])],
                       "syntax", "line 6"),
    "receive-end-0": (HEAD + [key_line("receive", "x25519", RECEIVE[0], 0)],
                      "syntax", "line 6"),
    "receive-end-10000": (HEAD + [key_line(
        "receive", "x25519", RECEIVE[0], 253402300800)], "syntax", "line 6"),
    "receive-ed25519": (HEAD + [key_line(
        "receive", "ed25519", raw(IDENTITY), 7)], "syntax", "line 6"),
    "receive-suite-letters": (HEAD + [key_line(
        "receive", "X25519", RECEIVE[0], 7)], "syntax", "line 6"),
    "receive-suite-33": (HEAD + [key_line(
        "receive", "s" * 33, RECEIVE[0], 7)], "limit", "line 6"),
    "receive-key-4097": (HEAD + [key_line(
        "receive", "unknown", bytes(4097), 7)], "limit", "line 6"),
    "receive-key-empty": (HEAD + [key_line(
        "receive", "unknown", b"", 7)], "syntax", "line 6"),
    "domain-order": (SMALL + DOMAINS[1::-1], "syntax", "line 7"),
    "domain-twice": (SMALL + DOMAINS[:1] * 2, "syntax", "line 8"),
    "domain-capital": (SMALL + ["domain Paris.example"], "syntax", "line 7"),
    "domain-dot": (SMALL + ["domain .paris.example"], "syntax", "line 7"),
    "domain-empty": (SMALL + ["domain "], "syntax", "line 7"),
    "domain-literal": (SMALL + ["domain [192.0.2.1]"], "syntax", "line 7"),
    "domain-blank": (SMALL + ["domain a b"], "syntax", "line 7"),
    "domain-before": (HEAD + DOMAINS[:1] + RECEIVE_LINES[:1], "syntax",
                      "line 6"),
    "domains-257": (SMALL + [f"domain d{i:03}.example" for i in range(257)],
                    "syntax", "line 263"),
    "reach-empty": (SMALL + ["reach "], "limit", "line 7"),
    "reach-no-value": (SMALL + ["reach tcp host"], "syntax", "line 7"),
    "reach-order": (SMALL + ["reach tcp port=1 host=h"], "syntax", "line 7"),
    "reach-twice": (SMALL + ["reach tcp host=h host=h"], "syntax", "twice"),
    "reach-blank-behind": (SMALL + ["reach tcp "], "syntax", "line 7"),
    "reach-percent": (SMALL + ["reach tcp a=%2"], "syntax", "line 7"),
    "reach-percent-0": (SMALL + ["reach tcp a=%00"], "syntax", "line 7"),
    "reach-percent-small": (SMALL + ["reach tcp a=%c3%a9"], "syntax",
                            "line 7"),
    "reach-percent-idle": (SMALL + ["reach tcp a=%41"], "syntax", "line 7"),
    "reach-8bit": (SMALL + ["reach tcp a=é"], "syntax", "line 7"),
    "reach-9": (SMALL + ["reach tcp"] * 9, "syntax", "line 15"),
    "settings-17": (SMALL + ["reach tcp " + " ".join(
        f"k{i:02}=v" for i in range(17))], "limit", "line 7"),
    "value-256": (SMALL + ["reach tcp k=" + "v" * 256], "limit", "line 7"),
    "reach-before": (SMALL + ["reach tcp"] + DOMAINS[:1], "syntax", "line 8"),
    "unknown-line": (SMALL + ["note hello"], "syntax", "line 7"),
    "empty-line": (SMALL + [""], "syntax", "line 7"),
    "comment": (["# a card"] + SMALL, "syntax", "line 1"),
    "crlf": ([line + "\r" for line in SMALL], "syntax", "line 1: an octet 0d"),
    "nul": (SMALL + ["domain a\0.example"], "syntax", "octet 00"),
    "delete": (SMALL + ["domain a\x7f.example"], "syntax", "octet 7f"),
    "not-utf-8": (None, "syntax", "line 7"),
    "too-long": (SMALL + ["domain " + "d" * 60 + f"{i:03}.example"
                          for i in range(256)], "limit", "16384"),
}


def signed_bad():
    good = card(FULL)
    body = good[:good.index(b"signature ")]
    text = good[len(body):]
    yield "other-identity", card(FULL, OTHER), "signature", "changed"
    yield "other-counter", good.replace(b"counter 1", b"counter 2"), \
        "signature", "changed"
    yield "other-site", good.replace(b"site paris", b"site parit"), \
        "signature", "changed"
    yield "domain-gone", good.replace(DOMAINS[1].encode() + b"\n", b""), \
        "signature", "changed"
    yield "signature-zero", body + b"signature " + b"A" * 86 + b"\n", \
        "signature", "changed"
    yield "signature-missing", body, "syntax", "cut off"
    yield "signature-short", body + text[:-2] + b"\n", "syntax", "64 octets"
    yield "signature-padded", body + text[:-1] + b"==\n", "syntax", "64 octets"
    yield "signature-twice", good + text, "syntax", "behind"
    yield "no-last-end", good[:-1], "syntax", "cut off"
    yield "more-behind", good + b"\n", "syntax", "behind"
    yield "nothing", b"", "syntax", "cut off"
    # the equation holds for S + L too; one signature has one form
    order = 2**252 + 27742317777372353535851937790883648493
    signature = base64.urlsafe_b64decode(text[10:-1] + b"==")
    high = int.from_bytes(signature[32:], "little") + order
    yield "signature-malleable", body + b"signature " + url64(
        signature[:32] + high.to_bytes(32, "little")).encode() + b"\n", \
        "signature", "changed"


def vectors():
    for name, lines in GOOD.items():
        yield name, card(lines), "good", ""
    for name, (lines, result, text) in BAD.items():
        if lines is None:
            body = "".join(line + "\n" for line in SMALL).encode()
            yield name, sign(body + b"domain \xff.example\n"), result, text
        else:
            yield name, card(lines), result, text
    yield from signed_bad()


def main():
    cards = [{"name": name, "result": result, "text": text,
              "card": base64.b64encode(octets).decode()}
             for name, octets, result, text in vectors()]
    prints = [{"key": key.hex(), "fingerprint": fingerprint(key)}
              for key in [raw(IDENTITY), raw(OTHER), bytes(32)]]
    # what a second implementation of the writer starts from
    made = {"identity": seed("identity").hex(), "auth": AUTH.hex(),
            "receive": [k.hex() for k in RECEIVE[:3]], "ends": ENDS[:3],
            "domains": [d.split()[1] for d in DOMAINS],
            "reaches": [r.split(" ", 1)[1] for r in REACHES],
            "site": "paris", "counter": 1741168800, "is": "full"}
    with open(os.path.join(HERE, "card.json"), "w", encoding="ascii") as file:
        json.dump({"cards": cards, "fingerprints": prints, "made": made},
                  file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
