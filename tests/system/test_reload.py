# SPDX-License-Identifier: ISC
"""What a reload leaves alone, and what it begins anew."""

import os
import re
import signal
import time

import pytest

import native
import road
from peers_common import wait_for

CONTENT = b"Subject: x\r\n\r\nx\r\n"
HELLO = [b"Subject: %d\r\n\r\nx\r\n" % n for n in range(4)]

# Tells when it begins and ends, and carries by copying.
CARRIER = r"""#!/bin/sh
while [ $# -gt 1 ]; do
	case $1=$2 in
	--peer=*) peer=$2 ;;
	--out=*) out=$2 ;;
	--set=to=*) to=${2#to=} ;;
	esac
	shift 2
done
cd "$out"
echo "begin $peer $$" >>%(book)s
carry() {
	for f in *; do
		[ ! -f "$f" ] || { cp "$f" "$to/$f" && echo "sent $f"; }
	done
}
carry
while read -r word; do
	[ "$word" != stop ] || break
	carry
done
echo "end $peer $$" >>%(book)s
"""


class Book:
    """What the transports wrote of themselves."""

    def __init__(self, work):
        self.path = os.path.join(work, "book")
        self.script = write(os.path.join(work, "carrier"),
                            CARRIER % {"book": self.path})

    def words(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="ascii") as file:
            return [line.split()[:2] for line in file]

    def count(self, word, peer):
        return self.words().count([word, peer])


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def peer(work, book, name):
    return road.PEER.format(site="paris", name=name, work=work, settings=(
        "\tdialect = bsmtp\n")).replace("transport = file", (
            f'transport = "{book.script}"')).replace(
                '"drop=', '"to=').replace(
                    f'"pickup={work}/link/{name}-paris", "poll=0.2"', '"x=1"')


@pytest.fixture
def book(work):
    for name in ("london", "oslo"):
        road.drop(work, "paris", name)
    return Book(work)


@pytest.fixture
def paris(node, work, book):
    one = node("paris", config=road.config(
        "paris", peer(work, book, "london"), peer(work, book, "oslo"),
        "routes { london.example = london\n\toslo.example = oslo }\n"))
    one.start()
    for name in ("london", "oslo"):
        wait_for(lambda: book.count("begin", name) == 1, 10, one.log)
    return one


def sent(work, to):
    return len(road.files(road.drop(work, "paris", to)))


def test_leaves_the_others_alone(paris, work, book):
    """Another setting of london's is nothing to oslo's transport."""
    paris.write_config(paris.read_config().replace("x=1", "x=2", 1))
    paris.cli("reload")
    wait_for(lambda: book.count("begin", "london") == 2, 20, paris.log)
    assert book.count("end", "london") == 1
    paris.cli("reload")
    paris.edit_config("site paris {", "site paris {\n\thops-max = 9")
    paris.cli("reload")
    for name in ("london", "oslo"):
        paris.submit("a@paris.example", [f"eve@{name}.example"], CONTENT)
        wait_for(lambda: sent(work, name) == 1, 10, paris.log)
    assert book.count("begin", "london") == 2
    assert book.count("begin", "oslo") == 1
    assert book.count("end", "oslo") == 0


def test_takes_another_program(paris, book):
    """A transport whose program or file was replaced is another."""
    with open(book.script, "a", encoding="ascii") as file:
        file.write("# another\n")
    paris.cli("reload")
    for name in ("london", "oslo"):
        wait_for(lambda: book.count("begin", name) == 2, 20, paris.log)


def test_leaves_with_the_peer(paris, work, book):
    """A peer that goes takes its transport along, and has it again."""
    whole = paris.read_config()
    paris.write_config(re.sub(r"peer oslo \{[^}]*\}[^}]*\}", "", whole)
                       .replace("oslo.example = oslo", ""))
    paris.cli("reload")
    wait_for(lambda: book.count("end", "oslo") == 1, 20, paris.log)
    paris.write_config(whole)
    paris.cli("reload")
    wait_for(lambda: book.count("begin", "oslo") == 2, 20, paris.log)
    paris.submit("a@paris.example", ["eve@oslo.example"], CONTENT)
    wait_for(lambda: sent(work, "oslo") == 1, 10, paris.log)
    assert book.count("begin", "london") == 1


def test_a_hundred(paris, work, book):
    """A storm of signals, with mail coming in and half of them to a file with
    faults: nothing is lost, twice, or begun anew."""
    good = paris.read_config()
    for n in range(100):
        paris.write_config(good if n % 2 else good + "bogus = 1\n")
        paris.reload()
        if n % 5 == 0:
            paris.submit("a@paris.example", ["eve@london.example"],
                         b"Subject: %d\r\n\r\nx\r\n" % n)
    paris.cli("reload")

    def arrived():
        text = b"".join(road.files(road.drop(work, "paris", "london"))
                        .values())
        return sorted(map(int, re.findall(rb"^Subject: (\d+)", text, re.M)))

    wait_for(lambda: len(arrived()) >= 20, 20, paris.log)
    assert arrived() == list(range(0, 100, 5))
    assert book.words().count(["begin", "london"]) == 1
    assert paris.running()
    assert paris.log().count(" reloaded ") >= 1


def test_misconfigured(paris, work, book):
    """It waits for a reload, as status says, and is tried then at once."""
    script = os.path.join(work, "picky")
    write(script, "#!/bin/sh\necho begin picky >>%s\n"
          "echo speed=x: no number >&2\nexit 78\n" % book.path)
    paris.edit_config(f'(peer oslo [^"]*)"{book.script}"', rf'\1"{script}"')
    paris.cli("reload")
    wait_for(lambda: book.count("begin", "picky") == 1, 20, paris.log)
    paris.wait_log("transport-exited peer=oslo status=78 .*speed=x")
    paris.submit("a@paris.example", ["eve@oslo.example"], CONTENT)
    time.sleep(3)
    assert book.count("begin", "picky") == 1
    shown = paris.cli("status")
    assert re.search("^oslo +misconfigured ", shown, re.M), shown
    assert "speed=x: no number" in shown
    assert re.search("^oslo +waits .*postrider reload", shown, re.M), shown
    ident = paris.json("queue", "list")["id"]
    assert re.search("waits: until the transport of oslo, which is "
                     "misconfigured, .*speed=x", paris.cli("trace", ident))
    line = [one for one in paris.json("status") if one.get("name") == "oslo"]
    assert line[0]["misconfigured"] and line[0]["down"]
    assert line[0]["transports"][0]["misconfigured"]
    paris.cli("reload")
    wait_for(lambda: book.count("begin", "picky") == 2, 20, paris.log)
    paris.edit_config(f'"{script}"', f'"{book.script}"')
    paris.cli("reload")
    wait_for(lambda: sent(work, "oslo") == 1, 20, paris.log)

    def good():
        line = [one for one in paris.json("status")
                if one.get("name") == "oslo"]
        return not line[0]["misconfigured"] and not line[0]["down"]

    wait_for(good, 20, paris.log)


def test_end_with_much_under_way(paris, work):
    """SIGTERM while mail comes in, is cut and carried: all of it is there
    after the next start, once."""
    count = 60
    with paris.smtp() as smtp:
        smtp.ehlo()
        for n in range(count):
            smtp.transaction("a@paris.example", ["eve@london.example",
                             "bob@paris.example"],
                             b"Subject: %d\r\n\r\nx\r\n" % n)
    paris.daemon.signal(signal.SIGTERM)
    paris.daemon.signal(signal.SIGHUP)
    assert paris.daemon.wait() == 0
    paris.daemon = None
    paris.start()

    def arrived():
        text = b"".join(road.files(road.drop(work, "paris", "london"))
                        .values())
        return sorted(map(int, re.findall(rb"^Subject: (\d+)", text, re.M)))

    wait_for(lambda: len(arrived()) >= count, 20, paris.log)
    assert arrived() == list(range(count))
    assert len(paris.wait_mail("bob", count)) == count


def slow_delivery(node, work, seconds=2):
    """paris, whose delivery takes its time and keeps book of it."""
    book = os.path.join(work, "book")
    script = write(os.path.join(work, "deliver"), (
        f"#!/bin/sh\ncat >/dev/null\necho begin x >>{book}\n"
        f"sleep {seconds}\necho end x >>{book}\n"))
    return node("paris", config=road.config(
        "paris", delivery=f'\tto = "command:{script}"\n\tfinal = yes\n'))


def test_delivery_goes_on(node, work, book):
    """A delivery under way is not cut by a reload that is not about it."""
    paris = slow_delivery(node, work)
    paris.start()
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    wait_for(lambda: book.count("begin", "x") == 1, 10, paris.log)
    for hops in range(5, 8):
        paris.edit_config("site paris {.*",
                          f"site paris {{ hops-max = {hops};")
        paris.cli("reload")
    wait_for(lambda: book.count("end", "x") == 1, 10, paris.log)
    paris.wait_log("recipient-delivered")
    assert book.count("begin", "x") == 1
    assert paris.log().count("recipient-delivered") == 1


def test_delivery_begins_anew(node, work, book):
    """One that is about it begins the delivery again, by the new section."""
    paris = slow_delivery(node, work, seconds=60)
    paris.start()
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    wait_for(lambda: book.count("begin", "x") == 1, 10, paris.log)
    write(os.path.join(work, "other"), "#!/bin/sh\ncat >/dev/null\n"
          f"echo end y >>{book.path}\n")
    paris.edit_config("/deliver\"", "/other\"")
    paris.cli("reload")
    wait_for(lambda: book.count("end", "y") == 1, 10, paris.log)
    paris.wait_log("recipient-delivered")
    assert book.count("end", "x") == 0


STUCK = "#!/bin/sh\nwhile read -r word; do [ $word != stop ] || exit 0; done\n"


def by_wire(work, name, other, dialect):
    """A peer section whose transport carries nothing."""
    stuck = write(os.path.join(work, "stuck"), STUCK)
    return (f"peer {other} {{\n\tdialect = {dialect}\n\tretry-min = 1s\n"
            f"\ttransport wire {{\n\tprogram = {stuck}\n"
            "\tstays = yes\n\t}\n}\n")


@pytest.mark.parametrize("dialect", ("bsmtp", "native"))
@pytest.mark.parametrize("restart", (False, True))
def test_transport_renamed(node, work, dialect, restart):
    """What lies in out/ of a transport that has another name now goes by it,
    once."""
    sections = {"paris": by_wire(work, "paris", "oslo", dialect),
                "oslo": road.peer(work, "oslo", "paris", dialect=dialect)}
    paris, oslo = (node(name, config=road.config(
        name, sections[name], f"routes {{ {other}.example = {other} }}\n"))
        for name, other in (("paris", "oslo"), ("oslo", "paris")))
    if dialect == "native":
        native.introduce(paris, oslo)
    paris.start()
    oslo.start()
    for content in HELLO:
        paris.submit("a@paris.example", ["bob@oslo.example"], content)
    out = os.path.join(paris.directory, "spool/peers/oslo/out.wire")
    wait_for(lambda: road.files(out), 10, paris.log)
    paris.edit_config("transport wire", "transport stick")
    paris.edit_config("program = .*", "program = file\n\tset = {"
                      f"drop={road.drop(work, 'paris', 'oslo')}, "
                      f"pickup={road.drop(work, 'oslo', 'paris')}, poll=0.2 }}")
    if restart:
        paris.restart()
    else:
        paris.cli("reload")
    assert sorted(oslo.wait_mail("bob", len(HELLO))) == HELLO
    wait_for(lambda: not paris.cli("queue", "list", "--json"), 20, paris.log)
    assert not os.path.exists(out) or not road.files(out)


def test_peer_gone_and_back(node, work):
    """Native mail on its way by a neighbour who left the configuration, sent
    and not yet sent, waits, and arrives once when he is back."""
    paris, london, oslo = native.three(work, node, start=False)
    paris.start()
    whole = paris.read_config()
    there = road.drop(work, "paris", "london")
    out = os.path.join(paris.directory, "spool/peers/london/out")
    paris.submit("a@paris.example", ["bob@oslo.example"], HELLO[0])
    wait_for(lambda: road.files(there), 10, paris.log)
    os.rename(there, there + ".away")
    paris.submit("a@paris.example", ["bob@oslo.example"], HELLO[1])
    wait_for(lambda: road.files(out), 10, paris.log)
    for content in HELLO[2:]:
        paris.write_config(whole[:whole.index("peer london")])
        paris.cli("reload")
        assert [line["gone"] for line in paris.json("status")
                if line["kind"] == "peer"] == [True]
        paris.write_config(whole)
        paris.cli("reload")
        paris.submit("a@paris.example", ["bob@oslo.example"], content)
    os.rename(there + ".away", there)
    london.start()
    oslo.start()
    assert sorted(oslo.wait_mail("bob", len(HELLO), timeout=60)) == HELLO
    native.wait_settled(paris, london, oslo)
