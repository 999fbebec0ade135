# SPDX-License-Identifier: ISC
"""postrider inspect and postrider batch, the commands without a daemon.

Expectations of the first part come with the test material, of the second
from the RFCs and by hand; the third makes objects with `batch` and reads them
with `inspect`.
"""
import base64
import gzip
import hashlib
import json
import os
import pathlib
import quopri
import subprocess

import pytest

from peers_common import patient

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / (os.environ.get("POSTRIDER_BUILD") or os.environ.get("BUILD")
                or "build/release")
POSTRIDER = BUILD / "postrider"
CORPUS = ROOT.parent / "shared" / "corpus"

pytestmark = pytest.mark.skipif(
    not POSTRIDER.exists(), reason=f"{POSTRIDER} is not built")


def inspect(octets, *options):
    """The exit status, the object and the lines behind it."""
    done = subprocess.run([POSTRIDER, "inspect", "--json", *options],
                          input=octets, capture_output=True,
                          timeout=patient(60))
    assert done.stderr == b"", done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["kind"] == "object"
    assert done.returncode == (0 if lines[0]["outcome"] == "process" else 1)
    return (lines[0], [x for x in lines[1:] if x["kind"] == "transaction"],
            [x for x in lines[1:] if x["kind"] == "error"])


def sha(octets):
    return hashlib.sha256(octets).hexdigest()


# ---- The corpora -----------------------------------------------------------

def rfc2442_cases():
    return sorted((CORPUS / "rfc2442").glob("*.eml"))


def check_message(found, wanted):
    assert found["sender"] == wanted["sender"]
    assert [(r["address"], r["notify"], r["orcpt"])
            for r in found["recipients"]] == \
        [(r["address"], r.get("notify"), r.get("orcpt"))
         for r in wanted["recipients"]]
    assert all(r["accepted"] for r in found["recipients"])
    assert found["octets"] == wanted["data_bytes"]
    assert found["sha256"] == wanted["data_sha256"]
    for key in ("ret", "envid", "body"):
        assert found[key] == wanted.get(key)
    size = wanted.get("size")
    assert found["size"] == (None if size is None else int(size))


@pytest.mark.skipif(not (CORPUS / "rfc2442").is_dir(),
                    reason="../shared/corpus/rfc2442 is absent")
@pytest.mark.parametrize("path", rfc2442_cases(),
                         ids=[one.stem for one in rfc2442_cases()])
def test_corpus_rfc2442(path):
    wanted = json.loads(path.with_suffix(".expect.json").read_text())
    told, messages, _ = inspect(path.read_bytes())
    also = wanted.get("also_allowed")
    if told["outcome"] != wanted["outcome"]:
        assert also and also["outcome"] == told["outcome"]
        assert len(messages) == also["messages"]
        return
    if told["outcome"] == "not-batch":
        assert (told["format"], messages) == ("none", [])
        return
    assert told["format"] == "rfc2442"
    assert len(messages) == len(wanted["messages"])
    for found, want in zip(messages, wanted["messages"]):
        check_message(found, want)


def bsmtp_expectation(path):
    wanted = {"messages": [], "errors": [], "exit": None}
    for line in path.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "exit":
            wanted["exit"] = int(rest)
        elif word == "message":
            wanted["messages"].append({"recipients": []})
        elif word == "recipient":
            wanted["messages"][-1]["recipients"].append(rest[1:-1])
        elif word == "sender":
            wanted["messages"][-1]["sender"] = rest[1:-1]
        elif word in ("data-bytes", "data-sha256"):
            wanted["messages"][-1][word] = rest
        elif word == "error":
            wanted["errors"].append(dict(
                part.split("=", 1) for part in rest.split(" ", 2)))
    return wanted


def bsmtp_cases():
    return sorted((CORPUS / "bsmtp").glob("*/input.bsmtp"))


@pytest.mark.skipif(not (CORPUS / "bsmtp").is_dir(),
                    reason="../shared/corpus/bsmtp is absent")
@pytest.mark.parametrize("path", bsmtp_cases(),
                         ids=[one.parent.name for one in bsmtp_cases()])
def test_corpus_bsmtp(path):
    wanted = bsmtp_expectation(path.parent / "expect.txt")
    told, messages, errors = inspect(path.read_bytes())
    assert told["format"] == "bsmtp"
    assert (told["outcome"] == "process") == (wanted["exit"] == 0)
    assert len(messages) == len(wanted["messages"])
    for found, want in zip(messages, wanted["messages"]):
        assert found["sender"] == want["sender"]
        assert [r["address"] for r in found["recipients"]] == \
            want["recipients"]
        assert found["octets"] == int(want["data-bytes"])
        assert found["sha256"] == want["data-sha256"]
    assert len(errors) <= len(wanted["errors"])
    for found, want in zip(errors, wanted["errors"]):
        assert found["code"][0] == want["reply"][0]
        if want["line"] != "EOF":
            assert found["line"] == int(want["line"])
            assert found["command"] == want["command"]
    assert bool(errors) == bool(wanted["errors"])


@pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is absent")
def test_corpora_are_whole():
    """Each object has its expectation and the other way round."""
    objects = {p.stem for p in rfc2442_cases()}
    assert objects == {p.name.removesuffix(".expect.json") for p in
                       (CORPUS / "rfc2442").glob("*.expect.json")} != set()
    assert {p.parent for p in bsmtp_cases()} == \
        {p.parent for p in (CORPUS / "bsmtp").glob("*/expect.txt")} != set()


# ---- By hand ---------------------------------------------------------------

CONTENT = b"Subject: t\r\n\r\n.dot\r\nbody\r\n"
STUFFED = CONTENT.replace(b"\r\n.", b"\r\n..")


def batch(*commands, content=STUFFED, end=b"QUIT\r\n"):
    head = b"".join(c + b"\r\n" for c in commands)
    return head + b"DATA\r\n" + content + b".\r\n" + end


PLAIN = batch(b"EHLO g.example", b"MAIL FROM:<a@one.example>",
              b"RCPT TO:<b@two.example>")


def mime(body, kind=b"application/batch-SMTP", cte=b"7bit", extra=b"",
         eol=b"\r\n"):
    head = (b"From: <g@one.example>\nTo: <x@two.example>\n"
            b"Message-ID: <1@one.example>\nMIME-Version: 1.0\n" + extra)
    if kind is not None:
        head += b"Content-Type: " + kind + b"\n"
    if cte is not None:
        head += b"Content-Transfer-Encoding: " + cte + b"\n"
    return (head + b"\n").replace(b"\n", eol) + body


def test_every_field_of_a_transaction():
    told, messages, errors = inspect(batch(
        b"EHLO g.example",
        b"MAIL FROM:<a@one.example> SIZE=99 BODY=8BITMIME RET=FULL ENVID=q+3D",
        b"RCPT TO:<b@two.example> NOTIFY=SUCCESS,FAILURE "
        b"ORCPT=rfc822;b+2Bx@two.example"))
    assert told == {
        "kind": "object", "format": "bsmtp", "compression": "none",
        "outcome": "process", "reason": None, "required_extensions": []}
    assert messages == [{
        "kind": "transaction", "index": 1, "helo": "g.example",
        "sender": "a@one.example", "recipients": [{
            "address": "b@two.example", "accepted": True, "status": None,
            "notify": "SUCCESS,FAILURE",
            "orcpt": "rfc822;b+2Bx@two.example"}],
        "body": "8BITMIME", "size": 99, "ret": "FULL", "envid": "q+3D",
        "octets": len(CONTENT), "sha256": sha(CONTENT), "priority": None,
        "by": None}]
    assert errors == []


TIMES = [
    (b"MT-PRIORITY=-3", "priority", -3, b"priority -3"),
    (b"BY=120;R", "by", {"secs": 120, "mode": "return", "trace": False},
     b"by      120 s, else return"),
    (b"BY=-5;NT", "by", {"secs": -5, "mode": "notify", "trace": True},
     b"by      -5 s, else notify, trace"),
]


@pytest.mark.parametrize("parameter,member,value,words", TIMES)
def test_when_it_is_wanted(parameter, member, value, words):
    octets = batch(b"EHLO g.example", b"MAIL FROM:<a@one.example> "
                   + parameter, b"RCPT TO:<b@two.example>")
    _, messages, errors = inspect(octets)
    assert errors == []
    assert messages[0][member] == value
    done = subprocess.run([POSTRIDER, "inspect"], input=octets,
                          capture_output=True, check=True, timeout=patient(60))
    assert words in done.stdout


GOOD = {
    "plain": (PLAIN, "bsmtp", "none", 1),
    "half-baked": (batch(b"MAIL FROM:<a@b.example>",
                         b"RCPT TO:<c@d.example>", end=b""),
                   "bsmtp", "none", 1),
    "lf": (PLAIN.replace(b"\r\n", b"\n"), "bsmtp", "none", 1),
    "no brackets": (batch(b"HELO x.example", b"MAIL FROM:a@b.example",
                          b"RCPT TO:c@d.example"), "bsmtp", "none", 1),
    "1982": (batch(b"HELO x.example", b"VERB ON", b"TICK 17",
                   b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>"),
             "bsmtp", "none", 1),
    "joined": (PLAIN + PLAIN, "bsmtp", "none", 2),
    "text behind quit": (PLAIN + b"-- \r\nfooter\r\n", "bsmtp", "none", 1),
    "gzip": (gzip.compress(PLAIN), "bsmtp", "gzip", 1),
    "two gzip members": (gzip.compress(PLAIN[:40]) + gzip.compress(PLAIN[40:]),
                         "bsmtp", "gzip", 1),
    "mime": (mime(PLAIN), "rfc2442", "none", 1),
    "mime, no encoding named": (mime(PLAIN, cte=None), "rfc2442", "none", 1),
    "mime 8bit": (mime(PLAIN, cte=b"8bit"), "rfc2442", "none", 1),
    "mime binary": (mime(PLAIN, cte=b"BINARY"), "rfc2442", "none", 1),
    "mime qp": (mime(quopri.encodestring(PLAIN.replace(b"\r\n", b"\n"))
                     .replace(b"\n", b"\r\n"), cte=b"Quoted-Printable"),
                "rfc2442", "none", 1),
    "mime base64": (mime(base64.encodebytes(PLAIN), cte=b"base64 (c)"),
                    "rfc2442", "none", 1),
    "mime stored on unix": (mime(PLAIN, eol=b"\n").replace(b"\r\n", b"\n"),
                            "rfc2442", "none", 1),
    "mbox": (b"From g@one.example Mon Jan  1 00:00:00 2024\r\n" + mime(PLAIN),
             "rfc2442", "none", 1),
    "folded, comments": (mime(PLAIN, kind=b"(c (d)) Application\n"
                              b" /(e) batch-smtp ; (f)\n\tx=\"a;b\\\"\""),
                         "rfc2442", "none", 1),
    "empty required": (mime(PLAIN, kind=b"application/batch-SMTP; "
                            b"required-extensions=\"\""),
                       "rfc2442", "none", 1),
    "xgzip": (mime(base64.encodebytes(gzip.compress(PLAIN)), cte=b"base64",
                   kind=b"application/batch-SMTP;\n required-extensions="
                   b"\"8bitMIME,SIZE,NOTARY,xgzip\""),
              "rfc2442", "gzip", 1),
    "ends in its header": (mime(b"")[:-2], "rfc2442", "none", 0),
    "no transaction": (mime(b"EHLO x.example\r\nQUIT\r\n"),
                       "rfc2442", "none", 0),
}


@pytest.mark.parametrize("name", GOOD)
def test_processed(name):
    octets, form, compression, count = GOOD[name]
    told, messages, errors = inspect(octets)
    assert (told["outcome"], told["format"], told["compression"],
            told["reason"], errors) == ("process", form, compression, None, [])
    assert [m["sha256"] for m in messages] == [sha(CONTENT)] * count
    assert [m["index"] for m in messages] == list(range(1, count + 1))


NOT_BATCH = {
    "nothing": b"",
    "text": b"Dear Sir,\r\n",
    "binary": bytes(range(256)) * 300,
    "mail": mime(b"hello\r\n", kind=b"text/plain"),
    "mail without type": mime(PLAIN, kind=None),
    "batch as text": mime(PLAIN, kind=b"text/plain; x=application/batch-SMTP"),
    "multipart": mime(b"--x\r\nContent-Type: application/batch-SMTP\r\n\r\n"
                      + PLAIN + b"--x--\r\n", kind=b"multipart/mixed;"
                      b" boundary=x"),
    "other subtype": mime(PLAIN, kind=b"application/batch-SMTPx"),
    "two types": mime(PLAIN, extra=b"Content-Type: text/plain\n"),
    "mail in gzip": gzip.compress(mime(b"hello\r\n", kind=b"text/plain")),
}


@pytest.mark.parametrize("name", NOT_BATCH)
def test_not_batch(name):
    told, messages, errors = inspect(NOT_BATCH[name])
    assert (told["outcome"], told["format"]) == ("not-batch", "none")
    assert told["reason"]
    assert (messages, errors) == ([], [])


TWO = batch(b"HELO x.example", b"MAIL FROM:<a@b.example>",
            b"RCPT TO:<c@d.example>", end=b"")
# name: octets, transactions before the fault, words of the reason
BROKEN = {
    "unknown extension": (mime(PLAIN, kind=b"application/batch-SMTP; "
                               b"required-extensions=\"SIZE,XA, xb\""), 0,
                          "XA, xb"),
    "unknown encoding": (mime(PLAIN, cte=b"x-uuencode"), 0, "x-uuencode"),
    "gzip unannounced": (mime(gzip.compress(PLAIN), cte=b"binary"), 0,
                         "gzip"),
    "xgzip, not gzip": (mime(PLAIN, kind=b"application/batch-SMTP; "
                             b"required-extensions=XGZIP"), 0, "gzip"),
    "base64 cut": (mime(base64.b64encode(TWO + b"RSET")[:-1],
                        cte=b"base64"), 1, "base64"),
    "gzip cut": (gzip.compress(PLAIN)[:-4], 1, "cut off"),
    "gzip damaged": (gzip.compress(PLAIN)[:-8] + b"12345678", 1, "damaged"),
    "unknown command": (TWO + b"XYZZY\r\n", 1, "line 10: \"XYZZY\""),
    "order": (TWO + b"RCPT TO:<c@d.example>\r\n", 1, "line 10"),
    "cut": (TWO + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
            b"DATA\r\nhalf", 1, "line 12"),
    "lf in a crlf batch": (mime(TWO + b"NOOP\nQUIT\r\n"), 1, "line 10"),
    "no brackets in mime": (mime(b"MAIL FROM:a@b.example\r\n"), 0, "line 1"),
    "lf of dot lf": (mime(TWO.replace(b"body\r\n", b"body\n.\nQUIT\n")), 0,
                     ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_postmaster(name):
    octets, count, words = BROKEN[name]
    told, messages, errors = inspect(octets)
    if name == "lf of dot lf":
        # one message suffers alone: it must not end at LF . LF
        assert messages == [] and errors[0]["code"] == "554"
        return
    assert told["outcome"] == "postmaster"
    assert words in told["reason"]
    assert [m["sha256"] for m in messages] == [sha(CONTENT)] * count


def test_one_recipient_too_many_suffers_alone():
    rcpts = [b"RCPT TO:<u%d@d.example>" % i for i in range(1002)]
    told, messages, errors = inspect(batch(
        b"HELO x.example", b"MAIL FROM:<a@b.example>", *rcpts))
    assert told["outcome"] == "process"
    assert [r["accepted"] for r in messages[0]["recipients"]] == \
        [True] * 1000 + [False] * 2
    assert messages[0]["recipients"][1001]["address"] == "u1001@d.example"
    assert messages[0]["recipients"][1001]["status"] == "4.5.3"
    assert [(e["line"], e["code"]) for e in errors] == \
        [(1003, "452"), (1004, "452")]


def test_refused_recipients_of_a_void_transaction_are_forgotten():
    rcpts = [b"RCPT TO:<u%d@d.example>" % i for i in range(1001)]
    void = b"\r\n".join([b"MAIL FROM:<a@b.example>", *rcpts, b"RSET", b""])
    _, messages, errors = inspect(void + PLAIN)
    assert [r["address"] for r in messages[0]["recipients"]] == \
        ["b@two.example"]
    assert len(errors) == 1


def test_without_recipient_no_effect():
    _, messages, errors = inspect(
        b"MAIL FROM:<a@b.example>\r\nDATA\r\nx\r\n.\r\n" + PLAIN)
    assert [m["index"] for m in messages] == [1]
    assert messages[0]["sender"] == "a@one.example"
    assert errors == []


def test_octets_of_an_address_in_json():
    _, messages, _ = inspect(batch(
        b"EHLO x.example", "MAIL FROM:<ä@b.example> SMTPUTF8".encode(),
        b"RCPT TO:<c@d.example>"))
    assert messages[0]["sender"] == "ä@b.example"
    _, _, errors = inspect(b"NOOP\r\n\xff\xfe\r\n")
    assert errors[0]["command"] == "\u00ff\u00fe"


STRICT = {
    "lf": PLAIN.replace(b"\r\n", b"\n"),
    "no brackets": batch(b"HELO x.example", b"MAIL FROM:a@b.example",
                         b"RCPT TO:c@d.example"),
    "no hello": batch(b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>"),
}


@pytest.mark.parametrize("name", STRICT)
def test_strict(name):
    assert inspect(STRICT[name])[0]["outcome"] == "process"
    told, messages, errors = inspect(STRICT[name], "--strict")
    assert (told["outcome"], messages) == ("postmaster", [])
    assert len(errors) == 1
    assert inspect(PLAIN, "--strict")[0]["outcome"] == "process"


def test_strict_tells_by_its_status_what_a_message_suffers_alone():
    """A node would take the others; a script wants to know."""
    long = batch(b"HELO x.example", b"MAIL FROM:<a@b.example>",
                 b"RCPT TO:<c@d.example>", content=b"y" * 999 + b"\r\n")
    for octets, status in [(long, 1), (PLAIN, 0)]:
        done = subprocess.run([POSTRIDER, "inspect", "--strict"],
                              input=octets, capture_output=True, check=False)
        assert done.returncode == status, done
        assert b"outcome      process" in done.stdout


def test_bomb_and_endless_line():
    bomb = gzip.compress(b"NOOP " + b"x" * 50_000_000)
    told, _, errors = inspect(bomb)
    assert told["outcome"] == "postmaster" and errors[0]["line"] == 1
    line = batch(b"HELO x.example", b"MAIL FROM:<a@b.example>",
                 b"RCPT TO:<c@d.example>", content=b"y" * 3_000_000 + b"\r\n")
    told, messages, errors = inspect(line + PLAIN)
    assert errors[0]["code"] == "500" or errors[0]["code"] == "554"
    assert all(m["sender"] != "a@b.example" for m in messages)


def test_usage_and_missing_file():
    run = subprocess.run([POSTRIDER, "inspect", "--nonsense"],
                         capture_output=True)
    assert run.returncode == 64 and b"usage" in run.stderr
    run = subprocess.run([POSTRIDER, "inspect", "/nonexistent/x"],
                         capture_output=True)
    assert run.returncode == 66 and b"/nonexistent/x" in run.stderr
    run = subprocess.run([POSTRIDER, "batch", "--from", "a@b", "x"],
                         capture_output=True)
    assert run.returncode == 64


def test_for_people():
    run = subprocess.run([POSTRIDER, "inspect"], input=PLAIN,
                         capture_output=True)
    assert run.returncode == 0
    for word in (b"bsmtp", b"process", b"a@one.example", b"b@two.example",
                 sha(CONTENT).encode()):
        assert word in run.stdout


# ---- There and back --------------------------------------------------------

def mails():
    found = sorted((ROOT / "tests" / "mails").glob("*.eml"))
    return found + sorted((CORPUS / "mail").glob("*/*.eml"))


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("options", [
    [], ["--gzip"], ["--dialect", "rfc2442"],
    ["--dialect", "rfc2442", "--gzip"],
    ["--dialect", "rfc2442", "--encoding", "8bit"]], ids=" ".join)
@pytest.mark.parametrize("as_is", [False, True], ids=["lines", "as-is"])
def test_round_trip(options, as_is):
    files = mails()
    if not files:
        pytest.skip("no mails")
    options = options + (["--as-is"] if as_is else [])
    run = subprocess.run(
        [POSTRIDER, "batch", *options, "--from", "a@one.example",
         "--to", "b@two.example", "--to", "c@two.example", *files],
        capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    told, messages, errors = inspect(run.stdout)
    assert (told["outcome"], errors) == ("process", [])
    assert told["compression"] == ("gzip" if "--gzip" in options else "none")
    assert told["format"] == ("rfc2442" if "rfc2442" in options else "bsmtp")
    wanted = [f.read_bytes() for f in files]
    if not as_is:
        wanted = [crlf(w) for w in wanted]
    assert [m["sha256"] for m in messages] == [sha(w) for w in wanted]
    assert all([r["address"] for r in m["recipients"]] ==
               ["b@two.example", "c@two.example"] for m in messages)


def make(tmp_path, content, *options):
    path = tmp_path / "m.eml"
    path.write_bytes(content)
    run = subprocess.run(
        [POSTRIDER, "batch", *options, "--from", "", "--to", "b@two.example",
         "--helo", "g.example", path], capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    return run.stdout


def test_what_batch_writes(tmp_path):
    made = make(tmp_path, b"Subject: t\n\n.dot\nbody\n")
    assert made.splitlines(keepends=True) == [
        b"EHLO g.example\r\n",
        b"MAIL FROM:<> SIZE=%d\r\n" % len(CONTENT),
        b"RCPT TO:<b@two.example>\r\n", b"DATA\r\n", b"Subject: t\r\n",
        b"\r\n", b"..dot\r\n", b"body\r\n", b".\r\n", b"QUIT\r\n"]


def test_batch_declares_only_what_is_needed(tmp_path):
    told = inspect(make(tmp_path, b"a: b\n\nc\n", "--dialect", "rfc2442"))[0]
    assert told["required_extensions"] == []
    told = inspect(make(tmp_path, b"a: b\n\nc\rd\n", "--dialect",
                        "rfc2442"))[0]
    assert told["required_extensions"] == ["8bitMIME", "SIZE", "NOTARY",
                                           "CHUNKING"]
    assert b"BDAT 13 LAST" in make(tmp_path, b"a: b\n\nc\rd\n")
    made = make(tmp_path, b"a: b\n\n\xe4\n")
    assert b"BODY=8BITMIME" in made
    assert b"BODY" not in make(tmp_path, b"a: b\n\nc\n")


def test_batch_splits_many_recipients(tmp_path):
    path = tmp_path / "m.eml"
    path.write_bytes(CONTENT)
    to = [x for i in range(201) for x in ("--to", f"u{i}@d.example")]
    run = subprocess.run([POSTRIDER, "batch", "--from", "a@b.example", *to,
                          path], capture_output=True)
    _, messages, _ = inspect(run.stdout)
    assert [len(m["recipients"]) for m in messages] == [100, 100, 1]
    assert sum([[r["address"] for r in m["recipients"]] for m in messages],
               []) == [f"u{i}@d.example" for i in range(201)]


def test_batch_names_the_file_at_fault(tmp_path):
    run = subprocess.run([POSTRIDER, "batch", "--from", "a@b.example", "--to",
                          "c@d.example", tmp_path / "missing.eml"],
                         capture_output=True)
    assert run.returncode == 66
    assert b"missing.eml" in run.stderr and run.stdout == b""
