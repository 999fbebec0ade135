# SPDX-License-Identifier: ISC
"""Loops on purpose: they end, and the sender is told."""

import os
import re
import subprocess

import pytest

import road
from peers_common import free_port, program, wait_for

CONTENT = b"Subject: round and round\r\n\r\nx\r\n"


@pytest.mark.requires_root
def test_through_a_server(node, work, postfix):
    """We deliver round.example to a server that hands it back to us.  The
    server listens on another address and port 25, as a careless one would;
    its Received fields end it."""
    paris = node("paris", config=road.config("paris", """\
delivery round {
	domains = { round.example }
	to = "smtp:127.0.0.2:25"
}
"""))
    paris.start()
    server = postfix("postfix", hostname="mx.round.example", domains=[],
                     listen=["127.0.0.2:25"],
                     routes={"*": f"127.0.0.1:{paris.port}"},
                     settings={"hopcount_limit": "1000",
                               "transport_destination_concurrency_limit":
                               "20"})
    paris.submit("alice@paris.example", ["bob@round.example"], CONTENT)
    got = paris.wait_mail("alice", timeout=60)
    server.wait_idle()
    wait_for(lambda: "round.example" not in paris.cli("queue", "list"), 20,
             paris.log)
    assert len(got) == 1
    notice = road.Notice(got[0])
    assert notice.status == "5.4.6"
    assert notice.recipient.endswith("bob@round.example")
    # received-max is 100: a message with 101 fields was refused.
    assert 100 <= len(re.findall(r"recipient-delivered.*to=round",
                                 paris.log())) <= 102
    assert len(paris.maildir("alice")) == 1


@pytest.mark.parametrize("settings", (
    dict(dialect="rfc2442"), dict(dialect="bsmtp", ids="yes"),
    dict(dialect="bsmtp")), ids=("rfc2442", "bsmtp", "bsmtp-without-ids"))
def test_between_nodes(node, work, settings):
    """paris sends round.example to london, london to paris."""
    nodes = []
    for site, other in (("paris", "london"), ("london", "paris")):
        nodes.append(node(site, config=road.config(
            site, road.peer(work, site, other, may_relay="yes", **settings),
            f"routes {{ round.example = {other}\n"
            f"\t{other}.example = {other} }}\n", hops_max="12")))
    for one in nodes:
        one.start()
    nodes[0].submit("alice@paris.example", ["bob@round.example"], CONTENT)
    got = nodes[0].wait_mail("alice", timeout=30)
    notice = road.Notice(got[0])
    assert notice.status == "5.4.6"
    assert notice.recipient.endswith("bob@round.example")
    passed = sum(one.log().count("message-accepted") for one in nodes)
    assert 12 <= passed <= 16
    for one in nodes:
        wait_for(lambda one=one: "round.example" not in one.cli(
            "queue", "list"), 20, one.log)
    road.quiet(lambda: len(nodes[0].maildir("alice")) > 1, 1)


def test_own_listener_in_the_configuration(node):
    """Each way to write it is a fault."""
    port = free_port()
    for listen, to in ((f"127.0.0.1:{port}", f"127.0.0.1:{port}"),
                       (f"0.0.0.0:{port}", f"127.0.0.1:{port}"),
                       (f"[::]:{port}", f"[::1]:{port}"),
                       ("unix:/tmp/pr/smtp", "unix:/tmp/pr/smtp")):
        one = node("paris", config=f"""\
site paris {{
	postmaster = postmaster@paris.example
	spool = @dir@/spool
	run = @dir@/run
}}
listen "{listen}" {{ }}
delivery local {{
	domains = {{ paris.example }}
	to = "smtp:{to}"
}}
""")
        done = subprocess.run([program("postriderd"), "-n", "-c", one.conf],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 78, (listen, to)
        assert re.search(r"postrider\.conf:9: .*own listener", done.stderr), \
            done.stderr


def test_own_listener_at_run_time(node):
    """A socket by another name, which the configuration cannot tell."""
    paris = node("paris", config=road.config(
        "paris", 'listen "unix:@dir@/smtp" { }\n',
        delivery='\tto = "smtp:unix:@dir@/server"\n'))
    os.symlink("smtp", os.path.join(paris.directory, "server"))
    paris.start()
    paris.submit("alice@paris.example", ["bob@paris.example"], CONTENT)
    paris.wait_log("recipient-failed id=1 .*status=5.4.6 .*mail loops back")
    # Nobody can be told, so the notice waits for the postmaster.
    paris.wait_log("recipient-deferred id=3 .*mail loops back")
    road.quiet(lambda: paris.log().count("message-accepted") > 1, 1)
    assert "postmaster@paris.example" in paris.cli("queue", "list")
