# SPDX-License-Identifier: ISC
"""Native sites: keys, cards, and the files that their transports are handed.

As road.py, over dialect native: each site has keys of its own and a card of
each other, made with the commands that an operator would use.
"""

import glob
import json
import os
import shutil
import signal
import struct
import subprocess
import threading

import road
from peers_common import wait_for

ALL = "{ CHUNKING, BINARYMIME, SMTPUTF8 }"


def make_keys(one, *options):
    """`postrider key new`; the fingerprint."""
    return one.cli("key", "new", *options).split()[1]


def add_card(one, other):
    """The card of other becomes known to one, as if carried by hand."""
    path = os.path.join(one.directory, f"card-of-{other.site}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(other.cli("card"))
    one.cli("peer", "add", "--only-card", "--replace", path)


def introduce(*sites):
    """Keys for all of them, and all cards to all."""
    for one in sites:
        make_keys(one)
    for one in sites:
        for other in sites:
            if one is not other:
                add_card(one, other)


def three(work, node, start=True, **more):
    """road.three(), over native parcels; started."""
    settings = {"dialect": "native", **more}
    sites = road.three(work, node, **settings)
    introduce(*sites)
    if start:
        for one in sites:
            one.start()
    return sites


def settled(*sites):
    """Do all spools hold no message, and no bundle that leaves?"""
    return all(not one.cli("queue", "list", "--json") for one in sites)


def wait_settled(*sites, timeout=60):
    wait_for(lambda: settled(*sites), timeout, lambda: "\n".join(
        one.site + ": " + one.cli("queue", "list") + one.log()[-3000:]
        for one in sites if not settled(one)), every=0.2)


def counters(one):
    """Those of the native dialect in `postrider status`."""
    return one.json("status")[0]["native"]


class Carrier(threading.Thread):
    """Carries all files between the neighbours, and keeps a copy of each.

    What a site drops in link/A-B is taken by B from link/A-B.carried.
    """

    def __init__(self, work, *sites):
        super().__init__(daemon=True)
        self.work = work
        self.seen = {}
        self.over = threading.Event()
        for one in sites:
            one.edit_config(r"(pickup=[^\"]*)\"", r'\1.carried"')
        for path in glob.glob(os.path.join(work, "link", "*")):
            os.makedirs(path + ".carried", exist_ok=True)

    def run(self):
        while not self.over.is_set():
            self.carry()
            self.over.wait(0.02)

    def carry(self):
        for path in glob.glob(os.path.join(self.work, "link", "*[!d]", "*")):
            try:
                with open(path, "rb") as file:
                    self.seen[path] = file.read()
            except FileNotFoundError:
                continue        # a transport was killed and began anew
            directory, name = os.path.split(path)
            os.rename(path, os.path.join(directory + ".carried", name))

    def end(self):
        """path -> octets of all there was."""
        self.over.set()
        self.join()
        return self.seen


def spool(one):
    return os.path.join(one.directory, "spool")


def wipe_spool(one):
    shutil.rmtree(spool(one))


def stories(one, ident):
    """The lines of `postrider trace`, parsed."""
    return [json.loads(line) for line in
            one.cli("trace", "--json", ident).splitlines()]


class Skew:
    """A clock for daemons that runs ahead: faults/clock.c.

    To be made before the nodes, which get env.
    """

    def __init__(self, work, nodes=()):
        self.path = os.path.join(work, "skew")
        self.nodes = list(nodes)
        self.secs = 0
        self._write()
        shim = os.path.join(work, "clock.so")
        subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O1",
                        "-Wall", "-shared", "-fPIC", "-o", shim,
                        os.path.join(os.path.dirname(__file__),
                                     "faults/clock.c"), "-ldl"], check=True)
        self.env = {"CLOCK_SKEW": self.path, "LD_PRELOAD": shim,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
                    + ":verify_asan_link_order=0"}

    def _write(self):
        if not os.path.exists(self.path):
            with open(self.path, "wb") as file:
                file.write(bytes(8))
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", self.secs))

    def use(self, *nodes):
        """These, not started yet, go by it."""
        for one in nodes:
            one.env.update(self.env)
        self.nodes += nodes

    def forward(self, secs):
        """So many seconds later at once; each daemon has a look around."""
        self.secs += secs
        self._write()
        self.poke()

    def poke(self):
        for one in self.nodes:
            if one.running():
                one.cli("status")


def forget_card(one, other):
    """The card of other is not known to one any more; one does not run."""
    found = [path for path in glob.glob(os.path.join(one.directory, "**"),
                                        recursive=True)
             if os.path.isfile(path) and "card" in path
             and other.site in os.path.basename(path)]
    assert found
    for path in found:
        os.unlink(path)


def kill(pid):
    """SIGKILL to a transport, which may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
