#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Write the sample mails, each of which has its own way to be difficult.

The files are stored as well, since the demo and the unit tests read them and
a reader of the repository wants to see them; this program is their source,
because an editor cannot be trusted with NUL octets and bare CR.  Everything
is written for this project; the names are nobody's.

usage: make_mails.py			write the stored ones beside this file
       make_mails.py --check		exit 1 if what is stored differs
       make_mails.py --large DIR	write the big ones, never stored, to DIR
"""

import base64
import hashlib
import os
import quopri
import sys

HERE = os.path.dirname(os.path.realpath(__file__))

WORDS = ("the post rider left before dawn with two sealed bags and a letter "
         "for the harbour master while the road along the river was still "
         "white with frost nobody at the station had seen the ferry since "
         "monday so he took the long way over the hill and arrived late but "
         "with every seal unbroken as it should be").split()

MAILS = []
LARGE = []


def octets(label, count):
    """Bytes that do not compress and are the same on every machine."""
    blocks = [hashlib.sha256(f"{label} {number}".encode()).digest()
              for number in range(count // 32 + 1)]
    return b"".join(blocks)[:count]


def prose(label, lines, width=68):
    """Lines of words, CR LF at each end, the same on every machine."""
    picks = octets(label, lines * 16)
    out = []
    at = 0
    for _ in range(lines):
        line = ""
        while True:
            word = WORDS[picks[at % len(picks)] % len(WORDS)]
            at += 1
            if len(line) + len(word) + 1 > width:
                break
            line += (" " if line else "") + word
        out.append(line)
    return crlf("\n".join(out) + "\n")


def crlf(text):
    if isinstance(text, str):
        text = text.encode("utf-8")
    return text.replace(b"\n", b"\r\n")


def header(name, subject="", more=""):
    """The usual fields; more is further lines with LF."""
    lines = (f"Date: Tue, 3 Mar 2026 08:{len(MAILS) % 60:02d}:00 +0100\n"
             "From: Ann Carter <ann@paris.example>\n"
             "To: Bo Lund <bo@oslo.example>\n"
             f"Message-ID: <{name}@paris.example>\n")
    if subject:
        lines += f"Subject: {subject}\n"
    return crlf(lines + more)


def mail(name, why, content, large=False):
    (LARGE if large else MAILS).append((name + ".eml", why, content))


def plain(name, why, body, subject="", more="", large=False):
    if isinstance(body, str):
        body = crlf(body)
    mail(name, why, header(name, subject, more) + b"\r\n" + body, large)


def mime(kind, more=""):
    return f"MIME-Version: 1.0\nContent-Type: {kind}\n" + more


def b64(data):
    return crlf(base64.encodebytes(data))


def ordinary():
    plain("plain", "plain ASCII text",
          "Dear Bo,\n\nthe ferry is late again. Please tell the harbour "
          "master.\n\nAnn\n", "The ferry")
    plain("prose", "several screens of plain text", prose("prose", 400),
          "A long story")
    plain("reply", "quoted lines and a signature behind dash dash blank",
          "> Is the ferry late?\n>> Yes.\n\nStill is.\n-- \nAnn Carter\n"
          "Paris\n", "Re: The ferry",
          "In-Reply-To: <plain@paris.example>\n"
          "References: <plain@paris.example> <other@oslo.example>\n")
    plain("utf8-8bit", "UTF-8 body as 8bit",
          "Grüße aus Zürich, čeština, ελληνικά, 日本語, emoji 📮\n",
          "8bit", mime("text/plain; charset=utf-8",
                       "Content-Transfer-Encoding: 8bit\n"))
    plain("latin1-8bit", "ISO 8859-1 body, which is not valid UTF-8",
          "Sm\u00f8rrebr\u00f8d p\u00e5 \u00f8en\r\n".encode("latin-1"), "8bit",
          mime("text/plain; charset=iso-8859-1",
               "Content-Transfer-Encoding: 8bit\n"))
    plain("quoted-printable", "quoted-printable with soft line ends",
          crlf(quopri.encodestring("Größe = 12 °C; ".encode() * 20) + b"=\n"),
          "=?utf-8?Q?Gr=C3=B6=C3=9Fe?=",
          mime("text/plain; charset=utf-8",
               "Content-Transfer-Encoding: quoted-printable\n"))
    plain("encoded-subject", "encoded words folded over lines", "See above.\n",
          "=?utf-8?B?0J/QuNGB0YzQvNC+INC40Lcg0J/QsNGA0LjQttCw?=\n"
          " =?utf-8?Q?_und_zur=C3=BCck?=")
    plain("utf7", "a body in UTF-7, full of plus and minus",
          "Hi Mom +Jjo-! 2+-2=4\n", "UTF-7",
          mime("text/plain; charset=utf-7"))
    plain("iso-2022-jp", "escape sequences of ISO-2022-JP",
          "日本語のメール\r\n".encode("iso2022_jp"), "ISO-2022-JP",
          mime("text/plain; charset=iso-2022-jp"))


def multiparts():
    plain("attachment", "60 KB that do not compress, as base64",
          b"--b1\r\nContent-Type: text/plain\r\n\r\nSee the map.\r\n"
          b"--b1\r\nContent-Type: application/octet-stream\r\n"
          b"Content-Transfer-Encoding: base64\r\n"
          b"Content-Disposition: attachment; filename=map.bin\r\n\r\n"
          + b64(octets("map", 60000)) + b"--b1--\r\n", "The map",
          mime("multipart/mixed; boundary=b1"))
    plain("alternative", "multipart/alternative",
          "preamble, not shown\n--alt\nContent-Type: text/plain\n\nplain\n"
          "--alt\nContent-Type: text/html\n\n<p>or <b>not</b></p>\n"
          "--alt--\nepilogue, not shown\n", "Two ways",
          mime('multipart/alternative; boundary="alt"'))
    plain("nested", "multiparts in multiparts, boundaries alike",
          "--x\nContent-Type: multipart/mixed; boundary=xx\n\n"
          "--xx\nContent-Type: multipart/mixed; boundary=xxx\n\n"
          "--xxx\n\ndeep\n--xxx--\n--xx--\n--x\n\nflat\n--x--\n", "Nested",
          mime("multipart/mixed; boundary=x"))
    plain("forwarded", "message/rfc822 with header and dots inside",
          "--f\n\nFYI\n--f\nContent-Type: message/rfc822\n\n"
          "Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0100\n"
          "From: cleo@bergen.example\nSubject: inner\n\n.\n..\nQUIT\n--f--\n",
          "Fwd: inner", mime("multipart/mixed; boundary=f"))
    plain("digest", "a mailing list's digest",
          "--d\n\nFrom: a@x.example\nSubject: one\n\n1\n"
          "--d\n\nFrom: b@x.example\nSubject: two\n\n2\n--d--\n", "Digest",
          mime("multipart/digest; boundary=d"))
    plain("signed", "looks like a PGP/MIME signature, end blanks and all",
          "--s\nContent-Type: text/plain\n\nsigned text  \n- -- \n"
          "--s\nContent-Type: application/pgp-signature\n\n"
          "-----BEGIN PGP SIGNATURE-----\n\n"
          + base64.encodebytes(octets("pgp", 180)).decode()
          + "=AbCd\n-----END PGP SIGNATURE-----\n--s--\n", "Signed",
          mime('multipart/signed; micalg=pgp-sha256; boundary=s;\n'
               '\tprotocol="application/pgp-signature"'))
    plain("dkim", "a DKIM-Signature look-alike, folded", "Signed.\n", "DKIM",
          "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=paris."
          "example;\n\ts=k1; h=from:to:subject;\n\tbh="
          + base64.b64encode(octets("bh", 32)).decode() + ";\n\tb="
          + base64.b64encode(octets("b", 42)).decode() + "\n")
    plain("calendar", "a calendar invitation with folded lines",
          "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//paris//EN\n"
          "METHOD:REQUEST\nBEGIN:VEVENT\nUID:1@paris.example\n"
          "DTSTART:20260310T090000Z\nSUMMARY:Ferry timetable and\n"
          "  other matters\nEND:VEVENT\nEND:VCALENDAR\n", "Invitation",
          mime("text/calendar; method=REQUEST; charset=utf-8"))
    plain("dsn-report", "a delivery status notification",
          "--r\n\nYour mail could not be delivered.\n"
          "--r\nContent-Type: message/delivery-status\n\n"
          "Reporting-MTA: dns; oslo.example\n\n"
          "Final-Recipient: rfc822; no@oslo.example\nAction: failed\n"
          "Status: 5.1.1\n--r\nContent-Type: message/rfc822\n\n"
          "From: ann@paris.example\nSubject: lost\n\nlost\n--r--\n",
          "Undelivered", "Auto-Submitted: auto-replied\n"
          + mime("multipart/report; report-type=delivery-status;"
                 "\n boundary=r"))
    plain("html", "one long line of HTML",
          "<html><body>" + "<p>ferry</p>" * 70 + "</body></html>\n", "HTML",
          mime("text/html; charset=us-ascii"))
    plain("uuencode", "uuencoded lines, some of which start with a dot",
          "begin 644 a.bin\n" + ".86)C9&5F9VAI:FL.\n" * 20 + "`\nend\n",
          "uu")


def lines():
    for count in (998, 999, 5000):
        plain(f"line-{count}", f"a line of {count} octets and its CR LF",
              "short\n" + "x" * count + "\nshort\n", f"{count}")
    plain("dots", "dots at line starts",
          ".one\n..two\n...three\n .not\na.b\n....\n", "Dots")
    plain("single-dots", "lines of a single dot, first and last too",
          ".\n.\n\n.\nQUIT\nMAIL FROM:<x@y>\n.\n", "Single dots")
    plain("dot-runs", "every count of dots up to 80",
          "".join("." * count + "\n" for count in range(81)), "Runs")
    plain("from-lines", "lines that start with From, as mbox fears",
          "From here to there\n>From there\n\nFrom ann Mon Jan  1 00:00:00 "
          "2026\nfrom below\n", "From")
    plain("trailing-blanks", "blanks and tabs at line ends",
          "one \ntwo\t\n   \n\t\nthree \t \n", "Blanks  ")
    plain("empty-lines", "many empty lines at the end", "text\n" + "\n" * 50,
          "Empty lines")
    plain("smtp-talk", "a body that looks like a dialogue",
          "HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n.\nQUIT\n"
          "250 2.0.0 OK\nBDAT 3 LAST\nRSET\n", "EHLO")
    plain("dashes", "boundary-like lines without MIME",
          "--\n----\n--b1\n--b1--\n", "Dashes")
    plain("repeat", "64 KiB of the same line, which compress well",
          "0123456789abcdefghijklmnopqrst\n" * 2048, "Repeat")


def headers():
    mail("empty", "no octet at all", b"")
    mail("one-octet", "a single octet, no line end", b"x")
    mail("one-line", "one line that is no header field", b"hello\r\n")
    mail("crlf-only", "nothing but CR LF", b"\r\n")
    mail("header-only", "a header without the empty line behind it",
         header("header-only", "No body"))
    mail("empty-body", "header, empty line and no body",
         header("empty-body", "Empty") + b"\r\n")
    mail("no-header", "an empty line, then a body",
         b"\r\nThere was no header.\r\n")
    mail("not-a-header", "body text where a header is expected",
         b"this is no header\r\nneither is this\r\n\r\nbody\r\n")
    mail("leading-space", "starts with a continuation line",
         b" folded into nothing\r\nFrom: a@x.example\r\n\r\nbody\r\n")
    plain("received", "twenty Received fields in the middle", "Far.\n", "Hops",
          "".join(f"Received: from h{n}.example by h{n + 1}.example\n"
                  f"\tid {n:04d}; Mon, 2 Mar 2026 10:{n:02d}:00 +0000\n"
                  for n in range(20)))
    plain("long-header", "one field of 20 KB over many lines", "Short.\n",
          "Long", "X-Long: " + "\n ".join("w" * 70 for _ in range(280))
          + "\n")
    plain("long-header-line", "a header line of 3000 octets", "Short.\n",
          "Long line", "X-Line: " + "y" * 3000 + "\n")
    plain("many-fields", "five hundred fields", "Here.\n", "Many",
          "".join(f"X-F{n}: {n}\n" for n in range(500)))
    plain("many-recipients", "an endless To", "To all.\n", "All",
          "Cc: " + ",\n\t".join(f"u{n}@oslo.example" for n in range(300))
          + "\n")
    plain("8bit-header", "Latin-1 octets in the header",
          "Body.\n", "8bit header")
    name, why, content = MAILS.pop()
    mail(name[:-4], why, content.replace(b"Ann Carter", b"\xc5se B\xf8e"))
    mail("smtputf8", "addresses and header in UTF-8, as RFC 6532 has them",
         crlf("From: Åse Bø <åse@bø.example>\nTo: <用户@例子.example>\n"
              "Subject: Grüße 📮\nMessage-ID: <é@bø.example>\n\nBody.\n"))
    plain("list", "mailing list fields", "To the list.\n", "[ferry] Late",
          "List-Id: Ferry <ferry.paris.example>\n"
          "List-Unsubscribe: <mailto:leave@paris.example>\n"
          "Precedence: list\nSender: ferry-owner@paris.example\n")
    plain("return-path", "has Return-Path and Bcc that nobody may touch",
          "Body.\n", "Bcc", "Return-Path: <x@y.example>\n"
          "Bcc: secret@oslo.example\nDelivered-To: z@y.example\n")
    plain("odd-fields", "blanks before the colon, empty and repeated fields",
          "Body.\n", "", "Subject : spaced\nSubject:\nX-Empty:\n"
          "X-Tab:\tvalue\nx-lower: a\nX-Lower: b\n")
    plain("resent", "Resent fields", "Again.\n", "Resent",
          "Resent-From: cleo@bergen.example\nResent-To: bo@oslo.example\n"
          "Resent-Date: Tue, 3 Mar 2026 09:00:00 +0100\n")


def octet_soup():
    plain("nul", "NUL octets in lines that end in CR LF",
          b"a\x00b\r\n\x00\r\n\x00.\r\n.\x00\r\n", "NUL")
    plain("control", "every control octet but CR and LF",
          bytes(n for n in range(32) if n not in (10, 13)) + b"\x7f\r\n",
          "Control")
    plain("all-octets-lines", "every octet but CR and LF, in lines",
          b"".join(bytes([n]) * 3 + b"\r\n" for n in range(256)
                   if n not in (10, 13)), "Octets")
    plain("no-final-newline", "the last line has no end",
          b"one\r\ntwo without an end", "No end")
    plain("bare-lf", "lines that end in LF alone", b"one\ntwo\n.\nthree\n",
          "LF")
    mail("all-lf", "LF everywhere, header too",
         b"From: a@x.example\nSubject: LF\n\none\n.\ntwo\n")
    plain("bare-cr", "lines that end in CR alone", b"one\rtwo\r.\rthree\r\n",
          "CR")
    plain("mixed-ends", "CR LF, LF, CR, LF CR and CR CR LF",
          b"a\r\nb\nc\rd\n\re\r\r\nf\r\n", "Mixed")
    plain("smuggle", "every false end of data that was ever believed",
          b"1\n.\n2\n.\r\n3\r\n.\n4\r.\r5\r\n.\r\r\n6\r\n"
          b"\x00.\r\n7\r.\r\n8\r\n",
          "Smuggle")
    plain("ends-in-cr", "the last octet is a CR", b"text\r", "CR at end")
    plain("ends-in-dot", "ends in CR LF and a dot", b"text\r\n.", "Dot at end")
    plain("all-octets", "every octet in every order of two, as binary",
          bytes(range(256)) + bytes(reversed(range(256))), "Binary",
          mime("application/octet-stream",
               "Content-Transfer-Encoding: binary\n"))
    plain("random", "8 KiB of octets that do not compress",
          octets("random", 8192), "Random")


def large_ones():
    plain("large-text", "1 MiB of text", prose("large", 15400), "Large",
          large=True)
    plain("large-base64", "2 MiB that do not compress, as base64",
          b64(octets("large", 1552000)), "Large",
          mime("application/octet-stream",
               "Content-Transfer-Encoding: base64\n"), large=True)
    plain("large-line", "one line of 900000 octets",
          b"z" * 900000 + b"\r\n", "Line", large=True)
    plain("large-zeros", "2 MiB of NUL octets in lines",
          (b"\x00" * 1022 + b"\r\n") * 2048, "Zeros", large=True)
    plain("large-dots", "a line of one dot, 100000 times", b".\r\n" * 100000,
          "Dots", large=True)
    plain("large-binary", "1 MiB of any octets", octets("binary", 1 << 20),
          "Binary", large=True)


def how(content):
    """data if DATA can carry it: no line at all, or all end in CR LF."""
    bare = content.replace(b"\r\n", b"")
    if (content.endswith(b"\r\n") or not content) and not (
            b"\r" in bare or b"\n" in bare):
        return "data"
    return "bdat"


def index(mails):
    rows = ["file\toctets\tsha256\thow\twhy\n"]
    for name, why, content in sorted(mails):
        rows.append(f"{name}\t{len(content)}\t"
                    f"{hashlib.sha256(content).hexdigest()}\t"
                    f"{how(content)}\t{why}\n")
    return "".join(rows).encode("utf-8")


def write(directory, mails):
    os.makedirs(directory, exist_ok=True)
    for name, _, content in mails + [("INDEX.tsv", "", index(mails))]:
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def check(directory, mails):
    wrong = [name for name, _, content
             in mails + [("INDEX.tsv", "", index(mails))]
             if read(os.path.join(directory, name)) != content]
    known = {name for name, _, _ in mails}
    wrong += [name for name in sorted(os.listdir(directory))
              if name.endswith(".eml") and name not in known]
    for name in wrong:
        print(f"make_mails.py: {name} differs", file=sys.stderr)
    return 1 if wrong else 0


def main(args):
    if len(args) == 2 and args[0] == "--large":
        large_ones()
        write(args[1], LARGE)
        return 0
    if args not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 64
    for make in (ordinary, multiparts, lines, headers, octet_soup):
        make()
    if args:
        return check(HERE, MAILS)
    write(HERE, MAILS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
