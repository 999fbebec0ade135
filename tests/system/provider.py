# SPDX-License-Identifier: ISC
"""A mail provider on this machine: Postfix takes what its users submit (by
SMTP with STARTTLS, and by SMTP within TLS), Dovecot tells it who they are and
has their mailboxes (IMAP, POP3, with and without STARTTLS).

Its users write to each other as USER@provider.example.
"""

import base64
import glob
import hashlib
import hmac
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from peers_common import (Acceptor, answers, free_port, patient,
                          read_maildir, read_text, wait_for)
from peers_jail import Jail
from peers_postfix import Postfix

DOMAIN = "provider.example"
HOST = "mail." + DOMAIN
PASSWORDS = {"paris": "Salt & 1 pepper", "london": "correct horse",
             "oslo": "battery-staple", "archive": "of all that went by",
             "quotes": 'with "quotes" and \\', "blanks": " blanks  around ",
             "umlaut": "na\u00efve \u20ac"}
JWT_KEY = b"only the provider has this key, of 256 bit"

DOVECOT = """\
protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = /run/dovecot
log_path = /log
auth_verbose = yes
hostname = {host}
mail_location = maildir:/mail/%n
first_valid_uid = 1
ssl = yes
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
ssl_ca = </etc/dovecot/ca.pem
ssl_verify_client_cert = yes
disable_plaintext_auth = yes
auth_mechanisms = {mechanisms}
auth_username_format = %n
auth_failure_delay = 0
imap_idle_notify_interval = 2 mins
protocol imap {{
  imap_capability = {capability}
  mail_max_userip_connections = 50
}}
namespace inbox {{
  inbox = yes
  mailbox Done {{
    auto = create
  }}
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = username_format=%n /etc/dovecot/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/oauth2.conf
}}
userdb {{
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}}
service anvil {{
  chroot =
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""

OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/dovecot/keys/
username_attribute = email
username_format = %n
"""

SERVICES = """\
lmtp unix - - n - - lmtp
tlsmgr unix - - n 1000? 1 tlsmgr
"""

SUBMISSION = """\
127.0.0.1:{port} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes \
-o smtpd_tls_auth_only=yes -o mynetworks= {more} \
-o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
"""


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], check=True, input=data,
                          capture_output=True).stdout


class Authority:
    """Signs certificates; ca is its own."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.ca, self.ca_key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                "/CN=Authority", "-days", "30", "-out", self.ca,
                "-keyout", self.ca_key)

    def path(self, name):
        return os.path.join(self.directory, name)

    def sign(self, name):
        """Certificate and key of that name: their paths."""
        cert, key, csr = (self.path(name + end)
                          for end in (".pem", ".key", ".csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                "-keyout", key, "-out", csr)
        openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey",
                self.ca_key, "-CAcreateserial", "-days", "30",
                "-copy_extensions", "copy", "-out", cert)
        os.chmod(key, 0o600)
        return cert, key


def pin(cert):
    """What tls-pin wants of a certificate."""
    der = openssl("pkey", "-pubin", "-outform", "der",
                  data=openssl("x509", "-in", cert, "-pubkey", "-noout"))
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def token(user, secs=600):
    """A bearer token: a JSON web token that Dovecot verifies (RFC 7519)."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    text = b".".join((part(json.dumps({"alg": "HS256", "typ": "JWT"})
                           .encode()),
                      part(json.dumps({"email": f"{user}@{DOMAIN}",
                                       "sub": user, "iat": now, "nbf": now - 10,
                                       "exp": now + secs}).encode())))
    return (text + b"." + part(hmac.new(JWT_KEY, text, "sha256").digest())
            ).decode()


class Provider:
    """The provider, below a directory of its own."""

    def __init__(self, directory, capability="", mechanisms="plain login "
                 "cram-md5 xoauth2 oauthbearer"):
        self.directory = directory
        self.authority = Authority(os.path.join(directory, "ca"))
        self.cert, self.key = self.authority.sign(HOST)
        self.ports = {name: free_port() for name in (
            "auth", "imap", "imaps", "pop3", "pop3s", "submit", "smtps")}
        self.capability, self.mechanisms = capability, mechanisms
        self.jail = Jail(os.path.join(directory, "dovecot"), "dovecot",
                         ["dovecot", "dovenull", "vmail"])
        self._dovecot = None
        self.postfix = Postfix(
            os.path.join(directory, "postfix"), hostname=HOST,
            domains=[DOMAIN], settings={
                "virtual_transport":
                    "lmtp:unix:" + self.jail.path("run/dovecot/lmtp"),
                "transport_maps": "",
                "always_bcc": f"archive@{DOMAIN}",
                "virtual_mailbox_maps": "static:all",
                "smtpd_tls_cert_file": self.cert,
                "smtpd_tls_key_file": self.key,
                "smtpd_sasl_type": "dovecot",
                "smtpd_sasl_path": f"inet:127.0.0.1:{self.ports['auth']}",
                "smtpd_tls_received_header": "yes",
                "lmtp_tls_security_level": "none"},
            services=SERVICES + SUBMISSION.format(
                port=self.ports["submit"],
                more="-o smtpd_tls_security_level=encrypt")
            + SUBMISSION.format(port=self.ports["smtps"],
                                more="-o smtpd_tls_wrappermode=yes"))

    def start(self):
        self._write_dovecot()
        self._dovecot = self.jail.start("/usr/sbin/dovecot", "-F")
        wait_for(lambda: self._listens("imap"), 20, self.log)
        self.postfix.start()
        wait_for(lambda: answers(self.ports["submit"]), 20, self.log)
        return self

    def _write_dovecot(self):
        self.jail.build()
        number = self.jail.accounts["vmail"]
        for name, path in (("cert", self.cert), ("key", self.key),
                           ("ca", self.authority.ca)):
            with open(path, encoding="utf-8") as file:
                self.jail.write(f"etc/dovecot/{name}.pem", file.read())
        self.jail.write("etc/dovecot/dovecot.conf", DOVECOT.format(
            host=HOST, capability=self.capability,
            mechanisms=self.mechanisms, **self.ports))
        self.jail.write("etc/dovecot/oauth2.conf", OAUTH2)
        self.jail.write("etc/dovecot/keys/default/HS256/default",
                        base64.b64encode(JWT_KEY).decode())
        self.jail.write("etc/dovecot/users", "".join(
            f"{user}:{{PLAIN}}{word}:{number}:{number}::/mail/{user}::\n"
            for user, word in PASSWORDS.items()))
        self.jail.make("var/lib/dovecot", 0o755)
        self.jail.make("mail", 0o755, "vmail")

    def _listens(self, name):
        if not self._dovecot.running():
            raise AssertionError(f"Dovecot ended: {self.log()}")
        try:
            socket.create_connection(("127.0.0.1", self.ports[name]),
                                     2).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.postfix.kill()
        self.jail.end()

    def url(self, scheme, path=""):
        name = {"smtp": "submit"}.get(scheme, scheme)
        return f"{scheme}://127.0.0.1:{self.ports[name]}{path}"

    def login(self, user, directory):
        """Settings: who one is there, with a password file of mode 0600."""
        path = os.path.join(directory, "password-" + user)
        write_secret(path, PASSWORDS[user])
        return [f"user={user}@{DOMAIN}", f"password-file={path}",
                f"tls-ca={self.authority.ca}", f"tls-name={HOST}"]

    def deliver(self, user, content, sender="friend@example.org"):
        """A mail comes in from elsewhere; LF line ends.  Returns when it is
        in the mailbox."""
        before = len(self.mailbox(user))
        self.postfix.sendmail(sender, [f"{user}@{DOMAIN}"], content)
        wait_for(lambda: len(self.mailbox(user)) > before, 20, self.log)

    def mailbox(self, user, folder=""):
        return read_maildir(self.jail.path(f"mail/{user}{folder}"))

    def empty(self):
        """Nothing is under way, nor in a mailbox.  They go as a whole, since
        Dovecot may not notice that a file is gone from one."""
        self.postfix.wait_idle()
        for path in glob.glob(self.jail.path("mail/*")):
            shutil.rmtree(path)

    def _logs(self):
        return [self.postfix.log(), self.jail.log(),
                read_text(self.jail.path("log"))]

    def log(self):
        return "".join(self._logs())

    def mark(self):
        """For log_since()."""
        return [len(text) for text in self._logs()]

    def log_since(self, mark):
        return "".join(text[size:]
                       for text, size in zip(self._logs(), mark))

    def everything(self):
        """All octets that it has: mailboxes, queues, logs."""
        found = [self.log().encode()]
        for top in (self.jail.path("mail"), self.postfix.queue):
            for path in glob.glob(os.path.join(top, "**"), recursive=True):
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        found.append(file.read())
        return b"\n".join(found)


def write_secret(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.chmod(path, mode)


class Socks(Acceptor):
    """A SOCKS5 proxy (RFC 1928, 1929) that leads to 127.0.0.1 whatever name
    it is asked for; asked has what it was asked for, and by whom."""

    APART = True

    def __init__(self, user=None, password=None):
        self.login = (user, password) if user else None
        self.asked = []
        super().__init__()

    def serve(self, conn):
        try:
            self.greet(conn)
        except AssertionError:
            pass

    @staticmethod
    def read(conn, size):
        data = b""
        while len(data) < size:
            more = conn.recv(size - len(data))
            assert more
            data += more
        return data

    def greet(self, conn):
        methods = self.read(conn, self.read(conn, 2)[1])
        who = None
        want = 2 if self.login else 0
        assert want in methods
        conn.sendall(bytes([5, want]))
        if self.login:
            user = self.read(conn, self.read(conn, 2)[1]).decode()
            word = self.read(conn, self.read(conn, 1)[0]).decode()
            good = (user, word) == self.login
            conn.sendall(bytes([1, 0 if good else 1]))
            assert good
            who = user
        kind = self.read(conn, 4)[3]
        assert kind == 3, "a name, not an address: it resolves"
        name = self.read(conn, self.read(conn, 1)[0]).decode()
        port = struct.unpack(">H", self.read(conn, 2))[0]
        self.asked.append((name, port, who))
        with socket.create_connection(("127.0.0.1", port)) as other:
            conn.sendall(bytes([5, 0, 0, 1, 127, 0, 0, 1]) +
                         struct.pack(">H", port))
            back = threading.Thread(target=self.pump, args=(other, conn),
                                    daemon=True)
            back.start()
            self.pump(conn, other)
            back.join(patient(10))

    @staticmethod
    def pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass
