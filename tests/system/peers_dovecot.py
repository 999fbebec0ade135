# SPDX-License-Identifier: ISC
"""A private Dovecot that speaks LMTP, in a root directory of its own."""

import os

from peers_common import answers, free_port, read_maildir, wait_for
from peers_jail import Jail

CONFIG = """\
protocols = lmtp
listen = 127.0.0.1
base_dir = /run/dovecot
log_path = /log
auth_username_format = %n
hostname = {hostname}
mail_location = maildir:/mail/%n
mail_save_crlf = yes
mail_plugins = quota
first_valid_uid = 1
ssl = no
lmtp_add_received_header = {received}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=100M
  quota_grace = 0
}}
protocol lmtp {{
  mail_plugins = quota
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    """LMTP on 127.0.0.1:port and at the UNIX socket path.

    users       local parts, of whatever domain; others are refused
    full        users who are over quota, which shows behind the content
    """

    def __init__(self, directory, hostname="dovecot.example",
                 users=("alice", "bob", "carol"), full=(), port=None):
        self.hostname = hostname
        self.users = list(users)
        self.full = list(full)
        self.port = port or free_port()
        self.jail = Jail(directory, "dovecot",
                         ["dovecot", "dovenull", "vmail"])
        self.path = self.jail.path("run/dovecot/lmtp")
        self._daemon = None

    def _prepare(self):
        self.jail.build()
        self.jail.write("etc/dovecot/dovecot.conf", CONFIG.format(
            hostname=self.hostname, port=self.port, received="yes"))
        number = self.jail.accounts["vmail"]
        lines = [f"{user}::{number}:{number}::/mail/{user}::\n"
                 for user in self.users]
        lines += [f"{user}::{number}:{number}::/mail/{user}::"
                  "userdb_quota_rule=*:bytes=10\n" for user in self.full]
        self.jail.write("etc/dovecot/users", "".join(lines))
        self.jail.make("var/lib/dovecot", 0o755)
        self.jail.make("mail", 0o755, "vmail")

    def start(self):
        if not os.path.exists(self.jail.directory):
            self._prepare()
        self._daemon = self.jail.start("/usr/sbin/dovecot", "-F")
        wait_for(self._ready, 20,
                 lambda: f"Dovecot at {self.port}: {self.log()}")

    def _ready(self):
        if not self._daemon.running():
            raise AssertionError(f"Dovecot ended: {self.log()}")
        return answers(self.port)

    def stop(self):
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def kill(self):
        self._daemon = None
        self.jail.end()

    def maildir(self, user):
        """The contents as stored: CR LF line ends, and Return-Path,
        Delivered-To and Received on top."""
        return read_maildir(self.jail.path(f"mail/{user}"))

    def log(self):
        text = self.jail.log()
        path = self.jail.path("log")
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text
