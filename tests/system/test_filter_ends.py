# SPDX-License-Identifier: ISC
"""How filters end, with small scripts for them: refusing, later, killed."""

import glob
import os

import filters
import road
from peers_common import wait_for


def test_refused_on_the_way_out(node, work):
    """Nothing leaves, the mail is held, and goes when the filter is
    mended."""
    tool = os.path.join(work, "tool")
    filters.script(tool, "echo 'no key of london' >&2; exit 2")
    pair = filters.Pair(node, work, [tool], ["/bin/cat"], dialect="bsmtp").start()
    pair.send()
    told = pair.paris.wait_mail("postmaster")
    assert len(told) == 1
    assert b"filter-out 1 (tool) exited with 2: no key of london" in told[0]
    assert pair.paris.json("queue", "list", "--held", "--peer", "london")
    status = [one for one in pair.paris.json("status")
              if one.get("name") == "london"]
    assert status[0]["held"] == 1 and "no key" in status[0]["last_error"]
    assert road.files(pair.dropped) == {}
    pair.paris.restart()
    assert road.files(pair.dropped) == {}
    filters.script(tool, "exec /bin/cat")
    pair.paris.run("queue", "release", "--all", "--peer", "london")
    pair.carry()
    pair.check_arrived()


def test_later(node, work):
    """75 keeps the object on both sides, and the status says why."""
    tools = [os.path.join(work, name) for name in ("out", "in")]
    for tool in tools:
        filters.script(tool, "echo 'no card' >&2; exit 75")
    pair = filters.Pair(node, work, [tools[0]], [tools[1]], dialect="bsmtp").start()
    pair.send()
    pair.paris.wait_log("object-not-written .*no card")
    wait_for(lambda: any("no card" in one.get("last_error", "")
                         for one in pair.paris.json("status")), 10)
    filters.script(tools[0], "exec /bin/cat")
    pair.carry()
    pair.london.wait_log("object-later .*no card")
    wait_for(lambda: any("no card" in one.get("last_error", "")
                         for one in pair.london.json("status")), 10)
    assert pair.london.maildir("postmaster") == []
    filters.script(tools[1], "exec /bin/cat")
    pair.london.restart()
    pair.check_arrived()


def test_killed_in_mid_filter(node, work):
    """The object is made and read again, and nothing arrives twice."""
    tools = [os.path.join(work, name) for name in ("out", "in")]
    for tool in tools:
        filters.script(tool, "sleep 60")
    pair = filters.Pair(node, work, [tools[0]], [tools[1]], dialect="bsmtp").start()
    pair.send()
    works = os.path.join(work, "{}", "spool", "peers", "*", "work", "*.1")
    for one, tool in zip(pair.nodes, tools):
        wait_for(lambda: glob.glob(works.format(one.site)), 20, one.log)
        one.kill()
        filters.script(tool, "exec /bin/cat")
        one.start()
        if one is pair.paris:
            pair.carry()
    pair.check_arrived()
