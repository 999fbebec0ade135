# SPDX-License-Identifier: ISC
"""What is measured.  Each area is a function that takes the run and records
into it; ours and theirs take turns, so that a busy moment of the machine
hits both."""

import os
import random
import re
import shutil
import subprocess
import time

import sites
from peers_common import peers_program, program, wait_for

K = 1024
M = 1024 * K


def words(rng, count=6000):
    letters = "etaoinshrdlcumwfgypbvk"
    weights = [len(letters) - i for i in range(len(letters))]
    return ["".join(rng.choices(letters, weights, k=rng.randint(2, 10)))
            for _ in range(count)]


def make_mail(rng, vocabulary, ranks, octets, number):
    """A mail of so many octets, whose text compresses as prose does."""
    lines = [f"From: Alice <alice@paris.example>",
             "To: Bob <bob@london.example>",
             f"Message-ID: <{rng.getrandbits(64):x}@paris.example>",
             "Date: Sun, 22 Nov 2026 12:00:00 +0000",
             f"Subject: {' '.join(rng.choices(vocabulary, ranks, k=5))}",
             f"X-Number: {number}", ""]
    size = sum(len(line) + 2 for line in lines)
    while size < octets:
        line = " ".join(rng.choices(vocabulary, ranks, k=9))[:72]
        line = line[:max(0, octets - size - 2)]
        lines.append(line)
        size += len(line) + 2
    return "\r\n".join(lines + [""]).encode()


class Mails:
    """Files of mail in a directory, the same in every run."""

    def __init__(self, directory):
        self.directory = directory
        rng = random.Random(2442)
        vocabulary = words(rng)
        ranks = [1 / (i + 3) for i in range(len(vocabulary))]
        self._one = lambda octets, number: make_mail(rng, vocabulary, ranks,
                                                     octets, number)
        os.makedirs(directory)

    def single(self, octets, number=0):
        """One mail for smtp-source, which wants lines ending in LF."""
        path = os.path.join(self.directory, f"single-{octets}-{number}")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(self._one(octets, number).replace(b"\r\n", b"\n"))
        return path

    def many(self, count, octets=4 * K):
        paths = []
        for number in range(count):
            path = os.path.join(self.directory, f"mail-{number:05}.eml")
            if not os.path.exists(path):
                with open(path, "wb") as file:
                    file.write(self._one(octets, number))
            paths.append(path)
        return paths


def timed(argv, env=None, stdin=None, stdout=subprocess.DEVNULL):
    """Seconds that a command takes, and the most memory it had."""
    begin = time.monotonic()
    with subprocess.Popen(argv, env=env, stdin=stdin or subprocess.DEVNULL,
                          stdout=stdout, stderr=subprocess.PIPE) as child:
        _, said, usage = child.pid, child.stderr.read(), None
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - begin
    if child.returncode != 0:
        raise RuntimeError(f"{argv[:6]}: exit {child.returncode}: {said}")
    return took, usage.ru_maxrss * K


def turns(run, *sides):
    """Each side once for each repetition, in turn."""
    for _ in range(run.repeat):
        for side in sides:
            side()


def accept(run, octets, cells, ms=0, hold=False):
    """Durable accepting; cells: (sessions, ours, theirs, mark), where ours
    and theirs are how many messages to send."""
    where = run.directory(f"accept-{octets}-{ms}-{hold}")
    mail = run.mails.single(octets)
    disks = [sites.Disk(f"{where}/disk-{i}", run.shim, ms) for i in (0, 1)]
    node = sites.make_node(f"{where}/node", "paris", disks[0])
    postfix = run.peers and sites.make_waiting_postfix(f"{where}/postfix",
                                                       disks[1], hold)
    label = f"accept {octets // K} KiB" + (f", {ms} ms flushes" if ms
                                           else "")
    if hold:
        label = "the same, Postfix putting mail on hold"
    with node:
        if postfix:
            postfix.start()
        try:
            for cell in cells:
                accept_cell(run, label, cell, mail, node, postfix, disks)
            if ms == 0 and not hold:
                run.memory(f"peak memory, accepting {octets // K} KiB",
                           sites.high_water(node.daemon.pid), postfix and
                           sites.session_memory(postfix._master.pid))
        finally:
            if postfix:
                postfix.kill()



def accept_cell(run, label, cell, mail, node, postfix, disks):
    sessions, ours, theirs, mark = cell
    row = run.row(f"{label}, {sessions} session{'s'[:sessions > 1]}",
                  "messages/s", mark, "higher", "Postfix")
    flushes = run.row(f"flushes per message: {label}, {sessions} "
                      f"session{'s'[:sessions > 1]}", "", None, "lower",
                      "Postfix")

    def side(server, disk, count, rates, calls):
        def once():
            before = disk.calls()
            took, _ = timed(*sites.load(server.port, sessions, count, mail))
            rates.append(count / took)
            calls.append((disk.calls() - before) / count)
        timed(*sites.load(server.port, sessions, sessions * 4, mail))
        return once

    sides = [side(node, disks[0], ours, row.ours, flushes.ours)]
    if postfix:
        sides.append(side(postfix, disks[1], theirs, row.theirs,
                          flushes.theirs))
    turns(run, *sides)
    run.done(row)
    run.done(flushes)


def batch_made(run, count):
    mails = run.mails.many(count)
    where = run.directory(f"batch-{count}")
    ours = [program("postrider"), "batch", "--gzip", "--from",
            "alice@paris.example", "--to", "bob@london.example", *mails]
    with open(f"{where}/plain", "wb") as out:
        timed([one for one in ours if one != "--gzip"], stdout=out)
    row = run.row(f"batch of {count} made", "s", 1.5, "lower", "gzip -6")
    size = run.row(f"octets of that batch ({count})", "octets", 1.01,
                   "lower", "gzip -6")

    def side(argv, name, times, sizes):
        def once():
            with open(f"{where}/{name}", "wb") as out:
                times.append(timed(argv, stdout=out)[0])
            sizes.append(os.path.getsize(f"{where}/{name}"))
        return once

    turns(run, side(ours, "ours", row.ours, size.ours),
          side(["gzip", "-6", "-n", "-c", f"{where}/plain"], "theirs",
               row.theirs, size.theirs))
    run.done(row)
    run.done(size)



def unbundle(run, count, theirs):
    """A bare batch from standard input into the queue; theirs: how many
    times Exim does it."""
    where = run.directory(f"unbundle-{count}")
    with open(f"{where}/batch", "wb") as out:
        timed([program("postrider"), "batch", "--from",
               "alice@paris.example", "--to", "bob@london.example",
               *run.mails.many(count)], stdout=out)
    strip_parameters(f"{where}/batch", f"{where}/batch-exim")
    row = run.row(f"batch of {count} taken apart", "messages/s", 50,
                  "higher", "exim -bS")
    flushes = run.row(f"flushes per message: batch of {count} taken apart",
                      "", None, "lower", "exim -bS")
    memory = []
    disks = [sites.Disk(f"{where}/disk-{i}", run.shim) for i in (0, 1)]
    node = sites.make_node(f"{where}/node", "paris", disks[0])

    def note(row_side, calls, disk, before, took):
        row_side.append(count / took)
        calls.append((disk.calls() - before) / count)

    def ours_once():
        before, have = disks[0].calls(), waiting(node)
        # Objects with the same octets are repetitions.
        with open(f"{where}/batch", "ab") as batch:
            batch.write(b"NOOP\r\n")
        with open(f"{where}/batch", "rb") as batch:
            took, _ = timed([program("postrider"), "-c", node.conf,
                             "receive", "--peer", "oslo"], node.env, batch)
        note(row.ours, flushes.ours, disks[0], before, took)
        if waiting(node) - have != count:
            raise RuntimeError(f"{waiting(node) - have} of {count} mails "
                               f"came out of the batch: {node.log()}")

    def theirs_once():
        if len(row.theirs) >= theirs:
            return
        exim = sites.make_exim(f"{where}/exim-{len(row.theirs)}", disks[1])
        before = disks[1].calls()
        with open(f"{where}/batch-exim", "rb") as batch:
            took, most = timed([peers_program("exim4"), "-C", exim.config,
                                "-bS", "-odq"], exim.env, batch)
        note(row.theirs, flushes.theirs, disks[1], before, took)
        memory.append(most)
        if exim.queued() != count:
            raise RuntimeError(f"Exim took {exim.queued()} of {count}")

    with node:
        turns(run, ours_once, *[theirs_once][:run.peers])
        run.memory(f"peak memory, batch of {count} taken apart",
                   sites.high_water(node.daemon.pid),
                   memory[0] if memory else None, "exim -bS")
    run.done(row)
    run.done(flushes)



def strip_parameters(path, stripped):
    """Exim takes no ESMTP parameters in a batch."""
    with open(path, "rb") as file, open(stripped, "wb") as out:
        for line in file:
            out.write(re.sub(rb"^((MAIL|RCPT) [^>]*>) .*(\r\n)$", rb"\1\3",
                             line))


def waiting(node):
    return node.json("status")[0]["counters"]["messages"]


def submit_all(run, port, count):
    """Ten clients at once, each with a mail of its own."""
    clients = []
    for number in range(10):
        argv, env = sites.load(port, 1, count // 10,
                               run.mails.single(4 * K, number))
        clients.append(subprocess.Popen(argv, env=env))
    for client in clients:
        if client.wait() != 0:
            raise RuntimeError("smtp-source failed")


def road_once(run, servers, count):
    there = os.path.join(servers[1].maildir_path("bob"), "new")
    have = len(os.listdir(there)) if os.path.isdir(there) else 0
    begin = time.monotonic()
    submit_all(run, servers[0].port, count)
    wait_for(lambda: os.path.isdir(there)
             and len(os.listdir(there)) >= have + count, 120,
             lambda: f"the mails: {servers[1].log()[-2000:]}", 0.01)
    return time.monotonic() - begin


def road(run, count):
    """From submission at one site to Maildirs at the other."""
    where = run.directory("road")
    row = run.row(f"whole road, {count} mails of 4 KiB", "messages/s", 5,
                  "higher", "Postfix")
    flushes = run.row("flushes per message: whole road", "", None, "lower",
                      "Postfix")
    disks = [sites.Disk(f"{where}/disk-{i}", run.shim) for i in (0, 1)]
    nodes = sites.make_nodes(f"{where}/ours", disks[0])
    others = run.peers and sites.make_postfixes(f"{where}/theirs", disks[1])

    def side(servers, disk, rates, calls):
        def once():
            before = disk.calls()
            rates.append(count / road_once(run, servers, count))
            calls.append((disk.calls() - before) / count)
        road_once(run, servers, 50)
        return once

    started = []
    try:
        os.makedirs(f"{where}/theirs", exist_ok=True)
        for server in nodes + (others or []):
            server.start()
            started.append(server)
        sides = [side(nodes, disks[0], row.ours, flushes.ours)]
        if others:
            sides.append(side(others, disks[1], row.theirs, flushes.theirs))
        turns(run, *sides)
        run.memory("peak memory, whole road (both nodes)", sum(
            sites.high_water(node.daemon.pid) for node in nodes), others and
            sum(sites.session_memory(one._master.pid) for one in others))
    finally:
        for server in started:
            server.kill()
    run.done(row)
    run.done(flushes)

