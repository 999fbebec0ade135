# SPDX-License-Identifier: ISC
"""Frames and bags, written from postrider-parcel(5), for tests.  Both are
lists of dictionaries here; what may be written in one way only is written so
and anything else is refused by ValueError."""

import re

QUARTERS = [60, 71, 85, 101]
LIFETIMES = [QUARTERS[n % 4] << n // 4 for n in range(78)]
BUNDLE_MAX, CARD_MAX, TEXT_MAX, PIECE = 1 << 40, 16384, 512, 65535
FRAGMENT_MIN, RANGES_MAX, VOIDS_MAX = 1024, 256, 1024
RECIPIENTS_MAX = 1 << 24
SITE = re.compile(rb"[0-9A-Za-z][-_.0-9A-Za-z]{0,62}")
VERDICTS = ["taken", "refused", "pending"]


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def octets(self, n):
        if self.left() < n:
            raise ValueError("it ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def octet(self):
        return self.octets(1)[0]

    def varint(self, limit=(1 << 64) - 1):
        n = shift = 0
        while True:
            octet = self.octet()
            if shift and not octet:
                raise ValueError("a number that could be shorter")
            n |= (octet & 127) << shift
            if n > limit:
                raise ValueError("a number beyond its limit")
            if not octet & 128:
                return n
            shift += 7

    def site(self):
        name = self.octets(self.octet())
        if not SITE.fullmatch(name):
            raise ValueError("no name of a site")
        return name.decode()

    def priority(self):
        n = (self.octet() ^ 128) - 128
        if not -9 <= n <= 9:
            raise ValueError("no priority")
        return n

    def lifetime(self):
        step = self.octet()
        if step >= len(LIFETIMES):
            raise ValueError("no lifetime")
        return LIFETIMES[step]

    def card(self):
        card = self.octets(self.varint(CARD_MAX))
        if not card:
            raise ValueError("an empty card")
        return card.decode("latin-1")

    def padding(self):
        if any(self.octets(self.left())):
            raise ValueError("padding that is not zero")


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def site(name):
    return bytes([len(name)]) + name.encode()


def lifetime(secs):
    return bytes([next((n for n, lasts in enumerate(LIFETIMES)
                        if lasts >= secs), len(LIFETIMES) - 1)])


def priority(n):
    return bytes([n & 255])


#
# Frames.
#
def read_ranges(r):
    ranges, end = [], 0
    for i in range(r.varint(RANGES_MAX)):
        gap, length = r.varint(BUNDLE_MAX), r.varint(BUNDLE_MAX)
        if not length or (i and not gap) or end + gap + length > BUNDLE_MAX:
            raise ValueError("ranges that are not sorted and apart")
        ranges.append([end + gap, length])
        end += gap + length
    return ranges


def read_bundle(r, fragment, direct):
    f = {"type": "fragment" if fragment else "whole"}
    if fragment:
        f["id"] = r.octets(16).hex()
    if not direct:
        f["destination"] = r.site()
    f["priority"], f["lifetime"] = r.priority(), r.lifetime()
    if not direct:
        f["hops"] = r.octet()
        if f["hops"] > 31:
            raise ValueError("too many hops")
    total = length = r.varint(BUNDLE_MAX)
    if not total:
        raise ValueError("an empty bundle")
    if fragment:
        f["total"] = total
        f["offset"], length = r.varint(BUNDLE_MAX), r.varint(BUNDLE_MAX)
        end = f["offset"] + length
        if not 0 < length < total or end > total or \
                (length < FRAGMENT_MIN and end != total):
            raise ValueError("no fragment of its bundle")
    f["octets"] = r.octets(length).hex()
    return f


def read_frames(data):
    """The frames, and the octets of padding."""
    r, frames = Reader(data), []
    while r.left():
        kind = r.octet()
        if kind == 0:
            left = r.left()
            r.padding()
            return frames, left + 1
        if kind in (1, 2, 3, 4):
            frames.append(read_bundle(r, kind > 2, kind % 2 == 0))
        elif kind == 5:
            frames.append({"type": "ack", "id": r.octets(16).hex(),
                           "ranges": read_ranges(r)})
        elif kind == 6:
            frames.append({"type": "site", "card": r.card()})
        elif kind >= 128:
            r.octets(r.varint(BUNDLE_MAX))
        else:
            raise ValueError("a frame of an unknown type")
    return frames, 0


def write_frame(f):
    if f["type"] == "site":
        return b"\6" + varint(len(f["card"])) + f["card"].encode("latin-1")
    if f["type"] == "ack":
        out, end = varint(len(f["ranges"])), 0
        for offset, length in f["ranges"]:
            out += varint(offset - end) + varint(length)
            end = offset + length
        return b"\5" + bytes.fromhex(f["id"]) + out
    direct, octets = "destination" not in f, bytes.fromhex(f["octets"])
    fragment = f["type"] == "fragment"
    out = bytes([1 + direct + 2 * fragment])
    if fragment:
        out += bytes.fromhex(f["id"])
    out += b"" if direct else site(f["destination"])
    out += priority(f["priority"]) + lifetime(f["lifetime"])
    out += b"" if direct else bytes([f["hops"]])
    if fragment:
        out += varint(f["total"]) + varint(f["offset"])
    return out + varint(len(octets)) + octets


def write_frames(frames, padding=0):
    return b"".join(write_frame(f) for f in frames) + bytes(padding)


#
# Bags.
#
def read_stretch(r):
    out = b""
    while True:
        n = int.from_bytes(r.octets(2), "big")
        out += r.octets(n)
        if n < PIECE:
            return out.hex()


def read_run(r, before, first):
    head = r.varint(RECIPIENTS_MAX << 2 | 3)
    if head & 3 >= len(VERDICTS) or first + (head >> 2) > RECIPIENTS_MAX:
        raise ValueError("no run of a result")
    run = {"count": head >> 2, "verdict": VERDICTS[head & 3]}
    if run["verdict"] == "refused":
        status = [r.varint(999) for _ in range(3)]
        if status[0] not in (2, 4, 5):
            raise ValueError("no status")
        run["status"] = ".".join(map(str, status))
        run["text"] = r.octets(r.varint(TEXT_MAX)).decode("utf-8")
        if any(ord(c) < 32 or ord(c) == 127 for c in run["text"]):
            raise ValueError("control characters")
    if before and {**before, "count": 0} == {**run, "count": 0}:
        raise ValueError("two runs that could be one")
    return run


def read_result(r):
    result = {"type": "result", "epoch": r.octets(8).hex(),
              "serial": r.varint(), "digest": r.octets(8).hex(), "runs": []}
    if not result["serial"]:
        raise ValueError("serial 0")
    first, run = 0, None
    while run is None or run["count"]:
        run = read_run(r, run, first)
        first += run["count"]
        result["runs"].append(run)
    return result


def read_void(r):
    serials, n = [0], r.varint(VOIDS_MAX)
    for _ in range(n):
        serials.append(serials[-1] + r.varint())
        if serials[-1] == serials[-2] or serials[-1] >= 1 << 64:
            raise ValueError("void serials that do not ascend")
    if not n:
        raise ValueError("no void serials")
    return {"type": "void", "serials": serials[1:]}


def read_item(r, sort, kind):
    if kind == 1 and sort == "flow":
        return read_void(r)
    if kind == 2 and sort == "flow":
        return read_result(r)
    if kind == 3 and sort in ("flow", "request"):
        return {"type": "card", "card": r.card()}
    if kind == 4 and sort == "onion":
        return {"type": "onward", "destination": r.site(),
                "priority": r.priority(), "lifetime": r.lifetime(),
                "octets": read_stretch(r)}
    if kind == 5 and sort == "flow":
        return {"type": "batch", "octets": read_stretch(r)}
    raise ValueError("an item that does not belong there")


def read_bag(sort, data):
    """sort: "flow", "onion" or "request"."""
    r, bag = Reader(data), {"items": [], "padding": 0}
    last = {"flow": "batch", "onion": "onward", "request": "card"}[sort]
    if sort == "flow":
        bag["epoch"] = r.octets(8).hex()
        bag["serial"], bag["floor"] = r.varint(), r.varint()
    whole = sort == "flow" and not bag["serial"]
    while r.left():
        kind = r.octet()
        if kind >= 128:
            r.octets(r.varint((1 << 32) - 1))
            continue
        if kind == 0:
            bag["padding"] = 1 + r.left()
            r.padding()
            break
        item = read_item(r, sort, kind)
        bag["items"].append(item)
        if item["type"] == last:
            if whole:
                raise ValueError("a batch without a serial")
            whole = True
            bag["padding"] = r.left()
            r.padding()
            break
    if not whole:
        raise ValueError("it ends before what it is for")
    return bag


def write_stretch(octets):
    pieces = [octets[i:i + PIECE] for i in range(0, len(octets), PIECE)]
    if not pieces or len(pieces[-1]) == PIECE:
        pieces.append(b"")
    return b"".join(len(p).to_bytes(2, "big") + p for p in pieces)


def write_run(run):
    out = varint(run["count"] << 2 | VERDICTS.index(run["verdict"]))
    if run["verdict"] == "refused":
        text = run["text"].encode("utf-8")
        out += b"".join(varint(int(n)) for n in run["status"].split("."))
        out += varint(len(text)) + text
    return out


def write_item(item):
    if item["type"] == "void":
        out, before = varint(len(item["serials"])), 0
        for serial in item["serials"]:
            out += varint(serial - before)
            before = serial
        return b"\1" + out
    if item["type"] == "result":
        return b"\2" + bytes.fromhex(item["epoch"]) + \
            varint(item["serial"]) + bytes.fromhex(item["digest"]) + \
            b"".join(map(write_run, item["runs"]))
    if item["type"] == "card":
        return b"\3" + varint(len(item["card"])) + \
            item["card"].encode("latin-1")
    stretch = write_stretch(bytes.fromhex(item["octets"]))
    if item["type"] == "batch":
        return b"\5" + stretch
    return b"\4" + site(item["destination"]) + priority(item["priority"]) + \
        lifetime(item["lifetime"]) + stretch


def write_bag(sort, bag):
    out = b""
    if sort == "flow":
        out = bytes.fromhex(bag["epoch"]) + varint(bag["serial"]) + \
            varint(bag["floor"])
    return out + b"".join(map(write_item, bag["items"])) + \
        bytes(bag["padding"])
