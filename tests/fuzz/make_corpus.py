#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Writes the seeds of the fuzz targets into corpus/TARGET/, from the RFCs.

Files there whose names begin with "found-" are inputs that once broke a
target; they stay.
"""

import base64
import bz2
import gzip
import json
import lzma
import os
import quopri
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
CONTENT = b"Subject: t\r\n\r\n.dot\r\nbody\r\n"
STUFFED = CONTENT.replace(b"\r\n.", b"\r\n..")
MR = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
HI = b"EHLO x.example\r\n"
DATA = b"DATA\r\n" + STUFFED + b".\r\n"
QUIT = b"QUIT\r\n"
ONE = HI + MR + DATA + QUIT
TWO = HI + MR + DATA + b"RSET\r\n" + MR + DATA + QUIT


def mime(body, cte=None, kind=b"application/batch-SMTP", more=b"", eol=b"\r\n"):
    head = [b"From: <g@one.example>", b"MIME-Version: 1.0",
            b"Message-ID: <1@one.example>", b"Content-Type: " + kind]
    if cte:
        head.append(b"Content-Transfer-Encoding: " + cte)
    return eol.join(head) + eol + more + eol + body


def xgzip(body):
    return mime(base64.encodebytes(gzip.compress(body, mtime=0)), b"base64",
                b'application/batch-SMTP;\r\n required-extensions='
                b'"8bitMIME,SIZE,NOTARY,XGZIP"')


PARAMETERS = [
    b"SIZE=100", b"BODY=8BITMIME", b"BODY=7BIT", b"BODY=BINARYMIME",
    b"RET=HDRS", b"RET=FULL ENVID=QQ+3D314159", b"SMTPUTF8",
    b"SIZE=18446744073709551615 BODY=8BITMIME RET=FULL ENVID=a",
    b"MT-PRIORITY=3", b"MT-PRIORITY=-9", b"MT-PRIORITY=0", b"MT-PRIORITY=-0",
    b"BY=120;R", b"BY=-5;NT", b"BY=0;R", b"BY=+000000010;r",
    b"HOLDFOR=60", b"HOLDUNTIL=2026-11-22T10:00:00Z",
    b"HOLDUNTIL=2026-11-22T10:00:00.5+01:00", b"HOLDFOR=1 HOLDUNTIL=x"]
RCPT_PARAMETERS = [
    b"NOTIFY=NEVER", b"NOTIFY=SUCCESS,FAILURE,DELAY",
    b"ORCPT=rfc822;c+2Bd@e.example", b"NOTIFY=delay ORCPT=x400;a+20b",
    b"ORCPT=utf-8;\\x{F6}@e.example"]

COMMAND = {
    "mail": [b"MAIL FROM:<a@b.example>", b"MAIL FROM:<>",
             b"mail from: <a@b>", b"MAIL FROM:a@b.example",
             b"MAIL FROM:<@x.example,@y.example:a@b.example>",
             b'MAIL FROM:<"a b\\"@"@b.example>', b"MAIL FROM:<a@[192.0.2.1]>",
             b"MAIL FROM:<a@[IPv6:2001:db8::1]>"],
    "mail-parameters": [b"MAIL FROM:<a@b.example> " + p for p in PARAMETERS],
    "rcpt": [b"RCPT TO:<c@d.example>", b"RCPT TO:<Postmaster>",
             b"RCPT TO:c@d.example", b"rcpt to: <@x:c@d.example>",
             b"RCPT TO:<>"],
    "rcpt-parameters": [b"RCPT TO:<c@d.example> " + p
                        for p in RCPT_PARAMETERS],
    "utf8": ["MAIL FROM:<dö@exämple> SMTPUTF8".encode(),
             "RCPT TO:<пример@d.example> ORCPT=utf-8;dö@x".encode()],
    "bdat": [b"BDAT 86 LAST", b"BDAT 0", b"BDAT 99999999999999999999"],
    "others": [b"EHLO x.example", b"HELO [192.0.2.1]", b"LHLO x", b"DATA",
               b"RSET", b"NOOP postrider-id=1", b"QUIT", b"VRFY x", b"EXPN x",
               b"HELP", b"STARTTLS", b"ETRN x", b"AUTH PLAIN", b"SEND FROM:<>",
               b"SOML", b"SAML", b"TURN", b"TICK 1", b"VERB ON", b"XYZZY", b""],
    "wrong": [b"MAIL FROM:<a@b.example", b"MAIL FROM:<a@b>SIZE=1",
              b"MAIL FROM:<a@b> SIZE=1 SIZE=1", b"MAIL FROM:<a@b> =",
              b"MAIL FROM:<\xff@b> SMTPUTF8", b"MAIL  FROM : <a@b>",
              b"RCPT TO:<" + b"x" * 65 + b"@d.example>", b"MAILFROM:<a@b>"],
}
SESSION = {
    "one": ONE,
    "two": TWO,
    "helo": b"HELO x\r\n" + MR + DATA + QUIT,
    "parameters": HI + b"MAIL FROM:<a@b.example> SIZE=30 BODY=8BITMIME "
    b"RET=HDRS ENVID=1\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\n" + DATA,
    "refused": HI + b"MAIL FROM:<n@b.example>\r\n" + MR
    + b"RCPT TO:<n@d.example>\r\n" + DATA,
    "later": HI + b"MAIL FROM:<q@b.example>\r\n" + MR,
    "full": HI + b"MAIL FROM:<f@b.example>\r\nRCPT TO:<c@d.example>\r\n"
    + DATA + MR,
    "disk": HI + b"MAIL FROM:<d@b.example>\r\nRCPT TO:<c@d.example>\r\n"
    + DATA + MR + DATA,
    "again": HI + b"MAIL FROM:<e@b.example>\r\nRCPT TO:<c@d.example>\r\n"
    + DATA + MR + DATA,
    "bdat": HI + MR + b"BDAT 6\r\nabcdefBDAT 3 LAST\r\n\n.\r" + MR
    + b"BDAT 2 LAST\r\n\r\n" + QUIT,
    "bdat-refused": HI + b"MAIL FROM:<f@b.example>\r\n"
    b"RCPT TO:<c@d.example>\r\nBDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\n"
    + QUIT,
    "bdat-too-large": HI + MR + b"BDAT 400 LAST\r\n" + b"x" * 400 + QUIT,
    "dots": HI + MR + b"DATA\r\n..\r\n...x\r\n.y\r\n. \r\n\r\n.\r\n" + QUIT,
    "smuggling": HI + MR + b"DATA\r\nx\n.\r\n\r.\r\n.\n\r\n.\r\r\n.\r\n"
    + QUIT,
    "lf": TWO.replace(b"\r\n", b"\n"),
    "tick": b"TICK 1\nVERB ON\nHELO x\nMAIL FROM:a@b.example\n"
    b"RCPT TO:c@d.example\nDATA\nx\n.\nQUIT\n",
    "order": b"DATA\r\nRCPT TO:<a@b>\r\n" + HI + MR + b"MAIL FROM:<>\r\n"
    b"HELO y\r\nBDAT 1\r\nx",
    "many": HI + MR + b"RCPT TO:<e@d.example>\r\n" * 4 + DATA,
    "long": HI + b"NOOP " + b"x" * 200 + b"\r\n" + MR + b"DATA\r\n"
    + b"y" * 120 + b"\r\n.\r\n" + QUIT,
    "no-recipient": HI + b"MAIL FROM:<>\r\n" + DATA + QUIT,
    "binary": HI + b"MAIL FROM:<a@b> BODY=BINARYMIME\r\n"
    b"RCPT TO:<c@d.example>\r\nDATA\r\nBDAT 3 LAST\r\n\0\xff\n",
    "others": b"VRFY x\r\nEXPN x\r\nHELP\r\nETRN x\r\nSTARTTLS\r\nSEND x\r\n",
    "cut": ONE[:-12],
    "rest": QUIT + b"rubbish\r\n",
    "tls": HI + b"STARTTLS\r\n\x16" + ONE,
    "tls-clear": HI + b"STARTTLS\r\n" + ONE,
    "tls-cut": HI + b"STARTTLS\r\n",
    "tls-twice": HI + b"STARTTLS\r\n\x16" + HI + b"STARTTLS\r\n\x16" + MR,
    "tls-required": MR + HI + MR + b"BDAT 2 LAST\r\nxxSTARTTLS x\r\n"
    b"STARTTLS\r\n\x16" + MR + ONE,
    "lhlo": b"LHLO x\r\n" + MR + b"RCPT TO:<n@d.example>\r\n"
    b"RCPT TO:<e@d.example>\r\n" + DATA + MR + b"BDAT 2 LAST\r\n\r\n" + QUIT,
    "lhlo-tls": b"LHLO x\r\nSTARTTLS\r\n\x16LHLO x\r\n" + MR + DATA,
    "lhlo-again": b"LHLO x\r\nMAIL FROM:<e@b.example>\r\n"
    b"RCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\n" + DATA + QUIT,
    "timing": HI + b"".join(
        b"MAIL FROM:<a@b.example> " + p + b"\r\nRCPT TO:<c@d.example>\r\n"
        + b"BDAT 0 LAST\r\n" for p in (
            b"MT-PRIORITY=3 BY=120;R", b"MT-PRIORITY=-9 BY=-5;NT",
            b"HOLDFOR=60", b"HOLDUNTIL=2026-11-22T10:00:00Z")),
    "timing-wrong": HI + b"MAIL FROM:<a@b.example> HOLDFOR=1001\r\n"
    b"MAIL FROM:<a@b.example> HOLDFOR=1 HOLDUNTIL=2020-01-01T00:00:00Z\r\n"
    b"MAIL FROM:<a@b.example> BY=0;R\r\n"
    b"MAIL FROM:<a@b.example> MT-PRIORITY=10\r\n",
}
BATCH = {
    "bare": ONE,
    "two": TWO,
    "joined": ONE + ONE.replace(b"QUIT\r\n", b""),
    "half-baked": MR + DATA,
    "lf": TWO.replace(b"\r\n", b"\n"),
    "ids": HI + b"NOOP postrider-id=a.b-1\r\nNOOP postrider-hops=3\r\n" + MR
    + DATA + QUIT,
    "bdat": HI + MR + b"BDAT 5 LAST\r\na\n\0\r.QUIT\r\n",
    "gzip": gzip.compress(TWO, mtime=0),
    "gzip-members": gzip.compress(HI + MR, mtime=0)
    + gzip.compress(DATA + QUIT, mtime=0),
    "gzip-cut": gzip.compress(TWO, mtime=0)[:-6],
    "mime": mime(ONE),
    "mime-lf": mime(ONE, eol=b"\n").replace(b"\r\n", b"\n"),
    "mime-base64": mime(base64.encodebytes(ONE), b"base64"),
    "mime-qp": mime(quopri.encodestring(ONE.replace(b"\r\n", b"\n"))
                    .replace(b"\n", b"\r\n"), b"quoted-printable"),
    "mime-xgzip": xgzip(TWO),
    "mime-required": mime(ONE, None, b"application/batch-SMTP; "
                          b'required-extensions="8bitMIME,SIZE,NOTARY"'),
    "mime-unknown": mime(ONE, None, b"application/batch-SMTP; "
                         b'required-extensions="XNONE,SIZE"'),
    "mime-gzip-unnamed": mime(gzip.compress(ONE, mtime=0), b"binary"),
    "mime-8bit": mime(HI + b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"
                      b"RCPT TO:<c@d.example>\r\nDATA\r\n\xe4\r\n.\r\n",
                      b"8bit"),
    "gzip-mime": gzip.compress(mime(ONE), mtime=0),
    "mail": mime(b"hello\r\n", kind=b"text/plain"),
    "mbox": b"From g@one.example Mon Jan  1 00:00:00 2024\r\n" + mime(ONE),
    "broken": TWO.replace(b"RSET", b"XYZZY"),
    "cut": TWO[:-30],
    "too-many": HI + MR + b"RCPT TO:<e@d.example>\r\n" * 4 + DATA + QUIT,
    "bare-cr": HI + MR + b"DATA\r\na\rb\r\n.\r\n" + MR + DATA,
    "no-recipient": b"MAIL FROM:<>\r\n" + DATA + MR + DATA,
    "tick": b"TICK 1\r\nVERB ON\r\n" + MR + DATA,
    "empty": b"",
}
MIME = {
    "plain": mime(b"hello =3D\r\n"),
    "base64": mime(base64.encodebytes(bytes(range(256))), b"base64"),
    "qp": mime(b"a=3Db=\r\nc \r\n=\r\n=C3=A4 \t\r\n= \r\n=XY=", b"Quoted-"
               b"Printable"),
    "folded": mime(b"", None, b"(c (d)) Application\r\n /(e) batch-smtp ; "
                   b"(f)\r\n\tx=\"a;b\\\"\""),
    "rfc2231": mime(b"", None, b"application/batch-SMTP;\r\n"
                    b" required-extensions*0*=us-ascii'en'8bit%4DIME;\r\n"
                    b" required-extensions*1=\",SIZE\""),
    "two-types": mime(b"", more=b"Content-Type: text/plain\r\n"),
    "lf": mime(b"x\n", eol=b"\n"),
    "mbox": b"From x Mon Jan\r\n" + mime(b""),
    "no-header": b"Dear Sir,\r\n",
    "continuation": b" x\r\ny: z\r\n\r\n",
    "comments": b"Content-Transfer-Encoding: (a (b\\) c)) base64 (d)\r\n"
    b"Message-ID: (x) <a@b> (y)\r\nMIME-Version : 1.0\r\n\r\nQUJD\r\n=",
    "unclosed": b"Content-Type: application/batch-SMTP; a=\"b\r\n c; (d\r\n"
    b"\r\n",
}
PART = b"Content-Type: text/plain; charset=iso-8859-1\r\n"
CONVERT = {
    "plain": CONTENT,
    "8bit": b"MIME-Version: 1.0\r\n" + PART
    + b"Content-Transfer-Encoding: 8bit\r\n\r\nn\xe4h und fern \r\n--x\r\n",
    "no-mime": b"Subject: x\r\n\r\n\xe4\r\n",
    "mixed": b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"
    b"\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\n" + PART
    + b"\r\nabc \xe4\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n"
    b"\r\n--c\r\n\r\nx\r\n--c--\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n"
    b"\r\nSubject: y\r\n\r\n\xe4\0\n\r\n--b\r\nContent-Type: multipart/digest; "
    b"boundary=\"d=E4\"\r\n\r\n--d=E4\r\n\r\nA: b\r\n\r\n--d\xe4\r\n--d=E4--\r\n"
    b"--b--\r\n",
    "binary": b"MIME-Version: 1.0\r\nContent-Type: a/b\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)),
    "open": b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: "
    b"quoted-printable\r\n\r\nx=3D",
    "bare": b"A: b\r\n\r\nx\ny\rz\r\n-\r",
    "signed": b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; "
    b"boundary=b\r\n\r\n--b\r\n" + PART + b"\r\n\xe4\r\n--b--",
}
DSN = {
    "notify": [p for p in RCPT_PARAMETERS if b"NOTIFY" in p]
    + [b"NOTIFY=NEVER,DELAY", b"NOTIFY=", b"NOTIFY=SUCCESS,SUCCESS"],
    "orcpt": [p for p in RCPT_PARAMETERS if b"ORCPT" in p]
    + [b"ORCPT=rfc822", b"ORCPT=;x", b"ORCPT=rfc822;a+2b", b"ORCPT=a;+",
       b"ORCPT=utf-8;\\x{10FFFF}\\x{5C}", "ORCPT=utf-8;ö@x".encode()],
    "envid": [b"ENVID=a+2Bb", b"ENVID=", b"ENVID=a+2", b"ENVID=+3D+20",
              b"ENVID=" + b"x" * 100, b"ENVID=" + b"x" * 101],
    "ret": [b"RET=FULL", b"RET=hdrs", b"RET=SOME", b"RET=FULL RET=FULL",
            b"RET=HDRS ENVID=1", b"RET"],
    "xtext": [b"a+20b", b"+", b"++", b"+2", b"+2G", b"=", b"\xff", b"a b"],
}
CLIENT = {
    "all": b"220 hi\r\n250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-DSN\r\n"
    b"250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n"
    b"250 CHUNKING\r\n" + 2 * (b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n"
    b"550 5.1.1 no\r\n354 go\r\n250 2.0.0 taken\r\n")
    + b"250 ok\r\n250 ok\r\n250 ok\r\n250 2.6.0 ok\r\n221 bye\r\n",
    "helo": b"220 hi\r\n502 what\r\n250 x\r\n250 ok\r\n250 ok\r\n250 ok\r\n"
    b"354 go\r\n250 taken\r\n",
    "refused": b"220 hi\r\n250 PIPELINING\r\n550 5.7.1 no\r\n503 no\r\n503 no\r\n"
    b"503 no\r\n250 ok\r\n452 4.3.1 full\r\n",
    "none-valid": b"220 hi\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n550 a\r\n"
    b"450 b\r\n354 go\r\n250 hm\r\n",
    "shut": b"554 go away\r\n",
    "closing": b"220 hi\r\n250 x\r\n421 4.3.2 bye\r\n",
    "multi": b"220-a\r\n220-b\r\n220 c\r\n250-x\r\n250\r\n250-1\r\n250 2\r\n",
    "rubbish": b"HTTP/1.1 400 Bad Request\r\n",
    "data-early": b"220 a\r\n250 b\r\n354 c\r\n354 d\r\n",
    "lf": b"220 hi\n250 x\n250 ok\n250 ok\n250 ok\n354 go\n250 ok\n",
    "small": b"220 hi\r\n250-x\r\n250 SIZE 3\r\n250 bye\r\n",
    "cut": b"220 hi\r\n250 x\r\n250 ok\r\n25",
}
CONF = {
    "site": b"""site paris {
	postmaster = postmaster@paris.example
	spool = /var/spool/postrider # comment
	log = stderr; message-max = 10M
}
listen "127.0.0.1:2442" { allow = { 127.0.0.0/8, ::1, unix } }
delivery local { domains = { paris.example, "x y" }
	to = maildir:/srv/mail/%u }
""",
    "peer": b"""peer oslo {
	call = { every 15m, "cron 0 6,18 * * 1-5" , "Wk2305-0655,Sa,Su0900-1700" }
	retry-min = 1h30m // x
	transport = file; set = { 'drop=/a', "pick\\"up=/b\\n" }
}
link london oslo { cost = 10 }
routes { .example = oslo
	* = london }
""",
    "schedules": b"a = { \"every 90s\", \"cron */5 0-23/2 1,15 1-12 0-7\", "
    b"Any, Never, Wk, \"Su0100-0300\", \"cron 30 2 29 2 *\" }\n",
    "endpoints": b'a = { "192.0.2.1:25", "[2001:db8::1]:25", localhost:25, '
    b'"unix:/run/x", "192.0.2.0/24", "2001:db8::/32", "[::]:0" }\n',
    "quotes": b"a = \"\\\\\\\"\\'\\n\\t\"\nb = 'raw \\n'\n/* c\nd */ e = f /* g */\n",
    "faults": b"a =\n= b\nc { d = { e, , }\nf = \"open\ng }\n}\n010 = 08\n",
    "nested": b"a b c { d { e { f { } } } }\n",
    "unclosed": b"a { b = { c,\n/* d",
    "sizes": b"a = { 10, 64K, 10M, 2G, 1T, 1KiB, 99999999999999999999, 1h30m, "
    b"5d, 1w2d3h4m5s, -1, 0x1 }\n",
}
REPORT = {
    "all": b"sending abc 10 100\nsent abc\nreceived abc~12-34\n"
    b"failed abc temporary no medium\nfailed abc permanent too large\n"
    b"note hello there\n",
    "wrong": b"sent\nsent \nsent .a\nsent a/b\nsending a 2 1\nsending a 1\n"
    b"sending a -1 2\nfailed a soon x\nnote\nnote \nfoo\n\nreceived a b\n"
    b"sending a 18446744073709551616 1\n",
    "long": b"note " + b"x" * 120 + b"\nsent a\n",
    "crlf": b"sent a\r\nnote a\rb\r\n\0\xff\n",
    "open": b"note no line end",
}


def lzw(octets):
    """compress(1), literals of nine bits only: eight codes are nine octets."""
    codes = list(octets[:200])
    bits = sum(code << 9 * i for i, code in enumerate(codes))
    return b"\x1f\x9d\x90" + bits.to_bytes((9 * len(codes) + 7) // 8,
                                           "little")


def zstd(octets):
    """One raw block, its size in the frame."""
    octets = octets[:200]
    return (b"\x28\xb5\x2f\xfd\x20" + bytes([len(octets)])
            + (len(octets) << 3 | 1).to_bytes(3, "little") + octets)


EXPAND = {
    "gzip": gzip.compress(TWO, mtime=0),
    "gzip-twice": gzip.compress(ONE, mtime=0) * 2,
    "compress": lzw(ONE),
    "bzip2": bz2.compress(TWO),
    "bzip2-twice": bz2.compress(ONE) * 2,
    "xz": lzma.compress(TWO),
    "xz-twice": lzma.compress(ONE) * 2 + b"\0\0\0\0",
    "zstd": zstd(ONE),
    "zstd-twice": zstd(b"a") + zstd(b"b"),
    "zstd-skipped": b"\x50\x2a\x4d\x18\x02\0\0\0xx" + zstd(b"a"),
    "gzip-cut": gzip.compress(TWO, mtime=0)[:-3],
    "xz-cut": lzma.compress(ONE)[:-3],
    "bzip2-trailing": bz2.compress(ONE) + b"trailing",
}


def deflated(*texts, mark=b"\x80"):
    """A raw deflate stream for each, without a dictionary."""
    out = mark
    for text in texts:
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
        out += squeezer.compress(text) + squeezer.flush()
    return out


NATIVE = (b"MAIL FROM:<a@b.example> BODY=8BITMIME RET=HDRS ENVID=x SMTPUTF8 "
          b"MT-PRIORITY=3 BY=60;R XID=4k2 XHOP=3\r\n"
          b"RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;e@f.example\r\n"
          b"BDAT 5 LAST\r\na\nb\r\n")
HELLO = b"\x01\x05\0\xfa\xffhello"
INFLATE = {
    "stored": b"\0hello", "together": b"\x40" + HELLO,
    "together-mail": deflated(ONE, mark=b"\x40"),
    "each": deflated(ONE, TWO), "each-one": b"\x81" + HELLO,
    "each-cut": deflated(ONE, TWO)[:-3], "trailing": b"\x40" + HELLO + b"x",
    "nothing": b"\x40\x03\0", "each-nothing": b"\x80\x03\0",
    "unknown": b"\x42" + HELLO, "no-mode": b"\xc0" + HELLO,
    "bomb": deflated(bytes(1 << 19), mark=b"\x40"),
}


def cards():
    """Some of the vectors, and of most what is behind the identity: the
    target signs that."""
    with open(os.path.join(HERE, "..", "vectors", "card.json"),
              encoding="ascii") as file:
        for vector in json.load(file)["cards"]:
            card = base64.b64decode(vector["card"])
            if vector["name"] in ("small", "manual", "full"):
                yield vector["name"], card
            lines = card.split(b"\n")[4:-1]
            if len(card) < 2000 and lines and lines[0].startswith(b"auth"):
                yield vector["name"] + "-body", line_file(
                    line for line in lines
                    if not line.startswith(b"signature"))
def vectors(name):
    """Of tests/vectors: each with its name, as octets; what is refused
    inside too."""
    path = os.path.join(os.path.dirname(HERE), "vectors", f"{name}.json")
    with open(path, encoding="utf-8") as file:
        said = json.load(file)
    for v in said["vectors"]:
        if "hex" in v["plain"]:
            yield v["name"].replace(" ", "-"), v
    for i, row in enumerate(said["refused_inside"]):
        yield f"refused-{i}", {"plain": row}


def inside(name, mark=b""):
    return {f"{name}-{key}": mark + bytes.fromhex(v["plain"]["hex"])
            for key, v in vectors(name)}


BAG = {**inside("bundle", b"\0"), **inside("onion", b"\1"),
       **inside("request", b"\2")}
# How it is sealed, where it is touched, the size of pieces; what is inside.
PARCEL = {f"{how}-{key}": bytes([how, 0, at, 40]) + octets
          for how in range(8)
          for at, (key, octets) in enumerate(inside("parcel").items())
          if at % 4 == how % 4 or at < 2}
PARCEL.update({f"raw-{name}-{key}": bytes.fromhex(v["object"]["hex"])
               for name in ("parcel", "signed")
               for key, v in vectors(name) if "object" in v})


def line_file(lines):
    return b"\n".join(lines) + b"\n"


OFFER = (b"\x01\x03\x01" + (30).to_bytes(8, "big") + bytes(32) +
         bytes(8) + b"\x04name")
LINK = {
    "call": b"\x00\r\xfe~\x11PR1AUAAAAAAAAAAAAAAAAAAAAAAAAAAA\r",
    "wish": b"\x01\r\xfe~\x11PR0AU9NvfIeX7oVm7bXyZRBrEXbCsIv0\r",
    "octets": b"\x02" + b"\xc0\x00\x00\x00\x00\x00" * 4,
    "coded": b"\x02" + bytes([0x30, 0x10, 0, 0, 0, 0, 0x5b, 0xb6, 0x11,
                             0x6c, 0xc7, 0x22]) + bytes(8),
    "ack": b"\x03\x01\x00\x00\x05\x02\x03\x04\x81\x01\x02payload",
    "report": b"\x03\x0b\x20\x01\x00\x00\x05\x00payload",
    "offer": b"\x04" + OFFER + b"\x02\x03\x00\x1e" + b"x" * 30,
    "seek": b"\x04" + OFFER + b"\x03\x03" + bytes(7) + b"\x05",
    "answers": b"\x04\x05" + bytes(16) + b"\x06" + bytes(16) + b"\x07" +
               bytes(8) + b"\x08" + bytes(9) + b"\x04text\x09\x0a",
    "unknown": b"\x04\x80\x00\x03abc\x04\x03\x09",
}
CHAT = {
    "modem": b'"" ATZ OK ATDT\\T CONNECT\nBUSY NO\\sCARRIER\n'
             b"ATZ\r\nOK\r\nCONNECT 9600\r\n",
    "login": b"ogin:-BREAK-ogin:--ogin: \\L word:\\W5 \\P\\c\n\n"
             b"\n\n\n\n\n\n\n\n\n\n\n\nlogin: \nPassword: ",
    "escapes": b'"" \\101\\d\\p\\s\\-\\K\\r x\\W0\nERROR\nx',
}

ROAD = (b"From: <b@paris.example>\r\nTo: <b@london.example>\r\n"
        b"Message-ID: <abc@paris.example>\r\nMIME-Version: 1.0\r\n")
PARCEL_TYPE = b"Content-Type: application/vnd.postrider.parcel\r\n"
ARMOUR_TYPE = b"Content-Type: application/vnd.postrider.armoured-parcel\r\n"
CTE = b"Content-Transfer-Encoding: "
SIXTY_FOUR = PARCEL_TYPE + CTE + b"base64\r\n\r\nZm9vYmFy\r\n"
ARMOUR = b"\x8b\x8c\x8d=\r\n==3 364b3fb7\r\n"


def parts(*part, kind=b"mixed"):
    return (b"Content-Type: multipart/" + kind + b"; boundary=b\r\n\r\n"
            + b"".join(b"--b\r\n" + one + b"\r\n" for one in part)
            + b"--b--\r\n")


def returned(status, original):
    return (b"From: MAILER-DAEMON@mx.example\r\nReturn-Path: <>\r\n" + parts(
        b"\r\nSorry: 550 5.1.1 unknown",
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; m"
        b"\r\nOriginal-Envelope-Id: abc@paris.example\r\n\r\n"
        b"Final-Recipient: rfc822; b@london.example\r\n" + status,
        original, kind=b"report; report-type=delivery-status"))


MAIL = {
    "base64": ROAD + SIXTY_FOUR,
    "binary": ROAD + PARCEL_TYPE + CTE + b"binary\r\n\r\nfoo\0\r\nbar",
    "armour": ROAD + ARMOUR_TYPE + CTE + b"8bit\r\n\r\n" + ARMOUR + b"-- \r\n",
    "armour-qp": ROAD + ARMOUR_TYPE + CTE + b"quoted-printable\r\n\r\n"
                 + quopri.encodestring(ARMOUR),
    "armour-cut": ROAD + ARMOUR_TYPE + b"\r\n" + ARMOUR[:6],
    "object": ROAD + b"Content-Type: application/batch-SMTP\r\n\r\n" + ONE,
    "parts": ROAD + parts(SIXTY_FOUR, b"\r\nlist"),
    "parts-in-parts": ROAD + parts(b"\r\nhello", parts(SIXTY_FOUR).replace(
        b"=b", b"=c").replace(b"--b", b"--c")),
    "parts-object": ROAD + parts(b"Content-Type: application/batch-SMTP\r\n"
                                 b"\r\n" + ONE, b"\r\nlist"),
    "parts-lf": (ROAD + parts(SIXTY_FOUR)).replace(b"\r\n", b"\n"),
    "dsn-failed": returned(
        b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550\r\n"
        b"  no\r\n", b"Content-Type: message/rfc822\r\n\r\n" + ROAD
        + SIXTY_FOUR),
    "dsn-delayed": returned(
        b"Action: delayed\r\nStatus: 4.4.1\r\n",
        b"Content-Type: text/rfc822-headers\r\n\r\n" + ROAD),
    "qmail": b"From: MAILER-DAEMON@m\r\n\r\nHi. This is the qmail-send\r\n"
             b"I wasn't able to deliver\r\n550 5.7.1 no\r\n--- Below\r\n"
             + ROAD + b"\r\n",
    "quoted": b"From: MAILER-DAEMON@m\r\n\r\n<<< 451 later\r\n> message-id:"
              b"\r\n>  <abc@paris.example>\r\n",
    "warning": b"From: MAILER-DAEMON@m\r\nSubject: Warning\r\n\r\nNo action "
               b"is required\r\nMessage-ID: <abc@paris.example>\r\n",
    "letter": b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n",
    "no-header": b"hello\r\n",
}

LISTED = (b"* 1 FETCH (UID 7 RFC822.SIZE 300 FLAGS (\\Seen \\Deleted) "
          b"BODY[HEADER.FIELDS (FROM CONTENT-TYPE)] {14}\r\nFrom: a@b\r\n\r\n"
          b" )\r\n")
FETCH = {
    "imap-open": b"I* CAPABILITY IMAP4rev1 IDLE UIDPLUS MOVE\r\np1 OK x\r\n"
                 b"* 3 EXISTS\r\n* OK [UIDVALIDITY 99] x\r\n"
                 b"p2 OK [READ-WRITE] x\r\n",
    "imap-list": b"I" + LISTED + LISTED + b"p1 OK done\r\n",
    "imap-body": b"I* 1 FETCH (BODY[] {10}\r\np1 OK x\r\n. UID 7)\r\n"
                 b"p1 OK done\r\n",
    "imap-quoted": b"I* 1 FETCH (UID 7 BODY[] \"a\\\"b\")\r\np1 OK x\r\n",
    "imap-odd": b"I* 1 FETCH (X ((a \"(\") {1}\r\n)) UID 7 BODY[] NIL)\r\n"
                b"+ go\r\n* BYE x\r\n",
    "imap-wrong": b"Ip2 OK x\r\n",
    "pop3-list": b"P+OK\r\n1 abc\r\n..2 d\r\n.\r\n+OK 10\r\nA: b\r\n\r\n"
                 b"..\r\n.\r\n-ERR x\r\n",
    "pop3-wrong": b"POK\r\n",
    "login-imap": b"i* CAPABILITY IMAP4rev1\r\np1 OK x\r\n+ go\r\n+ go\r\n"
                  b"p2 OK in\r\n",
    "login-pop3": b"p+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n+OK\r\n-ERR no\r\n",
    "login-scram": b"i* CAPABILITY AUTH=SCRAM-SHA-256\r\np1 OK x\r\n+ \r\n"
                   b"+ cj14LHM9QUFBQSxpPTQwOTY=\r\n+ dj1BQUFB\r\n",
    "login-smtp": b"s250-x\r\n250 AUTH SCRAM-SHA-1\r\n334 \r\n334 eA==\r\n",
}

TARGETS = {
    "fetch": FETCH, "link": LINK, "chat": CHAT, "mail": MAIL,
    "command": {k: line_file(v) for k, v in COMMAND.items()},
    "session": SESSION, "batch": BATCH, "mime": MIME,
    "dsn": {k: line_file(v) for k, v in DSN.items()},
    "writer": {k: v for k, v in BATCH.items() if k in (
        "bare", "two", "lf", "bdat", "mime-8bit", "ids", "no-recipient")},
    "client": CLIENT, "conf": CONF, "report": REPORT,
    "expand": EXPAND, "convert": CONVERT, "inflate": INFLATE,
    "card": dict(cards()), "frame": inside("parcel"), "bag": BAG,
    "parcel": PARCEL,
}
TARGETS["batch"]["native-stored"] = b"\0" + NATIVE + MR + b"BDAT 0 LAST\r\n"
TARGETS["batch"]["native-each"] = deflated(NATIVE, NATIVE)
TARGETS["batch"]["native-quit"] = b"\0" + NATIVE + QUIT
TARGETS["batch"]["native-cut"] = deflated(NATIVE, mark=b"\x40")[:-2]
TARGETS["writer"]["parameters"] = SESSION["parameters"]
TARGETS["writer"]["utf8"] = (
    "EHLO x\r\nMAIL FROM:<dö@b.example> SMTPUTF8\r\nRCPT TO:<ö@d.example> "
    "ORCPT=utf-8;ö@d\r\nDATA\r\nä: ö\r\n.\r\n".encode())
TARGETS["writer"]["open-end"] = HI + MR + b"BDAT 3 LAST\r\n.\r\n" + MR \
    + b"BDAT 1 LAST\r\n."


def main():
    for target, files in TARGETS.items():
        folder = os.path.join(HERE, "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            if not old.startswith("found-") and old not in files:
                os.unlink(os.path.join(folder, old))
        for name, octets in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(octets)


if __name__ == "__main__":
    main()
