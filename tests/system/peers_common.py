# SPDX-License-Identifier: ISC
"""What every system test needs: places, waiting, processes, samples.

Processes are ended by the process id we were given at their start and never
by name, since a developer's own mail server may run on the same machine.
Each is started in a session of its own, and its process group is killed
while the leader is still a zombie, so that the number cannot have been
given to anybody else.
"""

import collections
import csv
import fcntl
import glob
import hashlib
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.join(PROJECT, os.environ.get("POSTRIDER_BUILD")
                     or os.environ.get("BUILD") or "build/release")
PEERS = os.path.join(PROJECT, "build/peers")
PEERS_ROOT = os.path.join(PEERS, "root")
MAILS = os.path.join(PROJECT, "tests/mails")
IN_CI = os.environ.get("CI", "") not in ("", "0", "false")

Sample = collections.namedtuple("Sample",
                                "name path octets sha256 how why")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def program(name):
    """The path of one of our own programs, which must have been built."""
    for sub in ("", "libexec"):
        path = os.path.join(BUILD, sub, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(
        f"{name} is not in {BUILD}: run make, or set BUILD")


# A machine that is busy may be many times slower than the one on which the
# time limits of the tests were chosen; one that is not needed costs nothing.
PATIENCE = float(os.environ.get("POSTRIDER_PATIENCE", "8"))


def patient(seconds):
    """The time limit for what takes so long at the very most here."""
    return seconds * PATIENCE


PORT_LOCKS = "/tmp/postrider-test-ports"
PORTS_KEPT = 300
_taken = []  # lock files that stay open, and so locked; the latest ones


def _take_port(port):
    """Nobody else who asks here is given it while we use it."""
    lock = os.open(f"{PORT_LOCKS}/{port}", os.O_RDWR | os.O_CREAT |
                   os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _taken.append(lock)
    if len(_taken) > PORTS_KEPT:
        os.close(_taken.pop(0))
    return True


def _ports():
    """Those to choose from: none that the kernel gives to clients."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range",
                  encoding="ascii") as file:
            first = int(file.read().split()[0])
    except (OSError, ValueError):
        first = 32768
    last = max(min(first, 32000), 12000)
    return max(last - 12000, 5000), last


def free_port(address="127.0.0.1"):
    """A port nobody listens on, below those the kernel gives to clients."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    os.makedirs(PORT_LOCKS, exist_ok=True)
    for _ in range(200):
        port = random.SystemRandom().randrange(*_ports())
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((address, port))
            except OSError:
                continue
        if _take_port(port):
            return port
    raise RuntimeError(f"no free port on {address}")


def wait_for(predicate, timeout=10, what="a condition", every=0.02):
    """The first true value of predicate(); AssertionError after
    patient(timeout).

    what may be a callable, to say how things stand when time is up.
    """
    timeout = patient(timeout)
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            words = what() if callable(what) else what
            raise AssertionError(f"waited {timeout} s in vain for {words}")
        time.sleep(every)


def answers(port, address="127.0.0.1"):
    """Whether an SMTP server greets at that port."""
    try:
        with socket.create_connection((address, port), 2) as sock:
            if not sock.recv(4).startswith(b"220"):
                return False
            sock.sendall(b"QUIT\r\n")
            return True
    except OSError:
        return False


def work_directory():
    """A new directory that unprivileged server processes can pass through.

    pytest's own are closed to everyone but their owner.
    """
    path = tempfile.mkdtemp(prefix="postrider-")
    os.chmod(path, 0o755)
    return path


def read_maildir(path):
    """The contents of every message in a Maildir, oldest name first; read
    anew where a server moves or takes one away meanwhile."""
    while True:
        contents = []
        names = glob.glob(os.path.join(path, "new", "*"))
        names += glob.glob(os.path.join(path, "cur", "*"))
        try:
            for name in sorted(names, key=os.path.basename):
                with open(name, "rb") as file:
                    contents.append(file.read())
        except FileNotFoundError:
            continue
        return contents


def read_text(path):
    """What a log has so far; nothing, if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def samples(large=None):
    """tests/mails as a list of Sample; large names a directory to which the
    big ones, which are not stored, are written and then listed as well."""
    listed = _read_index(MAILS)
    if large is not None:
        subprocess.run([sys.executable, os.path.join(MAILS, "make_mails.py"),
                        "--large", large], check=True)
        listed += _read_index(large)
    return listed


def _read_index(directory):
    with open(os.path.join(directory, "INDEX.tsv"), encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Sample(row[0], os.path.join(directory, row[0]), int(row[1]),
                       row[2], row[3], row[4]) for row in rows]


class Process:
    """One program that runs beside the test, its output in a file."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(arg) for arg in argv]
        self.log = log
        self.code = None
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, cwd=cwd, start_new_session=True)
        self.pid = self.popen.pid

    def running(self):
        return self.code is None and not self._ended()

    def _ended(self):
        return os.waitid(os.P_PID, self.pid,
                         os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def signal(self, number):
        if self.code is None:
            os.kill(self.pid, number)

    def output(self):
        return read_text(self.log)

    def wait(self, timeout=20):
        """Wait for the end; what else is in its group is then killed.

        Returns the exit status, negative for a signal.
        """
        if self.code is None:
            wait_for(self._ended, timeout,
                     f"the end of {self.argv[0]} (pid {self.pid})")
            self._kill_group()
            self.code = self.popen.wait()
        return self.code

    def _kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def stop(self, timeout=20):
        """SIGTERM, and SIGKILL if that takes too long, which is an error."""
        if self.code is not None:
            return self.code
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.kill()
            raise

    def kill(self):
        """SIGKILL to the whole group, at once."""
        if self.code is None:
            self._kill_group()
            self.code = self.popen.wait()
        return self.code


class Processes:
    """Records what was started and leaves nothing behind."""

    def __init__(self):
        self._started = []

    def start(self, argv, log, env=None, cwd=None):
        process = Process(argv, log, env, cwd)
        self._started.append(process)
        return process

    def end(self):
        for process in reversed(self._started):
            process.kill()


class Acceptor(threading.Thread):
    """Listens on 127.0.0.1:port and gives each connection to serve(), one
    after the other, or all at once where APART is set.  It begins at once, so
    a class of one calls this __init__ when its own is done."""

    APART = False

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            if self.APART:
                threading.Thread(target=self._serve, args=(conn,),
                                 daemon=True).start()
            else:
                self._serve(conn)

    def _serve(self, conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with conn:
            try:
                self.serve(conn)
            except OSError:
                pass

    def serve(self, conn):
        """Until it is of no more use; it is closed then."""
        raise NotImplementedError

    def close(self):
        self.sock.close()


def peers_fetch():
    """Make sure the peers are there; quick when they are."""
    done = subprocess.run([os.path.join(PROJECT, "tests/peers/fetch")],
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tests/peers/fetch: {done.stderr}")


def peers_program(name):
    """The path of a peer's program, such as smtp-source."""
    for sub in ("usr/sbin", "usr/bin", "usr/lib/postfix/sbin"):
        path = os.path.join(PEERS_ROOT, sub, name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"{name} is not in {PEERS_ROOT}")


def peers_env(**more):
    """The environment in which a peer finds its own libraries."""
    paths = glob.glob(os.path.join(PEERS_ROOT, "usr/lib/*-linux-gnu*"))
    paths += glob.glob(os.path.join(PEERS_ROOT, "lib/*-linux-gnu*"))
    paths.append(os.path.join(PEERS_ROOT, "usr/lib/postfix"))
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC",
            "LC_ALL": "C", "LD_LIBRARY_PATH": ":".join(paths), **more}


def has_account(name):
    try:
        pwd.getpwnam(name)
        return True
    except KeyError:
        return False
