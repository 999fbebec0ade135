# SPDX-License-Identifier: ISC
"""The daemon as init, systemd and an operator see it."""

import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

import road
from conftest import cannot, need_ipv6
from peers_common import free_port, patient, program, wait_for
from peers_smtp import Refused, Smtp

CONTENT = b"Subject: x\r\n\r\nx\r\n"
ACTIVATE = os.path.join(os.path.dirname(__file__), "activate.py")


def daemon(node, *options, env=None, timeout=30):
    return subprocess.run([program("postriderd"), *options, "-c", node.conf],
                          capture_output=True, text=True, check=False,
                          env={**node.env, **(env or {})},
                          timeout=patient(timeout), stdin=subprocess.DEVNULL)


@pytest.fixture
def paris(node, work):
    """paris with a peer london, which is not called."""
    return node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london", call='{ "Never" }'),
        "routes { london.example = london }\n"))


def reloaded(one, word="reloaded", count=1):
    before = one.log().count(f" {word} ")
    one.reload()
    wait_for(lambda: one.log().count(f" {word} ") >= before + count, 10,
             one.log)


def test_reload_with_faults_changes_nothing(paris):
    paris.start()
    good = paris.read_config()
    paris.write_config(good + "bogus = 1\n")
    reloaded(paris, "reload-refused")
    assert re.search(r"configuration-fault .*postrider\.conf:\d+:.*bogus",
                     paris.log())
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    paris.wait_mail("bob")
    assert paris.running()


def test_reload_new_peer(paris, work):
    paris.start()
    with pytest.raises(Refused) as refused:
        paris.submit("a@paris.example", ["eve@oslo.example"], CONTENT)
    assert (refused.value.reply.code, refused.value.reply.status) == (
        550, "5.7.1")
    paris.append_config(road.peer(work, "paris", "oslo")
                        + "routes { oslo.example = oslo }\n")
    if len(re.findall("^routes", paris.read_config(), re.M)) > 1:
        paris.edit_config(r"routes \{ oslo.example = oslo \}\n", "")
        paris.edit_config(r"routes \{", "routes { oslo.example = oslo\n\t")
    reloaded(paris)
    paris.submit("a@paris.example", ["eve@oslo.example"], CONTENT)
    wait_for(lambda: road.files(road.drop(work, "paris", "oslo")), 10,
             paris.log)


def test_reload_peer_gone(paris, work):
    """Its mail is held, and goes when the peer is back."""
    paris.start()
    paris.submit("a@paris.example", ["eve@london.example"], CONTENT)
    whole = paris.read_config()
    paris.write_config(whole[:whole.index("peer london")])
    reloaded(paris)
    waiting = paris.cli("queue", "list")
    assert "eve@london.example" in waiting and "held" in waiting
    paris.restart()
    assert "held" in paris.cli("queue", "list")
    paris.write_config(whole.replace('call = { "Never" }', "cost = 1"))
    reloaded(paris)
    wait_for(lambda: road.files(road.drop(work, "paris", "london")), 10,
             paris.log)


def test_reload_routes_anew(paris, work):
    """What is not yet cut goes the new way."""
    paris.start()
    paris.submit("a@paris.example", ["eve@london.example"], CONTENT)
    paris.append_config(road.peer(work, "paris", "oslo"))
    paris.edit_config("london.example = london", "london.example = oslo")
    reloaded(paris)
    wait_for(lambda: road.files(road.drop(work, "paris", "oslo")), 10,
             paris.log)


def test_reload_names_what_needs_a_restart(paris):
    paris.start()
    paris.edit_config("spool = .*", "spool = @dir@/other")
    paris.edit_config("listen .*", f'listen "127.0.0.1:{free_port()}" {{ }}')
    reloaded(paris)
    line = re.search("restart-needed .*", paris.log()).group(0)
    assert "spool" in line and "listen" in line
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    paris.wait_mail("bob")


def test_every_fault_with_its_line(node):
    one = node("paris", config="""\
site paris {
	postmaster = nobody
	message-max = 010
	spool = relative
	spool = /twice
	wonder = 1
}
listen "127.0.0.1:99999" { }
delivery local {
	domains = { paris.example }
}
peer london {
	dialect = latin
	compress = rar
	call = { "every now and then" }
}
routes { oslo.example = nowhere }
""")
    done = daemon(one, "-n")
    assert done.returncode == 78
    lines = {int(n) for n in re.findall(r"postrider\.conf:(\d+):",
                                        done.stderr)}
    assert {2, 3, 4, 5, 6, 8, 13, 14, 15, 17} <= lines, done.stderr
    assert lines & {9, 11}, "a delivery without a target"
    assert daemon(one, "-f").returncode == 78
    assert daemon(one).returncode == 78


def test_check_of_a_good_file(paris):
    done = daemon(paris, "-n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert paris.cli("check") == (
        f"{paris.conf}: good: site paris, 1 peer, 1 delivery\n")
    assert not os.path.exists(os.path.join(paris.directory, "spool"))


def test_missing_file_and_bad_options(paris):
    os.unlink(paris.conf)
    done = daemon(paris, "-f")
    assert done.returncode == 78 and "postrider.conf" in done.stderr
    assert daemon(paris, "-z").returncode == 64


def test_log_file_is_opened_again(node):
    one = node("paris", config=road.config("paris", log="@dir@/log/node"))
    path = os.path.join(one.directory, "log/node")
    os.mkdir(os.path.dirname(path))
    one.start()
    os.rename(path, path + ".1")
    one.reload()
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path), 10)
    one.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert "message-accepted" in text
    for line in text.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+ ", line)


def test_log_level(node):
    one = node("paris", config=road.config("paris", log_level="warning"))
    one.start()
    one.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    one.wait_mail("bob")
    assert " info " not in one.log()
    one.edit_config("log-level = warning", "log-level = debug")
    reloaded(one)
    one.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    one.wait_log(" info message-accepted")


def notify_socket(work):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(os.path.join(work, "notify"))
    sock.settimeout(patient(20))
    return sock


def test_sd_notify(paris, work):
    with notify_socket(work) as sock:
        paris.env["NOTIFY_SOCKET"] = sock.getsockname()
        paris.start()
        assert b"READY=1" in sock.recv(4096)
        paris.reload()
        said = sock.recv(4096)
        assert b"RELOADING=1" in said and b"MONOTONIC_USEC=" in said
        assert b"READY=1" in sock.recv(4096)
        paris.daemon.signal(signal.SIGTERM)
        assert b"STOPPING=1" in sock.recv(4096)


def test_syslog_priorities_under_systemd(paris):
    paris.env["INVOCATION_ID"] = "0" * 32
    paris.start()
    assert re.search("^<6>started ", paris.log(), re.MULTILINE)


def test_socket_activation(paris, work):
    """The sockets that were handed over are used, and not opened."""
    with notify_socket(work) as sock:
        paris.append_config('listen "unix:@dir@/smtp" { }\n')
        env = {**paris.env, "NOTIFY_SOCKET": sock.getsockname()}
        paris.daemon = paris._processes.start(
            [sys.executable, ACTIVATE, f"127.0.0.1:{paris.port}",
             os.path.join(paris.directory, "smtp"), program("postriderd"),
             "-f", "-c", paris.conf], paris.stderr, env)
        assert b"READY=1" in sock.recv(4096)
    assert paris.log().count("inherited=yes") == 2, paris.log()
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    with Smtp(path=os.path.join(paris.directory, "smtp")) as smtp:
        smtp.ehlo()
        smtp.transaction("a@paris.example", ["bob@paris.example"], CONTENT)
        smtp.quit()
    paris.wait_mail("bob", 2)


def test_orderly_end(paris):
    """A session that is between two mails is told 421."""
    paris.start()
    with paris.smtp() as smtp:
        smtp.ehlo()
        smtp.transaction("a@paris.example", ["bob@paris.example"], CONTENT)
        begin = time.monotonic()
        paris.daemon.signal(signal.SIGTERM)
        reply = smtp.reply()
        assert reply.code == 421
    assert paris.daemon.wait() == 0
    assert time.monotonic() - begin < patient(5)
    assert "stopping" in paris.log() and " stopped" in paris.log()
    assert not [name for name in os.listdir(os.path.join(
        paris.directory, "run")) if name == "control"]


def test_end_with_a_mail_under_way(paris):
    """It may be finished."""
    paris.start()
    with paris.smtp() as smtp:
        smtp.ehlo()
        smtp.mail("a@paris.example")
        smtp.rcpt("bob@paris.example")
        assert smtp.cmd("DATA").code == 354
        paris.daemon.signal(signal.SIGTERM)
        paris.wait_log(" stopping$")
        smtp.send_raw(CONTENT + b".\r\n")
        assert smtp.reply().code == 250
    assert paris.daemon.wait() == 0
    paris.daemon = None
    paris.start()
    paris.wait_mail("bob")


def test_transports_end_with_the_daemon(paris):
    paris.edit_config(r'call = \{ "Never" \}', "cost = 1")
    paris.start()

    def transports():
        pids = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    argv = file.read().split(b"\0")
            except OSError:
                continue
            if argv[0].endswith(b"/file") and any(
                    paris.directory.encode() in one for one in argv):
                pids.append(pid)
        return pids

    wait_for(transports, 10, paris.log)
    paris.stop()
    assert not transports()


def test_second_daemon(paris, node, work):
    """Two on one spool: the second names the first and goes."""
    paris.start()
    other = node("other", config=paris.read_config().replace(
        str(paris.port), str(free_port())).replace("/run\n", "/run2\n"))
    done = daemon(other, "-f")
    assert done.returncode != 0
    assert re.search(rf"in use by process {paris.daemon.pid}\b",
                     done.stderr), done.stderr
    paris.submit("a@paris.example", ["bob@paris.example"], CONTENT)


def test_port_taken(paris):
    with socket.create_server(("127.0.0.1", paris.port)):
        done = daemon(paris, "-f")
    assert done.returncode not in (0, -11)
    assert f"127.0.0.1:{paris.port}" in done.stderr


@pytest.mark.requires_root
def test_privileges(node, work):
    """As root it becomes its user, once sockets are open."""
    user = pwd.getpwnam("nobody")
    one = node("paris", config=road.config(
        "paris", road.peer(work, "paris", "london"),
        "routes { london.example = london }\n", user="nobody"))
    for path in (one.mail, os.path.join(work, "link/paris-london"),
                 os.path.join(work, "link/london-paris")):
        os.makedirs(path, exist_ok=True)
        os.chown(path, user.pw_uid, user.pw_gid)
    one.start()
    with open(f"/proc/{one.daemon.pid}/status", encoding="ascii") as file:
        status = file.read()
    for word, number in (("Uid", user.pw_uid), ("Gid", user.pw_gid)):
        assert re.search(rf"^{word}:(\s+{number}){{4}}$", status, re.M), status
    groups = re.search("^Groups:(.*)$", status, re.M).group(1).split()
    assert set(groups) <= {str(user.pw_gid)}
    one.submit("a@paris.example", ["bob@paris.example", "e@london.example"],
               CONTENT)
    one.wait_mail("bob")
    wait_for(lambda: os.listdir(os.path.join(work, "link/paris-london")), 10,
             one.log)
    one.restart()
    assert os.stat(os.path.join(one.directory, "spool")).st_mode & 0o77 == 0


def test_unknown_user_of_the_system(node):
    if os.geteuid() != 0:
        cannot("needs root")
    one = node("paris", config=road.config("paris", user="no-such-user"))
    done = daemon(one, "-f")
    assert done.returncode == 78 and "no-such-user" in done.stderr


def test_unix_listener(paris):
    path = os.path.join(paris.directory, "smtp")
    paris.append_config(f'listen "unix:{path}" {{ mode = 0600 }}\n')
    for _ in range(2):
        paris.start()
        assert os.stat(path).st_mode & 0o777 == 0o600
        with Smtp(path=path) as smtp:
            smtp.ehlo()
            smtp.transaction("a@paris.example", ["bob@paris.example"],
                             CONTENT)
            smtp.quit()
        # The socket file that a killed daemon leaves is no obstacle.
        paris.kill()
    paris.start()
    paris.wait_mail("bob", 2)


def test_ipv6_listener(node):
    need_ipv6()
    port = free_port("::1")
    one = node("paris", address="::1", port=port, config=road.config(
        "paris").replace("@address@", "[::1]"))
    one.start()
    one.submit("a@paris.example", ["bob@paris.example"], CONTENT)
    one.wait_mail("bob")


def test_not_allowed_client(paris):
    paris.edit_config(r'listen "(.*)" \{ \}',
                      r'listen "\1" { allow = { 192.0.2.0/24 } }')
    paris.daemon = paris._processes.start(
        [program("postriderd"), "-f", "-c", paris.conf], paris.stderr,
        paris.env)
    paris.wait_log(" started ")
    with paris.smtp() as smtp:
        assert smtp.greeting.code in (554, 550, 220)
        reply = smtp.ehlo() if smtp.greeting.code == 220 else smtp.greeting
        if reply.code == 250:
            reply = smtp.mail("a@paris.example")
            if reply.code == 250:
                reply = smtp.rcpt("bob@paris.example")
        assert reply.code // 100 == 5


def test_background(node):
    """Without -f the command returns when mail is taken."""
    one = node("paris", config=road.config("paris", log="@dir@/log"))
    done = daemon(one)
    assert done.returncode == 0, done.stderr
    with open(os.path.join(one.directory, "spool/lock"),
              encoding="ascii") as file:
        pid = int(file.read())
    try:
        one.submit("a@paris.example", ["bob@paris.example"], CONTENT)
        one.wait_mail("bob")
        again = daemon(one)
        assert again.returncode != 0, "a second one cannot"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe")
             or not os.path.exists(f"/proc/{pid}"), 20)


def test_no_descriptor_leaks_into_transports(paris, work):
    """A transport is handed standard streams and nothing else."""
    script = os.path.join(paris.directory, "transport")
    out = os.path.join(paris.directory, "fds")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nls /proc/$$/fd >{out}.new; "
                   f"mv {out}.new {out}\n")
    os.chmod(script, 0o755)
    paris.edit_config("transport = file", f"transport = {script}")
    paris.edit_config("stays = yes", "stays = no")
    paris.edit_config(r'call = \{ "Never" \}', "cost = 1")
    paris.edit_config(r"set = \{(.|\n)*?\}", "")
    paris.start()
    paris.submit("a@paris.example", ["e@london.example"], CONTENT)
    wait_for(lambda: os.path.exists(out), 10, paris.log)
    with open(out, encoding="ascii") as file:
        # The shell reads its script from its own (10, 11 or 255).
        assert {int(n) for n in file.read().split()} <= {0, 1, 2, 10, 11, 255}
