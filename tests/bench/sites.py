# SPDX-License-Identifier: ISC
"""The servers that are measured, each on a disk that counts its flushes.

All of them are in one directory.  What is accepted stays where it is: our
peer is never called and its batches are never full, and Postfix defers its
transport; both route each mail and keep it in their queue.  On hold Postfix
does less: its queue manager does not look at the mail.
"""

import glob
import os
import struct
import subprocess

from peers_common import PROJECT, free_port, peers_env
from peers_exim import Exim
from peers_node import Node
from peers_postfix import Postfix

SITE = """\
site {site} {{
	postmaster = postmaster@{site}.example
	spool = @dir@/spool
	run = @dir@/run
	log = @dir@/log
}}
listen "127.0.0.1:@port@" {{ }}
delivery local {{
	domains = {{ {site}.example }}
	to = "maildir:@mail@"
}}
"""

HOLDING = SITE + """\
peer london {{
	dialect = bsmtp
	call = "Never"
	batch-size = 1T
	batch-count = 100000000
	set = {{ "drop=@dir@/drop", "pickup=@dir@/pickup" }}
}}
peer oslo {{
	dialect = bsmtp
	call = "Never"
	may-relay = yes
	set = {{ "drop=@dir@/drop2", "pickup=@dir@/pickup2" }}
}}
routes {{ london.example = london }}
"""

ROAD = SITE + """\
peer {other} {{
	dialect = bsmtp
	compress = gzip
	ids = yes
	set = {{ "drop={drop}", "pickup={pickup}" }}
}}
routes {{ {other}.example = {other} }}
"""

PRELOADED = "LD_PRELOAD SLOWFLUSH_FILE SLOWFLUSH_MS"


def build_shim(build):
    path = os.path.join(build, "tests/slowflush.so")
    source = os.path.join(PROJECT, "tests/bench/shim/slowflush.c")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-O2",
                    "-Wall", "-Wextra", "-shared", "-fPIC", "-o", path,
                    source, "-ldl"], check=True)
    return path


class Disk:
    """What a server's flushes cost, and how many there were."""

    def __init__(self, path, shim, ms=0):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(4096))
        os.chmod(path, 0o666)
        self.env = {"LD_PRELOAD": shim, "SLOWFLUSH_FILE": path,
                    "SLOWFLUSH_MS": str(ms)}

    def calls(self):
        with open(self.path, "rb") as file:
            return struct.unpack("=qqq", file.read(24))[1]


def make_node(directory, site, disk, template=HOLDING, **more):
    for name in ("run", "drop", "pickup", "drop2", "pickup2"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    return Node(directory, site, config=template.format(site=site, **more),
                env=disk.env)


def make_nodes(directory, disk):
    """A, B: neighbours by the file transport."""
    roads = [os.path.join(directory, "to-" + name) for name in "ab"]
    for road in roads:
        os.makedirs(road, exist_ok=True)
    return [make_node(os.path.join(directory, "a"), "paris", disk, ROAD,
                      other="london", drop=roads[1], pickup=roads[0]),
            make_node(os.path.join(directory, "b"), "london", disk, ROAD,
                      other="paris", drop=roads[0], pickup=roads[1])]


def make_postfix(directory, hostname, disk, settings=None, **more):
    one = Postfix(directory, hostname=hostname, users=("bob",),
                  settings=settings, **more)
    for name in ("import_environment", "export_environment"):
        one.settings[name] = one._parameters()[name] + " " + PRELOADED
    one.env.update(disk.env)
    return one


def make_waiting_postfix(directory, disk, hold=False):
    settings = {"smtpd_client_restrictions":
                "check_client_access static:HOLD"} if hold else {
                    "defer_transports": "smtp"}
    # Not the pace of the tests, which retry at once.
    settings.update(queue_run_delay="300s", minimal_backoff_time="300s",
                    maximal_backoff_time="4000s")
    return make_postfix(
        directory, "postfix.example", disk, settings,
        routes={"london.example": f"127.0.0.1:{free_port()}"})


def make_postfixes(directory, disk):
    """A, B: A sends london.example to B, which delivers to Maildirs."""
    there = make_postfix(os.path.join(directory, "b"), "london.example",
                         disk)
    here = make_postfix(os.path.join(directory, "a"), "paris.example", disk,
                        routes={"london.example":
                                f"127.0.0.1:{there.port}"})
    return [here, there]


def make_exim(directory, disk):
    one = Exim(directory, hostname="exim.example",
               routes={"london.example": f"127.0.0.1:{free_port()}"})
    one.prepare()
    # It lends Exim its account by another preloaded library.
    before = one.env.get("LD_PRELOAD")
    one.env.update(disk.env)
    if before:
        one.env["LD_PRELOAD"] += ":" + before
    return one


def high_water(pid):
    """The most memory that a process ever had resident, in octets."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise ValueError(f"no VmHWM of {pid}")


def session_memory(leader):
    """What all processes of a session have now, shared pages divided."""
    total = 0
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/stat", encoding="ascii") as file:
                if int(file.read().rpartition(")")[2].split()[3]) != leader:
                    continue
            with open(path + "/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file
                             if line.startswith("Pss:"))
        except OSError:
            continue	# it ended meanwhile
    return total


def load(port, sessions, count, path):
    """The command that submits a mail count times, which reuses its
    connections."""
    from peers_common import peers_program
    return ([peers_program("smtp-source"), "-d", "-s", str(sessions),
             "-m", str(count), "-F", path, "-f", "alice@paris.example",
             "-t", "bob@london.example", f"127.0.0.1:{port}"], peers_env())
