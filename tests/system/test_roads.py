# SPDX-License-Identifier: ISC
"""A peer with several transports, and what `postrider status` shows of them."""

import os
import re
import subprocess
import time

import pytest

import native
import road
import wires
from peers_common import free_port, patient, wait_for
from road import Mail
from test_transport_tcp import listens

LARGE = b"Subject: large\r\n\r\n" + b"".join(
    os.urandom(36).hex().encode() + b"\r\n" for _ in range(20000))


def transport(name, program, *sets, **settings):
    """A section transport; fail_safe=... stands for fail-safe = ..."""
    named = {key.replace("_", "-"): value for key, value in settings.items()}
    return (f"\ttransport {name} {{\n\tprogram = {program}\n\tset = {{ "
            + ", ".join(f'"{one}"' for one in sets) + " }\n"
            + road.lines(named) + "\t}\n")


def peer(name, *sections, **settings):
    named = {"retry-min": "1s", "retry-max": "2s", "message-max": "64M"}
    named |= {key.replace("_", "-"): value for key, value in settings.items()}
    return (f"peer {name} {{\n" + road.lines(named) + "".join(sections)
            + f"}}\nroutes {{ {name}.example = {name} }}\n")


def pair(node, work, wire, **settings):
    """paris and oslo: a wire each, (program, settings), and a directory for
    what is carried by hand."""
    sites = []
    for name, other in (("paris", "oslo"), ("oslo", "paris")):
        stick = transport(
            "stick", "file", f"drop={road.drop(work, name, other)}",
            f"pickup={road.drop(work, other, name)}", "poll=0.2")
        program, *sets = wire[name]
        line = transport("wire", program, *sets, patience="2s")
        sites.append(node(name, config=road.config(
            name, peer(other, line, stick, **settings), message_max="64M")))
    native.introduce(*sites)
    return sites


def transports(one):
    """road -> what status says of it."""
    return {each["road"]: each for line in one.json("status")
            if line["kind"] == "peer" for each in line["transports"]}


@pytest.mark.parametrize("dialect", ["bsmtp", "native"])
def test_far_end_dies(node, work, dialect):
    """The wire breaks in the middle of a file: it goes by the stick, once."""
    port = free_port()
    proxy = wires.Cutter(port, [200000] + [0] * 10000)
    paris, oslo = pair(node, work, {
        "paris": ("tcp", f"to=127.0.0.1:{proxy.port}"),
        "oslo": ("tcp", f"listen=127.0.0.1:{port}")}, dialect=dialect)
    mails = [Mail("large", LARGE, "data", "")] + [
        Mail(f"small{n}", b"Subject: %d\r\n\r\nhello\r\n" % n, "data", "")
        for n in range(5)]
    oslo.start()
    wait_for(lambda: listens(port), 10, oslo.log)
    paris.start()
    road.hand_in(paris, "ann@paris.example", mails, "oslo.example")
    road.wait_delivered(oslo, len(mails), timeout=60)
    native.wait_settled(paris, oslo)
    road.assert_identical(oslo, mails)
    assert proxy.done >= 1
    if dialect == "bsmtp":
        assert re.search(r"object-moved peer=oslo name=\S+ transport=stick "
                         r"from=wire", paris.log())
    assert "transport=stick" in paris.log()
    both = transports(paris)
    assert sorted(both) == ["oslo/stick", "oslo/wire"]
    assert both["oslo/wire"]["last_error"] != ""
    assert both["oslo/stick"]["last_sent"] is not None
    text = paris.cli("status")
    assert re.search(r"^oslo/wire +(waiting|failed|down|running) ", text, re.M), text
    assert re.search(r"^oslo/stick +running ", text, re.M), text
    proxy.close()


def test_removed_while_down(node, work):
    """What lay before a transport that has left the configuration goes by the
    one that is there."""
    port = free_port()
    paris, oslo = pair(node, work, {
        "paris": ("tcp", f"listen=127.0.0.1:{port}"),
        "oslo": ("tcp", f"to=127.0.0.1:{port}")}, dialect="bsmtp")
    out = os.path.join(paris.directory, "spool", "peers", "oslo", "out.wire")
    paris.start()
    paris.submit("ann@paris.example", ["bob@oslo.example"],
                 b"Subject: x\r\n\r\nhello\r\n")
    wait_for(lambda: os.listdir(out), 10, paris.log)
    paris.stop()
    paris.edit_config(r"transport wire \{[^}]*\{[^}]*\}[^}]*\}", "")
    paris.start()
    oslo.start()
    assert len(oslo.wait_mail("bob")) == 1
    wait_for(lambda: not os.path.exists(out), 10, paris.log)


def script(work, name, text):
    path = os.path.join(work, name)
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


BATCH = (r"HELO oslo.example\r\nMAIL FROM:<ann@oslo.example>\r\n"
         r"RCPT TO:<bob@paris.example>\r\nDATA\r\nhello\r\n")


def test_fetch_apart(node, work):
    """What one transport fetches another does not find, half as it is."""
    slow = script(work, "slow", f"cd $1; printf '{BATCH}' >slow\n"
                  f"touch {work}/half; sleep 2\n"
                  r"printf '.\r\nQUIT\r\n' >>slow" "\n")
    fast = script(work, "fast", f"until [ -e {work}/half ]; do sleep .1; done"
                  f"\ncd $1; printf '{BATCH}.\\r\\nQUIT\\r\\n' >fast\n")
    paris = node("paris", config=road.config("paris", peer(
        "oslo", transport("slow", "exec", f"fetch={slow} %d"),
        transport("fast", "exec", f"fetch={fast} %d"), dialect="bsmtp",
        call="{ never }")))
    paris.start()
    paris.run("flush", "oslo")
    assert paris.wait_mail("bob", 2) == [b"hello\r\n"] * 2
    assert "object-broken" not in paris.log()


def test_flood_apart(node, work):
    """One that floods is ended, and another of the peer not disturbed."""
    calm = script(work, "calm", 'while [ "$1" != --in ]; do shift; done\n'
                  'echo part >"$2/.part"; echo note begun; cat >/dev/null\n'
                  'mv "$2/.part" "$2/whole"; echo received whole\n')
    flood = script(work, "flood", 'while [ "$1" != --in ]; do shift; done\n'
                   'exec cat /dev/zero >"$2/.flood"\n')
    paris = node("paris", config=road.config("paris", peer(
        "oslo", transport("calm", calm, "a=b", stays="yes"),
        transport("flood", flood, "a=b", call="{ never }"), dialect="bsmtp",
        in_max="1M")))
    paris.start()
    wait_for(lambda: "text=begun" in paris.log(), 10, paris.log)
    paris.run("flush", "oslo/flood")
    wait_for(lambda: "transport-exited" in paris.log(), 20, paris.log)
    assert re.search("transport-ended peer=oslo .*transport=flood",
                     paris.log())
    folder = os.path.join(paris.directory, "spool", "peers", "oslo")
    assert os.listdir(os.path.join(folder, "in.flood")) == []
    assert os.listdir(os.path.join(folder, "in.calm")) == [".part"]
    assert transports(paris)["oslo/calm"]["running"]


def test_left_behind(node, work):
    """What a transport brought that is no longer there is taken."""
    drop = transport("stick", "file", f"drop={work}")
    paris = node("paris", config=road.config("paris", peer(
        "oslo", drop, dialect="bsmtp")))
    folder = os.path.join(paris.directory, "spool", "peers", "oslo", "in.old")
    os.makedirs(folder)
    with open(os.path.join(folder, "a"), "w", newline="",
              encoding="ascii") as file:
        file.write(BATCH.encode().decode("unicode_escape") + ".\r\nQUIT\r\n")
    paris.start()
    assert paris.wait_mail("bob") == [b"hello\r\n"]
    wait_for(lambda: os.listdir(folder) == [], 10, paris.log)


@pytest.fixture
def line():
    proc = subprocess.Popen(
        [os.path.join(os.environ["BUILD"], "tests/bin/line"), "--rate",
         "38400"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield [proc.stdout.readline().strip() for _ in range(2)]
    proc.stdin.close()
    proc.wait(patient(10))
    proc.stdout.close()


def test_progress(node, work, line):
    """A slow line: how far it is, how fast, and how long it will take."""
    locks = [os.path.join(work, f"lock{n}") for n in range(2)]
    for path in locks:
        os.makedirs(path)
    paris, oslo = wires.pair(
        node, ("serial", [f"device={line[0]}", f"lock-dir={locks[0]}",
                          "speed=38400"]),
        ("serial", [f"device={line[1]}", f"lock-dir={locks[1]}",
                    "speed=38400", "role=answer"]),
        dialect="bsmtp", stays="yes")
    oslo.start()
    paris.start()
    paris.submit("ann@paris.example", ["bob@oslo.example"],
                 LARGE[:200000] + b"\r\n")
    seen = []

    def steady():
        one = transports(paris)["oslo"]["progress"]
        if one is not None and one.get("rate"):
            seen.append(one)
        return len(seen) > 0 and seen[-1]["sent"] > 16000

    wait_for(steady, 40, lambda: f"{seen} {paris.log()[-2000:]}", every=0.3)
    one = seen[-1]
    assert 0 < one["sent"] < 200000 < one["sent"] + one["left"] < 202000
    # Ten bits a character: 3840 a second, the other end's words besides; less
    # where the machine is busy, and more when the line makes up for it.
    assert 500 < one["rate"] < 8000, seen
    assert abs(one["left_secs"] - one["left"] / one["rate"]) <= 1
    assert one["errors"] < 50000 and one["age_secs"] <= patient(3)
    text = paris.cli("status")
    shown = re.search(r"^oslo +\[(#+)(\.+)\] +(\d+) .*/s +(?:\d+m )?\d+s ",
                      text, re.M)
    assert shown, text
    assert 0 < int(shown[3]) < 100
    assert len(shown[1]) + len(shown[2]) == 20
    assert abs(len(shown[1]) * 5 - int(shown[3])) <= 5
    before = one["sent"]
    time.sleep(2)
    assert transports(paris)["oslo"]["progress"]["sent"] > before
