# SPDX-License-Identifier: ISC
"""A private root directory for a server that insists on its places.

Dovecot, OpenSMTPD and sendmail have paths and accounts compiled in or
written all over.  Each instance gets its unpacked tree, the libraries that
its programs want, devices and an /etc/passwd of its own below one
directory, and is started by chroot(8) there: unmodified, with the paths it
expects, and without a word in the system's own /etc.  A mount namespace
would do as well, but containers that run tests may rarely mount, while
chroot is theirs by default.  The network is the host's; such
servers listen on 127.0.0.1 alone.
"""

import os
import re
import shutil
import socket
import stat
import subprocess
import threading

from peers_common import PEERS, Processes, peers_env, peers_program, \
    read_text

LEFT_OUT = ("doc", "man", "lintian", "bug", "apport")
PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/lib", "usr/libexec")
# At the same place below every root, where ld.so looks without being told.
LIBRARIES = "lib"
FIRST_ID = 61100
DEVICES = {"null": (1, 3), "urandom": (1, 9)}
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC",
               "LC_ALL": "C"}
ETC = {
    "hosts": "127.0.0.1 localhost\n",
    "resolv.conf": "lookup file\nnameserver 127.0.0.1\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "services": "smtp 25/tcp\n",
    "protocols": "tcp 6 TCP\n",
    "shells": "/bin/sh\n",
}


class _Syslog(threading.Thread):
    """What is written to a /dev/log; nobody may block on it."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.lines = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o666)
        self.start()

    def run(self):
        while True:
            try:
                data = self.sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            text = data.decode(errors="replace").rstrip("\n\0")
            self.lines.append(re.sub(r"^<\d+>", "", text) + "\n")

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self.sock.close()


class Jail:
    """The root directory.

    directory   is made; ordinary accounts must be able to pass through its
                parents
    tree        the folder of build/peers that is copied there
    accounts    names, with a group of the same name each and ids from
                FIRST_ID on, in this order; root is always there
    programs    of the host, needed inside, such as /bin/sh
    """

    def __init__(self, directory, tree, accounts=(), programs=()):
        self.directory = str(directory)
        self.tree = os.path.join(PEERS, tree)
        self.accounts = {name: FIRST_ID + number
                         for number, name in enumerate(accounts)}
        self.programs = programs
        self.output = os.path.join(self.directory, "output")
        self._processes = Processes()
        self._syslog = None

    def path(self, inside):
        return os.path.join(self.directory, inside.lstrip("/"))

    def build(self):
        os.makedirs(self.directory, exist_ok=True)
        shutil.copytree(self.tree, self.directory, symlinks=True,
                        dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns(*LEFT_OUT))
        os.chmod(self.directory, 0o755)
        for name in ("bin", "lib", "dev", "etc", "run", "var"):
            os.makedirs(self.path(name), exist_ok=True)
        os.symlink("/run", self.path("var/run"))
        for name in ("tmp", "mail"):
            self.make(name, 0o1777)
        for one in self.programs:
            shutil.copy(os.path.realpath(one), self.path(one))
        self._copy_libraries()
        self._make_devices()
        self._write_accounts()
        for name, text in ETC.items():
            self.write("etc/" + name, text)

    def make(self, inside, mode, owner=None):
        """Make a directory that belongs to one of the accounts, or root."""
        path = self.path(inside)
        os.makedirs(path, exist_ok=True)
        if owner is not None:
            os.chown(path, self.accounts[owner], self.accounts[owner])
        os.chmod(path, mode)

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def _write_accounts(self):
        lines = ["root:x:0:0::/:/bin/sh\n"]
        groups = ["root:x:0:\n"]
        for name, number in self.accounts.items():
            lines.append(f"{name}:x:{number}:{number}::/mail/{name}:"
                         "/bin/sh\n")
            groups.append(f"{name}:x:{number}:\n")
        self.write("etc/passwd", "".join(lines))
        self.write("etc/group", "".join(groups))
        self.write("etc/shadow", "".join(
            line.split(":")[0] + ":*:19000:0:99999:7:::\n"
            for line in lines), 0o600)

    def _executables(self):
        """Modules need not be executable to want libraries."""
        for top in PROGRAMS:
            for folder, _, files in os.walk(self.path(top)):
                for name in files:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and (
                            name.endswith(".so") or os.access(path, os.X_OK)):
                        yield path

    def _copy_libraries(self):
        env = peers_env()
        own = os.path.join(self.directory, "usr/lib", "dovecot")
        env["LD_LIBRARY_PATH"] += ":" + own
        done = subprocess.run(["ldd", *self._executables()], env=env,
                              capture_output=True, text=True, check=False)
        wanted = set(re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", done.stdout,
                                re.MULTILINE))
        for library in wanted:
            if library.startswith(self.directory):
                continue
            inside = library if "/ld-" in library else os.path.join(
                LIBRARIES, os.path.basename(library))
            target = self.path(inside)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.realpath(library), target)

    def _make_devices(self):
        for name, numbers in DEVICES.items():
            path = self.path("dev/" + name)
            try:
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(*numbers))
                with open(path, "rb"):
                    pass
            except PermissionError:
                # No right to, or a file system without devices.  An empty
                # file does for null, and getrandom(2) for the other.
                if os.path.exists(path):
                    os.unlink(path)
                with open(path, "wb"):
                    pass
            os.chmod(path, 0o666)
        self._syslog = _Syslog(self.path("dev/log"))

    def _argv(self, argv, group="root"):
        number = self.accounts.get(group, 0)
        return ["chroot", f"--userspec=0:{number}", self.directory, *argv]

    def start(self, *argv):
        return self._processes.start(
            self._argv(argv), self.output, ENVIRONMENT, "/")

    def run(self, *argv, data=b"", check=True, group="root"):
        """As root and that group, which spares a setgid program."""
        done = subprocess.run(
            self._argv(argv, group), input=data, check=False,
            capture_output=True, env=ENVIRONMENT, cwd="/")
        if check and done.returncode != 0:
            raise AssertionError(
                f"{argv}: exit {done.returncode}: "
                f"{(done.stdout + done.stderr).decode(errors='replace')}")
        return done

    def log(self):
        """What it wrote to its output and to syslog."""
        return read_text(self.output) + "".join(
            self._syslog.lines if self._syslog else ())

    def end(self):
        """Kill what still runs."""
        self._processes.end()
        if self._syslog is not None:
            self._syslog.close()
            self._syslog = None


def m4(*argv, cwd):
    """The output of the m4 among the peers, as text."""
    return subprocess.run([peers_program("m4"), *argv], cwd=cwd, check=True,
                          env=peers_env(), capture_output=True,
                          text=True).stdout


