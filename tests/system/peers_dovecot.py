# SPDX-License-Identifier: ISC
"""A private Dovecot that speaks LMTP, in a root directory of its own."""

from peers_common import read_text
from peers_jail import Jail
from peers_server import JailedServer

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


class Dovecot(JailedServer):
    """LMTP on 127.0.0.1:port and at the UNIX socket path.  It stores CR LF
    line ends, and Return-Path, Delivered-To and Received on top.

    users       local parts, of whatever domain; others are refused
    full        users who are over quota, which shows behind the content
    """

    NAME = "Dovecot"
    PROGRAM = ("/usr/sbin/dovecot", "-F")

    def __init__(self, directory, hostname="dovecot.example",
                 users=("alice", "bob", "carol"), full=(), port=None):
        super().__init__(hostname, None, port,
                         Jail(directory, "dovecot",
                              ["dovecot", "dovenull", "vmail"]))
        self.users = list(users)
        self.full = list(full)
        self.path = self.jail.path("run/dovecot/lmtp")

    def _configure(self):
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

    def log(self):
        return super().log() + read_text(self.jail.path("log"))
