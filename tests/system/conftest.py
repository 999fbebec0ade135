# SPDX-License-Identifier: ISC
"""Fixtures of the system tests; the classes live in peers_*.py.

A test that cannot run says why.  Where the environment says CI, that is a
failure: nothing may be left out there.
"""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

import peers_common
from peers_dovecot import Dovecot
from peers_exim import Exim
from peers_node import Node
from peers_opensmtpd import OpenSMTPD
from peers_postfix import Postfix
from peers_sendmail import Sendmail
from provider import Provider


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "requires_root: needs root; skipped elsewhere, "
        "but a failure in CI")


def cannot(reason):
    """Skip with a reason, which is a failure in CI."""
    if peers_common.IN_CI:
        pytest.fail(f"must run in CI: {reason}", pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def small_disk_at(path, size):
    """A file system of that size ("1m") at path; it may be unmounted."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                       path], capture_output=True,
                      check=False).returncode != 0:
        cannot("a tmpfs cannot be mounted here")
    try:
        yield path
    finally:
        if os.path.ismount(path):
            subprocess.run(["umount", "-l", path], check=True)


def need_ipv6():
    """The loopback address, which not every container has."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as why:
        cannot(f"there is no IPv6 here: {why}")


def pytest_runtest_setup(item):
    if item.get_closest_marker("requires_root") and os.geteuid() != 0:
        cannot("needs root")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed_call = outcome.get_result().failed


@pytest.fixture
def work(request):
    """A new directory that servers without privileges can pass through;
    kept when the test fails, and its name is then in the report."""
    path = peers_common.work_directory()
    yield path
    if getattr(request.node, "failed_call", False):
        print(f"\nkept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def processes():
    """processes.start(argv, log, env, cwd); all are ended after the test."""
    started = peers_common.Processes()
    yield started
    started.end()


@pytest.fixture(scope="session")
def peers():
    """The peers are in build/peers/root."""
    peers_common.peers_fetch()


def _peers(cls, work):
    """A function that makes and starts instances below work, and then
    their end."""
    made = []

    def make(name, **more):
        made.append(cls(os.path.join(work, name), **more))
        made[-1].start()
        return made[-1]

    if os.geteuid() != 0:
        cannot(f"{cls.__name__} needs root")
    yield make
    for one in reversed(made):
        one.kill()


@pytest.fixture
def postfix(peers, work):
    """postfix(NAME, ...): a started Postfix in work/NAME."""
    yield from _peers(Postfix, work)


@pytest.fixture
def exim(peers, work):
    """exim(NAME, ...): a started Exim in work/NAME."""
    yield from _peers(Exim, work)


@pytest.fixture
def dovecot(peers, work):
    """dovecot(NAME, ...): a started Dovecot in work/NAME."""
    yield from _peers(Dovecot, work)


@pytest.fixture
def opensmtpd(peers, work):
    """opensmtpd(NAME, ...): a started OpenSMTPD in work/NAME."""
    yield from _peers(OpenSMTPD, work)


@pytest.fixture
def sendmail(peers, work):
    """sendmail(NAME, ...): a started sendmail in work/NAME."""
    yield from _peers(Sendmail, work)


@pytest.fixture
def node(work, request):
    """node(SITE, ...): a Node in work/SITE with a configuration, not yet
    started.  When the test passed, those that still run must end well, and
    no sanitizer may have spoken."""
    nodes = []

    def make(site, **more):
        nodes.append(Node(os.path.join(work, site), site, **more))
        return nodes[-1]

    yield make
    try:
        if not getattr(request.node, "failed_call", False):
            for one in nodes:
                one.stop()
                one.check_sanitizers()
    finally:
        for one in nodes:
            one.kill()


@pytest.fixture(scope="module")
def provider():
    """A mail provider, for the tests of one file."""
    if os.geteuid() != 0:
        cannot("the provider needs root")
    peers_common.peers_fetch()
    work = peers_common.work_directory()
    one = Provider(os.path.join(work, "provider"))
    try:
        yield one.start()
    finally:
        one.stop()
        shutil.rmtree(work, ignore_errors=True)
