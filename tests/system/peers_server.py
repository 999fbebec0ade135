# SPDX-License-Identifier: ISC
"""What all servers of others have in common: how one is started, waited for
and ended.  What it is started with, and where it logs, each says itself."""

import os

from peers_common import answers, free_port, read_maildir, wait_for


class Server:
    """A server on 127.0.0.1:port; NAME is for whoever reads of a failure.

    A class of one has _launch(), which returns the Process, and log().
    """

    NAME = "a server"

    def __init__(self, hostname, domains, port):
        self.hostname = hostname
        self.domains = list(domains) if domains is not None else [hostname]
        self.port = port or free_port()
        self._daemon = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._daemon = self._launch()
        wait_for(self._ready, 20,
                 lambda: f"{self.NAME} at {self.port}: {self.log()}")

    def _ready(self):
        if not self._daemon.running():
            raise AssertionError(f"{self.NAME} ended: {self._why_ended()}")
        return answers(self.port)

    def _why_ended(self):
        return self.log()

    def stop(self):
        """End it; what it has queued stays for another start()."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def kill(self):
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon = None


class JailedServer(Server):
    """One in a root directory of its own, which is made at the first start.

    A class of one has PROGRAM, which is what runs there, and _configure(),
    which writes what it needs.
    """

    PROGRAM = ()

    def __init__(self, hostname, domains, port, jail):
        super().__init__(hostname, domains, port)
        self.jail = jail

    def _launch(self):
        if not os.path.exists(self.jail.directory):
            self.jail.build()
            self._configure()
        return self.jail.start(*self.PROGRAM)

    def kill(self):
        self._daemon = None
        self.jail.end()

    def maildir(self, user):
        """The contents as stored: LF line ends, as a rule, and whatever the
        server puts on top."""
        return read_maildir(self.jail.path(f"mail/{user}"))

    def log(self):
        return self.jail.log()
