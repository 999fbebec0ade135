# SPDX-License-Identifier: ISC
"""Mailboxes of providers that offer no mechanism which libcurl knows: the
commands of old (IMAP's LOGIN, USER and PASS of POP3), and SCRAM."""

import base64
import os
import re
import shutil
import ssl

import pytest

import peers_common
from conftest import cannot
from provider import DOMAIN, HOST, PASSWORDS, Provider, write_secret
from test_mail_provider import End, octets
from wires import Rewriter

WORD = PASSWORDS["london"]


def only_commands(data):
    """A server's words without a mechanism of SASL."""
    return re.sub(rb" AUTH=[-\w]+|SASL[-\w ]*\r\n", b"", data)


def disabled(data):
    return re.sub(rb"STARTTLS", b"LOGINDISABLED", only_commands(data).replace(
        b"USER\r\n", b""))


@pytest.fixture(scope="module")
def scram():
    """A provider that has nothing but SCRAM."""
    if os.geteuid() != 0:
        cannot("the provider needs root")
    peers_common.peers_fetch()
    work = peers_common.work_directory()
    one = Provider(os.path.join(work, "provider"),
                   mechanisms="scram-sha-1 scram-sha-256")
    try:
        yield one.start()
    finally:
        one.stop()
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture
def old(provider):
    """A proxy before a port of the provider."""
    provider.empty()
    made = []

    def make(name, rewrite=only_commands, tls=False):
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(provider.cert, provider.key)
        made.append(Rewriter(provider.ports[name], rewrite, context))
        return made[-1]

    yield make
    for one in made:
        one.close()


def fill(provider, site="london"):
    """One parcel waits in that mailbox."""
    work = peers_common.work_directory()
    paris = End(provider, work, "paris", site)
    paris.put("p-1", octets(3000))
    assert paris.run(f"submit={provider.url('smtp')}")[0] == 0
    peers_common.wait_for(lambda: provider.mailbox(site), 20, provider.log)
    shutil.rmtree(work)


@pytest.mark.parametrize("auth", [[], ["auth=login"]])
@pytest.mark.parametrize("scheme", ["imap", "pop3", "imaps", "pop3s"])
def test_by_commands(provider, work, old, scheme, auth):
    """Within TLS, or where nobody is on the way; and once only what the
    server does not offer is not tried again."""
    fill(provider)
    tls = scheme.endswith("s")
    proxy = old(scheme.rstrip("s"), tls=tls)
    london = End(provider, work, "london", "paris", *auth, *(
        [] if tls else ["tls=no"]))
    status, reports, stderr = london.run(
        f"fetch={scheme}://127.0.0.1:{proxy.port}")
    assert (status, stderr) == (0, ""), reports
    assert list(london.received().values()) == [octets(3000)]
    assert provider.mailbox("london") == []
    said = b"".join(proxy.heard)
    assert b"AUTH" not in said
    if scheme.startswith("imap"):
        assert b'LOGIN "london@provider.example" "correct horse"\r\n' in said
    else:
        assert b"USER london@provider.example\r\n" in said
        assert b"PASS correct horse\r\n" in said


@pytest.mark.parametrize("scheme", ["imap", "pop3"])
@pytest.mark.parametrize("user", ["quotes", "blanks", "umlaut"])
def test_odd_passwords(provider, work, old, scheme, user):
    """In quotes, as a literal, as they are: Dovecot takes them."""
    one = End(provider, work, user, "paris", "tls=no")
    assert one.run(f"fetch={scheme}://127.0.0.1:{old(scheme).port}") == (
        0, [], "")


@pytest.mark.parametrize("settings, rewrite, scheme", [
    (["auth=plain"], only_commands, "imap"),
    (["auth=plain"], only_commands, "pop3"),
    (["auth=cram-md5"], only_commands, "imap"),
    (["auth=scram-sha-256"], only_commands, "pop3"),
    ([], disabled, "imap"), ([], disabled, "pop3")])
def test_not_allowed(provider, work, old, settings, rewrite, scheme):
    """What was asked for and is not offered is not replaced; and nobody says
    a password to a server that does not want one."""
    proxy = old(scheme, rewrite)
    london = End(provider, work, "london", "paris", "tls=no", *settings)
    url = f"{scheme}://127.0.0.1:{proxy.port}"
    status, reports, _ = london.run(f"fetch={url}")
    assert status == 75
    assert f"{url} offers no way to log in that is allowed here" in reports[0]
    assert not re.search(rb"AUTH|LOGIN |USER|PASS", b"".join(proxy.heard))


@pytest.mark.parametrize("scheme, text", [
    ("imap", "AUTHENTICATIONFAILED"), ("pop3", "-ERR")])
def test_wrong_password(provider, work, old, scheme, text):
    proxy = old(scheme)
    london = End(provider, work, "london", "paris", "tls=no")
    write_secret(london.path("password-london"), "not-the-word")
    status, reports, stderr = london.run(
        f"fetch={scheme}://127.0.0.1:{proxy.port}")
    assert status == 78
    assert text in stderr and f"login of london@{DOMAIN} was refused" in stderr
    assert "not-the-word" not in stderr + "".join(reports)


@pytest.mark.parametrize("auth", [[], ["auth=scram-sha-1"],
                                  ["auth=scram-sha-256"]])
def test_scram(scram, work, auth):
    """Out by SMTP, in by IMAP and POP3, within TLS and without."""
    scram.empty()
    want = auth[0][5:].upper() if auth else "SCRAM-SHA-256"
    mark = scram.mark()
    paris = End(scram, work, "paris", "london", *auth)
    london = End(scram, work, "london", "paris", *auth)
    for number, (out, into) in enumerate((("smtp", "imaps"),
                                          ("smtps", "pop3"))):
        paris.put(f"p-{number}", octets(2000, number))
        assert paris.run(f"submit={scram.url(out)}") == (
            0, [f"sent p-{number}"], "")
        peers_common.wait_for(lambda: scram.mailbox("london"), 20, scram.log)
        assert london.run(f"fetch={scram.url(into)}")[0] == 0
        assert len(london.received()) == number + 1
    for said in (f"sasl_method={want}", f" method={want},"):
        peers_common.wait_for(lambda said=said: said in scram.log_since(mark),
                              20, scram.log)
    assert london.run(f"fetch={scram.url('imap')}", "tls=no") == (0, [], "")


@pytest.mark.parametrize("user", ["quotes", "blanks", "umlaut"])
def test_scram_with_odd_passwords(scram, work, user):
    """Dovecot prepares them as we do (RFC 5802 5.1), or not at all."""
    one = End(scram, work, user, "paris")
    assert one.run(f"fetch={scram.url('imaps')}") == (0, [], "")


@pytest.mark.parametrize("how", ["smtp", "imap", "pop3"])
def test_scram_with_a_wrong_password(scram, work, how):
    scram.empty()
    paris = End(scram, work, "paris", "london")
    write_secret(paris.path("password-paris"), "not-the-word")
    paris.put("p-1", b"x")
    key = "submit" if how == "smtp" else "fetch"
    status, reports, stderr = paris.run(
        f"{key}={scram.url(how)}",
        *([] if how == "smtp" else ["server=127.0.0.1:1"]))
    assert status == 78
    assert f"the login of paris@{DOMAIN} was refused" in stderr
    assert "not-the-word" not in stderr + "".join(reports)


class Script(peers_common.Acceptor):
    """A server that says the next of its lines to each line that it hears
    from the login on."""

    def __init__(self, greeting, capability, answers):
        self.greeting, self.capability = greeting, capability
        self.answers = answers
        super().__init__()

    def serve(self, conn):
        with conn.makefile("rb") as lines:
            self.talk(conn, lines)

    def talk(self, conn, lines):
        answers = iter(self.answers)
        conn.sendall(self.greeting)
        for line in lines:
            words = line.split() + [b""]
            tag = words[0] if self.greeting[:1] == b"*" else b""
            if b"CAPA" in line or b"EHLO" in line:
                conn.sendall(self.capability.replace(b"TAG", tag))
            elif b"LOGOUT" in line:
                return
            else:
                answer = next(answers, None)
                if answer is None:
                    return
                conn.sendall(answer.replace(b"TAG", tag))


IMAP = (b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n")
IMAP_SCRAM = (IMAP[0], b"* CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256\r\n"
              b"TAG OK done\r\n")
POP3 = (b"+OK hello\r\n", b"-ERR what is that?\r\n")


@pytest.mark.parametrize("server, answers, status, text", [
    (IMAP, [b"TAG BAD no\r\n"], 78, "refused: BAD no"),
    (IMAP, [b"TAG NO [UNAVAILABLE] later\r\n"], 75, "UNAVAILABLE"),
    (IMAP, [b"* BYE gone\r\n"], 78, "refused: BYE gone"),
    (IMAP, [b"+ more\r\n"], 75, "more of a login than there is"),
    (IMAP, [b"x" * 20000], 75, "with too much"),
    (IMAP, [b"* 1 EXISTS\r\n" * 1001], 75, "with too much"),
    (IMAP, [], 75, "hung up at the login"),
    (IMAP, [b""], 75, "no answer for"),
    (POP3, [b"+OK\r\n", b"-ERR [IN-USE] locked\r\n"], 75, "IN-USE"),
    (POP3, [b"-ERR who?\r\n"], 78, "refused: -ERR who?"),
    (POP3, [b"+OK\r\n", b"-ERR you said correct horse\r\n"], 78,
     "refused: -ERR you said ***"),
    (IMAP_SCRAM, [b"TAG OK welcome\r\n"], 75, "did not show that it knows"),
    (IMAP_SCRAM, [b"+ \r\n", b"+ cj1ub2JvZHk=\r\n"], 75, "SCRAM"),
    (IMAP_SCRAM, [b"+ \r\n", b"+ cj14LHM9QUFBQSxpPTk5OTk5OTk5OQ==\r\n"], 75,
     "more than 1000000 iterations"),
    (IMAP_SCRAM, [b"+ \r\n", b"+ !!!!\r\n"], 75, "SCRAM"),
])
def test_odd_servers(provider, work, server, answers, status, text):
    one = Script(*server, answers)
    secs = 2 if text == "no answer for" else int(peers_common.patient(5))
    london = End(provider, work, "london", "paris", "tls=no",
                 f"timeout={secs}")
    scheme = "imap" if server[0][:1] == b"*" else "pop3"
    try:
        done = london.run(f"fetch={scheme}://127.0.0.1:{one.port}")
    finally:
        one.close()
    assert done[0] == status and text in done[1][0]
    assert WORD not in done[1][0]


CODED = base64.b64encode(f"\0london@{DOMAIN}\0{WORD}".encode())


@pytest.mark.parametrize("text", [WORD.encode(), CODED, b"x:" + CODED,
                                  b"'" + WORD.encode() + b"'"])
@pytest.mark.parametrize("server, answers", [
    (IMAP, [b"TAG OK in\r\n", b"TAG NO %s\r\n"]),        # to SELECT
    (IMAP, [b"TAG OK in\r\n", b"* BYE %s\r\n"]),
    (IMAP, [b"TAG OK in\r\n", b"p9 OK %s\r\n"]),
    (IMAP, [b"TAG OK in\r\n", b"%s\r\n"]),
    (IMAP, [b"TAG OK in\r\n",
            b"* OK [UIDVALIDITY 7] x\r\nTAG OK in\r\n",
            b"TAG NO " + b"z" * 150 + b" %s\r\n"]),       # cut, there
    (POP3, [b"+OK\r\n", b"+OK\r\n", b"-ERR no UIDL %s\r\n"]),
    (POP3, [b"+OK\r\n", b"+OK\r\n", b"%s\r\n"])])
def test_repeated_after_the_login(provider, work, server, answers, text):
    """A server that says the password when nobody asks for it."""
    one = Script(*server, [answer.replace(b"%s", text)
                           for answer in answers])
    london = End(provider, work, "london", "paris", "tls=no",
                 "timeout=60")
    scheme = "imap" if server[0][:1] == b"*" else "pop3"
    status, reports, stderr = london.run(
        f"fetch={scheme}://127.0.0.1:{one.port}")
    one.close()
    assert status == 75 and len(reports) == 1
    assert "***" in reports[0] and "127.0.0.1" in reports[0]
    for part in (WORD, CODED.decode(), WORD[:4], CODED.decode()[-12:]):
        assert part not in reports[0] + stderr


@pytest.mark.parametrize("user", ["quotes", "blanks", "umlaut"])
@pytest.mark.parametrize("server, answers", [
    (IMAP, [b"p2 NO %s\r\n"]),
    (IMAP, [b"p2 OK in\r\n", b"TAG NO %s\r\n"]),
    (POP3, [b"+OK\r\n", b"-ERR %s\r\n"]),
    (POP3, [b"+OK\r\n", b"+OK\r\n", b"-ERR %s\r\n"])])
def test_odd_passwords_repeated(provider, work, server, answers, user):
    """Those that are not one plain word, as they are and as IMAP writes
    them."""
    word = PASSWORDS[user].encode()
    quoted = word.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    scheme = "imap" if server is IMAP else "pop3"
    if scheme == "imap" and user == "umlaut":
        answers = [b"+ go\r\n", *answers]      # that one is a literal
    here = End(provider, work, user, "paris", "tls=no", "timeout=5")
    for text in (word, b'"' + quoted + b'"'):
        one = Script(*server, [answer.replace(b"%s", text)
                               for answer in answers])
        _, reports, stderr = here.run(f"fetch={scheme}://127.0.0.1:{one.port}")
        one.close()
        said = ("".join(reports) + stderr).replace(user + "@", "")
        assert "***" in said
        assert not re.search("with|quotes|blanks|around|na\\W|ve", said), said


def test_repeated_to_a_mail(provider, work):
    """The same of one that takes mail."""
    one = Script(b"220 hello\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", [
        b"334 \r\n", b"235 in\r\n", b"550 5.7.1 not from %s\r\n" % CODED])
    paris = End(provider, work, "london", "paris", "tls=no",
                 "timeout=60")
    paris.put("p-1", b"x")
    status, reports, stderr = paris.run(f"submit=smtp://127.0.0.1:{one.port}")
    one.close()
    assert status == 0 and "not from ***" in reports[0]
    assert CODED.decode() not in reports[0] + stderr


def test_not_in_the_clear(provider, work):
    """Where others could listen the commands are no way."""
    london = End(provider, work, "london", "paris", "tls=no")
    status, _, stderr = london.run(f"fetch=imap://{HOST}", "auth=login")
    assert status == 78 and "everybody on the way" in stderr
