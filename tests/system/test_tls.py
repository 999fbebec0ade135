# SPDX-License-Identifier: ISC
"""STARTTLS (RFC 3207), both ways, with certificates made here."""

import contextlib
import hashlib
import os
import re
import smtplib
import socket
import ssl
import subprocess
import threading

import pytest

from peers_common import free_port, patient
from peers_smtp import Smtp

CONTENT = (b"From: <a@client.example>\r\nSubject: t\r\n\r\n"
           + b"line of text\r\n" * 20000)
SHORT = b"From: <a@client.example>\r\nSubject: t\r\n\r\nhello\r\n"


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Certificates:
    """An authority, and what it signs: NAME.pem holds key and certificate."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.ca = self._path("ca.crt")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=test authority", "-keyout", self._path("ca.key"),
                "-out", self.ca)

    def _path(self, name):
        return os.path.join(self.directory, name)

    def make(self, name, alternative):
        key, csr = self._path(name + ".key"), self._path(name + ".csr")
        crt, ext = self._path(name + ".crt"), self._path(name + ".ext")
        openssl("req", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-keyout", key, "-out", csr)
        with open(ext, "w", encoding="ascii") as file:
            file.write("subjectAltName=" + alternative + "\n")
        openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey",
                self._path("ca.key"), "-CAcreateserial", "-days", "2",
                "-extfile", ext, "-out", crt)
        pem = self._path(name + ".pem")
        with open(pem, "w", encoding="ascii") as out:
            for part in (key, crt):
                with open(part, encoding="ascii") as file:
                    out.write(file.read())
        return pem

    def fingerprint(self, name):
        with open(self._path(name + ".crt"), encoding="ascii") as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        return hashlib.sha256(der).hexdigest()


@pytest.fixture
def certs(work):
    return Certificates(os.path.join(work, "certs"))


@pytest.fixture
def site(node, certs):
    """A node with a certificate for localhost and 127.0.0.1."""
    one = node("test", domains=["test.example"], users=["user"])
    pem = certs.make("server", "DNS:localhost,IP:127.0.0.1")
    one.edit_config(r"^site (\S+) \{",
                    rf"site \1 {{\n\ttls-certificate = {pem}")
    return one


def context(certs, client=None):
    made = ssl.create_default_context(cafile=certs.ca)
    if client is not None:
        made.load_cert_chain(client)
    return made


def smtplib_send(port, made):
    with smtplib.SMTP("localhost", port) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("starttls")
        smtp.starttls(context=made)
        smtp.ehlo()
        assert not smtp.has_extn("starttls")
        assert smtp.has_extn("8bitmime")
        return smtp.sendmail("a@client.example", ["user@test.example"],
                             CONTENT)


def front(node, site, keys, certificate=None):
    """A node that delivers what it takes for test.example to the site."""
    own = f"\ttls-certificate = {certificate}\n" if certificate else ""
    one = node("front", config=f"""
site front {{
\tpostmaster = user@test.example
\tspool = @dir@/spool
\trun = @dir@/run
\tretry-min = 1s
{own}}}
listen "127.0.0.1:@port@" {{ }}
delivery back {{
\tdomains = {{ test.example }}
\tto = "smtp:localhost:{site.port}"
{keys}}}
""")
    os.makedirs(one.directory + "/spool")
    os.makedirs(one.directory + "/run")
    one.start()
    one.submit("a@client.example", ["user@test.example"], CONTENT)
    return one


# ---- The listener ----------------------------------------------------------

def test_another_client(site, certs):
    site.start()
    assert smtplib_send(site.port, context(certs)) == {}
    [mail] = site.wait_mail("user", 1)
    assert mail.endswith(CONTENT.replace(b"\r\n", b"\n"))
    site.wait_log(r'session-tls source="smtp 127.0.0.1" version=TLSv1')


def test_received_says_so(site, certs):
    """RFC 3848: ESMTPS behind STARTTLS, ESMTP in clear."""
    site.edit_config(r"^site (\S+) \{", r"site \1 {\n\ttrace = delivery")
    site.start()
    smtplib_send(site.port, context(certs))
    assert re.search(rb"^Received: from .*\r?\n\tby \S+ with ESMTPS id ",
                     site.wait_mail("user")[0], re.M)
    site.submit("a@client.example", ["user@test.example"], CONTENT)
    assert sorted(re.search(rb" with (\w+) id ", one)[1]
                  for one in site.wait_mail("user", 2)) == [b"ESMTP",
                                                            b"ESMTPS"]


def test_without_a_certificate(node):
    one = node("test", domains=["test.example"])
    one.start()
    with one.smtp() as smtp:
        smtp.ehlo()
        assert "STARTTLS" not in smtp.extensions
        assert smtp.cmd("STARTTLS").code == 502


def test_turned_off_and_required(site, certs):
    port = free_port()
    site.append_config(
        f'listen "127.0.0.1:{port}" {{ tls = require }}\n')
    site.edit_config(r'^listen "127.0.0.1:' + str(site.port) + r'" \{',
                     rf'listen "127.0.0.1:{site.port}" {{\n\ttls = no')
    site.start()
    with site.smtp() as smtp:
        smtp.ehlo()
        assert "STARTTLS" not in smtp.extensions
        assert smtp.mail("a@client.example").code == 250
    with Smtp(port) as smtp:
        assert smtp.ehlo().code == 250
        reply = smtp.mail("a@client.example")
        assert (reply.code, reply.status) == (530, "5.7.0")
        assert smtp.cmd("VRFY x").code == 530
        assert smtp.cmd("NOOP").code == 250
        assert smtp.cmd("QUIT").code == 221
    assert smtplib_send(port, context(certs)) == {}
    site.wait_mail("user", 1)


def test_input_behind_starttls(site):
    """RFC 3207 6: in one packet, the session ends before TLS begins; in
    two, what comes in clear is no TLS."""
    site.start()
    with site.smtp() as smtp:
        smtp.ehlo()
        smtp.send_raw(b"STARTTLS\r\nMAIL FROM:<a@client.example>\r\n")
        assert smtp.reply().code == 554
        with pytest.raises(ConnectionError):
            smtp.reply()
    with site.smtp() as smtp:
        smtp.ehlo()
        assert smtp.cmd("STARTTLS").code == 220
        smtp.send_raw(b"MAIL FROM:<a@client.example>\r\n" * 3)
        smtp.sock.settimeout(patient(10))
        try:
            while True:
                octets = smtp.sock.recv(4096)
                assert b"250" not in octets
                if octets == b"":
                    break
        except ConnectionError:
            pass
    site.wait_log("tls-failed")
    assert site.running()


def test_nothing_of_the_clear_survives(site, certs):
    site.start()
    made = context(certs)
    with Smtp(site.port) as smtp:
        smtp.ehlo("forged.example")
        assert smtp.cmd("STARTTLS x").code == 501
        assert smtp.mail("a@client.example").code == 250
        assert smtp.cmd("STARTTLS").code == 503
        assert smtp.cmd("RSET").code == 250
        assert smtp.cmd("STARTTLS").code == 220
        with made.wrap_socket(smtp.sock, server_hostname="localhost") as tls:
            tls.sendall(b"MAIL FROM:<a@client.example>\r\n")
            assert tls.recv(4096).startswith(b"503")
            tls.sendall(b"EHLO c\r\n")
            assert b"STARTTLS" not in tls.recv(4096)
            tls.sendall(b"STARTTLS\r\n")
            assert tls.recv(4096).startswith(b"503")
            tls.sendall(b"QUIT\r\n")
            assert tls.recv(4096).startswith(b"221")
            assert tls.recv(4096) == b""


def test_trust_by_certificate(site, certs):
    known = certs.make("known", "DNS:known")
    other = certs.make("other", "DNS:other")
    site.edit_config(r"^\tallow = .*$", "\tallow = { 192.0.2.1, \"cert:"
                     + certs.fingerprint("known") + "\" }")
    site.start()
    with site.smtp() as smtp:
        smtp.ehlo()
        assert smtp.mail("a@client.example").code == 530
    for made in (context(certs), context(certs, other)):
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            smtplib_send(site.port, made)
        assert refused.value.smtp_code == 554
    assert smtplib_send(site.port, context(certs, known)) == {}
    site.wait_mail("user", 1)


# ---- The delivery ----------------------------------------------------------

@pytest.mark.parametrize("keys", [
    "\ttls = may\n", "\ttls = encrypt\n", "\ttls = ca\n\ttls-ca = @ca@\n",
    "\ttls = name\n\ttls-ca = @ca@\n",
    "\ttls = name\n\ttls-ca = @ca@\n\ttls-name = localhost\n",
    "\ttls = fingerprint\n\ttls-fingerprint = @server@\n",
])
def test_delivery(node, site, certs, keys):
    site.start()
    one = front(node, site, keys.replace("@ca@", certs.ca)
                .replace("@server@", certs.fingerprint("server")))
    [mail] = site.wait_mail("user", 1)
    assert mail.endswith(CONTENT.replace(b"\r\n", b"\n"))
    site.wait_log("session-tls")
    one.wait_log("recipient-delivered")


@pytest.mark.parametrize("keys, why", [
    ("\ttls = ca\n", "certificate not accepted"),
    ("\ttls = name\n\ttls-ca = @ca@\n\ttls-name = other.example\n",
     "certificate not accepted"),
    ("\ttls = fingerprint\n\ttls-fingerprint = " + "00" * 32 + "\n",
     "certificate not accepted"),
])
def test_delivery_to_a_stranger(node, site, certs, keys, why):
    site.start()
    one = front(node, site, keys.replace("@ca@", certs.ca))
    one.wait_log(r"recipient-deferred.*status=4\.7\.5.*" + why)
    assert one.log().count("STARTTLS: ") > 0
    assert "STARTTLS: STARTTLS" not in one.log()
    assert site.maildir("user") == []


def test_delivery_needs_what_is_not_offered(node):
    plain = node("test", domains=["test.example"], users=["user"])
    plain.start()
    one = front(node, plain, "\ttls = encrypt\n")
    one.wait_log(r"recipient-deferred.*status=4\.7\.4.*does not offer it")
    assert plain.maildir("user") == []


def test_delivery_in_clear_where_any_will_do(node):
    plain = node("test", domains=["test.example"], users=["user"])
    plain.start()
    front(node, plain, "\ttls = may\n")
    plain.wait_mail("user", 1)


def test_delivery_shows_its_certificate(node, site, certs):
    own = certs.make("front", "DNS:front")
    site.edit_config(r"^\tallow = .*$", "\tallow = { 192.0.2.1, \"cert:"
                     + certs.fingerprint("front") + "\" }")
    site.start()
    front(node, site, "\ttls = encrypt\n", certificate=own)
    site.wait_mail("user", 1)


class Injector:
    """A server whose reply to STARTTLS has more behind it (in clear), or
    whose TLS is none: then it takes mail on the next line, in clear."""

    def __init__(self, behind):
        self.behind = behind
        self.port = free_port()
        self.taken = []
        self.sock = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                line, _ = self.sock.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                self._talk(line)

    def _talk(self, line):
        file = line.makefile("rb")
        line.sendall(b"220 x\r\n")
        for command in file:
            word = command.split()[0].upper()
            if word == b"EHLO":
                line.sendall(b"250-x\r\n250 STARTTLS\r\n")
            elif word == b"STARTTLS":
                line.sendall(b"220 go\r\n" + self.behind)
                return
            elif word == b"DATA":
                line.sendall(b"354 go\r\n")
                content = b""
                for one in file:
                    if one == b".\r\n":
                        break
                    content += one
                self.taken.append(content)
                line.sendall(b"250 2.0.0 taken\r\n")
            else:
                line.sendall(b"250 ok\r\n")


@pytest.mark.parametrize("mode, clear", [("may", True), ("encrypt", False)])
def test_delivery_to_a_broken_server(node, mode, clear):
    server = Injector(b"")
    one = front(node, server, f"\ttls = {mode}\n")
    if clear:
        one.wait_log("recipient-delivered")
        assert len(server.taken) == 1
    else:
        one.wait_log(r"recipient-deferred.*status=4\.7\.5")
        assert server.taken == []


def test_delivery_takes_nothing_injected(node):
    server = Injector(b"250-x\r\n250 PIPELINING\r\n")
    one = front(node, server, "\ttls = encrypt\n")
    one.wait_log(r"recipient-deferred.*STARTTLS")
    assert server.taken == []
