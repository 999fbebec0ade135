# SPDX-License-Identifier: ISC
"""A private OpenSMTPD, in a root directory of its own."""

from peers_jail import Jail
from peers_server import JailedServer

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


class OpenSMTPD(JailedServer):
    """OpenSMTPD on 127.0.0.1:port.

    relayhost   "HOST:PORT" for what is not local; protocol is smtp,
                smtp+tls or lmtp
    authority   a file with the authority that it believes
    """

    NAME = "OpenSMTPD"
    PROGRAM = ("/usr/sbin/smtpd", "-d")

    def __init__(self, directory, hostname="opensmtpd.example", domains=None,
                 users=("alice", "bob", "carol", "postmaster"),
                 relayhost=None, protocol="smtp", authority=None,
                 port=None):
        super().__init__(hostname, domains, port, Jail(
            directory, "opensmtpd", ["opensmtpd", "opensmtpq", *users],
            ["/bin/sh"]))
        self.relayhost = relayhost
        self.protocol = protocol
        self.authority = authority

    def _configure(self):
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

    def sendmail(self, sender, recipients, content, *options):
        """Submit by its sendmail; content is bytes with LF line ends."""
        return self.jail.run("/usr/sbin/sendmail", "-i", "-f", sender,
                             *options, "--", *recipients, data=content,
                             group="opensmtpq")
