# SPDX-License-Identifier: ISC
"""The main road: paris to oslo through london, by files.

What is submitted must come out identical, octet for octet.  Mails whose
line ends are all CR LF go in by DATA; all others (the corpus keeps most of
its mails with LF) go in by BDAT, as they are, and come out as they were.
"""

import csv
import os
import re

import pytest

import road
from peers_common import PROJECT, samples, wait_for
from road import Mail

CORPUS = os.path.join(PROJECT, "..", "shared", "corpus", "mail")
ALL = '{ CHUNKING, BINARYMIME, SMTPUTF8 }'
DIALECTS = {
    "bsmtp": dict(dialect="bsmtp"),
    "bsmtp-gzip": dict(dialect="bsmtp", compress="gzip"),
    "rfc2442": dict(dialect="rfc2442"),
    "rfc2442-8bit": dict(dialect="rfc2442", encoding="8bit"),
    "rfc2442-gzip": dict(dialect="rfc2442", compress="gzip"),
}
MAGIC = {"bsmtp": b"EHLO", "bsmtp-gzip": b"\x1f\x8b"}


def how(content):
    """DATA where SMTP can say it, else BDAT."""
    rest = content.replace(b"\r\n", b"")
    fits = content.endswith(b"\r\n") and not re.search(b"[\r\n]", rest)
    return "data" if fits else "bdat"


def ours(large=None):
    return [Mail(f"s{n}-" + re.sub("[^a-z0-9]", "-", one.name), read(one.path),
                 one.how, "SMTPUTF8" if "smtputf8" in one.name else "")
            for n, one in enumerate(samples(large))]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def corpus():
    mails = []
    for index in ("INDEX.tsv", "edge/INDEX.tsv"):
        with open(os.path.join(CORPUS, index), encoding="utf-8") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows)
            names = [row[0] for row in rows]
        for name in names:
            path = os.path.join(CORPUS, os.path.dirname(index), name)
            content = read(path)
            mails.append(Mail(f"c{len(mails)}", content, how(content), ""))
    return mails


def send_all(work, node, mails, timeout=60, **settings):
    sites = road.three(work, node, extensions=ALL,
                       site=dict(message_max="64M"), **settings)
    for one in sites:
        one.start()
    road.hand_in(sites[0], "alice@paris.example", mails, "oslo.example")
    road.wait_delivered(sites[2], len(mails), timeout)
    road.assert_identical(sites[2], mails)
    assert not os.path.exists(sites[0].mail), "nothing came back"
    return sites


@pytest.mark.parametrize("name", DIALECTS)
def test_samples(node, work, name):
    sites = send_all(work, node, ours(), **DIALECTS[name])
    assert "object-broken" not in sites[1].log() + sites[2].log()


@pytest.mark.parametrize("name", ("bsmtp", "rfc2442-gzip"))
def test_large_samples(node, work, name):
    mails = ours(os.path.join(work, "large"))[len(ours()):]
    assert mails
    send_all(work, node, mails, **DIALECTS[name])


@pytest.mark.skipif(not os.path.exists(CORPUS),
                    reason="there is no ../shared/corpus/mail")
@pytest.mark.parametrize("name", ("bsmtp-gzip", "rfc2442-8bit",
                                  "rfc2442-gzip"))
def test_corpus(node, work, name):
    """LF files go by BDAT and keep their line ends."""
    mails = corpus()
    assert len(mails) >= 472
    send_all(work, node, mails, 90, batch_count=100, **DIALECTS[name])


@pytest.mark.parametrize("name", DIALECTS)
def test_only_the_three_extensions(node, work, name):
    """Without further extensions what needs them is returned, the rest
    goes."""
    sites = road.three(work, node, **DIALECTS[name])
    for one in sites:
        one.start()
    mails = [one for one in ours() if len(one.content) < 20000]
    good = [one for one in mails if one.how == "data" and not one.params]
    bad = [one for one in mails if one not in good]
    assert len(bad) > 5
    road.hand_in(sites[0], "alice@paris.example", mails, "oslo.example")
    road.wait_delivered(sites[2], len(good))
    wait_for(lambda: len(road.notices(sites[0], "alice")) >= len(bad), 20,
             lambda: sites[0].log()[-3000:])
    road.assert_identical(sites[2], good)
    told = road.notices(sites[0], "alice")
    assert {one.recipient.split(";")[1].strip() for one in told} == \
        {one.user + "@oslo.example" for one in bad}
    for one in told:
        assert re.fullmatch(r"5\.6\.[017]", one.status), one.status
        assert one.action == "failed"


def test_smtputf8_address(node, work):
    """Such addresses need the extension all along the road."""
    sites = road.three(work, node, extensions=ALL, dialect="bsmtp")
    for one in sites:
        one.start()
    content = b"Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\nx\r\n"
    sites[0].submit("j\u00fcrgen@paris.example", ["b\u00e5rd@oslo.example"],
                    content, mail_params="SMTPUTF8")
    assert sites[2].wait_mail("b\u00e5rd") == [content]


def test_several_sites_share_one_body(node, work):
    """One message to two sites and three recipients is stored once."""
    sites = road.three(work, node, dialect="bsmtp")
    # No calls, so that it waits and can be looked at.
    sites[0].edit_config(r"stays = yes", 'stays = yes\n\tcall = { "Never" }')
    sites[0].start()
    body = os.urandom(300000).hex().encode()
    body = b"\r\n".join(body[i:i + 76] for i in range(0, len(body), 76))
    content = b"Subject: three\r\n\r\n" + body + b"\r\n"
    sites[0].submit("alice@paris.example",
                    ["a@oslo.example", "b@london.example", "c@oslo.example",
                     "d@paris.example"], content)
    sites[0].wait_mail("d")
    waiting = sites[0].json("queue", "list")
    assert waiting["octets"] == len(content)
    assert [one["state"] for one in
            sites[0].json("queue", "show", waiting["id"])
            if one["kind"] == "recipient"][3] == "done"
    size = sum(os.path.getsize(os.path.join(sites[0].directory, "spool", one))
               for one in os.listdir(os.path.join(sites[0].directory,
                                                  "spool"))
               if not one.startswith(("log", "__db")))
    assert size < 2 * len(content) + 400000
    sites[0].cli("flush", "london")
    for one in sites[1:]:
        one.start()
    for site, user in ((2, "a"), (1, "b"), (2, "c")):
        assert sites[site].wait_mail(user) == [content]


def test_a_cut_object_is_frozen(node, work):
    """The same octets, before and after the end of the daemon."""
    sites = road.three(work, node, dialect="rfc2442")
    paris = sites[0]
    # A marker that is not there: the medium is away.
    paris.edit_config(r'"poll=0.2"', '"poll=0.2", "marker=.there"')
    paris.start()
    mails = ours()[:20]
    good = [one for one in mails if one.how == "data"]
    road.hand_in(paris, "alice@paris.example", good, "oslo.example")
    out = wait_for(lambda: out_files(paris), 20, lambda: paris.log())
    for _ in range(2):
        paris.kill()
        paris.start()
        again = wait_for(lambda: len(out_files(paris)) >= len(out) and
                         out_files(paris), 20, lambda: paris.log())
        for name, data in out.items():
            assert again[name] == data
    # Even where the file is lost.
    paris.stop()
    for name in out:
        remove(paris, name)
    paris.start()
    again = wait_for(lambda: len(out_files(paris)) >= len(out) and
                     out_files(paris), 20, lambda: paris.log())
    for name, data in out.items():
        assert again[name] == data
    for way in ("paris-london", "london-paris"):
        with open(os.path.join(work, "link", way, ".there"), "wb"):
            pass
    for one in sites[1:]:
        one.start()
    road.wait_delivered(sites[2], len(good))
    road.assert_identical(sites[2], good)


def out_directory(paris):
    return os.path.join(paris.directory, "spool/peers/london/out")


def out_files(paris):
    return road.files(out_directory(paris))


def remove(paris, name):
    os.unlink(os.path.join(out_directory(paris), name))
