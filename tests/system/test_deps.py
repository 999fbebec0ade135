# SPDX-License-Identifier: ISC
"""make deps and make test-deps: what they do when something is missing.

The system's own programs for that are replaced by ones of the test, so that
nothing is installed and no privilege is needed.
"""

import os
import re
import shutil
import subprocess

import pytest

from peers_common import PROJECT

INSTALLED = "install ok installed"


class Machine:
    """A machine with some packages and an account of some power."""

    def __init__(self, directory):
        self.bin = os.path.join(directory, "bin")
        self.log = os.path.join(directory, "apt.log")
        os.makedirs(self.bin)
        self.missing()
        self.user(1000)
        self.program("sudo", "exit 1")
        self.apt(0)

    def program(self, name, body):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, 0o755)

    def missing(self, *packages):
        cases = "".join(f"*' {name}') exit 1 ;;\n" for name in packages)
        self.program("dpkg-query", f"case \" $*\" in\n{cases}"
                     f"*) printf '{INSTALLED}' ;;\nesac")

    def user(self, number):
        self.program("id", f"echo {number}")

    def apt(self, status):
        self.program("apt-get", f"echo \"$@\" >>{self.log}; exit {status}")

    def run(self, *words):
        path = self.bin + ":" + os.environ["PATH"]
        return subprocess.run(words, cwd=PROJECT, text=True,
                              capture_output=True, check=False,
                              env={**os.environ, "PATH": path})

    def apt_calls(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()


@pytest.fixture
def machine(work):
    return Machine(work)


COMMAND = ("    sudo apt-get update && sudo apt-get install -y "
           "--no-install-recommends {}\n")


def test_without_rights_it_prints_the_command(machine):
    machine.missing("libevent-dev", "zlib1g-dev")
    done = machine.run("tests/packages", "libevent-dev", "libdb5.3-dev",
                       "zlib1g-dev")
    assert done.returncode == 69
    assert COMMAND.format("libevent-dev zlib1g-dev") in done.stderr
    assert machine.apt_calls() == []


@pytest.mark.parametrize("target, package", [("deps", "libevent-dev"),
                                             ("test-deps", "libcmocka-dev"),
                                             ("demo", "libdb5.3-dev"),
                                             ("check", "libsodium-dev")])
def test_make_stops_there(machine, target, package):
    machine.missing(package)
    done = machine.run("make", target)
    assert done.returncode == 2
    assert re.search(r"\bError 69\b|status 69", done.stderr)
    assert COMMAND.format(package) in done.stderr
    assert machine.apt_calls() == []
    assert " CC " not in done.stdout


def test_with_all_there_nothing_is_done(machine):
    assert machine.run("make", "deps").returncode == 0
    assert machine.apt_calls() == []


@pytest.mark.parametrize("how", ["root", "sudo"])
def test_with_rights_it_installs(machine, how):
    machine.missing("libevent-dev")
    if how == "root":
        machine.user(0)
    else:
        machine.program("sudo", '[ "$1" = -n ] && shift && exec "$@"')
    assert machine.run("make", "deps").returncode == 0
    assert machine.apt_calls() == [
        "update -q", "install -y --no-install-recommends libevent-dev"]


def test_a_failure_of_apt_is_told(machine):
    machine.missing("libevent-dev")
    machine.user(0)
    machine.apt(100)
    done = machine.run("tests/packages", "libevent-dev")
    assert done.returncode == 69
    assert COMMAND.format("libevent-dev") in done.stderr


def test_elsewhere_it_names_the_packages(machine, work):
    """No apt-get at all: another system."""
    machine.missing("libevent-dev")
    os.unlink(os.path.join(machine.bin, "apt-get"))
    for name in ("sh", "env"):
        os.symlink(shutil.which(name), os.path.join(machine.bin, name))
    done = subprocess.run([os.path.join(PROJECT, "tests/packages"),
                           "libevent-dev"], env={"PATH": machine.bin},
                          text=True, capture_output=True, check=False)
    assert done.returncode == 69 and "libevent-dev" in done.stderr


def test_a_program_from_elsewhere_counts(machine):
    """gcc need not come from Debian's package."""
    machine.missing("gcc", "make", "pkg-config")
    assert machine.run("make", "deps").returncode == 0
