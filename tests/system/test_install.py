# SPDX-License-Identifier: ISC
"""make install: what lands where, and that it works from there."""

import os
import re
import shutil
import stat
import subprocess
import tarfile

import pytest

from peers_common import (BUILD, PROJECT, answers, free_port, read_text,
                          wait_for)
from peers_smtp import submit


def make(*words):
    more = ["SANITIZE=1"] if os.path.basename(BUILD) == "asan" else []
    return subprocess.run(["make", "--no-print-directory", "-C", PROJECT,
                           f"BUILD={os.path.relpath(BUILD, PROJECT)}", *more,
                           *words], text=True, capture_output=True,
                          check=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An installation with the default PREFIX, as nothing is built anew for
    it, below a DESTDIR."""
    destdir = str(tmp_path_factory.mktemp("root"))
    done = make("install", f"DESTDIR={destdir}")
    assert done.returncode == 0, done.stderr
    return os.path.join(destdir, "usr/local")


def installed(root):
    return {os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(root) for name in names}


def test_files(root):
    found = installed(root)
    programs = {"sbin/postriderd", "bin/postrider", "libexec/postrider/file"}
    docs = {f"share/doc/postrider/{name}"
            for name in ("README.md", "CHANGES", "LICENSE")}
    units = {"lib/systemd/system/postrider.service",
             "lib/systemd/system/postrider.socket",
             "lib/sysusers.d/postrider.conf", "lib/tmpfiles.d/postrider.conf"}
    assert programs | docs | units <= found
    pages = {f"share/man/man{name[-1]}/{name}"
             for name in os.listdir(os.path.join(PROJECT, "man"))}
    assert {name for name in found if name.startswith("share/man/")} == pages
    examples = {"postrider.conf.sample", "postfix/main.cf",
                "postfix/master.cf", "exim/routers", "exim/transports"}
    assert {f"share/doc/postrider/examples/{name}"
            for name in examples} <= found
    folders = {name.split("/")[0] for name in found}
    assert folders == {"bin", "lib", "libexec", "sbin", "share"}
    assert not [name for name in found if "test" in name]


def test_modes(root):
    for name in installed(root):
        mode = stat.S_IMODE(os.stat(os.path.join(root, name)).st_mode)
        program = re.match(r"(s?bin|libexec)/", name)
        assert mode == (0o755 if program else 0o644), name


def test_again_is_the_same(root):
    before = installed(root)
    assert make("install", f"DESTDIR={root[:-len('/usr/local')]}"
                ).returncode == 0
    assert installed(root) == before


def test_uninstall(tmp_path):
    """Nothing of it stays, and what is not of it does."""
    destdir = str(tmp_path)
    other = os.path.join(destdir, "usr/local/bin/other")
    assert make("install", f"DESTDIR={destdir}").returncode == 0
    with open(other, "wb"):
        pass
    done = make("uninstall", f"DESTDIR={destdir}")
    assert done.returncode == 0, done.stderr
    assert installed(destdir) == {"usr/local/bin/other"}
    assert not os.path.exists(os.path.join(
        destdir, "usr/local/share/doc/postrider"))


def test_dist():
    """All that is committed, below one folder with the version."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    listed = subprocess.run(["git", "-C", PROJECT, "ls-tree", "-rz",
                             "--name-only", "HEAD"], capture_output=True,
                            text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a working copy")
    done = make("dist")
    assert done.returncode == 0, done.stderr
    version = re.search(r"^VERSION := (.*)$", read_text(os.path.join(
        PROJECT, "GNUmakefile")), re.M)[1]
    name = f"postrider-{version}"
    with tarfile.open(os.path.join(PROJECT, f"build/{name}.tar.gz")) as tar:
        names = {one.name for one in tar.getmembers() if not one.isdir()}
    assert names == {f"{name}/{one}" for one in listed.stdout.split("\0")
                     if one}


def test_no_dist_without_git(tmp_path):
    """An empty tarball would be worse than none."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    shutil.copy(os.path.join(PROJECT, "GNUmakefile"), tmp_path)
    done = subprocess.run(
        ["make", "-C", str(tmp_path), "dist"], text=True, check=False,
        capture_output=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert done.returncode != 0, done.stdout
    assert "not a git repository" in done.stderr
    assert not list(tmp_path.glob("build/*.tar*"))


def test_another_prefix():
    """Without building for it: every target is below it."""
    done = make("-n", "install", "DESTDIR=/stage", "PREFIX=/opt/post")
    assert done.returncode == 0
    targets = re.findall(r"install -D -m \d+ \S+\s+(?:\\\n\s*)?(\S+)",
                         done.stdout)
    assert len(targets) > 20
    for target in targets:
        assert target.startswith("/stage/opt/post/"), target
    assert re.search(r"sed -i 's\|/usr/local/\|/opt/post/\|'", done.stdout)


def test_service_names_the_daemon(root):
    with open(os.path.join(root, "lib/systemd/system/postrider.service"),
              encoding="utf-8") as file:
        assert "\nExecStart=/usr/local/sbin/postriderd -f " in file.read()


def test_it_runs_from_there(root, work, processes):
    """The installed daemon finds the installed transport."""
    port, drop = free_port(), os.path.join(work, "drop")
    os.makedirs(drop)
    folder = os.path.join(work, "paris")
    subprocess.run([os.path.join(root, "bin/postrider"), "init", "--dir",
                    folder, "--site", "paris", "--domain", "paris.example",
                    "--listen", f"127.0.0.1:{port}", "--deliver",
                    f"maildir:{folder}/mail"], check=True,
                   capture_output=True)
    path = os.path.join(folder, "postrider.conf")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("\tspool =", f'\tlibexec = "{root}/libexec/postrider"'
                        "\n\tspool =", 1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{text}\npeer oslo {{\n\tdialect = bsmtp\n\tset = \"drop={drop}\"\n}}\n"
                   "routes {\n\toslo.example = oslo\n}\n")
    daemon = processes.start([os.path.join(root, "sbin/postriderd"), "-f",
                              "-c", path], os.path.join(work, "log"))
    wait_for(lambda: answers(port), 20, daemon.output)
    submit(port, "ann@paris.example", ["bob@oslo.example"], b"\r\nhi\r\n")
    wait_for(lambda: os.listdir(drop), 20, daemon.output)
    wait_for(lambda: " object-sent " in daemon.output(), 20, daemon.output)
    assert daemon.stop() == 0
