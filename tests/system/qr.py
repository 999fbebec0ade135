# SPDX-License-Identifier: ISC
"""Reads a QR code (ISO/IEC 18004) as `postrider card --qr` draws it.

Nothing is torn here, so the codewords for correction are not needed; what is
known are level L and the versions 10 to 20, one segment of octets.
"""

# Version: codewords for correction in a block, then (blocks, data codewords).
BLOCKS = {
    10: (18, [(2, 68), (2, 69)]), 11: (20, [(4, 81)]),
    12: (24, [(2, 92), (2, 93)]), 13: (26, [(4, 107)]),
    14: (30, [(3, 115), (1, 116)]), 15: (22, [(5, 87), (1, 88)]),
    16: (24, [(5, 98), (1, 99)]), 17: (28, [(1, 107), (5, 108)]),
    18: (30, [(5, 120), (1, 121)]), 19: (28, [(3, 113), (4, 114)]),
    20: (28, [(3, 107), (5, 108)]),
}
# Centres of alignment patterns, without the first, which is 6.
ALIGNMENT = {
    10: [28, 50], 11: [30, 54], 12: [32, 58], 13: [34, 62],
    14: [26, 46, 66], 15: [26, 48, 70], 16: [26, 50, 74], 17: [30, 54, 78],
    18: [30, 56, 82], 19: [30, 58, 86], 20: [34, 62, 90],
}
MASKS = [
    lambda y, x: (y + x) % 2, lambda y, x: y % 2, lambda y, x: x % 3,
    lambda y, x: (y + x) % 3, lambda y, x: (y // 2 + x // 3) % 2,
    lambda y, x: y * x % 2 + y * x % 3,
    lambda y, x: (y * x % 2 + y * x % 3) % 2,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2,
]
QUIET = 4


def modules(text):
    """Rows of booleans, true for dark, without the quiet zone."""
    rows = []
    for line in text.splitlines():
        rows.append([c not in "▀█" for c in line])
        rows.append([c not in "▄█" for c in line])
    width = len(rows[0])
    rows = rows[:width]
    assert all(len(row) == width for row in rows) and len(rows) == width
    frame = [cell for i, row in enumerate(rows) for j, cell in enumerate(row)
             if min(i, j) < QUIET or max(i, j) >= width - QUIET]
    assert not any(frame), "the quiet zone is not quiet"
    return [row[QUIET:-QUIET] for row in rows[QUIET:-QUIET]]


def functions(version):
    """The modules that carry no data."""
    size = 17 + 4 * version
    taken = set()

    def box(y, x, height, width):
        taken.update((i, j) for i in range(y, y + height)
                     for j in range(x, x + width))

    box(0, 0, 9, 9)
    box(0, size - 8, 9, 8)
    box(size - 8, 0, 8, 9)
    box(6, 0, 1, size)
    box(0, 6, size, 1)
    box(0, size - 11, 6, 3)
    box(size - 11, 0, 3, 6)
    centres = [6] + ALIGNMENT[version]
    corners = [(6, 6), (6, centres[-1]), (centres[-1], 6)]
    for y in centres:
        for x in centres:
            if (y, x) not in corners:
                box(y - 2, x - 2, 5, 5)
    return taken


def mask_of(grid):
    cells = [(8, x) for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [(7, 8)] + [
        (y, 8) for y in (5, 4, 3, 2, 1, 0)]
    bits = 0
    for y, x in cells:
        bits = bits << 1 | grid[y][x]
    bits ^= 0x5412
    assert bits >> 13 == 1, "not level L"
    return MASKS[bits >> 10 & 7]


def codewords(grid, version):
    size, taken, mask = len(grid), functions(version), mask_of(grid)
    bits, up = [], True
    for right in [*range(size - 1, 6, -2), 5, 3, 1]:
        for y in range(size - 1, -1, -1) if up else range(size):
            for x in (right, right - 1):
                if (y, x) not in taken:
                    bits.append(grid[y][x] ^ (mask(y, x) == 0))
        up = not up
    return [int("".join(str(int(b)) for b in bits[i:i + 8]), 2)
            for i in range(0, len(bits) - 7, 8)]


def decode(text):
    """The octets in the code."""
    grid = modules(text)
    version = (len(grid) - 17) // 4
    assert len(grid) == 17 + 4 * version
    sizes = [data for count, data in BLOCKS[version][1]
             for _ in range(count)]
    words, blocks = iter(codewords(grid, version)), [[] for _ in sizes]
    for i in range(max(sizes)):
        for block, length in zip(blocks, sizes):
            if i < length:
                block.append(next(words))
    stream = int.from_bytes(bytes(sum(blocks, [])), "big")
    total = 8 * sum(sizes)

    def take(offset, count):
        return stream >> (total - offset - count) & ((1 << count) - 1)

    assert take(0, 4) == 4, "not octets"
    count = take(4, 16)
    return take(20, 8 * count).to_bytes(count, "big")
