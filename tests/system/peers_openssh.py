# SPDX-License-Identifier: ISC
"""A private OpenSSH on 127.0.0.1: one account, ours, whose home is a
directory of the test and who gets in by one key.

Nothing of the machine's is used: accounts come from nss_wrapper, as sshd as
root wants one called sshd and the programs look homes up there.  The clients
are found under their names in .bin, each a script that adds the test's own
configuration, in which the host is called as the test likes; programs for
the far end are put into .far.
"""

import glob
import os
import subprocess

from peers_common import (PEERS_ROOT, Processes, free_port, peers_env,
                          peers_program, read_text, wait_for)

RUN = "/run/sshd"

SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {at}/host
PidFile none
AuthorizedKeysFile {at}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv PATH={at}/far:/usr/bin:/bin
"""
CLIENT = """\
Host {name}
	HostName 127.0.0.1
	Port {port}
	User {user}
	HostKeyAlias {name}
	IdentityFile {at}/key
	IdentitiesOnly yes
	UserKnownHostsFile {at}/known
	GlobalKnownHostsFile /dev/null
"""


def script(path, *lines):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(("#!/bin/sh", *lines)) + "\n")
    os.chmod(path, 0o755)


def unpacked(path, name, *words):
    """A script that runs a program of build/peers with its libraries."""
    script(path, f"LD_LIBRARY_PATH={peers_env()['LD_LIBRARY_PATH']} exec "
           f"{peers_program(name)} {' '.join(words)} \"$@\"")


class OpenSSH:
    """directory: made; home: of the account; name: what clients call it."""

    def __init__(self, directory, home, name="oslo"):
        self.at = str(directory)
        self.home = str(home)
        self.name = name
        self.port = free_port()
        self.bin = os.path.join(self.at, "bin")
        self.far = os.path.join(self.at, "far")
        for path in (self.bin, self.far, self.home):
            os.makedirs(path, exist_ok=True)
        self._processes = Processes()
        self._accounts()
        self._keys()
        self._clients()

    def _write(self, name, text, mode=0o644):
        path = os.path.join(self.at, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def _accounts(self):
        uid, gid = os.getuid(), os.getgid()
        self.user = "root" if uid == 0 else "traveller"
        self.env = peers_env(
            LD_PRELOAD=glob.glob(os.path.join(
                PEERS_ROOT, "usr/lib/*/libnss_wrapper.so"))[0],
            NSS_WRAPPER_PASSWD=self._write(
                "passwd", f"{self.user}:x:{uid}:{gid}::{self.home}:/bin/sh\n"
                "sshd:x:61199:61199::/nonexistent:/bin/false\n"),
            NSS_WRAPPER_GROUP=self._write(
                "group", f"{self.user}:x:{gid}:\nsshd:x:61199:\n"))

    def _keys(self):
        for name in ("host", "key"):
            subprocess.run([peers_program("ssh-keygen"), "-q", "-t",
                            "ed25519", "-N", "", "-C", name, "-f",
                            os.path.join(self.at, name)], check=True,
                           env=self.env, stdin=subprocess.DEVNULL)
        with open(os.path.join(self.at, "host.pub"),
                  encoding="utf-8") as file:
            self._write("known", f"{self.name} {file.read()}")

    def _clients(self):
        words = {"at": self.at, "port": self.port, "user": self.user,
                 "name": self.name}
        self.server_config = self._write("server", SERVER.format(**words))
        client = self._write("client", CLIENT.format(**words))
        env = " ".join(f"{name}='{value}'" for name, value
                       in self.env.items() if name != "PATH")
        ssh = os.path.join(self.bin, "ssh")
        script(ssh, f"{env} exec {peers_program('ssh')} -F {client} \"$@\"")
        for name in ("scp", "sftp"):
            script(os.path.join(self.bin, name),
                   f"{env} exec {peers_program(name)} -S {ssh} \"$@\"")

    def start(self):
        # It stays: the sshd of another test may need it.
        if os.getuid() == 0:
            os.makedirs(RUN, 0o755, exist_ok=True)
        self._processes.start(
            [peers_program("sshd"), "-D", "-e", "-f", self.server_config],
            os.path.join(self.at, "log"), self.env)
        wait_for(lambda: "Server listening" in self.log(), 10, self.log)

    def log(self):
        return read_text(os.path.join(self.at, "log"))

    def kill(self):
        self._processes.end()
