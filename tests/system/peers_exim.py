# SPDX-License-Identifier: ISC
"""A private Exim below a directory of the test.

Debian's exim4 insists on an account Debian-exim even before it reads its
configuration.  Where it is not installed that account does not exist, and
nss_wrapper lends it to this process and its children alone.  The unpacked
program is not setuid, so deliveries run as that account as well
(deliver_drop_privilege), and Maildirs belong to it.
"""

import collections
import os
import re
import signal
import subprocess
import glob

from peers_common import (PEERS_ROOT, Processes, has_account, peers_env,
                          peers_program, read_maildir, read_text, wait_for)
from peers_server import Server

ACCOUNT = "Debian-exim"
LENT_ID = 61002

CONFIG = """\
primary_hostname = {hostname}
exim_user = {account}
exim_group = {account}
deliver_drop_privilege = true
keep_environment = ^LD_ : ^NSS_WRAPPER_ : TZ : LC_ALL
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
pid_file_path = {directory}/exim.pid
local_interfaces = <; {interfaces}
qualify_domain = {domain}
domainlist local_domains = {domains}
hostlist clients = 127.0.0.0/8 : ::1
acl_smtp_rcpt = check_rcpt
acl_smtp_predata = accept
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
dns_ipv4_lookup =
dns_csa_use_reverse = false
tls_advertise_hosts =
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
chunking_advertise_hosts = *
accept_8bitmime = true
strip_excess_angle_brackets = true
local_from_check = false
allow_utf8_domains = true
message_size_limit = 50M
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
queue_run_max = 5
remote_max_parallel = 4
check_spool_space = 0
check_log_space = 0
split_spool_directory = false
delay_warning =
ignore_bounce_errors_after = 1h
log_selector = +received_recipients +received_sender +smtp_protocol_error \
  +smtp_syntax_error
{settings}

begin acl
check_rcpt:
  accept hosts = : +clients
         verify = recipient
  deny   message = 5.7.1 not allowed

begin routers
{routers}
routed:
  driver = manualroute
  domains = ! +local_domains
  route_data = ${{lookup{{$domain}}wildlsearch{{{directory}/routes}}}}
  transport = remote
  self = send
  host_find_failed = defer

users:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;{directory}/users
  transport = maildir

begin transports
{transports}
remote:
  driver = smtp
  allow_localhost
  hosts_avoid_tls = *
  message_linelength_limit = 1048576
  connect_timeout = 10s

maildir:
  driver = appendfile
  maildir_format
  directory = {directory}/mail/$local_part_data
  create_directory
  return_path_add
  envelope_to_add
  delivery_date_add

begin retry
* * F,10m,1s; F,4h,10s

begin rewrite

begin authenticators
"""

Accepted = collections.namedtuple("Accepted", "id sender recipients")
BatchResult = collections.namedtuple("BatchResult",
                                     "status stdout stderr accepted")


class Exim(Server):
    """Exim on 127.0.0.1:port.

    directory   is made if it is not there; ordinary accounts must be able
                to pass through its parents
    hostname    must differ from that of every other server in a test
    domains     local; delivered to the Maildirs of users
    routes      domain, *.domain, or * for all that is not local, to
                "HOST:PORT"; the first that fits is taken
    listen      more "HOST:PORT" to listen on, such as "127.0.0.2:25"
    settings    of the main section, name to value; ours where they differ
    routers     more routers, before ours; transports: more transports
    """

    NAME = "Exim"

    def __init__(self, directory, hostname="exim.example", domains=None,
                 users=("alice", "bob", "carol", "postmaster"), routes=None,
                 listen=(), settings=None, routers="", transports="",
                 port=None):
        super().__init__(hostname, domains, port)
        self.directory = str(directory)
        self.users = list(users)
        self.routes = dict(routes or {})
        self.listen = list(listen)
        self.settings = dict(settings or {})
        self.routers = routers
        self.transports = transports
        self.config = os.path.join(self.directory, "exim.conf")
        self._processes = Processes()
        self.env = peers_env()
        self._prepared = False

    def _lend_account(self):
        if has_account(ACCOUNT):
            return
        for name, line in (("passwd", f"{ACCOUNT}:x:{LENT_ID}:{LENT_ID}"
                                      "::/nonexistent:/usr/sbin/nologin\n"),
                           ("group", f"{ACCOUNT}:x:{LENT_ID}:\n")):
            path = os.path.join(self.directory, name)
            with open("/etc/" + name, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n" + line)
            self.env["NSS_WRAPPER_" + name.upper()] = path
        self.env["LD_PRELOAD"] = glob.glob(os.path.join(
            PEERS_ROOT, "usr/lib/*/libnss_wrapper.so"))[0]

    def _write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def _write_routes(self):
        lines = []
        for domain, target in sorted(self.routes.items(),
                                     key=lambda one: one[0] == "*"):
            host, _, port = target.rpartition(":")
            if ":" in host:
                lines.append(f'{domain}: "<+ {host}:{port}"\n')
            else:
                lines.append(f"{domain}: {host}::{port}\n")
        self._write(os.path.join(self.directory, "routes"), "".join(lines))

    def prepare(self):
        """Write the files; enough for batch() without a daemon."""
        if self._prepared:
            return
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o755)
        self._lend_account()
        for name in ("spool", "log", "mail"):
            path = os.path.join(self.directory, name)
            os.makedirs(path, exist_ok=True)
            self._give(path)
        interfaces = []
        for one in [f"127.0.0.1:{self.port}"] + self.listen:
            host, _, port = one.rpartition(":")
            interfaces.append(f"[{host.strip('[]')}]:{port}")
        config = CONFIG
        for name in self.settings:
            config = re.sub(rf"^{name} =.*\n", "", config,
                            flags=re.MULTILINE)
        self._write(self.config, config.format(
            hostname=self.hostname, account=ACCOUNT,
            directory=self.directory, interfaces=" ; ".join(interfaces),
            domain=self.domains[0] if self.domains else self.hostname,
            domains=" : ".join(self.domains),
            settings="\n".join(f"{name} = {value}" for name, value
                               in self.settings.items()),
            routers=self.routers, transports=self.transports))
        self._write(os.path.join(self.directory, "users"),
                    "".join(f"{user}: {user}\n" for user in self.users))
        self._write_routes()
        self._prepared = True

    def _give(self, path):
        subprocess.run(["chown", f"{ACCOUNT}:{ACCOUNT}", path],
                       env=self.env, check=True)

    def _launch(self):
        self.prepare()
        return self._processes.start(
            [peers_program("exim4"), "-C", self.config, "-bdf", "-q2s"],
            os.path.join(self.directory, "daemon.out"), self.env)

    def reload(self):
        self._daemon.signal(signal.SIGHUP)

    def route(self, domain, target):
        """Send a domain somewhere else from now on."""
        self.routes[domain] = target
        self._write_routes()

    def run(self, *args, data=b"", check=True):
        """Run exim on this instance; its output is bytes."""
        self.prepare()
        done = subprocess.run([peers_program("exim4"), "-C", self.config,
                               *args], input=data, env=self.env, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise AssertionError(
                f"exim {args}: exit {done.returncode}: "
                f"{(done.stdout + done.stderr).decode(errors='replace')}")
        return done

    def sendmail(self, sender, recipients, content, *options, check=True):
        """Submit as sendmail(1) would; content is bytes with LF line
        ends.  Delivery is done when this returns."""
        return self.run("-odi", "-i", "-f", sender, *options, "--",
                        *recipients, data=content, check=check)

    def batch(self, data, *options):
        """exim -bS; without options deliveries are done when it returns.

        Pass "-odq" to leave what is accepted in the queue.
        """
        self.prepare()
        before = len(self.main_log())
        done = self.run("-bS", *(options or ("-odi",)), data=data,
                        check=False)
        accepted = []
        for line in self.main_log()[before:].splitlines():
            found = re.match(r"\S+ \S+ (\S+) <= (\S+) .* for (.*)$", line)
            if found and " P=" in line and "bsmtp" in line:
                sender = found.group(2)
                accepted.append(Accepted(
                    found.group(1), "" if sender == "<>" else sender,
                    found.group(3).split()))
        return BatchResult(done.returncode, done.stdout, done.stderr,
                           accepted)

    def flush(self):
        self.run("-qff")

    def maildir_path(self, user):
        return os.path.join(self.directory, "mail", user)

    def maildir(self, user):
        """The contents of a user's mails, as stored: LF line ends and
        Return-path, Envelope-to and Delivery-date on top."""
        return read_maildir(self.maildir_path(user))

    def main_log(self):
        return read_text(os.path.join(self.directory, "log/mainlog"))

    def log(self):
        return "".join(read_text(os.path.join(self.directory, name))
                       for name in ("log/mainlog", "log/rejectlog",
                                    "log/paniclog", "daemon.out"))

    def queued(self):
        """How many mails are in the queue."""
        return len(glob.glob(os.path.join(self.directory,
                                          "spool/input/*-D")))

    def wait_idle(self, timeout=30):
        """Wait until the queue is empty."""
        wait_for(lambda: self.queued() == 0, timeout,
                 lambda: f"an empty queue of Exim: {self.log()[-4000:]}")
