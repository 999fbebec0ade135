# SPDX-License-Identifier: ISC
"""STARTTLS with the servers and clients of others, certificates checked.

Postfix, OpenSMTPD and sendmail use OpenSSL, as we do; Exim and msmtp here
are built with GnuTLS.  OpenSMTPD 6.8.0p2, which is Debian 12's, cannot be a
server with OpenSSL 3: it fails to sign the handshake, to whatever client
(its issues 1171 and 1239).  It is tried as a client.
"""

import os
import subprocess

import pytest

import peers_common
import road
from peers_common import patient, peers_env, peers_program, wait_for
from peers_compare import differences
from test_interop_servers import MAIL
from test_tls import Certificates

pytestmark = pytest.mark.requires_root

NAMES = "DNS:localhost,IP:127.0.0.1"
LF_MAIL = MAIL.replace(b"\r\n", b"\n")


@pytest.fixture
def certs(work):
    made = Certificates(os.path.join(work, "certs"))
    os.chmod(made.directory, 0o755)
    made.far = made.make("far", NAMES)
    made.near = made.make("near", NAMES)
    made.other = Certificates(os.path.join(work, "other"))
    return made


@pytest.fixture
def site(node, certs):
    """near(PORT, TLS): a node that takes mail by TLS only, and delivers to
    that port by TLS as the lines say."""
    port = peers_common.free_port()

    def near(to, tls):
        one = node("paris", port=port, config=road.config(
            "paris", 'delivery far {\n\tdomains = { oslo.example }\n'
            f'\tto = "smtp:127.0.0.1:{to}"\n{tls}}}\n',
            tls_certificate=certs.near))
        one.edit_config(r'(listen ".*") \{ \}', r"\1 { tls = require }\n"
                        'listen "unix:@dir@/smtp" { }')
        one.start()
        return one

    near.port = port
    return near


def by_authority(certs):
    return f'\ttls = name\n\ttls-ca = "{certs.ca}"\n'


def by_fingerprint(certs):
    return f"\ttls = fingerprint\n\ttls-fingerprint = {{ " \
        f'"{certs.fingerprint("far")}" }}\n'


def start_postfix(postfix, certs, port):
    return postfix("far", hostname="mx.oslo.example",
                   domains=["oslo.example"],
                   routes={"paris.example": f"127.0.0.1:{port}"},
                   services="tlsmgr unix - - n 1000? 1 tlsmgr\n",
                   settings={
                       "smtpd_tls_security_level": "encrypt",
                       "smtpd_tls_chain_files": certs.far,
                       "smtpd_tls_loglevel": "1",
                       "smtp_tls_security_level": "secure",
                       "smtp_tls_secure_cert_match": "localhost",
                       "smtp_tls_CAfile": certs.ca,
                       "smtp_tls_loglevel": "1"})


def start_exim(exim, certs, port):
    for folder, _, names in os.walk(certs.directory):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    return exim("far", hostname="mx.oslo.example", domains=["oslo.example"],
                settings={"tls_advertise_hosts": "*",
                          "tls_certificate": certs.far,
                          "tls_privatekey": certs.far},
                routers="secure:\n  driver = manualroute\n"
                "  domains = paris.example\n  self = send\n"
                f'  route_data = "localhost::{port}"\n'
                "  transport = secure\n",
                transports="secure:\n  driver = smtp\n  allow_localhost\n"
                "  hosts_require_tls = *\n  tls_verify_hosts = *\n"
                f"  tls_verify_certificates = {certs.ca}\n")


def start_sendmail(sendmail, certs, port):
    return sendmail("far", hostname="mx.oslo.example",
                    domains=["oslo.example"], certificate=certs.far,
                    authority=certs.ca, relayhost=f"127.0.0.1:{port}")


# The server, how we know it, and what it says of us.
SERVERS = {
    "postfix": (start_postfix, by_authority,
                "Verified TLS connection established to 127.0.0.1"),
    "exim": (start_exim, by_fingerprint, "CV=yes"),
    "sendmail": (start_sendmail, by_fingerprint,
                 "STARTTLS=client, relay=[127.0.0.1], version=TLSv1.3, "
                 "verify=OK"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_both_ways(request, site, certs, server):
    start, known, said = SERVERS[server]
    far = start(request.getfixturevalue(server), certs, site.port)
    near = site(far.port, known(certs))
    near.run("send", "-f", "alice@paris.example", "-i", "bob@oslo.example",
             data=LF_MAIL)
    wait_for(lambda: far.maildir("bob"), 30, lambda: near.log() + far.log())
    assert differences(far.maildir("bob")[0], MAIL) == []
    far.sendmail("bob@oslo.example", ["alice@paris.example"], LF_MAIL)
    [got] = near.wait_mail("alice")
    assert differences(got, MAIL) == []
    wait_for(lambda: said in far.log(), 20, far.log)


def test_opensmtpd_relays(site, certs, opensmtpd):
    far = opensmtpd("far", hostname="mx.oslo.example",
                    domains=["oslo.example"], protocol="smtp+tls",
                    authority=certs.ca, relayhost=f"127.0.0.1:{site.port}")
    near = site(9, "")
    far.sendmail("bob@oslo.example", ["alice@paris.example"], LF_MAIL)
    [got] = near.wait_mail("alice")
    assert differences(got, MAIL) == []
    wait_for(lambda: "mta tls ciphers=TLSv1.3" in far.log(), 20, far.log)


def test_a_server_of_another_authority(site, certs, sendmail):
    """Nothing is delivered to who may be anybody."""
    far = start_sendmail(sendmail, certs, site.port)
    near = site(far.port, by_authority(certs.other))
    near.run("send", "-f", "alice@paris.example", "-i", "bob@oslo.example",
             data=LF_MAIL)
    near.wait_log("recipient-deferred .*certificate")
    assert not far.maildir("bob")


@pytest.mark.parametrize("authority", ["ours", "another"])
def test_msmtp(peers, site, certs, authority):
    near = site(9, "")
    trust = certs.ca if authority == "ours" else certs.other.ca
    done = subprocess.run(
        [peers_program("msmtp"), "--host=127.0.0.1", f"--port={near.port}",
         "--tls=on", "--tls-starttls=on", "--tls-trust-file=" + trust,
         "--tls-host-override=localhost", "--auth=off",
         "--from=bob@client.example", "--", "alice@paris.example"],
        input=LF_MAIL, env=peers_env(HOME="/nonexistent"), check=False,
        capture_output=True, timeout=patient(60))
    if authority == "ours":
        assert done.returncode == 0, done.stderr.decode()
        [got] = near.wait_mail("alice")
        assert differences(got, MAIL) == []
    else:
        assert done.returncode != 0
        assert b"certificate" in done.stderr
        assert not near.maildir("alice")
