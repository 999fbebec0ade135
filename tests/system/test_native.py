# SPDX-License-Identifier: ISC
"""Native sites: paris and oslo through london, by files, never in contact."""

import base64
import glob
import os
import re

import pytest

import native
import road
from peers_common import patient, wait_for
from road import Mail
from test_road import ours

HELLO = b"Subject: hello\r\n\r\nThe quick brown fox.\r\n"


def message_id(one, sender):
    """The id that the log gives to the message of this sender."""
    return re.search(r"message-accepted id=(\S+) .*from=" +
                     re.escape(sender) + " ", one.log())[1]


def assert_calm(*sites):
    """Nothing was refused, broken or made anew."""
    for one in sites:
        for word in ("-refused ", "-broken ", "flow-conflict", "epoch-opened",
                     "serial-expired", "history-lost", "upkeep-failed"):
            assert word not in one.log(), one.log()


def test_identical(node, work):
    """Every sample arrives octet for octet, and is settled at paris."""
    paris, london, oslo = native.three(work, node)
    mails = ours()
    road.hand_in(paris, "ann@paris.example", mails, "oslo.example")
    road.wait_delivered(oslo, len(mails))
    road.assert_identical(oslo, mails)
    native.wait_settled(paris, london, oslo)
    assert not os.path.exists(paris.mail), "nothing came back"
    assert_calm(paris, london, oslo)


def test_large_samples(node, work):
    mails = ours(os.path.join(work, "large"))[len(ours()):]
    assert mails
    sites = native.three(work, node, site=dict(message_max="64M"))
    road.hand_in(sites[0], "ann@paris.example", mails, "oslo.example")
    road.wait_delivered(sites[2], len(mails))
    road.assert_identical(sites[2], mails)
    native.wait_settled(*sites)
    assert_calm(*sites)


def test_both_ways_and_neighbours(node, work):
    sites = native.three(work, node)
    for one in sites:
        for other in sites:
            if one is not other:
                one.submit(f"from-{one.site}@{one.site}.example",
                           [f"of-{one.site}@{other.site}.example"], HELLO)
    for one in sites:
        for other in sites:
            if one is not other:
                assert other.wait_mail(f"of-{one.site}") == [HELLO]
    native.wait_settled(*sites)
    assert_calm(*sites)
    counts = [native.counters(one) for one in sites]
    assert [one["bundles_forwarded"] >= 2 for one in counts] == \
        [False, True, False]
    assert all(one["bundles_made"] == 2 for one in counts)
    assert all(one["parcels_forged"] == 0 for one in counts)
    assert "native bundles made 2, " in sites[0].cli("status")


def test_parameters(node, work):
    """What was asked of notices is known at the far end, which answers."""
    sites = native.three(work, node)
    sites[0].submit(
        "ann@paris.example", ["bob@oslo.example"], HELLO,
        mail_params="RET=HDRS ENVID=QQ314159",
        rcpt_params="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@old.example")
    assert sites[2].wait_mail("bob") == [HELLO]
    sites[0].wait_mail("ann")
    notice, = road.notices(sites[0], "ann")
    assert notice.action == "delivered"
    assert notice.message["Original-Envelope-Id"] == "QQ314159"
    assert notice.message["Reporting-MTA"] == "dns; oslo.example"
    assert notice.recipients[0]["Original-Recipient"] == \
        "rfc822;bob@old.example"
    native.wait_settled(*sites)


def test_bad_address(node, work):
    """paris learns of it with the result, and writes the notice itself."""
    sites = native.three(work, node, start=False)
    sites[2].edit_config(r"(delivery local \{)", r"\1 users = { bob }")
    for one in sites:
        one.start()
    sites[0].submit("ann@paris.example",
                    ["nobody@oslo.example", "bob@oslo.example"], HELLO)
    assert sites[2].wait_mail("bob") == [HELLO]
    sites[0].wait_mail("ann")
    notice, = road.notices(sites[0], "ann")
    assert (notice.status, notice.action) == ("5.1.1", "failed")
    assert "nobody@oslo.example" in notice.recipient
    assert notice.message["Reporting-MTA"] == "dns; paris.example"
    native.wait_settled(*sites)
    said = native.stories(sites[0], message_id(sites[0], "ann@paris.example"))
    assert [one["kind"] for one in said] == ["serial"]
    assert said[0]["site"] == "oslo" and said[0]["attempts"] == 1
    assert [(one["recipients"], one["said"], one.get("status"))
            for one in said[0]["results"]] == \
        [([0], "refused", "5.1.1"), ([1], "taken", None)]
    text = sites[0].cli("trace", message_id(sites[0], "ann@paris.example"))
    assert "not in the queue any more" in text
    assert "recipient 0: refused, 5.1.1" in text
    assert "recipient 1: taken" in text


def test_trace_in_the_queue(node, work):
    """A bundle that london does not have yet; then one without an answer."""
    paris, london, oslo = native.three(work, node, start=False)
    paris.start()
    paris.submit("ann@paris.example", ["bob@oslo.example",
                                       "bob@paris.example"], HELLO)
    ident = message_id(paris, "ann@paris.example")

    def recipient():
        return [one for one in native.stories(paris, ident)
                if one["kind"] == "recipient"][0]

    wait_for(lambda: recipient().get("stage") == "sent", 20,
             lambda: recipient())
    said = recipient()
    assert said["peer"] == "london" and said["serial"] == 1
    assert said["sent_octets"] == said["octets"] > 0
    assert said["acked_octets"] == 0 and said["attempts"] == 1
    assert re.fullmatch("[0-9a-f]{32}", said["bundle"])
    wait_for(lambda: "recipient 1, bob@paris.example: done" in
             paris.cli("trace", ident), 20, lambda: paris.cli("trace", ident))
    text = paris.cli("trace", ident)
    assert "recipient 0, bob@oslo.example: bundled for oslo" in text
    status, = [one for one in paris.json("status")
               if one.get("name") == "london"]
    assert status["bundles"] == 1
    assert status["bundle_octets"] == said["octets"]
    london.start()
    wait_for(lambda: recipient()["stage"] == "underway", 20,
             lambda: recipient())
    assert "handed on to london, no result yet" in paris.cli("trace", ident)
    # The spool knows it too.
    paris.stop()
    paris.start()
    assert "handed on to london, no result yet" in paris.cli("trace", ident)
    assert '"where":"handed over to london"' in re.sub(
        r": ", ":", paris.cli("bundles", "--json"))
    oslo.start()
    assert oslo.wait_mail("bob") == [HELLO]
    native.wait_settled(paris)
    assert native.stories(paris, ident)[0]["bundle"] == said["bundle"]


def test_trace_of_nothing(node, work):
    sites = native.three(work, node)
    assert sites[0].run("trace", "77", check=False).returncode == 66
    assert sites[0].run("trace", "!", check=False).returncode == 64
    assert sites[0].run("trace", check=False).returncode == 64


def test_peer_test(node, work):
    paris, london, oslo = native.three(work, node, start=False)
    paris.start()
    late = paris.run("peer", "test", "--wait", "3", "oslo", check=False)
    assert late.returncode == 75
    assert b"sent to london, which has not acknowledged it" in late.stdout
    assert b"did not answer within 3 s" in late.stderr
    london.start()
    oslo.start()
    for site in ("london", "oslo"):
        said = paris.cli("peer", "test", "--wait",
                         str(int(patient(20))), site, timeout=60)
        assert re.search(rf"^{site} answered after \d+ s$", said, re.M), said
    said = paris.cli("peer", "test", "--json", "oslo").splitlines()
    assert '"stage":"answered"' in said[-1]
    for site, why in (("rome", b"there is no card"),
                      ("paris", b"paris is this site itself")):
        none = paris.run("peer", "test", site, check=False)
        assert none.returncode == 66 and why in none.stderr
    # A test that was never waited for is over too.
    paris.submit("ann@paris.example", ["bob@oslo.example"], HELLO)
    assert oslo.wait_mail("bob") == [HELLO]
    native.wait_settled(paris)


ADDRESSES = ("ann.secret@paris.example", "bob.hidden@oslo.example")
TELLTALE = (b"Subject: clandestine\r\nX-Veiled: uncommonword\r\n"
            b"Message-ID: <unmistakable@paris.example>\r\n\r\n"
            + b"conspicuous sentence number %d\r\n" % 7 * 3000)
WORDS = ("ann.secret", "bob.hidden", "example", "clandestine", "X-Veiled",
         "uncommonword", "unmistakable", "conspicuous", "Subject",
         "Message-ID", "MAIL FROM", "RCPT TO", "BDAT", "postrider")


def holds(data, words):
    lower = data.lower()
    return [word for word in words if word.lower().encode() in lower]


def test_nothing_in_clear(node, work):
    """In what any transport is handed, nor in the spool of the relay."""
    sites = native.three(work, node, start=False, site=dict(log_level="debug"))
    carrier = native.Carrier(work, *sites)
    carrier.start()
    for one in sites:
        one.start()
    for sender, to in ((sites[0], sites[2]), (sites[2], sites[0])):
        sender.submit(ADDRESSES[0].replace("paris", sender.site),
                      [ADDRESSES[1].replace("oslo", to.site)], TELLTALE)
        assert to.wait_mail("bob.hidden") == [TELLTALE]
    native.wait_settled(*sites)
    seen = carrier.end()
    # How many parcels there are is a matter of the moment: answers,
    # acknowledgements and cards ride along, or go alone.
    assert {os.path.basename(os.path.dirname(path)) for path in seen} == {
        "paris-london", "london-paris", "london-oslo", "oslo-london"}
    assert len(holds(TELLTALE, WORDS)) == 8
    for path, data in seen.items():
        assert not holds(data, WORDS + ("paris", "london")), path
    # Four letters come by chance now and then, but not twice.
    assert sum(bool(holds(data, ("oslo",))) for data in seen.values()) < 2
    sites[1].stop()
    files = glob.glob(os.path.join(native.spool(sites[1]), "**"),
                      recursive=True)
    names = [path for path in files if os.path.isfile(path)]
    assert len(names) > 10
    for path in names:
        with open(path, "rb") as file:
            data = file.read()
        assert not holds(data, ("ann.secret", "bob.hidden", "clandestine",
                                "X-Veiled", "uncommonword", "unmistakable",
                                "conspicuous", "MAIL FROM")), path
    assert not holds(sites[1].log().encode(), ("ann.secret", "bob.hidden"))


SHAPES = {
    "padme": dict(shape="padme"),
    "exact": dict(shape="16K", parcel_size="16K"),
    "sign": dict(seal="sign", forward_signed="yes"),
    "sign-padme": dict(seal="sign", forward_signed="yes", shape="padme"),
    "small": dict(parcel_size="4K"),
    "small-exact": dict(parcel_size="4K", shape="4K"),
    "each": dict(compress="each"),
    "plain": dict(compress="none"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(node, work, name):
    """Short mails and one of 200 KiB that does not compress."""
    sites = native.three(work, node, **SHAPES[name])
    noise = base64.b64encode(os.urandom(150 * 1024))
    text = b"".join(noise[at:at + 76] + b"\r\n"
                    for at in range(0, len(noise), 76))
    mails = [Mail(f"u{n}", b"Subject: %d\r\n\r\nshort\r\n" % n, "data", "")
             for n in range(20)]
    mails.append(Mail("long", b"Subject: long\r\n\r\n" + text, "data", ""))
    road.hand_in(sites[0], "ann@paris.example", mails, "oslo.example")
    road.wait_delivered(sites[2], len(mails), 90)
    road.assert_identical(sites[2], mails)
    native.wait_settled(*sites)
    assert_calm(*sites)
    sizes = [int(size) for one in sites
             for size in re.findall(r"object-sent .* octets=(\d+)",
                                    one.log())]
    assert len(sizes) >= 4
    if "exact" in name:
        wanted = 4096 if name == "small-exact" else 16384
        assert set(sizes) == {wanted}
    if "small" in name:
        assert max(sizes) <= 4096 and len(sizes) > 70
    if name == "padme":
        assert all(size == padme(size) for size in sizes)


def padme(length):
    """The least length of the form that PADME (PURBs) allows."""
    exponent = length.bit_length() - 1
    last = exponent - exponent.bit_length()
    mask = (1 << last) - 1 if last > 0 else 0
    return (length + mask) & ~mask


def test_seal_and_sign_do_not_mix(node, work):
    """What is signed only is not believed of a peer that seals."""
    paris = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", dialect="native",
                           seal="sign"),
        "routes { london.example = london }\n"))
    london = node("london", config=road.config(
        "london", road.peer(work, "london", "paris", dialect="native"),
        "routes { paris.example = paris }\n"))
    native.introduce(paris, london)
    paris.start()
    london.start()
    paris.submit("ann@paris.example", ["bob@london.example"], HELLO)
    london.wait_log("parcel-(aside|refused|forged)|object-aside")
    road.quiet(lambda: london.maildir("bob"), 1)
    assert paris.json("queue", "list")


def test_not_genuine_by_hand(node, work):
    """It is refused, and kept aside for somebody to look at."""
    london = node("london", config=road.config(
        "london", road.peer(work, "london", "paris", dialect="native"),
        "routes { paris.example = paris }\n"))
    london.cli("key", "new")
    london.start()
    done = london.run("receive", "--peer", "paris", "--name", "../../x",
                      data=b"no parcel" * 40, check=False)
    assert done.returncode == 65
    aside = os.path.join(london.directory, "spool", "peers", "paris", "aside")
    assert list(road.files(aside).values()) == [b"no parcel" * 40]


def test_onion(node, work):
    """Four sites in a row; each knows its neighbours and no more."""
    native_peer = dict(dialect="native", may_relay="yes")

    def end(name, by, far, relays):
        return node(name, config=road.config(
            name, road.peer(work, name, by, dialect="native"),
            f"link {by} {far} {{ }}\n"
            f"via {far} {{ relays = {{ {relays} }} }}\n"
            f"routes {{ {far}.example = {far} }}\n"))

    def relay(name, left, right):
        return node(name, config=road.config(
            name, road.peer(work, name, left, **native_peer),
            road.peer(work, name, right, **native_peer)))

    paris = end("paris", "london", "trondheim", "london, bergen")
    london = relay("london", "paris", "bergen")
    bergen = relay("bergen", "london", "trondheim")
    oslo = end("trondheim", "bergen", "paris", "bergen, london")
    native.introduce(paris, london, bergen, oslo)
    # What they were introduced with says more than they have to know.
    for one, other in ((london, oslo), (bergen, paris)):
        native.forget_card(one, other)
    for one in (paris, london, bergen, oslo):
        one.start()
    mails = ours()[:20]
    road.hand_in(paris, "ann@paris.example", mails, "trondheim.example")
    road.wait_delivered(oslo, len(mails))
    road.assert_identical(oslo, mails)
    native.wait_settled(paris, london, bergen, oslo)
    assert "trondheim" not in london.log() and "paris" not in bergen.log()
    # Names so long that what is sealed does not hold them by chance.
    for one, word in ((london, b"trondheim"), (bergen, b"paris")):
        one.stop()
        for path in glob.glob(os.path.join(native.spool(one), "*")):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    assert word not in file.read(), path
