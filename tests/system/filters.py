# SPDX-License-Identifier: ISC
"""Two sites with filters between them, and the road in the middle, where the
tests look at what passes and change it."""

import glob
import os
import shutil

import road
from peers_common import wait_for

BODY = b"From: ann@paris.example\r\nSubject: filters\r\n\r\n" + \
    b"A line that is rather often there.\r\n" * 200


def need(program):
    path = shutil.which(program)
    assert path is not None, f"{program} is missing: make test-deps"
    return path


def quoted(commands):
    """As a value of the configuration."""
    return "{ " + ", ".join(f"'{one}'" for one in commands) + " }"


class Pair:
    """paris and london, with a directory in the middle where what one drops
    lies until it is carried on."""

    def __init__(self, node, work, out, into, **settings):
        self.work = work
        settings = {"dialect": "rfc2442", "filter-time": "30s", **settings}
        self.nodes = []
        for name, other, filters in (
                ("paris", "london", {"filter-out": quoted(out)}),
                ("london", "paris", {"filter-in": quoted(into)})):
            self.nodes.append(node(name, config=road.config(
                name, self.peer(name, other, {**settings, **filters}),
                f"routes {{ {other}.example = {other} }}\n")))
        self.paris, self.london = self.nodes
        self.dropped = os.path.join(work, "link", "paris-london")
        self.pickup = os.path.join(work, "link", "to-london")

    def peer(self, name, other, settings):
        if name == "london":
            road.drop(self.work, "to", "london")
            text = road.peer(self.work, name, other, **settings)
            return text.replace(f"pickup={self.work}/link/{other}-{name}",
                                f"pickup={self.work}/link/to-london")
        return road.peer(self.work, name, other, **settings)

    def start(self):
        for one in self.nodes:
            one.start()
        return self

    def send(self, body=BODY):
        self.paris.submit("ann@paris.example", ["bob@london.example"], body)

    def wait_dropped(self, count=1):
        wait_for(lambda: len(road.files(self.dropped)) >= count, 30,
                 self.paris.log)
        return list(road.files(self.dropped).items())

    def carry(self, change=lambda octets: octets):
        """Hand what was dropped on; returns it."""
        carried = []
        for name, octets in self.wait_dropped():
            road.put(self.pickup, name, change(octets))
            os.unlink(os.path.join(self.dropped, name))
            carried.append(octets)
        return carried

    def check_arrived(self, body=BODY):
        assert self.london.wait_mail("bob") == [body]
        for one in self.nodes:
            check_clean(one)

    def check_refused(self, *words):
        """London kept the object aside and told its postmaster why."""
        before = self.london.maildir("bob")
        told = self.london.wait_mail("postmaster")
        assert len(told) == 1
        for word in words:
            assert word in told[0].replace(b"=\r\n", b""), told[0]
        assert self.london.maildir("bob") == before
        broken = self.london.json("queue", "list", "--broken")
        assert isinstance(broken, dict) and "filter-in" in broken["reason"]
        check_clean(self.london)
        return broken


def section(name, transport, **settings):
    """A peer on rfc2442 with these settings."""
    return (f"peer {name} {{\n\tdialect = rfc2442\n"
            f"\ttransport = {transport}\n\tretry-min = 1s\n"
            + road.lines(settings) + "}\n")


def check_clean(one):
    """No file is left in any work/ or out/."""
    wait_for(lambda: not [path for path in glob.glob(os.path.join(
        one.directory, "spool", "peers", "*", "*", "*"))
        if "/aside/" not in path], 20, one.log)


def flip(marker, by=40):
    """Change an octet so far behind the marker."""
    def change(octets):
        at = octets.index(marker) + by
        return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1:]
    return change


def script(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
