# SPDX-License-Identifier: ISC
"""Seals, written from postrider-parcel(5): what the C code does, done again
by other means, for tests.  The primitives are python3-cryptography's."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat)

import ed25519ph

PARCEL, BUNDLE, ONION, REQUEST = 1, 2, 3, 4
KINDS = {"parcel": PARCEL, "bundle": BUNDLE, "onion": ONION,
         "request": REQUEST}
MAGIC, VERSION, SUITE_NOISE, SUITE_SIGN = b"postrider", 1, 1, 2
CHUNK, TAG = 65535, 16
DATA = CHUNK - TAG - 1
NAME = {"N": b"Noise_N_25519_ChaChaPoly_SHA256",
        "X": b"Noise_X_25519_ChaChaPoly_SHA256",
        "Xpsk1": b"Noise_Xpsk1_25519_ChaChaPoly_SHA256"}
SIGN_CONTEXT = b"postrider signed"
NONCE = 8


class Refused(Exception):
    """Why: one of the words of the manual page."""


def site(name):
    octets = name.encode("ascii")
    return bytes([len(octets)]) + octets


def label(suite, kind, destination):
    return MAGIC + bytes([VERSION, suite, kind]) + site(destination)


def public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key(
        ).public_bytes(Encoding.Raw, PublicFormat.Raw)


def agree(secret, remote):
    """RFC 7748: bit 255 of the remote key is not looked at."""
    remote = remote[:31] + bytes([remote[31] & 0x7f])
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(
            X25519PublicKey.from_public_bytes(remote))
    except ValueError:
        raise Refused("foreign") from None


class Cipher:
    def __init__(self, key):
        self.aead = ChaCha20Poly1305(key)
        self.n = 0

    def nonce(self):
        n, self.n = self.n, self.n + 1
        return bytes(4) + n.to_bytes(8, "little")

    def seal(self, plain, ad=b""):
        return self.aead.encrypt(self.nonce(), plain, ad)

    def open(self, sealed, ad=b""):
        return self.aead.decrypt(self.nonce(), sealed, ad)


class Handshake:
    """The symmetric state of the Noise framework, 5.2."""

    def __init__(self, pattern, prologue):
        name = NAME[pattern]
        self.psk = pattern == "Xpsk1"
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else \
            hashlib.sha256(name).digest()
        self.ck = self.h
        self.cipher = None
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def hkdf(self, material, count):
        key = hmac.digest(self.ck, material, "sha256")
        out = [b""]
        for i in range(1, count + 1):
            out.append(hmac.digest(key, out[-1] + bytes([i]), "sha256"))
        return out[1:]

    def mix_key(self, material):
        self.ck, key = self.hkdf(material, 2)
        self.cipher = Cipher(key)

    def mix_ephemeral(self, wire):
        """As on the wire, with bit 255 as it is there."""
        self.mix_hash(wire)
        if self.psk:
            self.mix_key(wire)

    def mix_psk(self, psk):
        self.ck, data, key = self.hkdf(psk, 3)
        self.mix_hash(data)
        self.cipher = Cipher(key)

    def seal(self, plain):
        sealed = self.cipher.seal(plain, self.h)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed):
        plain = self.cipher.open(sealed, self.h)
        self.mix_hash(sealed)
        return plain

    def split(self):
        return Cipher(self.hkdf(b"", 2)[0])


def seal(kind, destination, plain, remote, secret=None, psk=None,
         ephemeral=None, bit255=None):
    """The object.  ephemeral and bit255 are random unless given."""
    ephemeral = ephemeral or os.urandom(32)
    bit255 = os.urandom(1)[0] & 1 if bit255 is None else bit255
    pattern = "N" if kind == ONION else "Xpsk1" if psk else "X"
    hs = Handshake(pattern, label(SUITE_NOISE, kind, destination))
    hs.mix_hash(remote)
    wire = bytearray(public(ephemeral))
    wire[31] |= bit255 << 7
    head = bytes(wire)
    hs.mix_ephemeral(head)
    hs.mix_key(agree(ephemeral, remote))
    if kind != ONION:
        head += hs.seal(public(secret))
        hs.mix_key(agree(secret, remote))
        if psk:
            hs.mix_psk(psk)
    head += hs.seal(b"")
    cipher = hs.split()
    chunks = [plain[i:i + DATA] for i in range(0, len(plain), DATA)] or [b""]
    return head + b"".join(
        cipher.seal(bytes([i == len(chunks) - 1]) + chunk)
        for i, chunk in enumerate(chunks))


def open_chunks(cipher, body):
    plain, last = b"", False
    for i in range(0, len(body), CHUNK):
        if last:
            raise Refused("long")
        chunk = body[i:i + CHUNK]
        if len(chunk) < TAG + 1:
            raise Refused("short")
        try:
            opened = cipher.open(chunk)
        except InvalidTag:
            raise Refused("damaged") from None
        if opened[0] > 1 or (len(opened) == 1 and i > 0):
            raise Refused("damaged")
        last = opened[0] == 1
        plain += opened[1:]
    if not last:
        raise Refused("short")
    return plain


def try_open(data, kind, pattern, destination, secret, senders):
    """The plain octets and the sender's key; None: not this way."""
    size = 48 if kind == ONION else 96
    if len(data) < size:
        return None
    hs = Handshake(pattern, label(SUITE_NOISE, kind, destination))
    hs.mix_hash(public(secret))
    hs.mix_ephemeral(data[:32])
    sender = None
    try:
        hs.mix_key(agree(secret, data[:32]))
        if kind != ONION:
            sender = hs.open(data[32:80])
            peer = senders.get(sender)
            if peer is None:
                raise Refused("unknown")
            if peer.get("sign"):
                raise Refused("mode")
            if (peer.get("psk") is not None) != (pattern == "Xpsk1"):
                raise Refused("psk")
            hs.mix_key(agree(secret, sender))
            if pattern == "Xpsk1":
                hs.mix_psk(peer["psk"])
        hs.open(data[size - TAG:size])
    except InvalidTag:
        if sender is None:
            return None
        raise Refused("psk" if pattern == "Xpsk1" else "foreign") from None
    return open_chunks(hs.split(), data[size:]), sender


def open_sealed(data, destination, keys, senders):
    """keys: (kinds, secret) each; senders: by auth key {"psk", "sign"}.
    Returns kind, plain octets, sender's key, tag."""
    if len(data) < 48 + TAG + 1:
        raise Refused("short")
    for kinds, secret in keys:
        for kind in sorted(kinds):
            for pattern in ["N"] if kind == ONION else ["X", "Xpsk1"]:
                try:
                    found = try_open(data, kind, pattern, destination,
                                     secret, senders)
                except Refused as why:
                    raise why
                if found is not None:
                    return kind, *found, tag(data[:32])
    raise Refused("foreign")


def tag(octets):
    return hashlib.sha256(octets).digest()[:16]


def signed_message(octets):
    return bytes([len(SIGN_CONTEXT)]) + SIGN_CONTEXT + octets


def sign(kind, origin, destination, plain, seed, nonce=None):
    octets = label(SUITE_SIGN, kind, destination) + site(origin) + \
        (nonce or os.urandom(NONCE)) + plain
    return octets + ed25519ph.sign(seed, signed_message(octets))


def take_site(data):
    name = data[1:1 + data[0]]
    if len(name) < data[0]:
        raise Refused("short")
    return name.decode("ascii"), data[1 + data[0]:]


def open_signed(data, destination, kinds, signers):
    """signers: by name {"key", "sign"}.  Returns kind, plain octets,
    sender's name, tag."""
    version, suite, kind = data[9:12]
    if version != VERSION or suite != SUITE_SIGN or \
            kind not in kinds & {PARCEL, BUNDLE}:
        raise Refused("foreign")
    recipient, rest = take_site(data[12:])
    origin, rest = take_site(rest)
    if recipient != destination:
        raise Refused("foreign")
    signer = signers.get(origin)
    if signer is None:
        raise Refused("unknown")
    if not signer["sign"]:
        raise Refused("mode")
    if len(rest) < NONCE + 64:
        raise Refused("short")
    if not ed25519ph.verify(signer["key"], signed_message(data[:-64]),
                            data[-64:]):
        raise Refused("damaged")
    head = len(data) - len(rest) + NONCE
    return kind, data[head:-64], origin, tag(data[:head])


def padme(size):
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    return size if low <= 0 else -(-size >> low) << low
