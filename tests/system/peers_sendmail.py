# SPDX-License-Identifier: ISC
"""A private sendmail, in a root directory of its own.

Its configuration is made by m4 from sendmail's own macros, as anybody's is.
Its local mailer is a script that stores what it reads, since mail.local
would quote lines that begin with From.
"""

from peers_jail import Jail, m4
from peers_server import JailedServer

MC = """\
divert(-1)
include(`m4/cf.m4')
divert(0)
OSTYPE(`linux')
define(`confDOMAIN_NAME', `{hostname}')
define(`confTO_IDENT', `0')
define(`confTO_QUEUEWARN', `')
define(`confMIN_QUEUE_AGE', `0')
define(`confLOG_LEVEL', `12')
define(`confPID_FILE', `/run/sendmail.pid')
define(`confDEF_USER_ID', `store:store')
define(`confTRUSTED_USER', `smmta')
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')
define(`confMAX_MESSAGE_SIZE', `52428800')
define(`confQUEUE_LA', `10000')
define(`confREFUSE_LA', `10000')
define(`confDONT_PROBE_INTERFACES', `True')
define(`ALIAS_FILE', `')
define(`HELP_FILE', `')
define(`STATUS_FILE', `')
define(`QUEUE_DIR', `/var/spool/mqueue')
define(`LOCAL_MAILER_PATH', `/bin/store')
define(`LOCAL_MAILER_ARGS', `store $u')
define(`LOCAL_MAILER_FLAGS', `PDun')
define(`confFORWARD_PATH', `')
define(`LOCAL_SHELL_PATH', `/bin/sh')
define(`SMTP_MAILER_ARGS', `TCP $h {relay_port}')
define(`ESMTP_MAILER_ARGS', `TCP $h {relay_port}')
define(`RELAY_MAILER_ARGS', `TCP $h {relay_port}')
define(`SMART_HOST', `{smart_host}')
{tls}FEATURE(`no_default_msa')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`promiscuous_relay')
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')
LOCAL_DOMAIN(`{domains}')
MODIFY_MAILER_FLAGS(`LOCAL', `-A')
{before}MAILER(`local')
MAILER(`smtp')
{behind}"""

TLS = """\
define(`confCACERT', `/etc/mail/ca.crt')
define(`confCACERT_PATH', `/etc/mail')
define(`confSERVER_CERT', `/etc/mail/cert.pem')
define(`confSERVER_KEY', `/etc/mail/cert.pem')
define(`confCLIENT_CERT', `/etc/mail/cert.pem')
define(`confCLIENT_KEY', `/etc/mail/cert.pem')
"""

STORE = """\
#!/bin/sh
umask 022
mkdir -p /mail/$1/new /mail/$1/tmp
cat >/mail/$1/tmp/$$ || exit 75
mv /mail/$1/tmp/$$ /mail/$1/new/$$ || exit 75
"""


class Sendmail(JailedServer):
    """sendmail on 127.0.0.1:port.

    relayhost   "HOST:PORT" for what is not local
    certificate a file with key and certificate, and authority that of its
                authority: STARTTLS is then offered, and used
    before, behind
                macros, before and behind the mailers
    files       name in /etc/mail -> text
    """

    NAME = "sendmail"
    PROGRAM = ("/usr/libexec/sendmail/sendmail", "-bD", "-q1s")

    def __init__(self, directory, hostname="sendmail.example", domains=None,
                 users=("alice", "bob", "carol", "postmaster"),
                 relayhost=None, certificate=None, authority=None,
                 port=None, before="", behind="", files=None):
        super().__init__(hostname, domains, port, Jail(
            directory, "sendmail", ["smmta", "smmsp", "store", *users],
            ["/bin/sh", "/bin/cat", "/bin/mv", "/bin/mkdir"]))
        self.before, self.behind = before, behind
        self.files = files or {}
        self.relayhost = relayhost
        self.certificate = certificate
        self.authority = authority

    def _configure(self):
        if self.certificate:
            for name, path in (("cert.pem", self.certificate),
                               ("ca.crt", self.authority)):
                with open(path, encoding="ascii") as file:
                    self.jail.write("etc/mail/" + name, file.read(), 0o600)
        host, _, port = (self.relayhost or ":25").partition(":")
        for name, text in self.files.items():
            self.jail.write("etc/mail/" + name, text)
        self.jail.write("etc/mail/sendmail.mc", MC.format(
            before=self.before, behind=self.behind,
            hostname=self.hostname, port=self.port,
            tls=TLS if self.certificate else "", relay_port=port,
            smart_host=f"esmtp:[{host}]" if host else "",
            domains=" ".join(self.domains)))
        self.jail.write("etc/mail/sendmail.cf", m4(
            "-D_CF_DIR_=./", self.jail.path("etc/mail/sendmail.mc"),
            cwd=self.jail.path("usr/share/sendmail/cf")))
        self.jail.write("etc/mail/service.switch", "hosts files\n"
                        "aliases files\n")
        self.jail.write("etc/mail/local-host-names", "")
        self.jail.write("bin/store", STORE, 0o755)
        self.jail.make("var/spool/mqueue", 0o700)

    def sendmail(self, sender, recipients, content, *options):
        """Submit as root; content is bytes with LF line ends."""
        return self.jail.run("/usr/libexec/sendmail/sendmail", "-i", "-odb",
                             "-Am", "-f", sender, *options, "--",
                             *recipients, data=content)
