# SPDX-License-Identifier: ISC
"""swaks and msmtp submit to a node, by SMTP and LMTP, TCP and UNIX sockets.

Both read LF lines and send CR LF; what arrives is then the same to the
octet, since neither adds anything when told not to.
"""

import os
import subprocess

import pytest

import peers_common
import road
from peers_common import patient, peers_env, peers_program

SAMPLES = [one for one in peers_common.samples() if one.how == "data"]
USERS = [f"s{number}" for number in range(len(SAMPLES))] + [
    "alice", "carol"]
MAIL = (b"From: Bob <bob@client.example>\nTo: Alice <alice@paris.example>\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n.\n..dots\nFrom here\n"
        b"Gr\xc3\xbc\xc3\x9fe\n")


@pytest.fixture
def site(node):
    """A node with SMTP and LMTP at a port and at a UNIX socket each."""
    one = node("paris", config=road.config(
        "paris", delivery=road.MAILDIR + "\tusers = { "
        + ", ".join(USERS) + " }\n"))
    one.lmtp_port = peers_common.free_port()
    one.smtp_path = one.directory + "/smtp"
    one.lmtp_path = one.directory + "/lmtp"
    one.append_config(f"""
listen "unix:{one.smtp_path}" {{ }}
listen "127.0.0.1:{one.lmtp_port}" {{ protocol = lmtp }}
listen "unix:{one.lmtp_path}" {{ protocol = lmtp }}
delivery away {{
	domains = {{ away.example }}
	to = "smtp:127.0.0.1:9"
}}
""")
    one.start()
    return one


def run(name, *args, data=b""):
    return subprocess.run([peers_program(name), *map(str, args)], input=data,
                          env=peers_env(HOME="/nonexistent"), check=False,
                          capture_output=True, timeout=patient(60))


def crlf(content):
    return content.replace(b"\n", b"\r\n")


def swaks(*args, data=MAIL, work=None):
    """It ends the last line itself."""
    path = os.path.join(work, "swaks.eml")
    with open(path, "wb") as file:
        file.write(data[:-1])
    return run("swaks", "--helo", "client.example", "--from",
               "bob@client.example", "--data", "@" + path, *args)


ROADS = {
    "smtp": lambda site: ("--server", "127.0.0.1", "--port", site.port),
    "smtp-pipelined": lambda site: ("--server", "127.0.0.1", "--port",
                                    site.port, "--pipeline"),
    "smtp-helo": lambda site: ("--server", "127.0.0.1", "--port", site.port,
                               "--protocol", "SMTP"),
    "smtp-unix": lambda site: ("--socket", site.smtp_path),
    "lmtp": lambda site: ("--server", "127.0.0.1", "--port", site.lmtp_port,
                          "--protocol", "LMTP"),
    "lmtp-unix": lambda site: ("--socket", site.lmtp_path, "--protocol",
                               "LMTP"),
}


@pytest.mark.parametrize("road", ROADS)
def test_swaks(peers, site, work, road):
    done = swaks("--to", "alice@paris.example,carol@paris.example",
                 *ROADS[road](site), work=work)
    assert done.returncode == 0, done.stdout.decode()
    for user in ("alice", "carol"):
        [got] = site.wait_mail(user)
        assert got == crlf(MAIL)


def test_swaks_is_refused(peers, site, work):
    """Exit status 24 is its word for a refused recipient."""
    done = swaks("--to", "nobody@paris.example", *ROADS["smtp"](site),
                 work=work)
    assert done.returncode == 24, done.stdout.decode()
    assert b"<** 550 5.1.1" in done.stdout
    done = swaks("--to", "nobody@paris.example,alice@paris.example",
                 *ROADS["smtp"](site), work=work)
    assert done.returncode == 0, done.stdout.decode()
    site.wait_mail("alice")


MSMTP = ("--from=bob@client.example",
         "--domain=client.example", "--auth=off", "--tls=off",
         "--set-from-header=off", "--set-date-header=off",
         "--set-msgid-header=off", "--remove-bcc-headers=off",
         "--undisclosed-recipients=off", "--syslog=off")
HOSTS = {
    "smtp": lambda site: ("--host=127.0.0.1", f"--port={site.port}"),
    "smtp-unix": lambda site: ("--host=localhost",
                               f"--socket={site.smtp_path}"),
    "lmtp": lambda site: ("--host=127.0.0.1", f"--port={site.lmtp_port}",
                          "--protocol=lmtp"),
    "lmtp-unix": lambda site: ("--host=localhost", "--protocol=lmtp",
                               "--port=24", f"--socket={site.lmtp_path}"),
}


@pytest.mark.parametrize("host", HOSTS)
def test_msmtp(peers, site, host):
    done = run("msmtp", *HOSTS[host](site), *MSMTP, "--",
               "alice@paris.example", "carol@paris.example", data=MAIL)
    assert done.returncode == 0, done.stderr.decode()
    for user in ("alice", "carol"):
        [got] = site.wait_mail(user)
        assert got == crlf(MAIL)


def test_msmtp_and_all_samples(peers, site):
    """It ends a last line, and sends no mail without octets."""
    for number, sample in enumerate(SAMPLES):
        with open(sample.path, "rb") as file:
            content = file.read()
        done = run("msmtp", *HOSTS["smtp-unix"](site), *MSMTP, "--",
                   f"s{number}@paris.example",
                   data=content.replace(b"\r\n", b"\n"))
        assert done.returncode == 0, (sample.name, done.stderr.decode())
        [got] = site.wait_mail(f"s{number}")
        assert got == content, sample.name


def test_msmtp_is_refused(peers, site):
    """Its exit status is EX_DATAERR, and it shows our words."""
    done = run("msmtp", *HOSTS["smtp"](site), *MSMTP, "--",
               "nobody@paris.example", data=MAIL)
    assert done.returncode == 65, done.stderr.decode()
    assert b"550 5.1.1" in done.stderr


def test_msmtp_asks_for_notices(peers, site):
    """Its DSN parameters are taken and kept."""
    done = run("msmtp", *HOSTS["smtp"](site), *MSMTP,
               "--dsn-notify=success,failure", "--dsn-return=hdrs", "--",
               "bob@away.example", data=MAIL)
    assert done.returncode == 0, done.stderr.decode()
    listed = site.json("queue", "list")
    shown, recipient = site.json("queue", "show", listed["id"])
    assert shown["ret"] == "HDRS"
    assert recipient["notify"] == "SUCCESS,FAILURE"
