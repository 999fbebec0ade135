# SPDX-License-Identifier: ISC
"""Rows of measurements, and the tables made of them."""

import json
import statistics


class Row:
    """One thing measured on both sides.  mark: what ours divided by theirs
    must reach (better is "higher") or stay under ("lower"); without theirs
    a mark is a bound for ours."""

    def __init__(self, name, unit, mark, better, other):
        self.name, self.unit, self.mark = name, unit, mark
        self.better, self.other = better, other
        self.ours, self.theirs = [], []
        self.bound = None

    def ratio(self):
        if not self.ours or not self.theirs:
            return None
        theirs = statistics.median(self.theirs)
        return statistics.median(self.ours) / theirs if theirs else None

    def met(self):
        """True, False, or None where nothing is asked."""
        if self.bound is not None:
            return max(self.ours) < self.bound
        ratio = self.ratio()
        if self.mark is None or ratio is None:
            return None
        return ratio >= self.mark if self.better == "higher" \
            else ratio <= self.mark

    def value(self, values):
        if not values:
            return "-"
        one = statistics.median(values)
        if self.unit == "octets" and self.bound is None and "memory" \
                not in self.name:
            return f"{one:,.0f}"
        if self.unit == "octets":
            return f"{one / 1048576:.1f} MiB"
        text = f"{one:,.0f}" if one >= 100 else f"{one:.3g}"
        return f"{text} {self.unit}".strip()

    def asked(self):
        if self.bound is not None:
            return f"< {self.bound / 1048576:.0f} MiB"
        if self.mark is None:
            return ""
        return f"{'≥' if self.better == 'higher' else '≤'} {self.mark:g}"

    def cells(self):
        ratio = self.ratio()
        text = "" if ratio is None else (
            f"{ratio:.3f}" if 0.95 < ratio < 1.05 else f"{ratio:.3g}")
        if self.theirs:
            theirs = f"{self.value(self.theirs)} ({self.other})"
        else:
            theirs = "-"
        verdict = {True: "yes", False: "NO", None: ""}[self.met()]
        return [self.name, self.value(self.ours), theirs, text,
                self.asked(), verdict]

    def record(self):
        return {"name": self.name, "unit": self.unit, "ours": self.ours,
                "theirs": self.theirs, "other": self.other,
                "ratio": self.ratio(), "mark": self.mark,
                "bound": self.bound, "better": self.better,
                "met": self.met()}


HEAD = ["", "postrider", "beside it", "ratio", "mark", "met"]


def as_text(rows):
    table = [HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    return "\n".join("  ".join(
        cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in table)


def as_markdown(rows):
    lines = ["| " + " | ".join(HEAD) + " |",
             "| --- | ---: | ---: | ---: | ---: | --- |"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def as_json(rows, facts):
    return json.dumps({**facts, "rows": [row.record() for row in rows]},
                      indent=1)
