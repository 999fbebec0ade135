# SPDX-License-Identifier: ISC
"""The snippets in etc/, as they stand, in real mail servers.

Only what must differ on this machine is replaced: ports, the folder of
Postfix and of the programs.
"""

import os
import re
import shutil
import subprocess

import pytest

from peers_common import PROJECT, free_port, wait_for
from peers_smtp import Refused, submit

ETC = os.path.join(PROJECT, "etc")
MAIL = (b"From: Alice <alice@paris.example>\nTo: bob@oslo.example\n"
        b"Subject: by way of the snippets\nDate: Thu, 05 Mar 2026 10:00:00 "
        b"+0000\nMessage-ID: <1@paris.example>\n\n.dot\n" + b"x" * 1500
        + b"\nend\n")
BODY = MAIL.split(b"\n\n", 1)[1]


def snippet(path, **replaced):
    with open(os.path.join(ETC, path), encoding="utf-8") as file:
        text = file.read()
    for old, new in replaced.items():
        old = {"node": "2442", "back": "10026",
               "folder": "/etc/postfix"}[old]
        if old in text:
            text = text.replace(old, str(new))
    return text


def postfix_settings(text):
    """main.cf as a dict; a line that begins with a blank goes on."""
    lines = [line for line in text.splitlines()
             if line.strip() and not line.startswith("#")]
    text = re.sub(r"\n\s+", " ", "\n".join(lines))
    return {name.strip(): value.strip() for name, value
            in (line.split("=", 1) for line in text.splitlines())}


def peer(work, here, there):
    road = {name: os.path.join(work, name) for name in
            (f"{here}-{there}", f"{there}-{here}")}
    for path in road.values():
        os.makedirs(path, exist_ok=True)
    return (f"\npeer {there} {{\n\tdialect = rfc2442\n"
            "\tcompress = gzip\n\tset = { "
            f"\"drop={road[f'{here}-{there}']}\", "
            f"\"pickup={road[f'{there}-{here}']}\", \"poll=0.2\" }}\n}}\n"
            f"routes {{\n\t{there}.example = {there}\n"
            f"\t.{there}.example = {there}\n}}\n")


def make_node(node, work, here, there, back):
    one = node(here)
    one.edit_config(r"^\tto = .*$", f"\tto = smtp:127.0.0.1:{back}")
    one.append_config(peer(work, here, there))
    one.start()
    return one


@pytest.fixture
def paris(node, postfix, work):
    """A site with Postfix: (node, Postfix, port of re-injection)."""
    back, folder = free_port(), os.path.join(work, "snippets")
    one = make_node(node, work, "paris", "oslo", back)
    shutil.copytree(os.path.join(ETC, "postfix"), folder)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        text = snippet(f"postfix/{name}", node=one.port)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    replaced = {"node": one.port, "back": back, "folder": folder}
    settings = postfix_settings(snippet("postfix/main.cf", **replaced))
    settings["transport_maps"] += \
        f", texthash:{work}/mta-paris/etc/transport"
    mta = postfix("mta-paris", hostname="mta.paris.example",
                  domains=["paris.example"], settings=settings,
                  services=snippet("postfix/master.cf", **replaced))
    return one, mta, back


@pytest.fixture
def bergen(node, sendmail, work):
    """A site with sendmail, whose far site is oslo too."""
    back, port = free_port(), free_port()
    one = make_node(node, work, "bergen", "oslo", back)
    mta = sendmail("mta-bergen", hostname="mta.bergen.example",
                   domains=["bergen.example"], port=port,
                   before=snippet("sendmail/before-mailers.mc", back=back),
                   behind=snippet("sendmail/behind-mailers.mc",
                                  node=one.port),
                   files={"postrider-domains":
                          snippet("sendmail/postrider-domains")})
    return one, mta, back


@pytest.fixture
def oslo(node, exim, work):
    """A site with Exim."""
    back = free_port()
    one = make_node(node, work, "oslo", "paris", back)
    main = dict(re.findall(r"^(domainlist \S+) = (.*)$",
                           snippet("exim/main"), re.M))
    mta = exim("mta-oslo", hostname="mta.oslo.example",
               domains=["oslo.example"], listen=[f"127.0.0.1:{back}"],
               settings=main,
               routers=snippet("exim/routers", node=one.port, back=back),
               transports=snippet("exim/transports", node=one.port))
    return one, mta, back


def log_of(*sites):
    return lambda: "\n".join(part.log()[-3000:] for site in sites
                             for part in site[:2])


@pytest.mark.requires_root
def test_there_and_back(paris, oslo):
    paris[1].sendmail("alice@paris.example", ["bob@oslo.example"], MAIL)
    wait_for(lambda: oslo[1].maildir("bob"), 30, log_of(paris, oslo))
    assert oslo[1].maildir("bob")[0].endswith(BODY)
    oslo[1].sendmail("bob@oslo.example", ["alice@paris.example"], MAIL)
    wait_for(lambda: paris[1].maildir("alice"), 30, log_of(paris, oslo))
    assert paris[1].maildir("alice")[0].endswith(BODY)


@pytest.mark.requires_root
@pytest.mark.parametrize("site, far", [("paris", "bob@oslo.example"),
                                       ("paris", "bob@sub.oslo.example"),
                                       ("bergen", "bob@oslo.example"),
                                       ("bergen", "bob@sub.oslo.example"),
                                       ("oslo", "bob@paris.example"),
                                       ("oslo", "bob@sub.paris.example")])
def test_what_came_from_us_does_not_come_back(site, far, request):
    """On the port of re-injection a far site's mail is refused."""
    one = request.getfixturevalue(site)
    near = f"alice@{site}.example"
    content = MAIL.replace(b"\n", b"\r\n")
    with pytest.raises(Refused) as refused:
        submit(one[2], "someone@x.example", [far], content)
    assert refused.value.step.upper().startswith("RCPT")
    assert refused.value.reply.code in (550, 554)
    submit(one[2], "someone@x.example", [near], content)
    wait_for(lambda: one[1].maildir("alice"), 20, log_of(one))
    # On the port for everyone it is taken, and reaches the node.
    submit(one[1].port, near, [far], content)
    one[0].wait_log(r" object-sent ", 30)


@pytest.mark.requires_root
def test_a_loop_ends_in_a_notice(paris):
    """Our node is told, wrongly, that a far domain is local: the mail comes
    back to Postfix, which refuses it, and its sender hears of it."""
    one, mta, _ = paris
    text = one.read_config().replace('{ "paris.example" }',
                                     '{ "paris.example", "oslo.example" }')
    one.write_config(re.sub(r"^\toslo.example = oslo\n", "", text,
                            flags=re.M))
    one.restart()
    mta.sendmail("alice@paris.example", ["bob@oslo.example"], MAIL)
    wait_for(lambda: mta.maildir("alice"), 30, log_of(paris))
    assert b"multipart/report" in mta.maildir("alice")[0]
    assert len(re.findall(r" message-accepted .* from=alice@paris.example",
                          one.log())) == 1


def unit(tmp, name):
    """A unit with programs that are there, for systemd-analyze."""
    path = os.path.join(tmp, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(snippet(name).replace("/usr/local/sbin/postriderd",
                                         "/bin/true"))
    return path


@pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                    reason="systemd-analyze is not here")
def test_units_are_valid(work):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no",
         unit(work, "postrider.service"), unit(work, "postrider.socket")],
        text=True, capture_output=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines()
                  if "postrider" in line]
    assert complaints == [] and done.returncode == 0, done.stderr
