# SPDX-License-Identifier: ISC
"""filter-out and filter-in with gpg, openssl cms and xz, as postrider.conf(5)
writes them: what is signed by the one node is verified by the other, and what
was changed on the way is kept for the postmaster."""

import os
import re
import subprocess

import pytest

import filters
import road
from filters import BODY, Pair, flip, need
from peers_common import PROJECT


PAGE = os.path.join(PROJECT, "man", "postrider.conf.5")
RECIPE = re.compile(r"^filter-(out|in) = ('[^']*'|\{[^}]*\})$", re.M)


def recipes():
    """The recipes of the page, in their order: (out, in), each a list."""
    with open(PAGE, encoding="utf-8") as file:
        page = file.read().partition("\n.Ss Recipes\n")[2].partition(
            "\n.Sh ")[0]
    found = [(way, re.findall("'([^']*)'", value))
             for way, value in RECIPE.findall(page)]
    assert [way for way, _ in found] == ["out", "in"] * (len(found) // 2)
    return [(found[i][1], found[i + 1][1]) for i in range(0, len(found), 2)]


GPG, GPG_SECRET, SMIME, SMIME_SECRET, XZ = recipes()


def at(home, recipe):
    """A recipe for files below home.  It is paris's: what comes in to london
    is from the other one."""
    def turn(command):
        return re.sub("paris|london", lambda m: {
            "paris": "london", "london": "paris"}[m[0]], command)

    for command in recipe[0] + recipe[1]:
        need(command.split()[0])
    out, into = [[one.replace("/etc/postrider", "@") for one in way]
                 for way in recipe]
    return ([one.replace("@", home) for one in out],
            [turn(one).replace("@", home) for one in into])


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory):
    """A folder with what the recipes have; the agent ends with the tests."""
    home = str(tmp_path_factory.mktemp("g"))
    os.mkdir(home + "/pgp", 0o700)
    with open(home + "/pgp/gpg.conf", "w", encoding="ascii") as file:
        file.write("trust-model always\n")
    gpg = [need("gpg"), "--homedir", home + "/pgp", "--batch"]
    try:
        for name in ("paris", "london"):
            subprocess.run(
                [*gpg, "--pinentry-mode", "loopback", "--passphrase", "",
                 "--quick-gen-key", f"bundle@{name}.example",
                 "future-default", "default", "0"], check=True,
                capture_output=True)
        with open(home + "/paris.gpg", "wb") as file:
            subprocess.run([*gpg, "--export", "bundle@paris.example"],
                           check=True, stdout=file)
        yield home
    finally:
        subprocess.run([need("gpgconf"), "--homedir", home + "/pgp",
                        "--kill", "all"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def smime(tmp_path_factory):
    """Certificate and key of both in one file each."""
    home = str(tmp_path_factory.mktemp("smime"))
    for name in ("paris", "london"):
        subprocess.run(
            [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             f"/CN=bundle/emailAddress=bundle@{name}.example",
             "-keyout", f"{home}/{name}.pem", "-out", f"{home}/{name}.crt"],
            check=True, capture_output=True)
        with open(f"{home}/{name}.crt", encoding="ascii") as certificate, \
                open(f"{home}/{name}.pem", "a", encoding="ascii") as file:
            file.write(certificate.read())
    return home


@pytest.mark.parametrize("dialect,part", [
    ("bsmtp", "whole"), ("rfc2442", "whole"), ("rfc2442", "attachment")])
def test_gpg(node, work, gnupg, dialect, part):
    pair = Pair(node, work, *at(gnupg, GPG), dialect=dialect,
                **{"filter-part": part}).start()
    pair.send()
    sent, = pair.carry()
    assert b"bob@london" not in sent
    assert (b"application/octet-stream" in sent) == (part == "attachment")
    pair.check_arrived()
    assert "Good signature" in pair.london.log()
    assert "object-filtered" in pair.london.log()


def test_gpg_detects_changes(node, work, gnupg):
    sign, verify = at(gnupg, GPG)
    pair = Pair(node, work, [sign[0].replace("-so", "--compress-algo none -so")], verify,
                dialect="bsmtp").start()
    pair.send()
    sent, = pair.carry(flip(b"A line that"))
    broken = pair.check_refused(b"filter-in 1 (gpgv) exited with 1: ",
                                b"BAD signature")
    # what was kept is what came, and can be handed in again
    kept = pair.london.run("queue", "export", "--broken",
                           broken["id"]).stdout
    assert kept == flip(b"A line that")(sent)
    pair.london.run("receive", "--peer", "paris", data=sent)
    assert pair.london.wait_mail("bob") == [BODY]


def test_gpg_unsigned(node, work, gnupg):
    """What gpg --decrypt would let through, gpgv does not."""
    pair = Pair(node, work, [f"{need('gpg')} --homedir {gnupg}/pgp --store"],
                at(gnupg, GPG)[1], dialect="bsmtp").start()
    pair.send()
    sent, = pair.carry()
    done = subprocess.run(["gpg", "--homedir", gnupg + "/pgp", "--decrypt"],
                          input=sent, capture_output=True, check=True)
    assert b"MAIL FROM" in done.stdout
    pair.check_refused(b"filter-in 1 (gpgv) exited with 2: ",
                       b"no signature found")


def test_gpg_encrypted(node, work, gnupg):
    pair = Pair(node, work, *at(gnupg, GPG_SECRET),
                **{"filter-part": "attachment"}).start()
    pair.send()
    pair.carry()
    pair.check_arrived()


def test_openssl_signed(node, work, smime):
    pair = Pair(node, work, *at(smime, SMIME), encoding="8bit",
                **{"filter-part": "entity"}).start()
    pair.send()
    sent, = pair.carry()
    header = sent.partition(b"\r\n\r\n")[0]
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert header.count(b"Content-Type: multipart/signed") == 1
    assert header.count(b"MIME-Version: 1.0") == 1
    assert header.startswith(b"From: ") and b"\r\nMessage-ID: <" in header
    pair.check_arrived()
    pair.send()
    pair.carry(flip(b"A line that"))
    pair.check_refused(b"filter-in 1 (openssl) exited with 4: ",
                       b"erification failure")


def test_openssl_encrypted(node, work, smime):
    """Signed, then encrypted: a chain of two on both sides."""
    pair = Pair(node, work, *at(smime, SMIME_SECRET),
                **{"filter-part": "entity"}).start()
    pair.send()
    sent, = pair.carry()
    assert b"application/pkcs7-mime" in sent and b"signed" not in sent
    pair.check_arrived()


@pytest.mark.parametrize("part", ["entity", "attachment"])
def test_by_mail(node, work, smime, gnupg, part):
    """The labels are good enough for a mail: through an SMTP server."""
    out, into = {"entity": at(smime, SMIME_SECRET),
                 "attachment": at(gnupg, GPG)}[part]
    london = node("london", config=road.config(
        "london", filters.section("paris", transport="mail", **{
            "address": "bundle@paris.example", "filter-part": part,
            "set": '{ "server=127.0.0.1:1" }', "receive-hosts":
            "{ 127.0.0.1 }", "filter-in": filters.quoted(into)}),
        "routes { paris.example = paris }\n")).start()
    paris = node("paris", config=road.config(
        "paris", filters.section("london", transport="mail", **{
            "address": "bundle@london.example", "filter-part": part,
            "set": f'{{ "server=127.0.0.1:{london.port}" }}',
            "filter-out": filters.quoted(out)}),
        "routes { london.example = london }\n")).start()
    paris.submit("ann@paris.example", ["bob@london.example"], BODY)
    assert london.wait_mail("bob") == [BODY]
    assert "object-filtered" in london.log()


def test_xz(node, work):
    pair = Pair(node, work, *at("", XZ), dialect="bsmtp").start()
    pair.send()
    sent, = pair.carry()
    assert sent.startswith(b"\xfd7zXZ") and len(sent) < len(BODY) / 4
    pair.check_arrived()
