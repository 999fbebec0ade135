# SPDX-License-Identifier: ISC
"""Keys, cards and peers, from the command line to the daemon."""

import json
import os
import re
import stat
import subprocess

import pytest

import qr
from peers_common import patient, program, wait_for

GROUP = "[2-9A-HJKMNP-Z]{5}"
FINGERPRINT = "-".join([GROUP] * 6)


def keys(node):
    return os.path.join(node.directory, "keys")


def fingerprint(node):
    text = node.cli("key")
    match = re.fullmatch(rf"(\w+) ({FINGERPRINT})\n", text)
    assert match and match[1] == node.site, text
    return match[2]


def listed(node):
    return [json.loads(line) for line in
            node.cli("key", "list", "--json").splitlines()]


def receiving(node):
    return [k["id"] for k in listed(node) if k["role"] == "receive"]


def card(node, *args):
    """The lines of its card, as words."""
    text = node.cli("card", *args)
    assert text.startswith("postrider-card 1\n") and text.endswith("\n")
    return [line.split(" ") for line in text.splitlines()]


def value(lines, word):
    return [line[1:] for line in lines if line[0] == word]


def write(work, name, text):
    path = os.path.join(work, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def fails(node, status, *args, **more):
    done = node.run(*args, check=False, **more)
    assert done.returncode == status, (args, done)
    return done.stderr.decode()


def test_show(node):
    site = node("paris")
    before = fingerprint(site)
    roles = [k["role"] for k in listed(site)]
    assert roles == ["identity", "auth", "receive"]
    site.start()
    assert fingerprint(site) == before
    assert [k["role"] for k in listed(site)] == roles
    assert "receive" in site.cli("key", "list")


def test_files(node):
    site = node("paris")
    assert stat.S_IMODE(os.stat(keys(site)).st_mode) == 0o700
    for name in os.listdir(keys(site)):
        path = os.path.join(keys(site), name)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("name,mode", [
    ("identity", 0o640), ("auth", 0o604), ("", 0o750)])
def test_daemon_refuses(node, name, mode):
    site = node("paris")
    path = os.path.join(keys(site), name).rstrip("/")
    os.chmod(path, mode)
    done = subprocess.run(
        [program("postriderd"), "-f", "-c", site.conf], text=True,
        capture_output=True, check=False, timeout=patient(30))
    assert done.returncode == 77
    assert path in done.stderr and f"{mode:04o}" in done.stderr
    assert "chmod" in done.stderr
    os.chmod(path, 0o600 if name else 0o700)
    site.start()


def test_native_peer_needs_keys(node):
    site = node("paris")
    site.append_config("peer oslo { dialect = native\n set = \"drop=/tmp/x\" "
                       "}\n")
    for name in os.listdir(keys(site)):
        os.unlink(os.path.join(keys(site), name))
    done = subprocess.run(
        [program("postriderd"), "-f", "-c", site.conf], text=True,
        capture_output=True, check=False, timeout=patient(30))
    assert done.returncode == 78
    assert "oslo" in done.stderr and "postrider key new" in done.stderr
    site.cli("key", "new")
    site.start()
    site.stop()
    # found out at a reload: the daemon goes on with what it can
    site.edit_config("dialect = native", "dialect = bsmtp")
    for name in os.listdir(keys(site)):
        os.unlink(os.path.join(keys(site), name))
    site.start()
    assert "has no keys" in fails(site, 66, "key")
    site.edit_config("dialect = bsmtp", "dialect = native")
    assert "needs a restart: keys" in site.cli("reload")
    assert "has no keys" in fails(site, 66, "card")


def test_new(node):
    site = node("paris")
    before = fingerprint(site)
    assert before in fails(site, 73, "key", "new")
    site.start()
    assert "in use" in fails(site, 75, "key", "new", "--replace")
    site.stop()
    assert fingerprint(site) == before
    assert re.fullmatch(rf"paris {FINGERPRINT}\n",
                        site.cli("key", "new", "--replace"))
    assert fingerprint(site) != before
    assert len(receiving(site)) == 1


def test_export(node, work):
    site, path = node("paris"), os.path.join(work, "saved")
    before, old = fingerprint(site), receiving(site)
    counter = int(value(card(site), "counter")[0][0])
    site.cli("key", "export", path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    fails(site, 73, "key", "export", path)
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert site.cli("key", "export") == text
    assert "receive" not in text
    # as another machine has it
    for name in os.listdir(keys(site)):
        os.unlink(os.path.join(keys(site), name))
    site.cli("key", "new", "--from", path)
    assert fingerprint(site) == before
    assert receiving(site) != old
    assert int(value(card(site), "counter")[0][0]) > counter
    # one of an earlier release, without how far the cards count
    old = write(work, "old", text[:text.rindex("postrider-key 1\n")])
    site.cli("key", "new", "--replace", "--from", old)
    assert fingerprint(site) == before
    # what is no export costs nothing
    bad = write(work, "bad", text[:-20])
    fails(site, 65, "key", "new", "--replace", "--from", bad)
    fails(site, 65, "key", "new", "--replace", "--from",
          write(work, "empty", ""))
    assert fingerprint(site) == before
    other = node("oslo")
    assert "paris" in fails(other, 77, "key", "new", "--replace", "--from",
                            path)


@pytest.mark.parametrize("running", [False, True])
def test_rotate(node, running):
    site = node("paris")
    first = receiving(site)
    if running:
        site.start()
    counter = int(value(card(site), "counter")[0][0])
    site.cli("key", "rotate")
    site.cli("key", "rotate")
    live = receiving(site)
    assert len(live) == 3 and live[2:] == first
    assert "live already" in fails(site, 75, "key", "rotate")
    lines = card(site)
    assert sorted(k[1] for k in value(lines, "receive")) == sorted(live)
    assert int(value(lines, "counter")[0][0]) > counter
    # ages are counted from the making, so the newest is the last
    site.restart() if running else site.start()
    assert receiving(site) == live


def test_card(node):
    site = node("paris", domains=["Paris.example", "lists.paris.example"])
    site.edit_config(r"^(site .*)$",
                     r'\1\n\treach = { "tcp port=1 host=h", uucp }')
    first = card(site)
    assert value(first, "domain") == [["lists.paris.example"],
                                      ["paris.example"]]
    assert value(first, "reach") == [["tcp", "host=h", "port=1"], ["uucp"]]
    assert card(site) == first
    site.start()
    assert card(site) == first
    more = card(site, "--reach", "mail address=a@b.example")
    assert [r[0] for r in value(more, "reach")] == ["mail", "tcp", "uucp"]
    assert int(value(more, "counter")[0][0]) > \
        int(value(first, "counter")[0][0])
    assert "KEY=VALUE" in fails(site, 65, "card", "--reach", "tcp host")
    fails(site, 64, "card", "extra")


def test_qr(node):
    site = node("paris")
    assert qr.decode(site.cli("card", "--qr")).decode() == site.cli("card")
    way = "tcp host=paris.example port=2443"
    assert way in qr.decode(
        site.cli("card", "--qr", "--reach", way)).decode()
    ways = [f"tcp host={'h' * 200}{i} port=1 x={'y' * 250}"
            for i in range(8)]
    assert "too large" in fails(site, 65, "card", "--qr", *(
        word for way in ways for word in ("--reach", way)))


def cards_of(node):
    path = os.path.join(node.directory, "peers.d")
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def test_peer_add(node, work):
    paris, oslo = node("paris"), node("oslo", domains=[
        "oslo.example", "lists.oslo.example", "paris.example"])
    path = write(work, "card", oslo.cli("card", "--reach",
                                        "serial dial=ATDT%2055"))
    said = paris.cli("peer", "add", path)
    assert fingerprint(oslo) in said
    assert "paris.example is delivered here" in said
    assert cards_of(paris) == ["oslo.card"]
    text = paris.read_config()
    assert text.count("peer oslo {") == 1
    assert '# set = { "dial=ATDT 55" }' in text
    assert '"lists.oslo.example" = oslo' in text
    assert fingerprint(oslo) in text
    assert not os.path.exists(paris.conf + ".new")
    answer = paris.json("route", "x@oslo.example")
    assert answer["decision"] == "site" and answer["site"] == "oslo"
    # again: nothing changes
    before = os.stat(os.path.join(paris.directory, "peers.d/oslo.card"))
    assert "there already" in paris.cli("peer", "add", path)
    assert paris.read_config() == text
    after = os.stat(os.path.join(paris.directory, "peers.d/oslo.card"))
    assert before.st_mtime_ns == after.st_mtime_ns
    # a newer one takes the place of the card alone
    oslo.cli("key", "rotate")
    newer = write(work, "newer", oslo.cli("card"))
    paris.cli("peer", "add", newer)
    assert paris.read_config() == text
    # and an older one does not, unless told
    assert "counter" in fails(paris, 65, "peer", "add", path)
    paris.cli("peer", "add", "--replace", path)
    # nor one of another identity
    oslo.cli("key", "new", "--replace")
    other = write(work, "other", oslo.cli("card"))
    assert "identity" in fails(paris, 77, "peer", "add", other)
    paris.cli("peer", "add", "--replace", "-", data=open(other, "rb").read())
    assert paris.read_config() == text


def test_peer_add_options(node, work):
    paris, oslo = node("paris"), node("oslo")
    path = write(work, "card", oslo.cli("card"))
    right = fingerprint(oslo)
    wrong = fingerprint(paris)
    assert right in fails(paris, 77, "peer", "add", "--fingerprint", wrong,
                          path)
    slip = right[:7] + ("2" if right[7] != "2" else "3") + right[8:]
    assert "group 2" in fails(paris, 65, "peer", "add", "--fingerprint",
                              slip, path)
    assert cards_of(paris) == []
    printed = paris.cli("peer", "add", "--print", path)
    assert printed.startswith("\n# Added") and "peer oslo {" in printed
    assert "oslo" not in paris.read_config()
    assert cards_of(paris) == ["oslo.card"]
    paris.cli("peer", "add", "--only-card", path)
    assert "oslo" not in paris.read_config()
    # a section that cannot be loaded leaves all as it was
    os.unlink(os.path.join(paris.directory, "peers.d/oslo.card"))
    fails(paris, 78, "peer", "add", "--transport", "no/path", path)
    assert "oslo" not in paris.read_config() and cards_of(paris) == []
    assert not os.path.exists(paris.conf + ".new")
    paris.cli("peer", "add", "--transport", "file", "--set", "drop=/tmp/a b",
              "--set", "pickup=/tmp/c", "--fingerprint", right.lower(), path)
    assert '\ttransport = "file"\n\tset = { "drop=/tmp/a b", ' \
        '"pickup=/tmp/c" }\n' in paris.read_config()
    assert "good" in paris.cli("check")


def test_peer_add_bad_cards(node, work):
    paris, oslo = node("paris"), node("oslo")
    text = oslo.cli("card")
    before = paris.read_config()
    cases = [(65, text[:-1]), (65, text.replace("oslo", "osla")), (65, ""),
             (65, text.replace("\n", "\r\n")), (65, "hello\n"),
             (77, paris.cli("card")), (65, "x" * 20000)]
    for i, (status, bad) in enumerate(cases):
        fails(paris, status, "peer", "add", write(work, f"bad{i}", bad))
    assert paris.read_config() == before and cards_of(paris) == []
    fails(paris, 66, "peer", "add", os.path.join(work, "missing"))
    fails(paris, 64, "peer", "add")
    fails(paris, 64, "peer", "sub", "x")
    fails(paris, 64, "peer", "add", "--set", "a=b", "x")


def test_what_a_card_may_configure(node, work):
    """Settings that a stranger writes must not become commands here."""
    paris, oslo = node("paris"), node("oslo")
    path = write(work, "card", oslo.cli(
        "card", "--reach", "exec command=/bin/rm%20-rf%20/",
        "--reach", "file drop=/etc pickup=/etc",
        "--reach", "tcp host=h port=1 exec=/bin/sh"))
    paris.cli("peer", "add", path)
    live = [line for line in paris.read_config().splitlines()
            if not line.lstrip().startswith("#")]
    assert not any("/bin" in line or "/etc" in line for line in live)


def test_psk(node, work):
    site, path = node("paris"), os.path.join(work, "oslo.psk")
    assert "psk-file" in site.cli("key", "psk", path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    fails(site, 73, "key", "psk", path)
    oslo = node("oslo")
    site.cli("peer", "add", "--transport", "file", "--set",
             f"drop={work}/drop", write(work, "card", oslo.cli("card")))
    site.edit_config(r"^\tdialect = native$",
                     f'\tdialect = native\n\tpsk-file = "{path}"')
    os.chmod(path, 0o644)
    done = subprocess.run(
        [program("postriderd"), "-f", "-c", site.conf], text=True,
        capture_output=True, check=False, timeout=patient(30))
    assert done.returncode == 77
    assert "oslo" in done.stderr and path in done.stderr
    os.chmod(path, 0o600)
    site.start()
    os.chmod(path, 0o640)
    assert "0640" in fails(site, 77, "reload")


def test_cards_that_are_refused(node, work):
    """One bad file costs nobody but its site."""
    paris, oslo = node("paris"), node("oslo")
    paris.cli("peer", "add", "--transport", "file", "--set",
              f"drop={work}/drop", write(work, "card", oslo.cli("card")))
    os.makedirs(os.path.join(paris.directory, "peers.d"), exist_ok=True)
    write(paris.directory, "peers.d/rome.card", "not a card")
    write(paris.directory, "peers.d/bern.card", oslo.cli("card"))
    paris.start()
    paris.wait_log(r"card-file-refused.*rome\.card")
    paris.wait_log(r"card-file-refused.*bern\.card.*it is the card of oslo")
    assert "oslo.card" not in paris.log()
    os.unlink(os.path.join(paris.directory, "peers.d/rome.card"))
    count = paris.log().count("bern.card")
    paris.cli("reload")
    wait_for(lambda: paris.log().count("bern.card") > count, 10)


@pytest.mark.requires_root
def test_for_another_user(node, work):
    """What root makes for the daemon's user is the user's own."""
    site = node("paris")
    site.edit_config(r"^(site .*)$", r"\1\n\tuser = nobody")
    for name in os.listdir(keys(site)):
        os.unlink(os.path.join(keys(site), name))
    os.rmdir(keys(site))
    os.chmod(site.directory, 0o755)
    site.cli("key", "new")
    uid = os.stat(keys(site)).st_uid
    assert uid != 0
    for name in os.listdir(keys(site)):
        assert os.stat(os.path.join(keys(site), name)).st_uid == uid
    before = fingerprint(site)
    psk = os.path.join(work, "psk")
    site.cli("key", "psk", psk)
    assert os.stat(psk).st_uid == uid
    site.cli("key", "rotate")
    site.start()
    assert fingerprint(site) == before
    site.cli("key", "rotate")
    site.stop()
    os.chown(os.path.join(keys(site), "auth"), 0, 0)
    done = subprocess.run(
        [program("postriderd"), "-f", "-c", site.conf], text=True,
        capture_output=True, check=False, timeout=patient(30))
    assert done.returncode == 77 and "chown" in done.stderr
