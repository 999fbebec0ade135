# SPDX-License-Identifier: ISC
"""Sites that lose their spool, their keys, or a day; keys that change."""

import os
import re
import shutil
import threading
import time

import pytest

import native
from peers_common import patient, wait_for


def hello(n):
    return b"Subject: mail %d\r\n\r\nThe quick brown fox, %d.\r\n" % (n, n)


def send(one, to, numbers):
    for n in numbers:
        one.submit(f"ann{n}@{one.site}.example", [f"u{n}@{to.site}.example"],
                   hello(n))


def assert_once(one, numbers):
    """Each of these has arrived, and once."""
    numbers = list(numbers)
    for n in numbers:
        one.wait_mail(f"u{n}", timeout=60)
    got = {n: one.maildir(f"u{n}") for n in numbers}
    assert got == {n: [hello(n)] for n in numbers}


def test_rebuilt_with_its_keys(node, work):
    """oslo's spool is gone: what was not settled goes to the new one."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    send(oslo, paris, range(50, 53))
    assert_once(oslo, range(3))
    assert_once(paris, range(50, 53))
    native.wait_settled(paris, london, oslo)
    oslo.kill()
    send(paris, oslo, range(3, 6))
    native.wipe_spool(oslo)
    oslo.start()
    send(paris, oslo, range(6, 9))
    send(oslo, paris, range(53, 56))
    assert_once(oslo, range(9))
    assert_once(paris, range(50, 56))
    native.wait_settled(paris, london, oslo)


@pytest.mark.parametrize("how", ("reload", "restart"))
def test_rebuilt_without_keys(node, work, how):
    """The disk is gone: new keys, a new card, and mail that waited comes."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris, london, oslo)
    oslo.kill()
    native.wipe_spool(oslo)
    send(paris, oslo, range(3, 6))
    native.make_keys(oslo, "--replace")
    for one in (paris, london):
        native.add_card(one, oslo)
        if how == "reload":
            one.cli("reload")
        else:
            one.stop()
            one.start()
    oslo.start()
    send(paris, oslo, range(6, 9))
    send(oslo, paris, range(50, 53))
    assert_once(paris, range(50, 53))
    assert_once(oslo, range(3, 9))


def test_rebuilt_from_export(node, work):
    """The disk is gone but for the exported keys: who writes to the old
    receiving keys is told of the new ones, though not heard from before."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris, london, oslo)
    oslo.kill()
    kept = os.path.join(work, "kept")
    oslo.cli("key", "export", kept)
    native.wipe_spool(oslo)
    shutil.rmtree(os.path.join(oslo.directory, "spool-keys"))
    oslo.cli("key", "new", "--from", kept)
    oslo.start()
    send(paris, oslo, range(3, 6))
    assert_once(oslo, range(6))
    native.wait_settled(paris, london, oslo)


def test_rebuilt_behind(node, work):
    """The same from an export of identity and auth key alone, and oslo's clock
    has been set back since: its cards are older than those it had signed."""
    skew = native.Skew(work)
    paris, london, oslo = native.three(work, node, start=False)
    skew.forward(40 * 86400)
    skew.use(oslo)
    native.make_keys(oslo, "--replace")
    for one in (paris, london):
        native.add_card(one, oslo)
    for one in (paris, london, oslo):
        one.start()
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris, london, oslo)
    oslo.kill()
    before = counter(oslo.cli("card"))
    kept = os.path.join(work, "kept")
    with open(kept, "w", encoding="ascii") as file:
        file.write(oslo.cli("key", "export").partition("role state")[0]
                   .rpartition("postrider-key 1")[0])
    native.wipe_spool(oslo)
    shutil.rmtree(os.path.join(oslo.directory, "spool-keys"))
    skew.forward(-40 * 86400)
    oslo.cli("key", "new", "--from", kept)
    assert counter(oslo.cli("card")) < before
    oslo.start()
    send(paris, oslo, range(3, 6))
    assert_once(oslo, range(6))
    assert counter(oslo.cli("card")) > before
    assert "card-overtaken from=" in oslo.log()
    send(oslo, paris, range(50, 53))
    assert_once(paris, range(50, 53))
    native.wait_settled(paris, london, oslo)


def counter(card):
    return int(re.search(r"^counter (\d+)$", card, re.M)[1])


def test_restored(node, work):
    """paris goes back to yesterday: nothing is lost, nothing comes twice."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris)
    # These are in the backup as not yet sent.
    london.stop()
    send(paris, oslo, range(3, 6))
    wait_for(lambda: '"leaving"' in paris.cli("bundles", "--json"), 30,
             lambda: paris.log()[-3000:])
    backup = os.path.join(work, "backup")
    paris.cli("spool", "backup", backup)
    london.start()
    assert_once(oslo, range(6))
    native.wait_settled(paris)
    # Sent since, of which the backup knows nothing.
    send(paris, oslo, range(6, 9))
    assert_once(oslo, range(9))
    native.wait_settled(paris)
    paris.stop()
    restore(paris, backup)
    paris.start()
    paris.wait_log("spool-restored")
    send(paris, oslo, range(9, 12))
    send(oslo, paris, range(50, 53))
    assert_once(oslo, range(12))
    assert_once(paris, range(50, 53))
    native.wait_settled(paris, london, oslo)
    assert not [one for one in os.listdir(paris.mail)
                if one.startswith("ann")], "no notices"


def test_exported(node, work):
    """paris moves by export and import: what was under way goes again, and
    what oslo has of it already comes once."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris, london, oslo)
    oslo.stop()
    send(paris, oslo, [3])
    wait_for(lambda: '"beyond"' in paris.cli("bundles", "--json"), 30,
             lambda: paris.log()[-3000:])
    london.stop()
    send(paris, oslo, [4, 5])
    wait_for(lambda: '"leaving"' in paris.cli("bundles", "--json"), 30,
             lambda: paris.log()[-3000:])
    paris.stop()
    # The answer to the first finds nobody.
    london.start()
    oslo.start()
    assert_once(oslo, range(4))
    path = os.path.join(work, "export")
    paris.cli("spool", "export", path)
    assert len([name for name in os.listdir(path)
                if name.endswith(".eml")]) == 3
    native.wipe_spool(paris)
    paris.cli("spool", "import", path)
    paris.start()
    send(paris, oslo, range(6, 9))
    assert_once(oslo, range(9))
    native.wait_settled(paris, london, oslo)
    assert_once(oslo, range(9))
    assert not paris.maildir("ann3")


def restore(one, backup):
    """As postrider-spool(7) says; what peers/ holds are not records."""
    native.wipe_spool(one)
    shutil.copytree(backup, native.spool(one))


def test_copied_back(node, work):
    """A copy of the files, that nobody says is one: the serials tell."""
    paris, london, oslo = native.three(work, node)
    send(paris, oslo, range(3))
    assert_once(oslo, range(3))
    native.wait_settled(paris)
    paris.stop()
    copy = os.path.join(work, "copy")
    shutil.copytree(native.spool(paris), copy)
    paris.start()
    send(paris, oslo, range(3, 40))
    assert_once(oslo, range(40))
    native.wait_settled(paris)
    paris.stop()
    native.wipe_spool(paris)
    shutil.copytree(copy, native.spool(paris))
    paris.start()
    send(paris, oslo, range(40, 80))
    assert_once(oslo, range(80))
    native.wait_settled(paris, london, oslo)


class Stream(threading.Thread):
    """Mail after mail from one site to another, until told to end."""

    def __init__(self, one, to, first):
        super().__init__(daemon=True)
        self.one, self.to = one, to
        self.next = self.first = first
        self.over = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.over.is_set():
                send(self.one, self.to, [self.next])
                self.next += 1
                time.sleep(0.05)
        except Exception as error:  # told by the test
            self.failure = error

    def end(self):
        self.over.set()
        self.join(patient(30))
        assert self.failure is None and not self.is_alive(), self.failure
        return range(self.first, self.next)


def test_keys_rotated(node, work):
    """Everywhere, in the middle of traffic both ways."""
    sites = native.three(work, node)
    streams = [Stream(sites[0], sites[2], 0), Stream(sites[2], sites[0],
                                                     10000)]
    for one in streams:
        one.start()
    for _ in range(2):
        for one in sites:
            time.sleep(0.7)
            one.cli("key", "rotate")
    for one, site in zip(streams, (sites[2], sites[0])):
        wait_for(lambda one=one: one.failure or one.next - one.first > 20, 60)
        numbers = one.end()
        assert_once(site, numbers)
    native.wait_settled(*sites)
    for one in sites:
        assert "bundle-refused" not in one.log(), one.log()
