# SPDX-License-Identifier: ISC
"""A private OpenSMTPD, in a root directory of its own."""

import os

from peers_common import answers, free_port, read_maildir, wait_for
from peers_jail import Jail

CONFIG = """\
listen on 127.0.0.1 port {port} hostname {hostname}
smtp max-message-size 50M
queue ttl 1d
action "local" maildir "/mail/%{{user.username}}"
match from any for domain {{ {domains} }} action "local"
"""

RELAY = """\
action "far" relay host {protocol}://{target} helo {hostname}
match from any for any action "far"
"""


class OpenSMTPD:
    """OpenSMTPD on 127.0.0.1:port.

    relayhost   "HOST:PORT" for what is not local; protocol is smtp,
                smtp+tls or lmtp
    authority   a file with the authority that it believes
    """

    def __init__(self, directory, hostname="opensmtpd.example", domains=None,
                 users=("alice", "bob", "carol", "postmaster"),
                 relayhost=None, protocol="smtp", authority=None,
                 port=None):
        self.hostname = hostname
        self.domains = list(domains) if domains is not None else [hostname]
        self.relayhost = relayhost
        self.protocol = protocol
        self.authority = authority
        self.port = port or free_port()
        self.jail = Jail(directory, "opensmtpd",
                         ["opensmtpd", "opensmtpq", *users], ["/bin/sh"])
        self._daemon = None

    def _prepare(self):
        self.jail.build()
        config = CONFIG.format(
            port=self.port, hostname=self.hostname,
            domains=", ".join(f'"{one}"' for one in self.domains))
        if self.relayhost:
            config += RELAY.format(protocol=self.protocol,
                                   target=self.relayhost,
                                   hostname=self.hostname)
        self.jail.write("etc/smtpd.conf", config)
        if self.authority:
            with open(self.authority, encoding="ascii") as file:
                self.jail.write("etc/ssl/certs/ca-certificates.crt",
                                file.read())
        self.jail.write("etc/mailname", self.domains[0] + "\n")
        self.jail.write("etc/mail/mailname", self.domains[0] + "\n")
        self.jail.make("var/lib/opensmtpd/empty", 0o755)
        self.jail.make("var/empty", 0o755)
        self.jail.make("var/spool/smtpd", 0o711)

    def start(self):
        if not os.path.exists(self.jail.directory):
            self._prepare()
        self._daemon = self.jail.start("/usr/sbin/smtpd", "-d")
        wait_for(self._ready, 20,
                 lambda: f"OpenSMTPD at {self.port}: {self.log()}")

    def _ready(self):
        if not self._daemon.running():
            raise AssertionError(f"OpenSMTPD ended: {self.log()}")
        return answers(self.port)

    def stop(self):
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def kill(self):
        self._daemon = None
        self.jail.end()

    def sendmail(self, sender, recipients, content, *options):
        """Submit by its sendmail; content is bytes with LF line ends."""
        return self.jail.run("/usr/sbin/sendmail", "-i", "-f", sender,
                             *options, "--", *recipients, data=content,
                             group="opensmtpq")

    def maildir(self, user):
        """The contents as stored: LF line ends, and trace on top."""
        return read_maildir(self.jail.path(f"mail/{user}"))

    def log(self):
        return self.jail.log()
