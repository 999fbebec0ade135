# SPDX-License-Identifier: ISC
"""`make demo`: it is quick, leaves nothing behind, and tells a difference."""

import os
import re
import signal
import subprocess
import time

import pytest

from peers_common import BUILD, PROJECT, patient, wait_for

RUN = os.path.join(PROJECT, "tests/demo/run")


def environment(work, **more):
    return {**os.environ, "BUILD": BUILD, "TMPDIR": work,
            "PATIENCE": str(int(patient(60))), **more}


def demo(work, **more):
    return subprocess.run([RUN], env=environment(work, **more), text=True,
                          capture_output=True, timeout=patient(120),
                          check=False)


def left_running(work):
    """Processes that have work in their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().replace(b"\0", b" ").decode("utf-8",
                                                                "replace")
        except OSError:
            continue
        if work in words:
            found.append(words)
    return found


def test_everything_arrives_identical(work):
    began = time.monotonic()
    done = demo(work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    if "asan" not in BUILD:
        assert time.monotonic() - began < patient(60)
    counts = re.search(r"^  all +(\d+) +(\d+) +\d+  yes$", done.stdout, re.M)
    assert counts and counts[1] == counts[2]
    assert int(counts[1]) >= 60
    for road in ("paris -> london", "london -> oslo", "oslo -> london",
                 "london -> paris"):
        assert len(re.findall(rf"^ +\d+s  {road} ", done.stdout, re.M)) >= 2
    words = " ".join(done.stdout.split())
    assert re.search(r"\d{3,} addresses and subjects of the mails. Found: 0\.",
                     words)
    assert re.search(r"in the mails themselves. Found: \d{2,}\.", words)
    assert re.search(r"the \d{2,} recipients of mail between paris and oslo, "
                     r"which london relays. Found: 0\.", words)
    assert os.listdir(work) == [] and left_running(work) == []


@pytest.fixture
def tampered(work):
    """A build whose demo_submit changes one octet of one sample."""
    build = os.path.join(work, "build")
    os.makedirs(os.path.join(build, "tests/bin"))
    for name in ("postriderd", "postrider", "libexec"):
        os.symlink(os.path.join(BUILD, name), os.path.join(build, name))
    submit = os.path.join(build, "tests/bin/demo_submit")
    with open(submit, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\ncase $3 in\n*/plain.eml)\n\tsocket=$1 from=$2\n"
                   f"\ttr e E <$3 >{work}/other\n\tshift 3\n"
                   f"\tset -- $socket $from {work}/other \"$@\" ;;\nesac\n"
                   f"exec {BUILD}/tests/bin/demo_submit \"$@\"\n")
    os.chmod(submit, 0o755)
    return build


def test_a_difference_is_a_failure(work, tampered):
    done = demo(work, BUILD=tampered)
    assert done.returncode == 1
    assert re.search(r"^FAULT: missing or different: .*plain\.eml$",
                     done.stderr, re.M)
    assert re.search(r"^  all .*  NO$", done.stdout, re.M)
    assert left_running(os.path.join(work, "postrider-demo")) == []


def test_an_interrupt_leaves_nothing(work):
    out = os.path.join(work, "out")
    with open(out, "wb") as file:
        run = subprocess.Popen([RUN], env=environment(work, KEEP=""),
                               stdout=file, stderr=file,
                               start_new_session=True)
    try:
        wait_for(lambda: os.path.exists(out) and
                 b"each parcel" in open(out, "rb").read(), 30)
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait(patient(40)) == 143
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert left_running(os.path.join(work, "postrider-demo")) == []


def test_without_a_build_it_says_so(work):
    done = demo(work, BUILD=work)
    assert done.returncode == 69
    assert "run make demo" in done.stderr
