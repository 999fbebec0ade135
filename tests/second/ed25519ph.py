# SPDX-License-Identifier: ISC
"""Ed25519ph with an empty context, from RFC 8032 5.1; no library of Debian's
has it for Python.  Slow, and not for secrets: for tests alone."""

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
DOM2 = b"SigEd25519 no Ed25519 collisions" + b"\x01" + b"\x00"
NEUTRAL = (0, 1, 1, 0)


def add(a, b):
    """5.1.4: points as x = X/Z, y = Y/Z, x * y = T/Z."""
    lo, hi = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    t, z = 2 * D * a[3] * b[3], 2 * a[2] * b[2]
    e, f, g, h = (hi - lo) % P, (z - t) % P, (z + t) % P, (hi + lo) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    result = NEUTRAL
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and \
        (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(x, y):
    return x, y, 1, x * y % P


def x_of(y, sign):
    """5.1.3; None if there is no such point."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = point_of(x_of(BASE_Y, 0), BASE_Y)


def encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(octets):
    n = int.from_bytes(octets, "little")
    y, sign = n & (1 << 255) - 1, n >> 255
    x = x_of(y, sign)
    return None if x is None else point_of(x, y)


def number(*parts):
    digest = hashlib.sha512(b"".join(parts)).digest()
    return int.from_bytes(digest, "little") % ORDER


def expand(seed):
    h = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(h[:32], "little")
    scalar &= (1 << 254) - 8
    return scalar | 1 << 254, h[32:]


def public(seed):
    return encode(times(expand(seed)[0], BASE))


def sign(seed, message):
    scalar, prefix = expand(seed)
    key = encode(times(scalar, BASE))
    digest = hashlib.sha512(message).digest()
    r = number(DOM2, prefix, digest)
    commitment = encode(times(r, BASE))
    k = number(DOM2, commitment, key, digest)
    return commitment + ((r + k * scalar) % ORDER).to_bytes(32, "little")


def verify(key, message, signature):
    point, commitment = decode(key), decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if point is None or commitment is None or s >= ORDER:
        return False
    k = number(DOM2, signature[:32], key, hashlib.sha512(message).digest())
    return same(times(s, BASE), add(commitment, times(k, point)))
