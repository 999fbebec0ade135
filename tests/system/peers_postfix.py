# SPDX-License-Identifier: ISC
"""A private Postfix below a directory of the test.

Postfix needs root and two accounts that nobody else uses.  Nothing is
installed, so its own may be missing; some system accounts that every Debian
has and hardly any machine uses stand in for them.  master(8) is run directly:
postfix(1) would look for its daemons and files where Debian puts them.
"""

import grp
import os
import pwd
import shutil
import signal
import subprocess

from peers_common import (PEERS_ROOT, Processes, peers_env, peers_program,
                          read_maildir, read_text, wait_for)
from peers_server import Server

OWNERS = ("postfix", "uucp", "news", "list", "irc", "games")
GROUPS = ("postdrop", "voice", "fax", "floppy", "tape", "operator")

MASTER = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
          "incoming", "private", "saved", "trace")


def _account(names, lookup):
    for name in names:
        try:
            return lookup(name)
        except KeyError:
            pass
    raise RuntimeError(f"none of the accounts {' '.join(names)} exists")


class Postfix(Server):
    """Postfix on 127.0.0.1:port.

    directory   is made if it is not there; ordinary accounts must be able
                to pass through its parents
    hostname    must differ from that of every other server in a test
    domains     local; delivered to the Maildirs of users
    routes      domain, .domain, or * for all that is not local, to
                "HOST:PORT", or to "transport:[HOST]:PORT" as it stands
    relayhost   "HOST:PORT" for everything else
    listen      more "HOST:PORT" to listen on, such as "127.0.0.2:25"; these
                do not count as its own when it looks for loops
    settings    more of main.cf, name to value
    services    more lines of master.cf
    """

    NAME = "Postfix"

    def __init__(self, directory, hostname="postfix.example", domains=None,
                 users=("alice", "bob", "carol", "postmaster"), routes=None,
                 relayhost=None, listen=(), settings=None, services="",
                 port=None):
        super().__init__(hostname, domains, port)
        self.directory = str(directory)
        self.users = list(users)
        self.routes = dict(routes or {})
        self.relayhost = relayhost
        self.listen = list(listen)
        self.settings = dict(settings or {})
        self.services = services
        self.config = os.path.join(self.directory, "etc")
        self.queue = os.path.join(self.directory, "queue")
        self.mail = os.path.join(self.directory, "mail")
        self.env = peers_env(MAIL_CONFIG=self.config)
        self.owner = _account(OWNERS, pwd.getpwnam)
        self.group = _account(GROUPS, grp.getgrnam)
        self._processes = Processes()

    def _parameters(self):
        sbin = os.path.join(PEERS_ROOT, "usr/sbin")
        return {
            "compatibility_level": "3.6",
            "config_directory": self.config,
            "queue_directory": self.queue,
            "data_directory": os.path.join(self.directory, "data"),
            "daemon_directory": os.path.join(PEERS_ROOT,
                                             "usr/lib/postfix/sbin"),
            "command_directory": sbin,
            "meta_directory": self.config,
            "shlib_directory": os.path.join(PEERS_ROOT, "usr/lib/postfix"),
            "sendmail_path": os.path.join(sbin, "sendmail"),
            "mail_owner": self.owner.pw_name,
            "setgid_group": self.group.gr_name,
            "import_environment": "MAIL_CONFIG TZ LC_ALL LD_LIBRARY_PATH",
            "export_environment":
                "MAIL_CONFIG TZ LC_ALL LD_LIBRARY_PATH PATH",
            "maillog_file": os.path.join(self.directory, "log"),
            "maillog_file_prefixes": self.directory,
            "myhostname": self.hostname,
            "myorigin": self.domains[0] if self.domains else self.hostname,
            "mydestination": "",
            "local_transport": "error:no local accounts here",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8 [::1]/128",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "all",
            "transport_maps": f"texthash:{self.config}/transport",
            "relayhost": self._nexthop(self.relayhost)[5:]
            if self.relayhost else "",
            "virtual_mailbox_domains": ", ".join(self.domains),
            "virtual_mailbox_maps": f"texthash:{self.config}/users",
            "virtual_mailbox_base": self.mail,
            "virtual_transport": "virtual",
            "virtual_uid_maps": f"static:{self.owner.pw_uid}",
            "virtual_gid_maps": f"static:{self.group.gr_gid}",
            "virtual_minimum_uid": "1",
            "virtual_mailbox_limit": "0",
            "message_size_limit": "52428800",
            "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native",
            "smtpd_peername_lookup": "no",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_relay_restrictions":
                "permit_mynetworks, reject_unauth_destination",
            "smtp_line_length_limit": "0",
            "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none",
            "queue_run_delay": "2s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "5s",
            "biff": "no",
            "append_dot_mydomain": "no",
            **self.settings,
        }

    @staticmethod
    def _nexthop(target):
        if " " in target or target.count(":") != 1:
            return target
        host, _, port = target.partition(":")
        return f"smtp:[{host}]:{port}"

    def _write(self, name, lines):
        with open(os.path.join(self.config, name), "w",
                  encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)

    def _write_config(self):
        listeners = [f"127.0.0.1:{self.port}"] + self.listen
        self._write("main.cf", [f"{name} = {value}" for name, value
                                in self._parameters().items()])
        self._write("master.cf", [f"{one} inet n - n - - smtpd"
                                  for one in listeners]
                    + [MASTER + self.services])
        self._write("users", [f"{user}@{domain} {user}/"
                              for domain in self.domains
                              for user in self.users])
        self._write_routes()

    def _write_routes(self):
        routes = {**{domain: "virtual:" for domain in self.domains},
                  **{domain: self._nexthop(target)
                     for domain, target in self.routes.items()}}
        self._write("transport", [f"{domain} {nexthop}"
                                  for domain, nexthop in routes.items()])

    def _directory(self, path, mode, uid=0, gid=0):
        os.makedirs(path, exist_ok=True)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    def _make_directories(self):
        uid, gid = self.owner.pw_uid, self.group.gr_gid
        for path in (self.directory, self.config, self.queue,
                     os.path.join(self.queue, "pid")):
            self._directory(path, 0o755)
        self._directory(os.path.join(self.directory, "data"), 0o700, uid)
        self._directory(self.mail, 0o755, uid)
        for name in QUEUES:
            self._directory(os.path.join(self.queue, name), 0o700, uid)
        self._directory(os.path.join(self.queue, "public"), 0o710, uid, gid)
        self._directory(os.path.join(self.queue, "maildrop"), 0o730, uid, gid)

    def _launch(self):
        self._make_directories()
        self._write_config()
        return self._processes.start(
            [peers_program("master"), "-d", "-c", self.config],
            os.path.join(self.directory, "master.out"), self.env)

    def _why_ended(self):
        # master cannot log before postlogd runs; sendmail speaks up.
        cause = self.run("sendmail", "-bs", check=False).stderr
        return f"{self.log()}{cause}"

    def reload(self):
        self._daemon.signal(signal.SIGHUP)

    def route(self, domain, target):
        """Send a domain somewhere else from now on."""
        self.routes[domain] = target
        self._write_routes()
        self.reload()

    def run(self, name, *args, data=None, check=True):
        """Run one of Postfix's programs on this instance; its output is
        bytes."""
        done = subprocess.run([peers_program(name), *args], input=data or b"",
                              env=self.env, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise AssertionError(f"{name} {args}: exit {done.returncode}: "
                                 f"{done.stderr.decode(errors='replace')}")
        return done

    def sendmail(self, sender, recipients, content, *options, check=True):
        """Submit by sendmail(1); content is bytes with LF line ends."""
        return self.run("sendmail", "-C", self.config, "-i", "-f", sender,
                        *options, "--", *recipients, data=content,
                        check=check)

    def flush(self):
        self.run("postqueue", "-c", self.config, "-f")

    def clear(self):
        """Throw away all queued mail and all delivered mail."""
        self.run("postsuper", "-c", self.config, "-d", "ALL")
        for user in os.listdir(self.mail):
            shutil.rmtree(os.path.join(self.mail, user))

    def maildir_path(self, user):
        return os.path.join(self.mail, user)

    def maildir(self, user):
        """The contents of a user's mails, as stored: LF line ends and
        Return-Path, X-Original-To and Delivered-To on top."""
        return read_maildir(self.maildir_path(user))

    def log(self):
        return "".join(read_text(os.path.join(self.directory, name))
                       for name in ("log", "master.out"))

    def queued(self):
        """How many mails are anywhere in the queue."""
        count = 0
        for name in ("maildrop", "incoming", "active", "deferred", "hold"):
            for _, _, files in os.walk(os.path.join(self.queue, name)):
                count += len(files)
        return count

    def wait_idle(self, timeout=30):
        """Wait until the queue is empty, by two looks: a mail that moves
        between two directories can hide from one."""
        wait_for(lambda: self.queued() == 0 and self.queued() == 0, timeout,
                 lambda: f"an empty queue of Postfix: {self.log()[-4000:]}")
