# SPDX-License-Identifier: ISC
"""The transport mail with nothing but a mailbox at a provider: submission,
IMAP and POP3 against Postfix and Dovecot, within TLS."""

import base64
import os
import random
import socket
import subprocess
import threading

import pytest

from peers_common import patient, program, wait_for
from provider import (DOMAIN, HOST, PASSWORDS, Socks, pin, token,
                      write_secret)

PARIS, LONDON = f"paris@{DOMAIN}", f"london@{DOMAIN}"
FOREIGN = (b"From: A Friend <friend@example.org>\n"
           b"To: London <london@provider.example>\nSubject: lunch?\n"
           b"Content-Type: text/plain\n\nAt noon?\n")


@pytest.fixture(autouse=True)
def clean(provider):
    provider.empty()


class End:
    """One end of the road, without a daemon: PEER's directories below work,
    and the transport over them."""

    def __init__(self, provider, work, site, peer, *settings):
        self.directory = os.path.join(work, site)
        self.site, self.peer = site, peer
        self.out, self.into = self.path("out"), self.path("in")
        for path in (self.out, self.into):
            os.makedirs(path)
        self.settings = [f"from={site}@{DOMAIN}", f"to={peer}@{DOMAIN}",
                         *provider.login(site, self.directory), *settings]

    def path(self, name):
        return os.path.join(self.directory, name)

    def put(self, name, data):
        with open(os.path.join(self.out, name), "wb") as file:
            file.write(data)

    def argv(self, *more):
        argv = [program("mail"), "--peer", self.peer, "--out", self.out,
                "--in", self.into]
        for one in (*self.settings, *more):
            argv += ["--set", one]
        return argv

    def run(self, *more, env=None):
        """Status, reports but for progress, standard error."""
        done = subprocess.run(self.argv(*more), capture_output=True,
                              text=True, check=False, timeout=patient(60),
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, **(env or {})})
        for word in PASSWORDS.values():
            assert word not in done.stdout + done.stderr
        for line in done.stdout.splitlines():
            if line.startswith("sent "):
                os.unlink(os.path.join(self.out, line.split()[1]))
        return done.returncode, [
            line for line in done.stdout.splitlines()
            if not line.startswith("sending ")], done.stderr

    def run_answered(self, answer, *more):
        """Status and reports, where the daemon says this to `returned`."""
        with subprocess.Popen(self.argv(*more), text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as child:
            reports = []
            for line in child.stdout:
                reports.append(line.rstrip("\n"))
                if line.startswith("returned "):
                    child.stdin.write(answer)
                    child.stdin.flush()
        return child.returncode, reports

    def received(self):
        found = {}
        for name in os.listdir(self.into):
            if not name.startswith("."):
                with open(os.path.join(self.into, name), "rb") as file:
                    found[name] = file.read()
        return found


@pytest.fixture
def end(provider, work):
    def make(site, peer, *settings):
        return End(provider, work, site, peer, *settings)
    return make


def octets(size, seed=1):
    return random.Random(seed).randbytes(size)


def submit_one(provider, one, name="p-1", data=None, how="smtp"):
    one.put(name, data or octets(3000))
    before = len(provider.mailbox(one.peer))
    assert one.run(f"submit={provider.url(how)}") == (
        0, [f"sent {name}"], "")
    wait_for(lambda: len(provider.mailbox(one.peer)) > before, 20,
             provider.log)


@pytest.mark.parametrize("out, into", [
    ("smtp", "imap"), ("smtps", "imaps"), ("smtps", "pop3"),
    ("smtp", "pop3s")])
def test_there(provider, end, out, into):
    """A parcel goes by submission and is fetched; the mailbox is empty then,
    and a second look finds nothing."""
    paris, london = end("paris", "london"), end("london", "paris")
    data = [octets(size, size) for size in (1, 3000, 200000)]
    for number, one in enumerate(data):
        paris.put(f"p-{number}", one)
    assert paris.run(f"submit={provider.url(out)}") == (
        0, ["sent p-0", "sent p-1", "sent p-2"], "")
    provider.postfix.wait_idle()
    assert len(provider.mailbox("london")) == 3
    fetch = f"fetch={provider.url(into)}"
    status, reports, stderr = london.run(fetch)
    assert (status, stderr) == (0, "")
    assert sorted(london.received().values()) == sorted(data)
    assert sorted(reports) == sorted(
        f"received {name}" for name in london.received())
    assert all(name.startswith("mail~") for name in london.received())
    assert provider.mailbox("london") == []
    assert london.run(fetch) == (0, [], "")


@pytest.mark.parametrize("how", ["smtp", "smtps"])
def test_one_session_for_many(provider, end, how):
    paris = end("paris", "london")
    for number in range(5):
        paris.put(f"p-{number}", octets(100, number))
    mark = provider.mark()
    assert paris.run(f"submit={provider.url(how)}")[0] == 0
    # What the servers log comes a little later.
    wait_for(lambda: provider.log_since(mark).count("sasl_method") >= 5, 20,
             provider.log)
    log = provider.log_since(mark)
    assert log.count("sasl_method") == 5      # for each mail,
    assert log.count(": client=") == 5
    assert len({line.split("smtpd[")[1].split("]")[0]  # by one process
                for line in log.splitlines()
                if "sasl_method" in line}) == 1
    assert "helo=<[127.0.0.1]>" not in log


WRONG = [
    ("submit", "smtp", "535 5.7.8"), ("submit", "smtps", "535 5.7.8"),
    ("fetch", "imap", "AUTHENTICATIONFAILED"),
    ("fetch", "imaps", "AUTHENTICATIONFAILED"),
    ("fetch", "pop3", "-ERR"), ("fetch", "pop3s", "-ERR")]


@pytest.mark.parametrize("key, how, text", WRONG)
def test_wrong_password(provider, end, key, how, text):
    """What waits stays; somebody has to do something; and nobody is told the
    word that did not fit."""
    paris = end("paris", "london")
    write_secret(paris.path("password-paris"), "not-the-word")
    paris.put("p-1", b"x")
    status, reports, stderr = paris.run(f"{key}={provider.url(how)}",
                                        *([] if key == "submit" else
                                          ["server=127.0.0.1:1"]))
    assert status == 78
    assert text in stderr and f"the login of {PARIS} was refused" in stderr
    assert "not-the-word" not in stderr + "".join(reports)
    coded = base64.b64encode(b"not-the-word").decode()[:-2]
    assert coded not in stderr + "".join(reports)
    assert all(" permanent " not in line for line in reports)
    if key == "submit":
        assert reports[0].startswith("failed p-1 temporary smtp")
    assert os.listdir(paris.out) == ["p-1"]


@pytest.mark.parametrize("settings, text", [
    (["tls-ca=/etc/ssl/certs/ca-certificates.crt"], "certificate"),
    (["tls-name=mail.other.example"], "mail.other.example"),
    (["tls=pin", "tls-pin=sha256//" + "A" * 43 + "="], "tls-pin"),
    (["tls=ca", "tls-ca=/etc/ssl/certs/ca-certificates.crt"],
     "certificate"),
])
@pytest.mark.parametrize("how", ["smtp", "smtps", "imap", "imaps", "pop3",
                                 "pop3s"])
def test_bad_certificate(provider, end, how, settings, text):
    """Later is another try, and nobody was told a password."""
    paris = end("oslo", "london", *settings)
    mark = provider.mark()
    if how.startswith("smtp"):
        paris.put("p-1", b"x")
        status, reports, _ = paris.run(f"submit={provider.url(how)}")
        assert reports[0].startswith("failed p-1 temporary ")
    else:
        status, reports, _ = paris.run(f"fetch={provider.url(how)}")
        assert reports[0].startswith("note ")
    assert status == 75
    assert text in reports[0]
    # What others did before may be logged only now.
    fresh = [line for line in provider.log_since(mark).splitlines()
             if "oslo" in line]
    assert not [line for line in fresh if "method=" in line], fresh


@pytest.mark.parametrize("how", ["smtp", "smtps", "imaps", "pop3"])
def test_pinned(provider, end, how):
    """Whoever signed it, and whatever name it has."""
    paris = end("paris", "london", "tls=pin", f"tls-pin={pin(provider.cert)}",
                "tls-name=whatever.example")
    if how.startswith("smtp"):
        submit_one(provider, paris, how=how)
    else:
        assert paris.run(f"fetch={provider.url(how)}") == (0, [], "")


def test_pin_beside_a_name(provider, end):
    """Both have to hold."""
    good, bad = pin(provider.cert), "sha256//" + "A" * 43 + "="
    paris = end("paris", "london")
    fetch = f"fetch={provider.url('imaps')}"
    assert paris.run(fetch, f"tls-pin={good}")[0] == 0
    assert paris.run(fetch, f"tls-pin={bad}")[0] == 75
    assert paris.run(fetch, f"tls-pin={good}", "tls-name=other.example")[
        0] == 75


def test_own_certificate(provider, end, work):
    """Shown to a server that asks: Dovecot says whose it was."""
    cert, key = provider.authority.sign("paris.example")
    paris = end("paris", "london", f"tls-cert={cert}", f"tls-key={key}")
    assert paris.run(f"fetch={provider.url('imaps')}") == (0, [], "")
    assert paris.run(f"fetch={provider.url('imap')}",
                     f"tls-cert={cert}", f"tls-key={key}")[0] == 0


def test_never_without_tls(provider, end):
    """Port 25 offers no STARTTLS: so there is no login there, and no mail."""
    paris = end("paris", "london")
    paris.put("p-1", b"x")
    before = provider.log().count("mail from")
    status, reports, _ = paris.run(
        f"submit=smtp://127.0.0.1:{provider.postfix.port}")
    assert status == 75
    assert "STARTTLS" in reports[0] and " temporary " in reports[0]
    assert provider.log().count("mail from") == before


def test_never_without_a_login(provider, end):
    """A server that offers no AUTH would take the mail as a stranger's."""
    paris = end("paris", "london", "tls=no", "auth=cram-md5")
    paris.put("p-1", b"x")
    status, reports, _ = paris.run(
        f"submit=smtp://127.0.0.1:{provider.postfix.port}")
    assert status == 75
    assert "no way to log in" in reports[0]
    assert provider.mailbox("london") == []


@pytest.mark.parametrize("auth", ["plain", "login", "cram-md5"])
def test_mechanisms(provider, end, auth):
    paris, london = end("paris", "london"), end("london", "paris")
    paris.put("p-1", b"x")
    assert paris.run(f"submit={provider.url('smtp')}", f"auth={auth}")[0] == 0
    wait_for(lambda: f"sasl_method={auth.upper()}, sasl_username=" in
             provider.log(), 20, provider.log)
    assert london.run(f"fetch={provider.url('pop3')}", f"auth={auth}")[
        0] == 0
    provider.postfix.wait_idle()
    assert london.run(f"fetch={provider.url('imap')}", f"auth={auth}")[
        0] == 0
    wait_for(lambda: f" method={auth.upper()}" in provider.log(), 20,
             provider.log)


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
def test_tokens(provider, end, auth):
    """By file and by command; expired, it is for later: who makes them may
    make a new one."""
    paris, london = end("paris", "london"), end("london", "paris")
    for one in (paris, london):
        one.settings = [line for line in one.settings
                        if not line.startswith("password-file")]
        one.settings.append(f"auth={auth}")
        write_secret(one.path("token"), token(one.site))
    paris.put("p-1", b"x" * 100)
    assert paris.run(f"submit={provider.url('smtps')}",
                     f"token-file={paris.path('token')}")[:2] == (
        0, ["sent p-1"])
    wait_for(lambda: f"sasl_method={auth.upper()}" in provider.log(), 20,
             provider.log)
    provider.postfix.wait_idle()
    fetch = [f"fetch={provider.url('imaps')}",
             f"token-command=cat {london.path('token')}"]
    assert london.run(*fetch)[0] == 0
    assert list(london.received().values()) == [b"x" * 100]
    old = token("london", -1000)
    write_secret(london.path("token"), old)
    status, reports, stderr = london.run(*fetch)
    assert status == 75 and "refused" in reports[0]
    assert old not in reports[0] + stderr
    status, reports, _ = london.run(fetch[0], "token-command=false")
    assert status == 75 and "token-command" in reports[0]


def test_by_a_proxy(provider, end):
    """As by Tor: the proxy resolves the name, and wants to know who we are."""
    socks = Socks("tor", "isolation-7")
    paris, london = end("paris", "london"), end("london", "paris")
    write_secret(paris.path("socks"), "isolation-7")
    through = [f"socks=127.0.0.1:{socks.port}", "socks-user=tor",
               f"socks-password-file={paris.path('socks')}"]
    paris.settings = [line for line in paris.settings
                      if not line.startswith("tls-name")]
    paris.put("p-1", b"x" * 100)
    assert paris.run(f"submit=smtp://{HOST}:{provider.ports['submit']}",
                     *through) == (0, ["sent p-1"], "")
    provider.postfix.wait_idle()
    assert london.run(f"fetch=imaps://{HOST}:{provider.ports['imaps']}",
                      *through)[0] == 0
    assert list(london.received().values()) == [b"x" * 100]
    assert socks.asked == [(HOST, provider.ports["submit"], "tor"),
                           (HOST, provider.ports["imaps"], "tor")]
    write_secret(paris.path("socks"), "another")
    status, reports, _ = london.run(
        f"fetch=imaps://{HOST}:{provider.ports['imaps']}", *through)
    assert status == 75 and "SOCKS" in reports[0]
    socks.close()


@pytest.mark.parametrize("how", ["imaps", "pop3s"])
def test_foreign_mail_stays(provider, end, how):
    """Unread as before, and it is not fetched a second time."""
    paris, london = end("paris", "london"), end("london", "paris")
    large = FOREIGN + b"0123456789abcdef\n" * 20000
    for one in (FOREIGN, large):
        provider.deliver("london", one)
    submit_one(provider, paris, "p-1")
    provider.deliver("london", FOREIGN)
    submit_one(provider, paris, "p-2")
    fetch = f"fetch={provider.url(how)}"
    status, reports, _ = london.run(fetch)
    assert (status, len(reports)) == (0, 2)
    assert len(london.received()) == 2
    assert len(provider.mailbox("london")) == 3
    assert all(b"At noon?" in one for one in provider.mailbox("london"))
    new = os.listdir(provider.jail.path("mail/london/cur"))
    assert all(name.endswith(",") for name in new), "a flag was set"
    mark = provider.mark()
    assert london.run(fetch) == (0, [], "")
    wait_for(lambda: "ogged out" in provider.log_since(mark))
    fresh = provider.log_since(mark)
    if how == "imaps":
        # "9:*" is never empty (RFC 3501 6.4.8): two fields of the last.
        assert "hdr_count=1 " in fresh and "body_count=0 " in fresh, fresh
    else:
        assert "top=0/0, retr=0/0" in fresh
    # Another peer's mail is foreign as well, for this one.
    submit_one(provider, end("oslo", "london"), "p-3")
    assert london.run(fetch) == (0, [], "")
    assert len(provider.mailbox("london")) == 4


def test_without_its_memory(provider, end):
    """Losing the file costs a look, and no mail is taken twice."""
    paris, london = end("paris", "london"), end("london", "paris")
    provider.deliver("london", FOREIGN)
    submit_one(provider, paris)
    fetch = f"fetch={provider.url('imaps')}"
    assert london.run(fetch)[0] == 0
    first = london.received()
    os.unlink(os.path.join(london.into, ".mail-seen"))
    assert london.run(fetch) == (0, [], "")
    assert london.received() == first


def test_another_uidvalidity(provider, end):
    """The server has made its mailbox anew: all is looked at again."""
    paris, london = end("paris", "london"), end("london", "paris")
    provider.deliver("london", FOREIGN)
    fetch = f"fetch={provider.url('imaps')}"
    assert london.run(fetch) == (0, [], "")
    path = os.path.join(london.into, ".mail-seen")
    with open(path, encoding="ascii") as file:
        box, uid = file.read().splitlines()
    word, validity, upto = uid.split()
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{box}\n{word} {int(validity) + 1} 4000000000\n")
    submit_one(provider, paris)
    assert london.run(fetch)[0] == 0
    assert len(london.received()) == 1
    with open(path, encoding="ascii") as file:
        assert file.read().splitlines()[1].split()[:2] == [word, validity]


def test_moved_elsewhere(provider, end):
    paris, london = end("paris", "london"), end("london", "paris")
    submit_one(provider, paris)
    assert london.run(f"fetch={provider.url('imaps')}", "move-to=Done")[
        0] == 0
    assert len(london.received()) == 1
    assert provider.mailbox("london") == []
    assert len(provider.mailbox("london", "/.Done")) == 1
    # Filed there by a rule of the provider's, say; known to be the same?
    # No: it is another mailbox, and what it holds another mail.
    first = london.received()
    assert london.run(f"fetch={provider.url('imaps', '/Done')}")[0] == 0
    assert sorted(london.received().values()) == 2 * list(first.values())
    assert provider.mailbox("london", "/.Done") == []
    status, reports, _ = london.run(
        f"fetch={provider.url('imaps', '/Nowhere')}")
    assert status == 75 and "Nowhere" in reports[0]


@pytest.mark.parametrize("how", ["imaps", "pop3s"])
def test_damaged_and_too_large(provider, end, how):
    """They stay where a person can look at them, and are told of once."""
    paris, london = end("paris", "london"), end("london", "paris")
    submit_one(provider, paris, data=octets(200000))
    submit_one(provider, paris, "p-2", octets(100))
    fetch = f"fetch={provider.url(how)}"
    status, reports, _ = london.run(fetch, "max-size=100K")
    assert status == 0
    assert sorted(line.split()[0] for line in reports) == ["note", "received"]
    assert "max-size" in "".join(reports)
    assert london.run(fetch, "max-size=100K") == (0, [], "")
    assert len(provider.mailbox("london")) == 1
    assert list(london.received().values()) == [octets(100)]


@pytest.mark.parametrize("how", ["imaps", "pop3"])
def test_returned(provider, end, how):
    """Nobody of that name: what comes back is told, as often as it takes
    until the daemon has it, and then it does not stay."""
    paris = end("paris", "nobody")
    paris.put("p-1", octets(3000))
    assert paris.run(f"submit={provider.url('smtps')}") == (
        0, ["sent p-1"], "")
    wait_for(lambda: provider.mailbox("paris"), 20, provider.log)
    for answer in ("stop\n", "unknown p-1\n", "known p-2\nknown p-1\n"):
        assert len(provider.mailbox("paris")) == 1
        status, reports = paris.run_answered(
            answer, f"fetch={provider.url(how)}")
        assert status == 0 and len(reports) == 1, answer
        assert reports[0].startswith("returned p-1 permanent ")
    assert provider.mailbox("paris") == []
    assert paris.received() == {}


def test_replies_say_no_secrets(end):
    """A server that repeats what it was told is not repeated."""
    sock = socket.create_server(("127.0.0.1", 0))
    word = PASSWORDS["paris"]

    def serve():
        conn, _ = sock.accept()
        with conn, conn.makefile("rb") as lines:
            conn.sendall(b"220 x\r\n")
            for line in lines:
                if line.startswith(b"EHLO"):
                    conn.sendall(b"250-x\r\n250 AUTH PLAIN\r\n")
                elif line.startswith(b"AUTH PLAIN "):
                    conn.sendall(b"535 5.7.8 not " + line.split()[2] +
                                 b" nor " + word.encode() + b"\r\n")
                else:
                    conn.sendall(b"334 \r\n" if b"AUTH" in line
                                 else b"535 no " + line.strip() + b"\r\n")

    threading.Thread(target=serve, daemon=True).start()
    paris = end("paris", "london", "tls=no", "auth=plain")
    paris.put("p-1", b"x")
    status, reports, stderr = paris.run(
        f"submit=smtp://127.0.0.1:{sock.getsockname()[1]}")
    assert status == 78 and "***" in reports[0]
    coded = base64.b64encode(f"\0paris@{DOMAIN}\0{word}".encode()).decode()
    assert coded not in reports[0] + stderr
    sock.close()


@pytest.mark.parametrize("mode, status", [(0o600, 0), (0o640, 78),
                                          (0o604, 78)])
def test_password_of_others(provider, end, mode, status):
    paris = end("paris", "london")
    os.chmod(paris.path("password-paris"), mode)
    done = paris.run(f"fetch={provider.url('imaps')}")
    assert done[0] == status
    assert ("chmod 600" in done[2]) == (status != 0)


def test_checked_with_the_configuration(node, work, provider):
    """`postrider check` knows what the transport would refuse."""
    one = node("paris")
    path = os.path.join(work, "word")
    write_secret(path, "x")

    def check(*settings):
        text = ", ".join(f'"{setting}"' for setting in settings)
        one.write_config(base + f"peer london {{\n\tdialect = native\n"
                         f"\ttransport = mail\n\tset = {{ {text} }}\n}}\n")
        done = one.run("check", check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    base = one.read_config()
    good = [f"submit={provider.url('smtps')}", "user=a",
            f"password-file={path}", "poll=60"]
    status, text = check(*good, f"fetch={provider.url('imaps')}")
    assert status == 0
    assert "warning: peer london: no address is set, and <" in text
    assert "warning: peer london: the section site sets no address" in text
    text = check(*good, f"fetch={provider.url('imaps')}",
                 "from=a@b.example", "to=c@d.example")[1]
    assert "address" not in text
    status, text = check(*good)
    assert status != 0 and "unknown setting poll" in text
    status, text = check(*good[:3], "tls-pim=x")
    assert status != 0 and "tls-pim" in text and "postrider.conf:" in text
    os.chmod(path, 0o644)
    status, text = check(*good[:3])
    assert status != 0 and "chmod 600" in text and path in text
