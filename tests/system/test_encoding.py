# SPDX-License-Identifier: ISC
"""The transfer encoding of objects, chosen by content and by the road."""

import email
import json
import subprocess

import pytest

import road
from peers_common import program, sha256, wait_for

PLAIN = b"Subject: x\r\n\r\n.a plain text\r\n"
EIGHT = "Subject: x\r\n\r\nein längerer Text, meist ASCII\r\n".encode()
MUCH = b"Subject: x\r\n\r\n" + bytes(range(160, 255)) * 8 + b"\r\n"
BARE = b"Subject: x\r\n\r\na bare\nline end and an open end \r"

# (path or encoding, content) -> what is written
CASES = [
    ("path = 7bit", PLAIN, "7bit"),
    ("path = 7bit", EIGHT, "quoted-printable"),
    ("path = 7bit", MUCH, "base64"),
    ("path = 7bit", BARE, "quoted-printable"),
    ("path = 8bit", PLAIN, "7bit"),
    ("path = 8bit", EIGHT, "8bit"),
    ("path = 8bit", BARE, "quoted-printable"),
    ("path = binary", BARE, "binary"),
    ("path = binary", EIGHT, "8bit"),
    ("path = 8bit", "gzip", "base64"),
    ("encoding = quoted-printable", PLAIN, "quoted-printable"),
    ("ids = yes", PLAIN, "base64"),
]


@pytest.mark.parametrize("setting,content,encoding", CASES)
def test_chosen(node, work, setting, content, encoding):
    key, value = setting.split(" = ")
    more = {key: value}
    if content == "gzip":
        more["compress"], content = "gzip", PLAIN
    here = node("here", config=road.config(
        "here", road.peer(work, "here", "next", dialect="rfc2442",
                          extensions="{ CHUNKING, BINARYMIME }", **more),
        "routes { two.example = next }\n", address="bundle@here.example"))
    here.start()
    with here.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("alice@one.example", ["bob@two.example"], content,
                         "bdat", "BODY=8BITMIME")
        smtp.quit()
    wait_for(lambda: road.files(road.drop(work, "here", "next")), 20)
    octets, = road.files(road.drop(work, "here", "next")).values()
    mail = email.message_from_bytes(octets)
    assert mail["Content-Transfer-Encoding"] == encoding
    if encoding in ("7bit", "base64", "quoted-printable"):
        assert max(octets) < 128
        assert max(map(len, octets.split(b"\r\n"))) <= 998
    if "compress" not in more and encoding in ("base64", "quoted-printable"):
        batch = mail.get_payload(decode=True)
        assert content.replace(b"\n.", b"\n..") in batch
    done = subprocess.run([program("postrider"), "inspect", "--json"],
                          input=octets, capture_output=True, check=True)
    found, = [one for one in map(json.loads, done.stdout.splitlines())
              if one["kind"] == "transaction"]
    assert found["sha256"] == sha256(content)
    here.stop()
